#include <charconv>
#include <cmath>
#include <optional>
#include <ostream>
#include <thread>

#include "central/recovery/recovery.hpp"
#include "central/store/command.hpp"
#include "central/store/question.hpp"
#include "core/base/clock.hpp"
#include "core/base/json_scan.hpp"
#include "core/client/producer_client.hpp"
#include "core/control/tool_output.hpp"

namespace weir::central {
namespace {

constexpr std::uint64_t wait_ns = 20 * ns_per_ms;
constexpr std::uint64_t nap_ns_max = 100 * ns_per_ms;
constexpr std::uint32_t offers_per_pump = 256;

// 0: as fast as it goes.
std::optional<double> speed_of(const std::string& text) {
    if (text == "max") return 0.0;
    double speed = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), speed);
    if (fault != std::errc{} || end != text.data() + text.size() || !std::isfinite(speed) || speed <= 0)
        return std::nullopt;
    return speed;
}

// When each event is due: as far from the first as it was, divided by the speed.
class Pace {
  public:
    explicit Pace(double speed) : speed_(speed), begun_(monotonic_now()) {}
    [[nodiscard]] MonotonicNs due(std::uint64_t time_ns) {
        if (speed_ == 0) return begun_;
        if (!first_ns_) first_ns_ = time_ns;
        if (time_ns <= *first_ns_) return begun_;
        return begun_.plus_ns(static_cast<std::uint64_t>(static_cast<double>(time_ns - *first_ns_) / speed_));
    }

  private:
    double speed_;
    MonotonicNs begun_;
    std::optional<std::uint64_t> first_ns_;
};

std::uint64_t left_until(MonotonicNs due) {
    return due.since(monotonic_now());
}

int print_events(EventReader& reader, Pace pace, std::ostream& out_stream) {
    control::Output out(out_stream);
    std::string extra;
    reader.read([&](const FoundEvent& found) {
        for (std::uint64_t left = 0; (left = left_until(pace.due(found.time_ns))) > 0;) {
            std::this_thread::sleep_for(std::chrono::nanoseconds(std::min(left, nap_ns_max)));
        }
        extra = ",\"edge\":";
        json_quote(wire::name_of(found.batch.edge_id), extra);
        extra += ",\"lane\":";
        json_quote(wire::name_of(found.batch.lane_name), extra);
        extra += ",\"sequence\":" + std::to_string(found.sequence);
        wire::append_event_json(found.event, extra, out.text());
        out.end_line();
        return out.is_good();
    });
    return 0;
}

int send_events(EventReader& reader, Pace pace, const std::string& to, std::ostream& out, std::ostream& err) {
    client::ClientOptions options;
    options.to = to;
    client::ProducerClient client(options);
    std::string fault;
    const auto pump = [&](std::uint64_t ns) {
        if (const Status pumped = client.pump(ns); !pumped) fault = pumped.error().what;
        return fault.empty();
    };
    std::uint64_t count = 0;
    reader.read([&](const FoundEvent& found) {
        const MonotonicNs due = pace.due(found.time_ns);
        for (std::uint64_t left = 0; (left = left_until(due)) > 0;) {
            if (!pump(std::min(left, wait_ns))) return false;
        }
        while (!client.offer(found.bytes, 0, monotonic_now(), false)) {
            if (!pump(wait_ns)) return false;
        }
        return ++count % offers_per_pump != 0 || pump(0);
    });
    while (fault.empty() && client.unacked_count() > 0) static_cast<void>(pump(wait_ns));
    const auto& totals = client.totals();
    out << "replay: " << reader.totals().found << " events found, " << totals.accepted << " accepted, "
        << totals.duplicates << " duplicates, " << totals.rejected << " rejected, " << totals.shed << " shed\n";
    if (!fault.empty()) err << to << ": " << fault << "\n";
    return fault.empty() && totals.rejected == 0 && totals.shed == 0 ? 0 : 1;
}

}  // namespace

int replay_command(const CentralConfig& config, const StoreOptions& options, std::ostream& out, std::ostream& err) {
    const auto speed = speed_of(options.speed);
    if (!speed) {
        err << "--speed: must be \"max\" or a number above 0, not \"" << options.speed << "\"\n";
        return 2;
    }
    auto question = question_of(options);
    auto reader = question
                      ? EventReader::open(journal_directory(config), question.value(), index_directory(config.data_dir))
                      : question.error();
    if (!reader) {
        err << reader.error().what << "\n";
        return 2;
    }
    return options.to == "-" ? print_events(reader.value(), Pace(*speed), out)
                             : send_events(reader.value(), Pace(*speed), options.to, out, err);
}

}  // namespace weir::central
