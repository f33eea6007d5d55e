#include "edge/tap_desk.hpp"

#include <charconv>
#include <chrono>
#include <thread>
#include <utility>

#include "core/rules/compile.hpp"
#include "edge/payload_schemas.hpp"

namespace weir::edge {
namespace {

constexpr std::uint64_t take_back_ms_max = 1500;  // longer than a runner sleeps

struct Asked {
    std::uint64_t limit = tap_limit_default;
    std::uint64_t rate = tap_rate_default;
    TapFormat format = TapFormat::json;
};

// What is wrong with it; empty: nothing.
std::string read_number(std::string_view name, std::string_view value, std::uint64_t max, std::uint64_t& into) {
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), into);
    if (error == std::errc{} && end == value.data() + value.size() && into >= 1 && into <= max) return {};
    return std::string(name) + " must be 1 to " + std::to_string(max);
}

std::string read_query(std::string_view query, Asked& asked) {
    if (query.starts_with('?')) query.remove_prefix(1);
    while (!query.empty()) {
        const std::string_view one = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(query.size(), one.size() + 1));
        const std::string_view name = one.substr(0, one.find('='));
        const std::string_view value = one.substr(std::min(one.size(), name.size() + 1));
        std::string wrong;
        if (name == "limit") {
            wrong = read_number(name, value, tap_limit_max, asked.limit);
        } else if (name == "rate") {
            wrong = read_number(name, value, tap_rate_max, asked.rate);
        } else if (name == "format" && (value == "json" || value == "text")) {
            asked.format = value == "json" ? TapFormat::json : TapFormat::text;
        } else {
            wrong = "there are limit=N, rate=N and format=json|text";
        }
        if (!wrong.empty()) return wrong;
    }
    return {};
}

}  // namespace

// The events of one tap as lines; at the end, and when some did not fit, a line that says how many.
class TapFlow final : public control::AdminFlow {
  public:
    TapFlow(TapDesk& desk, Tap& tap, TapFormat format) : desk_(desk), tap_(tap), format_(format) {}
    ~TapFlow() override { desk_.close(tap_); }
    [[nodiscard]] bool take(std::string& out) override {
        const bool is_last = tap_.is_at_limit();  // before what it showed is read
        tap_.read([&](const TapCopy& event) {
            const std::string_view lane = event.verdict == Verdict::admitted
                                              ? std::string_view(tap_.lane_name(event.lane))
                                          : event.verdict == Verdict::dead_letter ? dead_letter_lane_name
                                                                                  : std::string_view{};
            append_tap_line(event, lane, format_, out);
        });
        const std::uint64_t lost = tap_.lost.get(), over_rate = tap_.over_rate.get();
        if (is_last || lost != said_lost_ || over_rate != said_over_rate_) say_counts(out);
        said_lost_ = lost;
        said_over_rate_ = over_rate;
        return !is_last;
    }

  private:
    void say_counts(std::string& out) const {
        const std::pair<const char*, std::uint64_t> counts[] = {{"seen", tap_.seen.get()},
                                                                {"matched", tap_.matched.get()},
                                                                {"shown", tap_.shown.get()},
                                                                {"over_rate", tap_.over_rate.get()},
                                                                {"lost", tap_.lost.get()}};
        const bool is_json = format_ == TapFormat::json;
        out += is_json ? "{\"tap\":{" : "# tap:";
        for (const auto& [name, count] : counts) {
            if (is_json && out.back() != '{') out += ',';
            out += (is_json ? '"' + std::string(name) + "\":" : ' ' + std::string(name) + '=') + std::to_string(count);
        }
        out += is_json ? "}}\n" : "\n";
    }

    TapDesk& desk_;
    Tap& tap_;
    TapFormat format_;
    std::uint64_t said_lost_ = 0;
    std::uint64_t said_over_rate_ = 0;
};

TapDesk::TapDesk(const EdgeConfig& config, std::function<void()> ring)
    : edge_id_(config.edge_id), ring_(std::move(ring)), schemas_(flat_schemas_of(config)) {}

void TapDesk::use_schemas(const EdgeConfig& config) {
    auto schemas = flat_schemas_of(config);
    const std::lock_guard lock(schemas_mutex_);
    schemas_ = std::move(schemas);
}

control::AdminResponse TapDesk::open(std::string_view query, std::string_view expression) {
    Asked asked;
    if (const auto wrong = read_query(query, asked); !wrong.empty()) return {.status = 400, .body = wrong + "\n"};
    const std::string text(expression.empty() ? "true" : expression);
    auto compiled = rules::compile(text, {.is_placed = true, .is_judged = true, .limits = {}});
    if (!compiled.program) return {.status = 400, .body = rules::describe(compiled.fault, text)};
    const auto build = [&] {
        const std::lock_guard lock(schemas_mutex_);
        return rules::RuleSet::build({&*compiled.program, 1}, {.tables = nullptr, .schemas = schemas_, .limits = {}});
    };
    auto set = build();
    if (!set.ok()) return {.status = 400, .body = set.error().what + "\n"};
    if (!is_free()) return {.status = 429, .body = "a tap is open already, and there is one at a time\n"};
    const auto lanes = [&] {
        const std::lock_guard lock(schemas_mutex_);
        return lanes_;
    };
    auto tap = std::make_unique<Tap>(
        std::move(set.value()),
        Tap::Options{.limit = asked.limit, .rate = asked.rate, .edge_id = edge_id_, .lanes = lanes()});
    Tap& opened = *tap;
    slot_.offer(std::move(tap));
    is_open_ = is_out_ = true;
    ring_();
    const bool is_json = asked.format == TapFormat::json;
    return {.content_type = is_json ? "application/x-ndjson" : "text/plain; charset=utf-8",
            .flow = std::make_unique<TapFlow>(*this, opened, asked.format)};
}

// An ended tap is back within a duty cycle.
bool TapDesk::is_free() {
    if (is_open_) return false;
    for (std::uint64_t ms = 0; is_out_ && ms < take_back_ms_max; ++ms) {
        is_out_ = !slot_.take_back();
        if (is_out_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return !is_out_;
}

void TapDesk::close(Tap& tap) {
    tap.end();  // before it may be destroyed
    is_open_ = false;
    is_out_ = !slot_.withdraw();
    if (is_out_) ring_();
}

}  // namespace weir::edge
