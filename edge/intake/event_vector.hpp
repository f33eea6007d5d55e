// EventVector: up to 64 events on their way through the stages, judged together, stage by stage.
//
// Ownership Its frames lie in receive slots and carry buffers that are held until the vector is done with.
// Bounds    vector_events_max events; what they need in batches fits one empty batch.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "core/wire/control.hpp"
#include "core/wire/event.hpp"
#include "edge/handover.hpp"

namespace weir::edge {

inline constexpr std::uint32_t vector_events_max = 64;

struct Fingerprint {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    bool operator==(const Fingerprint&) const = default;
};

enum class Verdict : std::uint8_t {
    admitted,
    duplicate,
    dead_letter,
    rejected,
    shed,     // given up by its lane's policy: counted, acked
    waiting,  // its lane is full: put back with all behind it of its connection, and judged again
    dropped,  // of a connection that was refused on the way: never counted, never acked
};

struct EventRef {
    const std::byte* frame = nullptr;  // header, body, padding
    std::uint32_t body_bytes = 0;
    std::uint32_t connection = 0;
    std::uint64_t ordinal = 0;
    std::uint64_t number = 0;
    MonotonicNs received_at{};   // its last byte
    std::int32_t producer = -1;  // slot of a numbered producer
    Verdict verdict = Verdict::admitted;
    wire::Reason reason = wire::Reason::none;
    wire::StageId stage = wire::StageId::ingress;
    std::uint8_t lane = 0;   // index of its first stream
    std::uint16_t rule = 0;  // 1-based
    bool is_edited = false;  // then `edited` is stored in place of body(); empty: nothing of it
    // What a stage gives to later ones. Before that they are another event's: an admitted one has `view` and `lane` from its judgement,
    // one that failed at decode an empty view; `fingerprint` and `key_hash` are read where cache has set them.
    Fingerprint fingerprint;
    std::uint64_t key_hash = 0;  // KeyTable::hash_of
    ConstBytes edited;
    wire::EventView view;

    [[nodiscard]] ConstBytes stored_body() const { return is_edited ? edited : body(); }
    [[nodiscard]] ConstBytes body() const { return {frame + sizeof(wire::FrameHeader), body_bytes}; }
    [[nodiscard]] std::uint64_t frame_bytes() const { return wire::frame_bytes(body_bytes); }
    void fail(Verdict how, wire::Reason why, wire::StageId where) {
        verdict = how;
        reason = why;
        stage = where;
    }
    // Another event takes its place.
    void begin(std::uint32_t bytes) {
        body_bytes = bytes;
        verdict = Verdict::admitted;
        reason = wire::Reason::none;
        stage = wire::StageId::ingress;
        lane = 0;
        rule = 0;
        is_edited = false;
    }
};

class EventVector {
  public:
    // The most that an event of this size can take of a batch: as a dead letter, and as large as an edit may make it.
    [[nodiscard]] std::uint64_t cost_bytes(std::uint32_t body_bytes) const {
        if (body_bytes > wire::event_bytes_max) return 0;  // never kept
        const std::uint32_t stored_bytes = std::min(body_bytes + growth_bytes_, wire::event_bytes_max);
        return wire::frame_bytes(stored_bytes + static_cast<std::uint32_t>(sizeof(wire::DeadLetterHead)));
    }
    // By how much an edit may make an event larger; while it is empty.
    void set_growth(std::uint32_t bytes) {
        WEIR_ASSERT(count_ == 0);
        growth_bytes_ = bytes;
    }
    [[nodiscard]] EventRef& push(std::uint32_t body_bytes) {
        EventRef* const event = try_push(body_bytes);
        WEIR_ASSERT(event != nullptr);
        return *event;
    }
    // Null: there is no room. Who pushes sets what stands above `verdict` in EventRef.
    [[nodiscard]] EventRef* try_push(std::uint32_t body_bytes) {
        const std::uint64_t bytes = bytes_ + cost_bytes(body_bytes);
        if (count_ == vector_events_max || bytes > batch_body_capacity) return nullptr;
        bytes_ = bytes;
        events_[count_].begin(body_bytes);
        return &events_[count_++];
    }
    void clear() {
        count_ = 0;
        bytes_ = 0;
    }
    [[nodiscard]] std::uint32_t count() const { return count_; }
    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
    [[nodiscard]] std::span<EventRef> events() { return {events_.data(), count_}; }

  private:
    std::uint32_t count_ = 0;
    std::uint64_t bytes_ = 0;
    std::uint32_t growth_bytes_ = 0;
    std::array<EventRef, vector_events_max> events_;
};

}  // namespace weir::edge
