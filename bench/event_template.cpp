#include "bench/event_template.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <string>

#include "core/base/assert.hpp"
#include "core/wire/event.hpp"

namespace weir::bench {
namespace {

constexpr std::size_t id_digits = 12;
constexpr std::size_t key_digits = 10;
constexpr std::size_t amount_digits = 3;
constexpr std::uint64_t time_mark = 0x1122334455667788;  // found again in the built event, and patched

void put_digits(char* at, std::size_t count, std::uint64_t number) {
    for (std::size_t digit = count; digit > 0; --digit, number /= 10)
        at[digit - 1] = static_cast<char>('0' + number % 10);
}

// Even over all numbers, and nothing of one is seen in the next. Source: Steele, Lea, Flood: SplitMix (2014), its finalizer.
std::uint64_t mix(std::uint64_t number) {
    number += 0x9e3779b97f4a7c15ULL;
    number = (number ^ (number >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    number = (number ^ (number >> 27U)) * 0x94d049bb133111ebULL;
    return number ^ (number >> 31U);
}

}  // namespace

EventTemplate::EventTemplate(std::string_view type, std::string_view source, std::uint32_t run,
                             std::uint32_t payload_bytes, bool has_keys) {
    char id[64];
    std::snprintf(id, sizeof id, "load-%08x-%012u", run, 0U);
    std::string payload = has_keys ? "{\"amount\":100,\"pad\":\"\"}" : "{\"pad\":\"\"}";
    if (payload_bytes > payload.size()) payload.insert(payload.size() - 2, payload_bytes - payload.size(), 'x');
    wire::EventView event;
    event.id = id;
    event.type = type;
    event.source = source;
    event.key = has_keys ? "key-0000000000" : "load";
    event.time = WallNs{time_mark};
    event.payload = payload;
    event.content_type = "application/json";
    wire::EventBuilder builder;
    const ConstBytes built = builder.build(event);
    bytes_.assign(built.begin(), built.end());
    wire::EventView check;
    WEIR_ASSERT(wire::verify_event(bytes_, check) == wire::Reason::none);
    digits_ = reinterpret_cast<char*>(bytes_.data()) +
              (check.id.data() - reinterpret_cast<const char*>(bytes_.data())) + (check.id.size() - id_digits);
    if (has_keys) {
        key_digits_ = reinterpret_cast<char*>(bytes_.data()) +
                      (check.key.data() - reinterpret_cast<const char*>(bytes_.data())) +
                      (check.key.size() - key_digits);
        amount_ = reinterpret_cast<char*>(bytes_.data()) +
                  (check.payload.data() - reinterpret_cast<const char*>(bytes_.data())) +
                  std::string_view("{\"amount\":").size();
    }
    std::array<std::byte, sizeof time_mark> mark{};
    std::memcpy(mark.data(), &time_mark, sizeof time_mark);
    const auto found = std::search(bytes_.begin(), bytes_.end(), mark.begin(), mark.end());
    WEIR_ASSERT(found != bytes_.end());
    time_ = &*found;
    static_cast<void>(stamp(123456789012, WallNs{42}));
    WEIR_ASSERT(wire::verify_event(bytes_, check) == wire::Reason::none && check.id.ends_with("123456789012") &&
                check.time == WallNs{42});
}

ConstBytes EventTemplate::stamp(std::uint64_t index, WallNs time) {
    put_digits(digits_, id_digits, index);
    if (amount_ != nullptr) put_digits(amount_, amount_digits, 100 + mix(index) % 900);
    std::memcpy(time_, &time.value, sizeof time.value);
    return bytes_;
}

void EventTemplate::set_key(std::uint64_t number) {
    put_digits(key_digits_, key_digits, number);
}

}  // namespace weir::bench
