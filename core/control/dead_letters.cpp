#include "core/control/dead_letters.hpp"

#include <unistd.h>

#include <map>
#include <set>

#include "core/base/clock.hpp"
#include "core/base/json_scan.hpp"
#include "core/base/time_text.hpp"
#include "core/control/audit_trail.hpp"
#include "core/control/letter_marks.hpp"
#include "core/control/letter_reader.hpp"
#include "core/control/letter_replay.hpp"
#include "core/control/tool_output.hpp"
#include "core/io/address.hpp"

namespace weir::control {
namespace {

// The letters under a directory that a command is about, in the order of the journals, with what was done to them.
class Letters {
  public:
    Letters(const DeadLetterArguments& arguments, std::vector<std::string> paths, LetterFilter filter,
            LetterMarks marks)
        : arguments_(arguments), paths_(std::move(paths)), filter_(std::move(filter)), marks_(std::move(marks)) {}

    // visit(const DeadLetter&, LetterState) for each, until it says false. The exit code: 0, or 1 if not all could be read.
    template <class Visit>
    [[nodiscard]] int for_each(std::ostream& err, Visit&& visit) const {
        bool is_all_readable = true;
        bool goes_on = true;
        std::uint64_t passed = 0;
        const auto take = [&](const DeadLetter& letter) {
            const LetterState state = marks_.state_of(letter.marks_place(), letter.lineage, letter.sequence);
            const bool shows_all = arguments_.all && (arguments_.verb == "ls" || arguments_.verb == "show");
            const bool is_wanted = state == LetterState::kept || shows_all ||
                                   (state == LetterState::replayed && arguments_.verb == "purge");
            if (!is_wanted || !filter_.passes(letter)) return;
            if (arguments_.limit != 0 && passed == arguments_.limit) {
                goes_on = false;
                return;
            }
            ++passed;
            goes_on = visit(letter, state);
        };
        const int code = scan_all(paths_, err, [&](const std::string& path, const journal::RecordView& record) {
            const LetterFault fault = for_each_letter(record, [&](const DeadLetter& letter, std::uint32_t) {
                if (goes_on) take(letter);
            });
            if (fault == LetterFault::none || !goes_on) return goes_on;
            err << path << ": position " << record.position.value
                << (fault == LetterFault::cut ? ": a frame that is no whole dead letter\n"
                                              : ": compressed or encrypted, not read\n");
            is_all_readable = false;
            return goes_on;
        });
        return is_all_readable ? code : 1;
    }

