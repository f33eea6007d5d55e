#include "core/control/journal_tools.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <vector>

#include "core/base/json_scan.hpp"
#include "core/base/time_text.hpp"
#include "core/journal/scan.hpp"
#include "core/wire/event.hpp"
#include "core/wire/verdict.hpp"

namespace weir::control {
namespace {

using journal::RecordView;
using journal::Scanner;

constexpr std::size_t output_buffer_bytes = 1U << 20;
constexpr std::size_t prefix_bytes_max = 48;

// Collects text and hands it on a megabyte at a time.
class Output {
  public:
    explicit Output(std::ostream& out) : out_(out) { text_.reserve(output_buffer_bytes + (64U << 10)); }
    ~Output() { flush(); }
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;
    [[nodiscard]] std::string& text() { return text_; }
    void end_line() {
        text_ += '\n';
        if (text_.size() >= output_buffer_bytes) flush();
    }
    // False once nobody reads any more (a closed pipe): then reading on is of no use.
    [[nodiscard]] bool is_good() const { return out_.good(); }

  private:
    void flush() {
        out_.write(text_.data(), static_cast<std::streamsize>(text_.size()));
        out_.flush();
        text_.clear();
    }
    std::ostream& out_;
    std::string text_;
};

bool is_directory(const std::string& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

std::vector<std::string> journals_of(const std::string& directory, std::initializer_list<const char*> names) {
    std::vector<std::string> found;
    for (const char* name : names) {
        if (is_directory(directory + "/" + name)) found.push_back(directory + "/" + name);
    }
    return found;
}

std::string number(std::uint64_t value) {
    return std::to_string(value);
}

std::string_view as_text(ConstBytes bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void append_printable(std::string_view text, std::string& out) {
    for (const char value : text.substr(0, prefix_bytes_max)) out += value >= ' ' && value <= '~' ? value : '.';
}

void append_base64(ConstBytes bytes, std::string& out) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        const std::size_t count = std::min<std::size_t>(3, bytes.size() - at);
        std::uint32_t three = 0;
        for (std::size_t i = 0; i < 3; ++i) {
            three = three << 8 | (i < count ? std::to_integer<std::uint32_t>(bytes[at + i]) : 0U);
        }
        for (std::size_t i = 0; i < 4; ++i) out += i <= count ? digits[three >> (18 - 6 * i) & 63] : '=';
    }
}

void append_hex(std::uint64_t value, int width, std::string& out) {
    for (int shift = 4 * (width - 1); shift >= 0; shift -= 4) out += "0123456789abcdef"[value >> shift & 15];
}

void append_hex_dump(ConstBytes bytes, Output& out) {
    for (std::size_t at = 0; at < bytes.size(); at += 16) {
        const ConstBytes line = bytes.subspan(at, std::min<std::size_t>(16, bytes.size() - at));
        std::string& text = out.text();
        text += "  ";
        append_hex(at, 8, text);
        text += ' ';
        for (std::size_t i = 0; i < 16; ++i) {
            text += i == 8 ? "  " : " ";
            if (i < line.size()) {
                append_hex(std::to_integer<std::uint64_t>(line[i]), 2, text);
            } else {
                text += "  ";
            }
        }
        text += "  ";
        append_printable(as_text(line), text);
        out.end_line();
    }
}

// Whether the journal was read to its end without damage; says what was not whole.
bool report_fault(const std::string& path, const Scanner& scanner, std::ostream& err) {
    if (scanner.damaged_records() == 0 && scanner.fault().empty()) return true;
    err << path << ": damaged places " << scanner.damaged_records() << ": " << scanner.fault() << "\n";
    return false;
}

// Reads each journal from its first record; visit(record) until it says false. The exit code.
template <class Visit>
int scan_all(const std::vector<std::string>& paths, std::ostream& err, Visit&& visit) {
    int code = 0;
    for (const auto& path : paths) {
        auto scanner = Scanner::open(path, {});
        if (!scanner) {
            err << scanner.error().what << "\n";
            code = 1;
            continue;
        }
        while (const auto record = scanner.value().next()) {
            if (!visit(path, *record)) return code;
        }
        if (!report_fault(path, scanner.value(), err)) code = 1;
    }
    return code;
}

// The body if it can be read in place, which a compressed or encrypted one cannot.
bool is_plain(const RecordView& record) {
    return record.batch_header.codec == wire::Codec::none && record.batch_header.key_id == 0;
}

struct SegmentTotals {
    std::uint64_t records = 0, events = 0, bytes = 0, first_position = 0, end_position = 0;
    std::uint64_t first_wall_ns = 0, last_wall_ns = 0;

