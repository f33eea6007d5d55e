#include "central/analytics/exact_sum.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/assert.hpp"

namespace weir::analytics {
namespace {

using Limbs = std::array<std::uint64_t, 4>;  // 256 bits, lowest first

constexpr std::array<std::int64_t, decimals_max + 1> powers_of_ten = {
    1, 10, 100, 1'000, 10'000, 100'000, 1'000'000, 10'000'000, 100'000'000, 1'000'000'000};

constexpr std::uint64_t low(Uint128 value) {
    return static_cast<std::uint64_t>(value);
}
constexpr std::uint64_t high(Uint128 value) {
    return static_cast<std::uint64_t>(value >> 64U);
}

Limbs times(const std::array<std::uint64_t, 3>& number, std::uint64_t factor) {
    Limbs product{};
    Uint128 carry = 0;
    for (std::size_t at = 0; at < 3; ++at) {
        carry += Uint128{number[at]} * factor;
        product[at] = low(carry);
        carry = high(carry);
    }
    product[3] = low(carry);
    return product;
}

Limbs square(Uint128 number) {
    const std::uint64_t a = low(number);
    const std::uint64_t b = high(number);
    const Uint128 middle = Uint128{a} * b;  // twice
    const Uint128 bottom = Uint128{a} * a;
    Limbs result{low(bottom), 0, 0, 0};
    const Uint128 first = Uint128{high(bottom)} + low(middle) + low(middle);
    result[1] = low(first);
    const Uint128 top = Uint128{b} * b + high(middle) + high(middle) + high(first);
    result[2] = low(top);
    result[3] = high(top);
    return result;
}

// left >= right
Limbs minus(const Limbs& left, const Limbs& right) {
    Limbs result{};
    std::uint64_t borrow = 0;
    for (std::size_t at = 0; at < 4; ++at) {
        const Uint128 taken = Uint128{right[at]} + borrow;
        result[at] = low(Uint128{left[at]} - taken);
        borrow = left[at] < taken ? 1 : 0;
    }
    WEIR_ASSERT(borrow == 0);
    return result;
}

double as_real(const Limbs& number) {
    double value = 0;
    for (std::size_t at = 4; at-- > 0;) value = value * 0x1p64 + static_cast<double>(number[at]);
    return value;
}

}  // namespace

std::optional<std::int64_t> measure_of(const rules::Value& value, std::uint32_t decimals) {
    const std::int64_t units = powers_of_ten[std::min(decimals, decimals_max)];
    if (value.type == rules::Type::integer) {
        const Int128 measure = Int128{value.integer} * units;
        if (measure > measure_max || measure < -measure_max) return std::nullopt;
        return static_cast<std::int64_t>(measure);
    }
    if (value.type != rules::Type::real) return std::nullopt;
    const double measure = std::nearbyint(value.real * static_cast<double>(units));
    if (!(std::abs(measure) < 0x1p62)) return std::nullopt;
    return static_cast<std::int64_t>(measure);
}

double number_of(double measures, std::uint32_t decimals) {
    return measures / static_cast<double>(powers_of_ten[std::min(decimals, decimals_max)]);
}

std::string decimal_text(Int128 measures, std::uint32_t decimals) {
    const bool is_negative = measures < 0;
    Uint128 rest = is_negative ? Uint128{0} - static_cast<Uint128>(measures) : static_cast<Uint128>(measures);
    std::string digits;
    while (rest != 0 || digits.size() <= decimals) {
        digits.push_back(static_cast<char>('0' + static_cast<int>(low(rest % 10))));
        rest /= 10;
    }
    if (decimals > 0) {
        digits.insert(digits.begin() + decimals, '.');
        digits.erase(0, std::min(digits.find_first_not_of('0'), digits.find('.') + 1));
        if (digits.front() == '.') digits.erase(0, 1);
    }
    if (is_negative) digits.push_back('-');
    std::reverse(digits.begin(), digits.end());
    return digits;
}

void ExactSum::add(std::int64_t measure) {
    WEIR_ASSERT(measure <= measure_max && measure >= -measure_max);
    ++count_;
    sum_ += measure;
    const auto magnitude = static_cast<std::uint64_t>(measure < 0 ? -measure : measure);
    Uint128 carry = Uint128{magnitude} * magnitude;
    for (std::uint64_t& limb : squares_) {
        const Uint128 next = Uint128{limb} + low(carry);
        limb = low(next);
        carry = (carry >> 64U) + high(next);
    }
}

void ExactSum::merge(const ExactSum& other) {
    count_ += other.count_;
    sum_ += other.sum_;
    std::uint64_t carry = 0;
    for (std::size_t at = 0; at < squares_.size(); ++at) {
        const Uint128 next = Uint128{squares_[at]} + other.squares_[at] + carry;
        squares_[at] = low(next);
        carry = high(next);
    }
}

double ExactSum::mean() const {
    return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
}

double ExactSum::deviation() const {
    if (count_ < 2) return 0;
    const Uint128 magnitude = sum_ < 0 ? Uint128{0} - static_cast<Uint128>(sum_) : static_cast<Uint128>(sum_);
    // n * sum of squares >= square of the sum (Cauchy, Schwarz); exact here, so no cancellation spoils a small spread.
    const double numerator = as_real(minus(times(squares_, count_), square(magnitude)));
    return std::sqrt(numerator / static_cast<double>(count_) / static_cast<double>(count_ - 1));
}

void ExactSum::save(StateWriter& out) const {
    out.put(count_);
    out.put(sum_);
    for (const std::uint64_t limb : squares_) out.put(limb);
}

void ExactSum::load(StateReader& in) {
    count_ = in.get<std::uint64_t>();
    sum_ = in.get<Int128>();
    for (std::uint64_t& limb : squares_) limb = in.get<std::uint64_t>();
}

}  // namespace weir::analytics
