#include "core/control/letter_filter.hpp"

#include <fnmatch.h>

#include <charconv>

#include "core/base/time_text.hpp"

namespace weir::control {
namespace {

Error wrong(std::string_view option, std::string_view given, std::string_view what) {
    return Error{0, std::string(option) + " " + std::string(given) + ": " + std::string(what)};
}

// All values of a vocabulary that have a name: what no value has is the name of value 0xff.
template <class Value>
std::optional<Value> value_of(std::string_view name, std::string& known) {
    const std::string_view nameless = wire::text(static_cast<Value>(0xff));
    for (unsigned number = 1; number < 0xff; ++number) {
        const std::string_view text = wire::text(static_cast<Value>(number));
        if (text == nameless) continue;
        if (text == name) return static_cast<Value>(number);
        known.append(known.empty() ? "" : ", ").append(text);
    }
    return std::nullopt;
}

bool matches(const std::string& glob, std::string_view text) {
    return ::fnmatch(glob.c_str(), std::string(text).c_str(), 0) == 0;
}

bool read_number(std::string_view text, Sequence& into) {
    const auto read = std::from_chars(text.data(), text.data() + text.size(), into);
    return read.ec == std::errc{} && read.ptr == text.data() + text.size() && into > 0;
}

bool read_range(std::string_view text, Sequence& first, Sequence& last) {
    const std::size_t dots = text.find("..");
    if (dots == std::string_view::npos) {
        if (!read_number(text, first)) return false;
        last = first;
        return true;
    }
    const std::string_view from = text.substr(0, dots);
    const std::string_view until = text.substr(dots + 2);
    if (from.empty() && until.empty()) return false;
    if (!from.empty() && !read_number(from, first)) return false;
    if (!until.empty() && !read_number(until, last)) return false;
    return first <= last;
}

}  // namespace

Result<LetterFilter> LetterFilter::parse(const LetterFilterTexts& texts) {
    LetterFilter filter;
    filter.edge_ = texts.edge;
    filter.type_ = texts.type;
    filter.source_ = texts.source;
    std::string known;
    if (!texts.reason.empty() && !(filter.reason_ = value_of<wire::Reason>(texts.reason, known))) {
        return wrong("--reason", texts.reason, "not known; there are " + known);
    }
    if (!texts.stage.empty() && !(filter.stage_ = value_of<wire::StageId>(texts.stage, known))) {
        return wrong("--stage", texts.stage, "not known; there are " + known);
    }
    constexpr std::string_view time_form = "no time such as 2017-12-01T00:00:07Z";
    if (!texts.since.empty()) {
        const auto time = parse_time(texts.since);
        if (!time) return wrong("--since", texts.since, time_form);
        filter.since_ns_ = time->value;
    }
    if (!texts.until.empty()) {
        const auto time = parse_time(texts.until);
        if (!time) return wrong("--until", texts.until, time_form);
        filter.until_ns_ = time->value;
    }
    if (filter.since_ns_ >= filter.until_ns_) return wrong("--until", texts.until, "must be later than --since");
    if (!texts.sequence.empty() && !read_range(texts.sequence, filter.first_, filter.last_)) {
        return wrong("--sequence", texts.sequence,
                     "no sequence (from 1), and no range of them such as 7..9, 7.. or ..9");
    }
    return filter;
}

bool LetterFilter::passes(const DeadLetter& letter) const {
    if (!edge_.empty() && letter.edge != edge_) return false;
    if (letter.sequence < first_ || letter.sequence > last_) return false;
    if (reason_ && letter.head.reason != *reason_) return false;
    if (stage_ && letter.head.stage != *stage_) return false;
    if (letter.head.received_wall_ns < since_ns_ || letter.head.received_wall_ns >= until_ns_) return false;
    if (type_.empty() && source_.empty()) return true;
    if (letter.fault != wire::Reason::none) return false;
    return (type_.empty() || matches(type_, letter.event.type)) &&
           (source_.empty() || matches(source_, letter.event.source));
}

}  // namespace weir::control
