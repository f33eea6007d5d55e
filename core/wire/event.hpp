// EventView: a verified event, read in place.
//
// verify_event() is the only gate: it checks the FlatBuffer once, with caps on depth, tables and logical size, and the lengths of
// the texts. Nothing may read an event's fields before it.
//
// Cost      About 30 ns for a 200-byte event; at most 50 us for any 64 KiB input.
// Ownership Views point into the caller's bytes, which nobody may change meanwhile.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/types.hpp"
#include "core/wire/verdict.hpp"

namespace weir::wire {

inline constexpr std::uint32_t event_depth_max = 16;
inline constexpr std::uint32_t event_tables_max = 64;
inline constexpr std::size_t id_bytes_max = 256;
inline constexpr std::size_t type_bytes_max = 128;
inline constexpr std::size_t source_bytes_max = 256;
inline constexpr std::size_t key_bytes_max = 256;
inline constexpr std::size_t content_type_bytes_max = 128;
inline constexpr std::size_t trace_id_bytes = 16;

struct EventView {
    std::string_view id;
    std::string_view type;
    std::string_view source;
    std::string_view key;
    std::string_view content_type;  // "application/json" when absent
    std::string_view payload;
    WallNs time{};  // 0 = not said
    std::uint8_t priority = 1;
    std::string_view trace_id;  // 16 bytes or empty
};

// Reason::none and `view` filled in, or why not. `bytes` needs no alignment.
[[nodiscard]] Reason verify_event(ConstBytes bytes, EventView& view) noexcept;

// Builds events; one per thread, reused. What it gives is valid until the next build.
class EventBuilder {
  public:
    // Allocates nothing more for events that fit `bytes`, but for the first.
    explicit EventBuilder(std::size_t bytes = 4096);
    ~EventBuilder();
    EventBuilder(const EventBuilder&) = delete;
    EventBuilder& operator=(const EventBuilder&) = delete;
    [[nodiscard]] ConstBytes build(const EventView& event);

  private:
    struct State;
    State* state_;
};

// One line of JSON without newline: {"id":..,"type":..,"source":..,"time":..,"key":..,"data":..}; `data` is the payload's bytes as
// they are for application/json that parses, else {"base64":".."}; `time` is omitted when 0, `key` when empty. `extra` (",\"edge\":..") goes before the brace.
void append_event_json(const EventView& event, std::string_view extra, std::string& out);

}  // namespace weir::wire
