// atomic, ExploredSync: what stands in the place of std::atomic in code under the explorer.
//
// All loads are in the program's order; of orders only what a store buffer can show is told apart.
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>

#include "core/pipeline/sync.hpp"
#include "tests/interleaving/explorer.hpp"

namespace weir::interleaving {

template <class T>
class atomic {
    static_assert(sizeof(T) <= sizeof(std::uint64_t));

  public:
    atomic(T value = T{}) : cell_(Explorer::current()->new_cell(pack(value), std::is_pointer_v<T>)) {}
    atomic(const atomic&) = delete;
    atomic& operator=(const atomic&) = delete;
    [[nodiscard]] T load(std::memory_order = std::memory_order_seq_cst) const noexcept {
        return unpack(Explorer::current()->load(cell_));
    }
    void store(T value, std::memory_order order = std::memory_order_seq_cst) noexcept {
        Explorer::current()->store(cell_, pack(value), order);
    }
    T exchange(T value, std::memory_order order = std::memory_order_seq_cst) noexcept {
        return unpack(Explorer::current()->exchange(cell_, pack(value), order));
    }
    bool compare_exchange_strong(T& expected, T desired, std::memory_order order = std::memory_order_seq_cst) noexcept {
        const std::uint64_t before = Explorer::current()->compare_exchange(cell_, pack(expected), pack(desired), order);
        const bool is_exchanged = before == pack(expected);
        expected = unpack(before);
        return is_exchanged;
    }
    T fetch_add(T value, std::memory_order order = std::memory_order_seq_cst) noexcept {
        return unpack(Explorer::current()->add(cell_, pack(value), order));
    }
    [[nodiscard]] bool is_lock_free() const { return true; }
    [[nodiscard]] std::uint32_t cell() const { return cell_; }

  private:
    static std::uint64_t pack(T value) {
        if constexpr (std::is_pointer_v<T>) {
            return reinterpret_cast<std::uintptr_t>(value);
        } else {
            return static_cast<std::uint64_t>(value);
        }
    }
    static T unpack(std::uint64_t value) {
        if constexpr (std::is_pointer_v<T>) {
            return reinterpret_cast<T>(static_cast<std::uintptr_t>(value));
        } else {
            return static_cast<T>(value);
        }
    }
    std::uint32_t cell_;
};

struct ExploredSync {
    template <class T>
    using Atomic = atomic<T>;
    static void fence_seq_cst() noexcept { Explorer::current()->fence_seq_cst(); }
    static bool has(ParkBug bug) noexcept { return Explorer::current()->bug() == bug; }
};

}  // namespace weir::interleaving
