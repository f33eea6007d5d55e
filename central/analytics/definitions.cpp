#include "central/analytics/definitions.hpp"

#include <array>
#include <charconv>

#include "core/base/json_scan.hpp"

namespace weir::analytics {
namespace {

class ObjectWriter {
  public:
    explicit ObjectWriter(std::string& out) : out_(out), begin_(out.size()) {}
    ObjectWriter& text(std::string_view name, std::string_view value) {
        begin_member(name);
        json_quote(value, out_);
        return *this;
    }
    ObjectWriter& number(std::string_view name, std::uint64_t value) {
        begin_member(name);
        out_.append(std::to_string(value));
        return *this;
    }
    ObjectWriter& real(std::string_view name, double value) {
        std::array<char, 32> digits{};
        const auto written = std::to_chars(digits.data(), digits.data() + digits.size(), value);
        begin_member(name);
        out_.append(digits.data(), written.ptr);
        return *this;
    }
    ObjectWriter& truth(std::string_view name, bool value) {
        begin_member(name);
        out_.append(value ? "true" : "false");
        return *this;
    }
    void end() { out_.push_back('}'); }

  private:
    void begin_member(std::string_view name) {
        out_.append(out_.size() == begin_ ? "{\"" : ",\"").append(name).append("\":");
    }
    std::string& out_;
    std::size_t begin_;
};

}  // namespace

void append_json(const PatternMatch& match, std::string& out) {
    ObjectWriter(out)
        .text("key", match.key)
        .number("start_ns", match.start_ns)
        .number("end_ns", match.end_ns)
        .number("first", match.first_ordinal)
        .number("last", match.last_ordinal)
        .truth("given_up", match.is_given_up)
        .end();
}

void append_json(const AnomalyResult& result, std::string& out) {
    ObjectWriter(out)
        .text("key", result.key)
        .number("time_ns", result.time_ns)
        .real("value", result.value)
        .real("score", result.said.score)
        .text("by", text(result.said.by))
        .truth("alarm", result.said.is_alarm)
        .end();
}

void append_json(const Notice& notice, std::string_view rule, std::string& out) {
    ObjectWriter(out)
        .text("rule", rule)
        .text("kind", text(notice.kind))
        .text("fate", text(notice.fate))
        .text("severity", text(notice.severity))
        .text("key", notice.key)
        .number("time_ns", notice.time_ns)
        .number("since_ns", notice.since_ns)
        .number("count", notice.count)
        .truth("evicted", notice.is_evicted)
        .end();
}

}  // namespace weir::analytics