  private:
    const DeadLetterArguments& arguments_;
    std::vector<std::string> paths_;
    LetterFilter filter_;
    LetterMarks marks_;
};

void print_json(const DeadLetter& letter, LetterState state, bool wants_bytes, std::string& out) {
    out += "{\"time\":\"" + format_time({letter.head.received_wall_ns}) + "\",\"edge\":";
    json_quote(letter.edge, out);
    if (!letter.lane.empty()) {
        out += ",\"lane\":";
        json_quote(letter.lane, out);
        out.append(",\"part\":\"").append(wire::text(letter.part)).append("\"");
    }
    out += ",\"sequence\":" + number(letter.sequence) + ",\"stage\":\"";
    out.append(wire::text(letter.head.stage)).append("\",\"reason\":\"").append(wire::text(letter.head.reason));
    out += "\",\"rule\":" + number(letter.head.rule) + ",\"producer\":";
    json_quote(wire::name_of(letter.head.producer), out);
    out += ",\"bytes\":" + number(letter.original.size()) + ",\"prefix\":";
    std::string prefix;
    append_printable(as_text(letter.original), prefix);
    json_quote(prefix, out);
    out += ",\"lineage\":\"";
    append_hex(letter.lineage, 16, out);
    out.append("\",\"state\":\"").append(text(state)).append("\"");
    if (letter.fault == wire::Reason::none) {
        out += ",\"type\":";
        json_quote(letter.event.type, out);
        out += ",\"source\":";
        json_quote(letter.event.source, out);
        out += ",\"id\":";
        json_quote(letter.event.id, out);
    }
    if (wants_bytes) {
        out += ",\"base64\":\"";
        append_base64(letter.original, out);
        out += '"';
    }
    out += '}';
}

void print_text(const DeadLetter& letter, LetterState state, bool wants_bytes, Output& out) {
    std::string& text = out.text();
    text += format_time({letter.head.received_wall_ns}) + " ";
    text.append(letter.marks_place());
    text += " " + number(letter.sequence) + " ";
    text.append(wire::text(letter.head.stage)).append(" ").append(wire::text(letter.head.reason));
    text += " rule " + (letter.head.rule == 0 ? std::string("-") : number(letter.head.rule)) + " from ";
    const auto producer = wire::name_of(letter.head.producer);
    append_printable(producer.empty() ? "-" : producer, text);
    text += " bytes " + number(letter.original.size()) + " ";
    if (state != LetterState::kept) text.append(control::text(state)).append(" ");
    if (letter.fault == wire::Reason::none) {
        append_printable(letter.event.source, text);
        text += ' ';
        append_printable(letter.event.type, text);
        text += ' ';
        append_printable(letter.event.id, text);
    } else if (!wants_bytes) {
        append_printable(as_text(letter.original), text);
    }
    out.end_line();
    if (wants_bytes) append_hex_dump(letter.original, out);
}

int list_letters(const Letters& letters, const DeadLetterArguments& arguments, std::ostream& out_stream,
                 std::ostream& err) {
    const bool wants_bytes = arguments.verb == "show";
    Output out(out_stream);
    std::map<std::string_view, std::uint64_t> by_reason;
    std::uint64_t count = 0;
    const int code = letters.for_each(err, [&](const DeadLetter& letter, LetterState state) {
        if (arguments.json) {
            print_json(letter, state, wants_bytes, out.text());
            out.end_line();
        } else {
            print_text(letter, state, wants_bytes, out);
        }
        ++by_reason[wire::text(letter.head.reason)];
        ++count;
        return out.is_good();
    });
    if (wants_bytes || arguments.json) return code;
    out.text() += number(count) + (count == 1 ? " dead letter" : " dead letters");
    for (const auto& [reason, letters_count] : by_reason) {
        out.text().append("  ").append(reason).append(" ") += number(letters_count);
    }
    out.end_line();
    return code;
}

int purge_letters(const Letters& letters, const DeadLetterArguments& arguments, std::ostream& out_stream,
                  std::ostream& err) {
    std::vector<LetterMark> marks;
    std::uint64_t count = 0;
    const int code = letters.for_each(err, [&](const DeadLetter& letter, LetterState) {
        ++count;
        const std::string place = letter.marks_place();
        if (!marks.empty() && marks.back().edge == place && marks.back().lineage == letter.lineage &&
            marks.back().last + 1 == letter.sequence) {
            marks.back().last = letter.sequence;
        } else {
            marks.push_back({LetterState::purged, place, letter.lineage, letter.sequence, letter.sequence});
        }
        return true;
    });
    if (!arguments.dry_run) {
        if (auto done = LetterMarks::add(arguments.directory, marks, wall_now(), arguments.reason_text); !done) {
            err << done.error().what << "\n";
            return 1;
        }
    }
    Output out(out_stream);
    for (const LetterMark& mark : marks) {
        if (arguments.json) {
            out.text() += "{\"edge\":";
            json_quote(mark.edge, out.text());
            out.text() += ",\"lineage\":\"";
            append_hex(mark.lineage, 16, out.text());
            out.text() += "\",\"first_sequence\":" + number(mark.first) + ",\"last_sequence\":" + number(mark.last) +
                          ",\"purged\":" + (arguments.dry_run ? "false" : "true") + "}";
        } else {
            out.text() += mark.edge + " " + number(mark.first) + ".." + number(mark.last) +
                          (arguments.dry_run ? " would be purged" : " purged");
        }
        out.end_line();
    }
    if (!arguments.json) {
        out.text() += (arguments.dry_run ? "would purge " : "purged ") + number(count);
        out.end_line();
    }
    return code;
}

int replay_letters(const Letters& letters, const DeadLetterArguments& arguments, std::ostream& out_stream,
                   std::ostream& err) {
    // An edge knows its own letters only.
    std::set<std::string, std::less<>> edges;
    std::ostream silent(nullptr);
    (void)letters.for_each(silent, [&](const DeadLetter& letter, LetterState) {
        edges.emplace(letter.edge);
        return true;
    });
    if (edges.size() > 1) {
        err << "dead-letters: replay: letters of " << edges.size() << " edges are asked for; name one with --edge:";
        for (const auto& edge : edges) err << " " << edge;
        err << "\n";
        return exit_usage;
    }
    LetterReplay replay(arguments, out_stream, err);
    const int code = letters.for_each(err, [&](const DeadLetter& letter, LetterState) {
        replay.offer(letter);
        return true;
    });
    return std::max(replay.finish(), code);
}

// What is wrong with the arguments of that verb; empty: nothing.
std::string fault_of(const DeadLetterArguments& arguments) {
    const bool is_replay = arguments.verb == "replay";
    const bool is_purge = arguments.verb == "purge";
    if (!is_replay && !arguments.to.empty()) return "--to is for replay";
    if (!is_replay && !is_purge && arguments.dry_run) return "--dry-run is for replay and purge";
    if (!is_replay && !is_purge && !arguments.reason_text.empty()) return "--reason-text is for replay and purge";
    if ((is_replay || is_purge) && arguments.all) return "--all is for ls and show";
    if (is_purge && arguments.reason_text.empty()) return "purge needs --reason-text \"why\"";
    if (is_replay && arguments.reason_text.empty() && !arguments.dry_run) return "replay needs --reason-text \"why\"";
    if (arguments.reason_text.size() > 1000) return "--reason-text: more than 1000 bytes";
    if (is_replay && arguments.to.empty() && !arguments.dry_run) return "replay needs --to HOST:PORT or unix:PATH";
    if (is_replay && arguments.timeout_s == 0) return "--timeout 0: at least 1 second";
    if (is_replay && !arguments.to.empty()) {
        if (const auto address = io::parse_address(arguments.to); !address) return "--to " + address.error().what;
    }
    return {};
}

// The options that were given, as a person would write them.
std::string described(const DeadLetterArguments& arguments) {
    std::string text = arguments.directory;
    const auto option = [&](std::string_view name, const std::string& value) {
        if (!value.empty()) text.append(" --").append(name).append(" ").append(value);
    };
    const LetterFilterTexts& filter = arguments.filter;
    option("to", arguments.to);
    option("edge", filter.edge);
    option("reason", filter.reason);
    option("stage", filter.stage);
    option("type", filter.type);
    option("source", filter.source);
    option("since", filter.since);
    option("until", filter.until);
    option("sequence", filter.sequence);
    if (arguments.limit != 0) option("limit", number(arguments.limit));
    return text;
}

// Replays or purges between two records.
int audited(const Letters& letters, const DeadLetterArguments& arguments, std::ostream& out, std::ostream& err) {
    const auto done = [&] {
        return arguments.verb == "replay" ? replay_letters(letters, arguments, out, err)
                                          : purge_letters(letters, arguments, out, err);
    };
    if (arguments.dry_run) return done();
    // The daemon's own bound is not known here, and this is its machine's administrator.
    AuditTrail trail({.directory = arguments.directory, .owner = "dead-letters", .bytes_max = UINT64_MAX});
    AuditEntry entry{.act = "dead-letters." + arguments.verb,
                     .who = arguments.who.empty() ? "uid:" + number(::getuid()) : arguments.who,
                     .from = arguments.from,
                     .target = described(arguments),
                     .reason = arguments.reason_text,
                     .outcome = "asked"};
    const auto asked = trail.add(entry);
    if (!asked) {
        err << "dead-letters: not done: it cannot be written down: " << asked.error().what << "\n";
        return 1;
    }
    const int code = done();
    entry.outcome = "exit " + number(static_cast<std::uint64_t>(code));
    entry.of = asked.value();
    entry.reason.clear();
    if (const auto ended = trail.add(entry); !ended) {
        err << "dead-letters: done, but what came of it cannot be written down: " << ended.error().what << "\n";
        return std::max(code, 1);
    }
    return code;
}

}  // namespace

int dead_letters_command(const DeadLetterArguments& arguments, std::ostream& out, std::ostream& err) {
    const std::string& verb = arguments.verb;
    if (verb != "ls" && verb != "show" && verb != "replay" && verb != "purge") {
        err << "dead-letters: unknown verb '" << verb << "' (ls, show, replay, purge)\n";
        return 2;
    }
    if (const std::string fault = fault_of(arguments); !fault.empty()) {
        err << "dead-letters: " << fault << "\n";
        return exit_usage;
    }
    auto filter = LetterFilter::parse(arguments.filter);
    if (!filter) {
        err << "dead-letters: " << filter.error().what << "\n";
        return exit_usage;
    }
    // An edge keeps them in a stream of their own; central also where it met what is no event.
    auto paths = journals_of(arguments.directory, {"spool/dead-letters", "dead-letters", "journal"});
    if (!holds_any(arguments.directory, {"spool", "dead-letters"})) {
        err << arguments.directory << ": holds no dead letters (no spool or dead-letters directory)\n";
        return 2;
    }
    std::vector<std::string> faults;
    auto marks = LetterMarks::load(arguments.directory, faults);
    for (const auto& fault : faults) err << "warning: " << fault << "\n";
    if (!marks) {
        err << marks.error().what << "\n";
        return 1;
    }
    const Letters letters(arguments, std::move(paths), std::move(filter.value()), std::move(marks.value()));
    if (verb == "replay" || verb == "purge") return audited(letters, arguments, out, err);
    return list_letters(letters, arguments, out, err);
}

}  // namespace weir::control