    void add(const RecordView& record) {
        if (records++ == 0) {
            first_position = record.position.value;
            first_wall_ns = record.header.arrival_wall_ns;
        }
        end_position = record.end.value;
        last_wall_ns = record.header.arrival_wall_ns;
        if (record.batch_header.kind == wire::BatchKind::events) events += record.batch_header.count;
        bytes += record.end.value - record.position.value;
    }
};

void print_segment(const journal::SegmentInfo& info, const SegmentTotals& totals, bool json, Output& out) {
    std::string& text = out.text();
    if (json) {
        text += "{\"file\":";
        json_quote(info.path, text);
        text += ",\"segment\":" + number(info.header.segment_index) +
                ",\"first_position\":" + number(totals.first_position) +
                ",\"end_position\":" + number(totals.end_position) + ",\"records\":" + number(totals.records) +
                ",\"events\":" + number(totals.events) + ",\"bytes\":" + number(totals.bytes);
        if (totals.records > 0) {
            text += ",\"first_time\":\"" + format_time({totals.first_wall_ns}) + "\",\"last_time\":\"" +
                    format_time({totals.last_wall_ns}) + "\"";
        }
        text += "}";
    } else {
        text += info.path + "  positions " + number(totals.first_position) + ".." + number(totals.end_position) +
                "  records " + number(totals.records) + "  events " + number(totals.events) + "  bytes " +
                number(totals.bytes);
        if (totals.records > 0) {
            text += "  " + format_time({totals.first_wall_ns}) + " .. " + format_time({totals.last_wall_ns});
        }
    }
    out.end_line();
}

int list_journals(const std::vector<std::string>& paths, bool json, std::ostream& out_stream, std::ostream& err) {
    Output out(out_stream);
    std::map<std::pair<std::string, std::uint64_t>, SegmentTotals> totals;
    std::map<std::string, journal::SegmentList> lists;
    for (const auto& path : paths) {
        if (auto listed = journal::list_segments(path)) lists.emplace(path, std::move(listed.value()));
    }
    const int code = scan_all(paths, err, [&](const std::string& path, const RecordView& record) {
        const auto& segments = lists[path].segments;
        if (segments.empty()) return true;
        totals[{path, record.position.value / segments.front().header.segment_bytes}].add(record);
        return true;
    });
    for (const auto& [path, list] : lists) {
        for (const auto& info : list.segments) {
            print_segment(info, totals[{path, info.header.segment_index}], json, out);
        }
    }
    return code;
}

void print_event(const wire::BatchHeader& batch, const wire::FrameView& frame, Sequence sequence, std::string& extra,
                 bool json, Output& out) {
    std::string& text = out.text();
    wire::EventView event;
    const wire::Reason reason = wire::verify_event(frame.body, event);
    if (!json) {
        text.append(wire::name_of(batch.edge_id)).append(" ").append(wire::name_of(batch.lane_name));
        text += batch.part == wire::Part::backlog ? " backlog " : " ";
        text += number(sequence) + " ";
        if (reason == wire::Reason::none) {
            text += event.time.value == 0 ? std::string("-") : format_time(event.time);
            text.append(" ")
                .append(event.source)
                .append(" ")
                .append(event.type)
                .append(" ")
                .append(event.id)
                .append(" ");
            append_printable(event.payload, text);
        } else {
            text.append("unreadable: ").append(wire::text(reason));
        }
        return out.end_line();
    }
    const std::size_t fixed = extra.size();
    extra += number(sequence);
    if (reason == wire::Reason::none) {
        wire::append_event_json(event, extra, text);
    } else {
        text.append("{\"unreadable\":\"").append(wire::text(reason)).append("\",\"base64\":\"");
        append_base64(frame.body, text);
        text.append("\"").append(extra).append("}");
    }
    extra.resize(fixed);
    out.end_line();
}

int cat_journals(const std::vector<std::string>& paths, bool json, std::ostream& out_stream, std::ostream& err) {
    Output out(out_stream);
    std::string extra;
    bool is_all_readable = true;
    const int code = scan_all(paths, err, [&](const std::string&, const RecordView& record) {
        const wire::BatchHeader& batch = record.batch_header;
        if (batch.kind != wire::BatchKind::events) return out.is_good();
        if (!is_plain(record)) {
            err << "position " << record.position.value << ": compressed or encrypted, not shown\n";
            is_all_readable = false;
            return out.is_good();
        }
        extra = ",\"edge\":";
        json_quote(wire::name_of(batch.edge_id), extra);
        extra += ",\"lane\":";
        json_quote(wire::name_of(batch.lane_name), extra);
        if (batch.part == wire::Part::backlog) extra += ",\"part\":\"backlog\"";
        extra += ",\"sequence\":";
        wire::for_each_frame(record.body(), [&](const wire::FrameView& frame, std::uint32_t index) {
            if (frame.header.kind != wire::FrameKind::event) return;
            print_event(batch, frame, batch.first_sequence + index, extra, json, out);
        });
        return out.is_good();
    });
    return is_all_readable ? code : 1;
}

using StreamKey =
    std::tuple<std::string, std::string, std::uint64_t, LaneId, wire::Part>;  // journal, edge, lineage, lane, part

struct StreamState {
    std::string lane_name;
    Sequence first = 0, last = 0;
    std::uint64_t events = 0, gap = 0;
};

struct Verification {
    std::map<StreamKey, StreamState> streams;
    std::uint64_t records = 0, events = 0, bytes = 0, breaks = 0;

