#include "central/analytics/distinct_count.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace weir::analytics {
namespace {

constexpr std::uint32_t rank_max = 64 - register_bits + 1;
constexpr double alpha_infinite = 0.72134752044448170;  // 1 / (2 ln 2)

double sigma(double x) {
    if (x == 1) return std::numeric_limits<double>::infinity();
    double weight = 1;
    double sum = x;
    for (double before = -1; before != sum;) {
        x *= x;
        before = sum;
        sum += x * weight;
        weight += weight;
    }
    return sum;
}

double tau(double x) {
    if (x == 0 || x == 1) return 0;
    double weight = 1;
    double sum = 1 - x;
    for (double before = -1; before != sum;) {
        x = std::sqrt(x);
        before = sum;
        weight *= 0.5;
        sum -= (1 - x) * (1 - x) * weight;
    }
    return sum / 3;
}

}  // namespace

void DistinctCount::add(std::uint64_t hash) {
    const std::uint64_t rest = hash << register_bits;
    const auto rank = static_cast<std::uint8_t>(std::min<int>(std::countl_zero(rest) + 1, rank_max));
    raise(static_cast<std::uint32_t>(hash >> (64 - register_bits)), rank);
}

void DistinctCount::raise(std::uint32_t index, std::uint8_t rank) {
    if (!dense_.empty()) {
        dense_[index] = std::max(dense_[index], rank);
        return;
    }
    const auto at = std::lower_bound(sparse_.begin(), sparse_.end(), index << 8U);
    if (at != sparse_.end() && *at >> 8U == index) {
        *at = std::max(*at, index << 8U | rank);
        return;
    }
    sparse_.insert(at, index << 8U | rank);
    if (sparse_.size() <= sparse_registers_max) return;
    dense_.assign(registers_count, 0);
    for (const std::uint32_t one : sparse_) dense_[one >> 8U] = static_cast<std::uint8_t>(one);
    sparse_ = {};
}

void DistinctCount::merge(const DistinctCount& other) {
    for (const std::uint32_t one : other.sparse_) raise(one >> 8U, static_cast<std::uint8_t>(one));
    for (std::uint32_t index = 0; index < other.dense_.size(); ++index) {
        if (other.dense_[index] != 0) raise(index, other.dense_[index]);
    }
}

double DistinctCount::estimate() const {
    std::array<std::uint32_t, rank_max + 1> with_rank{};
    for (const std::uint32_t one : sparse_) ++with_rank[static_cast<std::uint8_t>(one)];
    for (const std::uint8_t rank : dense_) ++with_rank[rank];
    if (dense_.empty()) with_rank[0] = registers_count - static_cast<std::uint32_t>(sparse_.size());
    if (with_rank[0] == registers_count) return 0;
    constexpr double registers = registers_count;
    double z = registers * tau(1 - with_rank[rank_max] / registers);
    for (std::uint32_t rank = rank_max - 1; rank >= 1; --rank) z = 0.5 * (z + with_rank[rank]);
    z += registers * sigma(with_rank[0] / registers);
    return alpha_infinite * registers * registers / z;
}

void DistinctCount::save(StateWriter& out) const {
    out.put(!dense_.empty());
    if (dense_.empty()) out.count(sparse_.size());
    for (const std::uint32_t one : sparse_) out.put(one);
    for (const std::uint8_t rank : dense_) out.put(rank);
}

void DistinctCount::load(StateReader& in) {
    *this = {};
    if (in.get<std::uint8_t>() != 0) {
        dense_.resize(registers_count);
        for (std::uint8_t& rank : dense_) in.require((rank = in.get<std::uint8_t>()) <= rank_max);
    } else {
        const std::uint32_t count = in.count(sparse_registers_max);
        for (std::uint32_t index = 0; index < count && in.is_ok(); ++index) {
            const auto one = in.get<std::uint32_t>();
            in.require(one >> 8U < registers_count && (one & 255U) <= rank_max && (one & 255U) > 0);
            in.require(sparse_.empty() || sparse_.back() >> 8U < one >> 8U);
            sparse_.push_back(one);
        }
    }
    if (!in.is_ok()) *this = {};
}

}  // namespace weir::analytics
