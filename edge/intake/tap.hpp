// Tap: events that match an expression, copied as they pass for one reader on a control thread.
//
//   control thread ── TapSlot ──▶ intake        a tap, made whole there
//   control thread ◀── Ring of places ── intake copies, oldest first
//   control thread ── Ring of places ──▶ intake places that were read
//
// Thread    Made, read and destroyed on a control thread; look() is intake's. The slot and the rings are where they meet.
// Pressure  Nothing waits: an event that finds no free place is counted as lost to the tap, and goes its way.
// Law       seen >= matched = shown + over_rate + lost + those after the limit. The pipeline is the same with and without a tap.
// Cost      Without a tap one branch per vector. With one: the expression for each event, a copy for each that matches.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/metrics/counter.hpp"
#include "core/ring/ring.hpp"
#include "core/rules/rule_set.hpp"
#include "edge/intake/event_vector.hpp"

namespace weir::edge {

inline constexpr std::uint32_t tap_places = 256;              // copies that wait for the reader
inline constexpr std::uint32_t tap_payload_bytes_max = 4096;  // of a payload; the rest is cut off
inline constexpr std::uint64_t tap_rate_default = 1000;       // events per second
inline constexpr std::uint64_t tap_rate_max = 100'000;
inline constexpr std::uint64_t tap_limit_default = 100;  // events
inline constexpr std::uint64_t tap_limit_max = 1'000'000'000;
inline constexpr std::uint32_t tap_text_bytes_max = wire::id_bytes_max + wire::type_bytes_max + wire::source_bytes_max +
                                                    wire::key_bytes_max + wire::content_type_bytes_max;
// A tap's memory while it is open.
inline constexpr std::uint64_t tap_bytes =
    std::uint64_t{tap_places} * (tap_text_bytes_max + tap_payload_bytes_max + 128);

[[nodiscard]] std::string_view text(Verdict verdict) noexcept;

// One event as the tap shows it.
struct TapCopy {
    Verdict verdict = Verdict::admitted;
    wire::Reason reason = wire::Reason::none;
    bool is_verified = false;  // else it has no fields: its bytes are no event
    std::uint8_t lane = 0;     // index; of an admitted one
    std::uint8_t priority = 0;
    WallNs time{};
    std::uint32_t payload_bytes = 0;                                // before it was cut
    std::string_view id, type, source, key, content_type, payload;  // in `bytes`
    std::array<char, tap_text_bytes_max + tap_payload_bytes_max> bytes;
};

class Tap {
  public:
    struct Options {
        std::uint64_t limit = tap_limit_default;
        std::uint64_t rate = tap_rate_default;
        std::string edge_id;
        std::vector<std::string> lanes;  // names, by index
    };
    // `set`: one expression, compiled with is_placed and is_judged.
    Tap(rules::RuleSet set, Options options);
    Tap(const Tap&) = delete;
    Tap& operator=(const Tap&) = delete;

    // Intake: what passes now, after route.
    void look(std::span<const EventRef> events, MonotonicNs now) noexcept;
    [[nodiscard]] bool has_ended() const noexcept { return has_ended_.load(std::memory_order_relaxed); }

    // Reader: hands each waiting copy to `take`, oldest first, tap_places at most.
    template <class Take>
    void read(Take&& take) {
        std::array<std::uint16_t, tap_places> places;
        const std::size_t count = filled_reader_.consume(places);
        for (std::size_t i = 0; i < count; ++i) take(static_cast<const TapCopy&>(copies_[places[i]]));
        const std::size_t freed = free_writer_.publish(std::span<const std::uint16_t>(places.data(), count));
        WEIR_ASSERT(freed == count);
    }
    // It wants no more.
    void end() noexcept { has_ended_.store(true, std::memory_order_relaxed); }
    [[nodiscard]] bool is_at_limit() const noexcept { return shown.get() >= options_.limit; }
    [[nodiscard]] const std::string& lane_name(std::uint8_t lane) const { return options_.lanes[lane]; }

    // Events; written by intake.
    Counter seen, matched, shown, over_rate, lost;

  private:
    [[nodiscard]] bool matches(const EventRef& event) noexcept;
    void show(const EventRef& event, MonotonicNs now) noexcept;
    void copy(const EventRef& event, TapCopy& into) noexcept;

    Options options_;
    std::unique_ptr<rules::RuleSet> set_;
    rules::Judge judge_;
    std::vector<TapCopy> copies_;
    Ring<std::uint16_t> filled_, free_;
    RingWriter<std::uint16_t> filled_writer_, free_writer_;
    RingReader<std::uint16_t> filled_reader_, free_reader_;
    std::atomic<bool> has_ended_{false};
    MonotonicNs second_at_{};  // when the second began over which the rate is counted
    std::uint64_t in_second_ = 0;
};

// TapSlot: the way of a tap to intake and back: one at a time.
//
// Thread    offer, withdraw, take_back: one control thread. take, give_back: intake. Nobody waits.
class TapSlot {
  public:
    TapSlot() = default;
    ~TapSlot() {
        delete next_.load();
        delete old_.load();
    }
    TapSlot(const TapSlot&) = delete;
    TapSlot& operator=(const TapSlot&) = delete;

    void offer(std::unique_ptr<Tap> tap) {
        Tap* const before = next_.exchange(tap.release(), std::memory_order_acq_rel);
        WEIR_ASSERT(before == nullptr);
    }
    // True: intake had not taken it, and it is destroyed. Else it comes back once it has ended.
    [[nodiscard]] bool withdraw() {
        const std::unique_ptr<Tap> tap(next_.exchange(nullptr, std::memory_order_acq_rel));
        return tap != nullptr;
    }
    // True: the one that ended is back, and destroyed.
    [[nodiscard]] bool take_back() {
        const std::unique_ptr<Tap> tap(old_.exchange(nullptr, std::memory_order_acq_rel));
        return tap != nullptr;
    }
    [[nodiscard]] Tap* take() noexcept {
        if (next_.load(std::memory_order_relaxed) == nullptr) return nullptr;
        return next_.exchange(nullptr, std::memory_order_acq_rel);
    }
    void give_back(Tap* tap) noexcept { old_.store(tap, std::memory_order_release); }

  private:
    std::atomic<Tap*> next_{nullptr};
    std::atomic<Tap*> old_{nullptr};
};

// TapPoint: intake's end of it.
class TapPoint {
  public:
    TapPoint() = default;
    ~TapPoint() {
        if (tap_ != nullptr) slot_->give_back(tap_);
    }
    TapPoint(const TapPoint&) = delete;
    TapPoint& operator=(const TapPoint&) = delete;
    void take_from(TapSlot& slot) { slot_ = &slot; }
    // Between two vectors: takes one that was offered, gives back one that ended.
    void keep() noexcept {
        if (slot_ == nullptr) return;
        if (tap_ != nullptr && tap_->has_ended()) slot_->give_back(std::exchange(tap_, nullptr));
        if (tap_ == nullptr) tap_ = slot_->take();
    }
    [[nodiscard]] bool is_on() const noexcept { return tap_ != nullptr; }
    void look(std::span<const EventRef> events, MonotonicNs now) noexcept { tap_->look(events, now); }

  private:
    TapSlot* slot_ = nullptr;
    Tap* tap_ = nullptr;
};

}  // namespace weir::edge
