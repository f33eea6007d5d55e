// ParkedBytes: memory for what was received of connections whose lane is full: it leaves the receive slots to the others.
//
// Thread    Intake runner.
// Bounds    bytes_max in blocks of parked_block_bytes, made at construction; pages that nothing was ever parked in cost nothing without touch().
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/base/assert.hpp"
#include "core/base/touch.hpp"
#include "core/base/types.hpp"

namespace weir::edge {

inline constexpr std::uint32_t parked_block_bytes = 4096;

class ParkedBytes {
  public:
    explicit ParkedBytes(std::uint64_t bytes_max)
        : count_(static_cast<std::uint32_t>(bytes_max / parked_block_bytes)),
          memory_(new std::byte[std::size_t{count_} * parked_block_bytes]) {
        free_.reserve(count_);
        for (std::uint32_t block = count_; block > 0; --block) free_.push_back(block - 1);
    }
    void touch() const { weir::touch(memory_.get(), std::size_t{count_} * parked_block_bytes); }
    [[nodiscard]] std::uint32_t count() const { return count_; }
    [[nodiscard]] std::uint32_t free_count() const { return static_cast<std::uint32_t>(free_.size()); }
    // Blocks that so many bytes in one piece need.
    [[nodiscard]] static std::uint32_t blocks_of(std::uint64_t bytes) {
        return static_cast<std::uint32_t>((bytes + parked_block_bytes - 1) / parked_block_bytes);
    }
    [[nodiscard]] std::byte* bytes(std::uint32_t block) { return &memory_[std::size_t{block} * parked_block_bytes]; }
    // Only while free_count() is not 0.
    [[nodiscard]] std::uint32_t take() noexcept {
        WEIR_ASSERT(!free_.empty());
        const std::uint32_t block = free_.back();
        free_.pop_back();
        return block;
    }
    void give_back(std::uint32_t block) noexcept {
        WEIR_ASSERT(block < count_ && free_.size() < count_);
        free_.push_back(block);
    }

  private:
    std::uint32_t count_;
    std::unique_ptr<std::byte[]> memory_;
    std::vector<std::uint32_t> free_;
};

}  // namespace weir::edge
