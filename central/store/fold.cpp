#include <map>
#include <ostream>

#include "central/recovery/recovery.hpp"
#include "central/store/command.hpp"
#include "central/store/question.hpp"
#include "core/base/json_scan.hpp"
#include "core/base/time_text.hpp"

namespace weir::central {
namespace {

constexpr std::size_t members_max = 4096;  // names of a payload's members, and types
constexpr std::string_view other = "other";

// The state of one key: a sum over its events, in the journal's order.
class Fold {
  public:
    void take(const FoundEvent& found) {
        ++events_;
        first_ns_ = events_ == 1 ? found.time_ns : std::min(first_ns_, found.time_ns);
        last_ns_ = std::max(last_ns_, found.time_ns);
        const std::string type(found.event.type);
        ++types_[types_.size() < members_max || types_.contains(type) ? type : std::string(other)];
        if (!found.event.content_type.ends_with("json")) return;
        JsonFault fault;
        const auto payload = json_parse(found.event.payload, fault);
        if (!payload || payload->kind != JsonKind::object) return;
        json_members(payload->raw, [&](std::string_view name, const JsonValue& value) {
            if (data_.size() < members_max || data_.contains(std::string(name))) {
                data_[std::string(name)] = value.raw;
            } else {
                ++left_out_;
            }
        });
    }
    [[nodiscard]] std::string text(const std::string& key) const {
        std::string out = "{\"key\":";
        json_quote(key, out);
        out += ",\"events\":" + std::to_string(events_);
        if (events_ > 0) {
            out += ",\"first\":\"" + format_time({first_ns_}) + "\",\"last\":\"" + format_time({last_ns_}) + "\"";
        }
        out += ",\"types\":{";
        for (const auto& [type, count] : types_) {
            if (out.back() != '{') out += ',';
            json_quote(type, out);
            out += ":" + std::to_string(count);
        }
        out += "},\"data\":{";
        for (const auto& [name, value] : data_) {
            if (out.back() != '{') out += ',';
            out.append(name).append(":").append(value);
        }
        out += "}";
        if (left_out_ > 0) out += ",\"left_out\":" + std::to_string(left_out_);
        return out + "}\n";
    }

  private:
    std::uint64_t events_ = 0;
    std::uint64_t first_ns_ = 0;
    std::uint64_t last_ns_ = 0;
    std::uint64_t left_out_ = 0;  // members beyond members_max
    std::map<std::string, std::uint64_t> types_;
    std::map<std::string, std::string> data_;  // by quoted name, as it was last written
};

}  // namespace

Result<EventQuestion> question_of(const StoreOptions& options) {
    EventQuestion question;
    question.where = options.where;
    const auto time = [](const std::string& name, const std::string& text, std::uint64_t& into) -> Status {
        if (text.empty()) return Done{};
        const auto parsed = parse_time(text);
        if (!parsed) return Error{0, name + ": must be a time in RFC 3339, not \"" + text + "\""};
        into = parsed->value;
        return Done{};
    };
    if (auto read = time("--from", options.from, question.from_ns); !read) return read.error();
    if (auto read = time("--until", options.until, question.until_ns); !read) return read.error();
    return question;
}

int fold_command(const CentralConfig& config, const StoreOptions& options, std::ostream& out, std::ostream& err) {
    auto question = question_of(options);
    if (question) question.value().key = options.key;
    auto reader = question
                      ? EventReader::open(journal_directory(config), question.value(), index_directory(config.data_dir))
                      : question.error();
    if (!reader) {
        err << reader.error().what << "\n";
        return 2;
    }
    Fold fold;
    reader.value().read([&](const FoundEvent& found) {
        fold.take(found);
        return true;
    });
    out << fold.text(options.key);
    return 0;
}

}  // namespace weir::central
