#include "core/control/letters_act.hpp"

#include <charconv>
#include <optional>
#include <sstream>

#include "core/control/admin_target.hpp"
#include "core/control/dead_letters.hpp"

namespace weir::control {
namespace {

// %XX and '+' resolved; nullopt: no such digits.
std::optional<std::string> decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i] == '+' ? ' ' : text[i];
            continue;
        }
        unsigned value = 0;
        const char* const begin = text.data() + i + 1;
        if (i + 2 >= text.size() || std::from_chars(begin, begin + 2, value, 16).ptr != begin + 2) return std::nullopt;
        out += static_cast<char>(value);
        i += 2;
    }
    return out;
}

std::string* text_of(LetterFilterTexts& filter, std::string_view name) {
    if (name == "edge") return &filter.edge;
    if (name == "reason") return &filter.reason;
    if (name == "stage") return &filter.stage;
    if (name == "type") return &filter.type;
    if (name == "source") return &filter.source;
    if (name == "since") return &filter.since;
    if (name == "until") return &filter.until;
    if (name == "sequence") return &filter.sequence;
    return nullptr;
}

// What is wrong with the query; empty: nothing.
std::string read_query(std::string_view query, DeadLetterArguments& into) {
    while (!query.empty()) {
        const std::string_view one = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(query.size(), one.size() + 1));
        const std::string_view name = one.substr(0, one.find('='));
        const auto value = decoded(one.substr(std::min(one.size(), name.size() + 1)));
        if (!value) return std::string(name) + ": %XX must be hexadecimal digits";
        if (std::string* const text = text_of(into.filter, name); text != nullptr) {
            *text = *value;
        } else if (name == "dry_run" && *value == "1") {
            into.dry_run = true;
        } else if (name == "limit") {
            const auto read = std::from_chars(value->data(), value->data() + value->size(), into.limit);
            const bool is_number = read.ec == std::errc{} && read.ptr == value->data() + value->size();
            if (!is_number || into.limit == 0 || into.limit > letters_per_act_max) return "limit must be 1 to 1000";
        } else {
            return "there are edge, reason, stage, type, source, since, until, sequence, limit and dry_run=1";
        }
    }
    return {};
}

unsigned status_of(int code) {
    switch (code) {
        case 0:
            return 200;
        case 1:
            return 409;
        case exit_usage:
            return 400;
        default:
            return 404;
    }
}

}  // namespace

AdminResponse act_on_letters(const LettersDesk& desk, std::string_view path_begin, const AdminAct& asked) {
    const std::string_view path = path_of(asked.target);
    const std::string_view verb = path.substr(std::min(path.size(), path_begin.size()));
    if (!path.starts_with(path_begin) || (verb != "replay" && verb != "purge")) {
        return {.status = 404, .body = "there are replay and purge\n"};
    }
    DeadLetterArguments arguments;
    arguments.verb = verb;
    arguments.directory = desk.directory;
    arguments.json = true;
    arguments.limit = letters_per_act_max;
    arguments.timeout_s = act_timeout_s;
    arguments.reason_text = asked.reason;
    arguments.who = asked.who;
    if (verb == "replay") arguments.to = desk.to;
    const auto wrong = read_query(asked.target.substr(std::min(asked.target.size(), path.size() + 1)), arguments);
    if (!wrong.empty()) return {.status = 400, .body = wrong + "\n"};
    if (verb == "replay" && desk.to.empty()) return {.status = 409, .body = desk.why_not + "\n"};
    std::ostringstream out, err;
    const int code = dead_letters_command(arguments, out, err);
    return {.status = status_of(code), .content_type = "application/x-ndjson", .body = out.str() + err.str()};
}

}  // namespace weir::control
