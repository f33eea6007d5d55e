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
constexpr std::size_t key_digits = 6;
constexpr std::size_t amount_digits = 3;
constexpr std::uint64_t time_mark = 0x1122334455667788;  // found again in the built event, and patched

// Even over all numbers, and nothing of one is seen in the next. Source: Steele, Lea, Flood: SplitMix (2014), its finalizer.
std::uint64_t mix(std::uint64_t number) {
    number += 0x9e3779b97f4a7c15ULL;
    number = (number ^ (number >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    number = (number ^ (number >> 27U)) * 0x94d049bb133111ebULL;
    return number ^ (number >> 31U);
}

void write_digits(char* digits, std::size_t count, std::uint64_t number) {
    for (std::size_t digit = count; digit > 0; --digit, number /= 10) {
        digits[digit - 1] = static_cast<char>('0' + number % 10);
    }
}

}  // namespace

EventTemplate::EventTemplate(std::string_view type, std::string_view source, std::uint32_t run,
                             std::uint32_t payload_bytes, std::uint32_t keys)
    : keys_(keys) {
    char id[64];
    std::snprintf(id, sizeof id, "load-%08x-%012u", run, 0U);
    std::string payload = keys > 0 ? "{\"amount\":100,\"pad\":\"\"}" : "{\"pad\":\"\"}";
    if (payload_bytes > payload.size()) payload.insert(payload.size() - 2, payload_bytes - payload.size(), 'x');
    wire::EventView event;
    event.id = id;
    event.type = type;
    event.source = source;
    event.key = keys > 0 ? "vehicle-000000" : "load";
    event.time = WallNs{time_mark};
    event.payload = payload;
    event.content_type = "application/json";
    wire::EventBuilder builder;
    const ConstBytes built = builder.build(event);
    bytes_.assign(built.begin(), built.end());
    wire::EventView check;
    WEIR_ASSERT(wire::verify_event(bytes_, check) == wire::Reason::none);
    digits_ = inside(check.id) + (check.id.size() - id_digits);
    key_ = inside(check.key) + (check.key.size() - std::min(check.key.size(), key_digits));
    amount_ = inside(check.payload) + std::string_view("{\"amount\":").size();
    std::array<std::byte, sizeof time_mark> mark{};
    std::memcpy(mark.data(), &time_mark, sizeof time_mark);
    const auto found = std::search(bytes_.begin(), bytes_.end(), mark.begin(), mark.end());
    WEIR_ASSERT(found != bytes_.end());
    time_ = &*found;
    static_cast<void>(stamp(123456789012, WallNs{42}));
    WEIR_ASSERT(wire::verify_event(bytes_, check) == wire::Reason::none && check.id.ends_with("123456789012") &&
                check.time == WallNs{42});
}

char* EventTemplate::inside(std::string_view text) {
    return reinterpret_cast<char*>(bytes_.data()) + (text.data() - reinterpret_cast<const char*>(bytes_.data()));
}

ConstBytes EventTemplate::stamp(std::uint64_t index, WallNs time) {
    write_digits(digits_, id_digits, index);
    std::memcpy(time_, &time.value, sizeof time.value);
    if (keys_ > 0) {
        const std::uint64_t drawn = mix(index);
        write_digits(key_, key_digits, drawn % keys_);
        write_digits(amount_, amount_digits, 100 + (drawn >> 32U) % 900);
    }
    return bytes_;
}

}  // namespace weir::bench
