#include "bench/key_draw.hpp"

#include <cerrno>
#include <charconv>
#include <cmath>
#include <string>

namespace weir::bench {

Result<KeyDraw> KeyDraw::make(std::uint64_t keys, std::string_view distribution, std::uint64_t seed) {
    KeyDraw made;
    made.keys_ = keys;
    made.state_ = seed;
    double exponent = 0;
    if (distribution == "zipf") {
        exponent = 1;
    } else if (distribution.starts_with("zipf:")) {
        const std::string_view text = distribution.substr(5);
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), exponent);
        if (error != std::errc() || end != text.data() + text.size() || !(exponent > 0) || exponent > 5)
            return Error{EINVAL, std::string(distribution) + ": the exponent must be above 0 and at most 5"};
    } else if (distribution != "uniform") {
        return Error{EINVAL, std::string(distribution) + ": must be uniform, zipf or zipf:S"};
    }
    if (keys > keys_max) return Error{EINVAL, "more than " + std::to_string(keys_max) + " keys"};
    if (exponent > 0 && keys > 0) made.draw_zipf(exponent);
    return made;
}

// splitmix64 (S. Vigna, public domain algorithm).
std::uint64_t KeyDraw::random() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
}

std::uint64_t KeyDraw::next() {
    if (drawn_.empty()) return random() % keys_;
    const std::uint64_t key = drawn_[at_];
    at_ = (at_ + 1) % drawn_.size();
    return key;
}

void KeyDraw::draw_zipf(double exponent) {
    // The integral of x^-s, and its inverse; log and exp where s is 1.
    const double power = 1 - exponent;
    const bool is_one = std::abs(power) < 1e-9;
    const auto integral = [&](double x) { return is_one ? std::log(x) : (std::pow(x, power) - 1) / power; };
    const auto inverse = [&](double y) { return is_one ? std::exp(y) : std::pow(1 + y * power, 1 / power); };
    const double low = integral(1.5) - 1;
    const double high = integral(static_cast<double>(keys_) + 0.5);
    drawn_.reserve(drawn_count);
    while (drawn_.size() < drawn_count) {
        const double y = low + random_share() * (high - low);
        const double x = inverse(y);
        const double k = std::min(std::max(1.0, std::floor(x + 0.5)), static_cast<double>(keys_));
        if (y >= integral(k + 0.5) - std::pow(k, -exponent)) drawn_.push_back(static_cast<std::uint32_t>(k - 1));
    }
}

}  // namespace weir::bench
