// Value: what an expression works on: null, a boolean, a number, a text, a time or a duration; and what the operators make of it.
//
// Law       No operator fails: a result that does not exist is null. Reals are finite, times lie in 1970..2262.
// Ownership A text points into bytes of others: the event, the program's constants, a table, the judge's scratch.
// Format    LANGUAGE.md, "Null and truth".
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace weir::rules {

enum class Type : std::uint8_t {
    null,
    boolean,
    integer,
    real,
    text,
    time,
    duration,
    list,
    object,
    any,  // of an expression whose type is known only at run time; never of a value
};
[[nodiscard]] std::string_view text(Type type) noexcept;

struct Value {
    Type type = Type::null;
    std::uint32_t bytes = 0;  // of a text
    union {
        std::int64_t integer = 0;  // also a boolean (0, 1), nanoseconds, the count of a list or object
        double real;
        const char* start;  // of a text
    };

    [[nodiscard]] static Value of_boolean(bool value) noexcept { return of(Type::boolean, value ? 1 : 0); }
    [[nodiscard]] static Value of_integer(std::int64_t value) noexcept { return of(Type::integer, value); }
    // Null unless `value` is finite.
    [[nodiscard]] static Value of_real(double value) noexcept;
    [[nodiscard]] static Value of_text(std::string_view value) noexcept {
        Value made;
        made.type = Type::text;
        made.bytes = static_cast<std::uint32_t>(value.size());
        made.start = value.data() != nullptr ? value.data() : "";  // an empty one may point nowhere; memcmp may not
        return made;
    }
    // Null before 1970.
    [[nodiscard]] static Value of_time(std::int64_t ns) noexcept { return ns < 0 ? Value{} : of(Type::time, ns); }
    [[nodiscard]] static Value of_duration(std::int64_t ns) noexcept { return of(Type::duration, ns); }
    [[nodiscard]] static Value of(Type type, std::int64_t integer) noexcept {
        Value made;
        made.type = type;
        made.integer = integer;
        return made;
    }
    [[nodiscard]] bool is_null() const noexcept { return type == Type::null; }
    [[nodiscard]] bool is_true() const noexcept { return type == Type::boolean && integer != 0; }
    [[nodiscard]] bool is_number() const noexcept { return type == Type::integer || type == Type::real; }
    [[nodiscard]] std::string_view as_text() const noexcept { return {start, bytes}; }
};
static_assert(sizeof(Value) == 16);

// Integer and real are one family; every other type is its own.
[[nodiscard]] constexpr Type family_of(Type type) noexcept {
    return type == Type::real ? Type::integer : type;
}

// Negative, 0, positive. Both of the same family, which has an order (booleans too: false first). Numbers by exact value.
[[nodiscard]] int order_of(const Value& left, const Value& right) noexcept;
[[nodiscard]] bool is_ordered(Type type) noexcept;
// A total order for lists: the families one after the other, each in its own order.
[[nodiscard]] bool is_before(const Value& left, const Value& right) noexcept;

[[nodiscard]] inline bool is_equal(const Value& left, const Value& right) noexcept {
    if (left.type == Type::text && right.type == Type::text) {
        return left.bytes == right.bytes && std::memcmp(left.start, right.start, left.bytes) == 0;
    }
    if (left.type == Type::integer && right.type == Type::integer) return left.integer == right.integer;
    if (family_of(left.type) != family_of(right.type) || left.type >= Type::list) return false;
    return left.is_null() || order_of(left, right) == 0;
}
[[nodiscard]] inline bool is_less(const Value& left, const Value& right) noexcept {
    if (left.type == Type::integer && right.type == Type::integer) return left.integer < right.integer;
    return family_of(left.type) == family_of(right.type) && is_ordered(left.type) && order_of(left, right) < 0;
}
[[nodiscard]] inline bool is_less_or_equal(const Value& left, const Value& right) noexcept {
    if (left.type == Type::integer && right.type == Type::integer) return left.integer <= right.integer;
    return family_of(left.type) == family_of(right.type) && is_ordered(left.type) && order_of(left, right) <= 0;
}

[[nodiscard]] Value add(const Value& left, const Value& right) noexcept;
[[nodiscard]] Value subtract(const Value& left, const Value& right) noexcept;
[[nodiscard]] Value multiply(const Value& left, const Value& right) noexcept;
[[nodiscard]] Value divide(const Value& left, const Value& right) noexcept;
[[nodiscard]] Value modulo(const Value& left, const Value& right) noexcept;
[[nodiscard]] Value negate(const Value& value) noexcept;
[[nodiscard]] Value absolute(const Value& value) noexcept;
[[nodiscard]] Value floor_of(const Value& value) noexcept;
[[nodiscard]] Value length_of(const Value& value) noexcept;
// In time linear in both, whatever the texts: both may come from a payload.
[[nodiscard]] bool has_inside(std::string_view text, std::string_view part) noexcept;
[[nodiscard]] Value to_number(const Value& value) noexcept;
[[nodiscard]] Value to_time(const Value& value) noexcept;
// A JSON number as it is written: an integer if it has neither point nor exponent and fits, else a real. Null if it is none.
[[nodiscard]] Value read_number(std::string_view written) noexcept;

}  // namespace weir::rules
