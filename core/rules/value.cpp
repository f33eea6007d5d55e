#include "core/rules/value.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/base/assert.hpp"
#include "core/base/json_scan.hpp"
#include "core/base/time_text.hpp"

namespace weir::rules {
namespace {

constexpr double two_to_63 = 9223372036854775808.0;

template <class T>
int compare(T left, T right) {
    if (left < right) return -1;
    return right < left ? 1 : 0;
}

// Without rounding either: an integer above 2^53 has no equal double.
int compare_exactly(std::int64_t left, double right) {
    if (right >= two_to_63) return -1;
    if (right < -two_to_63) return 1;
    const auto whole = static_cast<std::int64_t>(right);
    if (left != whole) return left < whole ? -1 : 1;
    return compare(0.0, right - static_cast<double>(whole));
}

double real_of(const Value& number) {
    return number.type == Type::real ? number.real : static_cast<double>(number.integer);
}
bool are_both(const Value& left, const Value& right, Type type) {
    return left.type == type && right.type == type;
}
bool are_numbers(const Value& left, const Value& right) {
    return left.is_number() && right.is_number();
}

}  // namespace

std::string_view text(Type type) noexcept {
    switch (type) {
        case Type::null:
            return "null";
        case Type::boolean:
            return "boolean";
        case Type::integer:
            return "integer";
        case Type::real:
            return "real";
        case Type::text:
            return "text";
        case Type::time:
            return "time";
        case Type::duration:
            return "duration";
        case Type::list:
            return "list";
        case Type::object:
            return "object";
        case Type::any:
            return "any";
    }
    return "";
}

Value Value::of_real(double value) noexcept {
    Value made;
    if (!std::isfinite(value)) return made;
    made.type = Type::real;
    made.real = value;
    return made;
}

bool is_ordered(Type type) noexcept {
    switch (type) {
        case Type::integer:
        case Type::real:
        case Type::text:
        case Type::time:
        case Type::duration:
            return true;
        case Type::null:
        case Type::boolean:
        case Type::list:
        case Type::object:
        case Type::any:
            return false;
    }
    return false;
}

int order_of(const Value& left, const Value& right) noexcept {
    WEIR_ASSERT(family_of(left.type) == family_of(right.type));
    if (left.type == Type::text) {
        const int order = std::memcmp(left.start, right.start, std::min(left.bytes, right.bytes));
        return order != 0 ? order : compare(left.bytes, right.bytes);
    }
    if (are_both(left, right, Type::real)) return compare(left.real, right.real);
    if (left.type == Type::real) return -compare_exactly(right.integer, left.real);
    if (right.type == Type::real) return compare_exactly(left.integer, right.real);
    return compare(left.integer, right.integer);
}

bool is_before(const Value& left, const Value& right) noexcept {
    if (family_of(left.type) != family_of(right.type)) return family_of(left.type) < family_of(right.type);
    return !left.is_null() && left.type < Type::list && order_of(left, right) < 0;
}

Value add(const Value& left, const Value& right) noexcept {
    if (left.type == Type::real || right.type == Type::real) {
        return are_numbers(left, right) ? Value::of_real(real_of(left) + real_of(right)) : Value{};
    }
    std::int64_t sum = 0;
    if (left.type > Type::duration || right.type > Type::duration) return {};
    if (left.type == Type::text || right.type == Type::text) return {};  // their union holds no integer
    if (__builtin_add_overflow(left.integer, right.integer, &sum)) return {};
    if (are_both(left, right, Type::integer)) return Value::of_integer(sum);
    if (are_both(left, right, Type::duration)) return Value::of_duration(sum);
    const bool is_later = (left.type == Type::time && right.type == Type::duration) ||
                          (left.type == Type::duration && right.type == Type::time);
    return is_later ? Value::of_time(sum) : Value{};
}

Value subtract(const Value& left, const Value& right) noexcept {
    if (left.type == Type::real || right.type == Type::real) {
        return are_numbers(left, right) ? Value::of_real(real_of(left) - real_of(right)) : Value{};
    }
    std::int64_t difference = 0;
    if (left.type == Type::text || right.type == Type::text) return {};
    if (__builtin_sub_overflow(left.integer, right.integer, &difference)) return {};
    if (are_both(left, right, Type::integer)) return Value::of_integer(difference);
    if (are_both(left, right, Type::duration) || are_both(left, right, Type::time)) {
        return Value::of_duration(difference);
    }
    return left.type == Type::time && right.type == Type::duration ? Value::of_time(difference) : Value{};
}

Value multiply(const Value& left, const Value& right) noexcept {
    if (left.type == Type::real || right.type == Type::real) {
        return are_numbers(left, right) ? Value::of_real(real_of(left) * real_of(right)) : Value{};
    }
    const auto is_factor = [](const Value& value) {
        return value.type == Type::integer || value.type == Type::duration;
    };
    if (!is_factor(left) || !is_factor(right) || are_both(left, right, Type::duration)) return {};
    std::int64_t product = 0;
    if (__builtin_mul_overflow(left.integer, right.integer, &product)) return {};
    return are_both(left, right, Type::integer) ? Value::of_integer(product) : Value::of_duration(product);
}

Value divide(const Value& left, const Value& right) noexcept {
    if (are_numbers(left, right) || are_both(left, right, Type::duration)) {
        const double by = real_of(right);
        return compare(by, 0.0) == 0 ? Value{} : Value::of_real(real_of(left) / by);
    }
    if (left.type != Type::duration || right.type != Type::integer || right.integer == 0) return {};
    if (right.integer == -1) return negate(left);  // INT64_MIN / -1 does not exist
    return Value::of_duration(left.integer / right.integer);
}

Value modulo(const Value& left, const Value& right) noexcept {
    if (!are_both(left, right, Type::integer) || right.integer == 0) return {};
    if (right.integer == -1) return Value::of_integer(0);
    return Value::of_integer(left.integer % right.integer);
}

Value negate(const Value& value) noexcept {
    if (value.type == Type::real) return Value::of_real(-value.real);
    if (value.type != Type::integer && value.type != Type::duration) return {};
    if (value.integer == INT64_MIN) return {};
    return Value::of(value.type, -value.integer);
}

Value absolute(const Value& value) noexcept {
    if (value.type == Type::real) return Value::of_real(std::fabs(value.real));
    if (value.type != Type::integer && value.type != Type::duration) return {};
    return value.integer < 0 ? negate(value) : value;
}

Value floor_of(const Value& value) noexcept {
    if (value.type == Type::integer) return value;
    if (value.type != Type::real) return {};
    const double whole = std::floor(value.real);
    if (whole < -two_to_63 || whole >= two_to_63) return {};
    return Value::of_integer(static_cast<std::int64_t>(whole));
}

Value length_of(const Value& value) noexcept {
    if (value.type == Type::text) return Value::of_integer(value.bytes);
    return value.type == Type::list || value.type == Type::object ? Value::of_integer(value.integer) : Value{};
}

bool has_inside(std::string_view text, std::string_view part) noexcept {
    if (part.empty()) return true;
    return ::memmem(text.data(), text.size(), part.data(), part.size()) != nullptr;  // glibc: two-way search
}

Value read_number(std::string_view written) noexcept {
    const char* const end = written.data() + written.size();
    if (written.find_first_of(".eE") == std::string_view::npos) {
        std::int64_t integer = 0;
        const auto [stop, fault] = std::from_chars(written.data(), end, integer);
        if (fault == std::errc{} && stop == end) return Value::of_integer(integer);
    }
    const auto number = json_number({JsonKind::number, written});
    return number ? Value::of_real(*number) : Value{};
}

Value to_number(const Value& value) noexcept {
    if (value.is_number()) return value;
    if (value.type != Type::text) return {};
    // json_parse takes blanks around a value; a number has none.
    JsonFault fault;
    const auto parsed = json_parse(value.as_text(), fault);
    if (!parsed || parsed->kind != JsonKind::number || parsed->raw.size() != value.bytes) return {};
    return read_number(parsed->raw);
}

Value to_time(const Value& value) noexcept {
    if (value.type == Type::time) return value;
    if (value.type != Type::text) return {};
    const auto time = parse_time(value.as_text());
    if (!time || time->value > static_cast<std::uint64_t>(INT64_MAX)) return {};
    return Value::of_time(static_cast<std::int64_t>(time->value));
}

}  // namespace weir::rules
