// LaneHolds: the lanes, by name, that an operator has told central to take no more of.
//
// Thread    set() by one control thread at a time (it locks); is_held() and version() by anyone, without a lock.
// Bounds    lanes_max names; a released one keeps its place. A restart of central releases all.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/wire/batch.hpp"

namespace weir::central {

class LaneHolds {
  public:
    static constexpr std::uint32_t lanes_max = 64;

    // False: lanes_max other names are known.
    [[nodiscard]] bool set(std::string_view name, bool is_held) {
        const std::lock_guard guard(writing_);
        const auto field = wire::name_field<wire::lane_name_bytes_max>(name);
        std::uint32_t index = find(field);
        const std::uint32_t count = count_.load(std::memory_order_relaxed);
        if (index == count) {
            if (!is_held) return true;
            if (count == lanes_max) return false;
            lanes_[index].name = field;
            count_.store(count + 1, std::memory_order_release);  // pairs with find's acquire
        }
        lanes_[index].is_held.store(is_held, std::memory_order_relaxed);
        version_.fetch_add(1, std::memory_order_release);  // pairs with version's acquire
        return true;
    }
    // Moves with each change; what is_held() says after reading it is at least as new.
    [[nodiscard]] std::uint64_t version() const { return version_.load(std::memory_order_acquire); }
    [[nodiscard]] bool is_held(const std::array<char, wire::lane_name_bytes_max>& name) const {
        const std::uint32_t index = find(name);
        return index < count_.load(std::memory_order_acquire) && lanes_[index].is_held.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::vector<std::string> held() const {
        std::vector<std::string> names;
        for (std::uint32_t i = 0; i < count_.load(std::memory_order_acquire); ++i) {
            if (lanes_[i].is_held.load(std::memory_order_relaxed)) names.emplace_back(wire::name_of(lanes_[i].name));
        }
        return names;
    }

  private:
    struct Lane {
        std::array<char, wire::lane_name_bytes_max> name{};  // written before count_ covers it
        std::atomic<bool> is_held{false};
    };
    // The number of names if it is none of them.
    [[nodiscard]] std::uint32_t find(const std::array<char, wire::lane_name_bytes_max>& name) const {
        const std::uint32_t count = count_.load(std::memory_order_acquire);
        std::uint32_t index = 0;
        while (index < count && lanes_[index].name != name) ++index;
        return index;
    }

    std::mutex writing_;
    std::array<Lane, lanes_max> lanes_;
    std::atomic<std::uint32_t> count_{0};
    std::atomic<std::uint64_t> version_{0};
};

}  // namespace weir::central