    void add(const std::string& path, const RecordView& record, std::ostream& err);
};

void Verification::add(const std::string& path, const RecordView& record, std::ostream& err) {
    const wire::BatchHeader& batch = record.batch_header;
    ++records;
    bytes += record.end.value - record.position.value;
    if (batch.kind == wire::BatchKind::tick || batch.count == 0) return;
    StreamState& stream =
        streams[{path, std::string(wire::name_of(batch.edge_id)), batch.lineage, batch.lane, batch.part}];
    if (stream.last == 0) {
        stream.lane_name = wire::name_of(batch.lane_name);
        stream.first = batch.first_sequence;
    } else if (batch.first_sequence != stream.last + 1) {
        ++breaks;
        err << path << ": position " << record.position.value << ": edge " << wire::name_of(batch.edge_id) << " lane "
            << wire::name_of(batch.lane_name) << " goes on with sequence " << batch.first_sequence << " after "
            << stream.last << "\n";
    }
    stream.last = batch.last_sequence();
    if (batch.kind == wire::BatchKind::events) {
        stream.events += batch.count;
        events += batch.count;
    } else {
        stream.gap += batch.count;
    }
}

int verify_journals(const std::vector<std::string>& paths, bool json, std::ostream& out_stream, std::ostream& err) {
    Verification sums;
    const int code = scan_all(paths, err, [&](const std::string& path, const RecordView& record) {
        sums.add(path, record, err);
        return true;
    });
    const bool is_whole = code == 0 && sums.breaks == 0;
    Output out(out_stream);
    std::string& text = out.text();
    for (const auto& [key, stream] : sums.streams) {
        const auto& [path, edge, lineage, lane, part] = key;
        if (json) {
            text += "{\"journal\":";
            json_quote(path, text);
            text += ",\"edge\":";
            json_quote(edge, text);
            text += ",\"lineage\":\"";
            append_hex(lineage, 16, text);
            text += "\",\"lane\":";
            json_quote(stream.lane_name, text);
            text += std::string(",\"part\":\"") + (part == wire::Part::live ? "live" : "backlog") +
                    "\",\"first_sequence\":" + number(stream.first) + ",\"last_sequence\":" + number(stream.last) +
                    ",\"events\":" + number(stream.events) + ",\"gap\":" + number(stream.gap) + "}";
        } else {
            text += path + "  edge " + edge + "  lineage ";
            append_hex(lineage, 16, text);
            text += "  lane " + stream.lane_name + (part == wire::Part::live ? "" : " (backlog)") + "  sequences " +
                    number(stream.first) + ".." + number(stream.last) + "  events " + number(stream.events) + "  gap " +
                    number(stream.gap);
        }
        out.end_line();
    }
    if (json) {
        text += std::string("{\"whole\":") + (is_whole ? "true" : "false") + ",\"records\":" + number(sums.records) +
                ",\"events\":" + number(sums.events) + ",\"bytes\":" + number(sums.bytes) +
                ",\"sequence_breaks\":" + number(sums.breaks) + "}";
    } else {
        text += std::string(is_whole ? "whole" : "DAMAGED") + ": records " + number(sums.records) + "  events " +
                number(sums.events) + "  bytes " + number(sums.bytes) + "  sequence breaks " + number(sums.breaks);
    }
    out.end_line();
    return is_whole ? 0 : 1;
}

struct DeadLetter {
    std::string_view edge;
    Sequence sequence = 0;
    wire::DeadLetterHead head;
    ConstBytes original;
};

void print_dead_letter_json(const DeadLetter& letter, bool wants_all, std::string& text) {
    text += "{\"time\":\"" + format_time({letter.head.received_wall_ns}) + "\",\"edge\":";
    json_quote(letter.edge, text);
    text += ",\"sequence\":" + number(letter.sequence) + ",\"stage\":\"";
    text.append(wire::text(letter.head.stage)).append("\",\"reason\":\"").append(wire::text(letter.head.reason));
    text += "\",\"rule\":" + number(letter.head.rule) + ",\"producer\":";
    json_quote(wire::name_of(letter.head.producer), text);
    text += ",\"bytes\":" + number(letter.original.size()) + ",\"prefix\":";
    std::string prefix;
    append_printable(as_text(letter.original), prefix);
    json_quote(prefix, text);
    if (wants_all) {
        text += ",\"base64\":\"";
        append_base64(letter.original, text);
        text += '"';
    }
    text += '}';
}

void print_dead_letter(const DeadLetter& letter, bool wants_all, bool json, Output& out) {
    std::string& text = out.text();
    if (json) {
        print_dead_letter_json(letter, wants_all, text);
        return out.end_line();
    }
    text += format_time({letter.head.received_wall_ns}) + " ";
    text.append(letter.edge);
    text += " " + number(letter.sequence) + " ";
    text.append(wire::text(letter.head.stage)).append(" ").append(wire::text(letter.head.reason));
    text += " rule " + (letter.head.rule == 0 ? std::string("-") : number(letter.head.rule)) + " from ";
    const auto producer = wire::name_of(letter.head.producer);
    append_printable(producer.empty() ? "-" : producer, text);
    text += " bytes " + number(letter.original.size()) + " ";
    if (!wants_all) append_printable(as_text(letter.original), text);
    out.end_line();
    if (wants_all) append_hex_dump(letter.original, out);
}

int print_dead_letters(const std::vector<std::string>& paths, bool wants_all, bool json, const DeadLetterFilter& filter,
                       std::ostream& out_stream, std::ostream& err) {
    Output out(out_stream);
    bool is_all_readable = true;
    const int code = scan_all(paths, err, [&](const std::string&, const RecordView& record) {
        const wire::BatchHeader& batch = record.batch_header;
        if (batch.kind != wire::BatchKind::events || batch.lane != dead_letter_lane) return out.is_good();
        const std::string_view edge = wire::name_of(batch.edge_id);
        if (!filter.edge.empty() && filter.edge != edge) return out.is_good();
        if (!is_plain(record)) {
            err << "position " << record.position.value << ": compressed or encrypted, not shown\n";
            is_all_readable = false;
            return out.is_good();
        }
        wire::for_each_frame(record.body(), [&](const wire::FrameView& frame, std::uint32_t index) {
            const Sequence sequence = batch.first_sequence + index;
            if (filter.sequence && *filter.sequence != sequence) return;
            if (frame.header.kind != wire::FrameKind::dead_letter) return;
            if (frame.body.size() < sizeof(wire::DeadLetterHead)) {
                err << "position " << record.position.value << ": a dead letter of " << frame.body.size() << " bytes\n";
                is_all_readable = false;
                return;
            }
            const auto head = wire::load<wire::DeadLetterHead>(frame.body);
            ConstBytes original = frame.body.subspan(sizeof head);
            original = original.first(std::min<std::size_t>(original.size(), head.original_bytes));
            print_dead_letter({edge, sequence, head, original}, wants_all, json, out);
        });
        return out.is_good();
    });
    return is_all_readable ? code : 1;
}

}  // namespace

int journal_command(std::string_view verb, const std::string& directory, bool json, std::ostream& out,
                    std::ostream& err) {
    const bool wants_events_only = verb == "cat";
    const auto paths = wants_events_only ? journals_of(directory, {"spool", "journal"})
                                         : journals_of(directory, {"spool", "journal", "dead-letters"});
    if (verb != "ls" && verb != "cat" && verb != "verify") {
        err << "journal: unknown verb '" << verb << "' (ls, cat, verify)\n";
        return 2;
    }
    if (paths.empty()) {
        err << directory << ": holds no journal (no spool, journal or dead-letters directory)\n";
        return 2;
    }
    if (verb == "ls") return list_journals(paths, json, out, err);
    if (verb == "cat") return cat_journals(paths, json, out, err);
    return verify_journals(paths, json, out, err);
}

int dead_letters_command(std::string_view verb, const std::string& directory, bool json, const DeadLetterFilter& filter,
                         std::ostream& out, std::ostream& err) {
    if (verb != "ls" && verb != "show") {
        err << "dead-letters: unknown verb '" << verb << "' (ls, show)\n";
        return 2;
    }
    const auto paths = journals_of(directory, {"spool", "dead-letters"});
    if (paths.empty()) {
        err << directory << ": holds no dead letters (no spool or dead-letters directory)\n";
        return 2;
    }
    return print_dead_letters(paths, verb == "show", json, filter, out, err);
}

}  // namespace weir::control
