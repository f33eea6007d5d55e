// RecentBytes: what a journal's writer handed to the disk last, in memory, for readers who follow closely.
//
// Writes go past the page cache, so whoever follows a journal would have the disk read each byte that was written a moment ago: beside
// a flood that was a quarter of all that the disk did (bench/NOTES.md).
//
// Thread    put() one; copy() any number of others, beside it. Nobody waits: a place that is written over meanwhile is not given.
// Bounds    The last `bytes` bytes of the journal. What is older is read from the disk.
// Law       copy() gives what was put at those places, or zeros where the writer left a segment's end unused; never anything else.
//           That a place is durable is its caller's to know.
// Failure   None. Behind what is longer than all of it, or after a leap as long, it begins anew: what was before is read from the disk.
// Source    The order of stores and loads is that of H.-J. Boehm, "Can seqlocks get along with programming language memory models?",
//           MSPC 2012, with the end of what is about to be written as the sequence.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/base/assert.hpp"
#include "core/base/touch.hpp"
#include "core/base/types.hpp"
#include "core/journal/posix_file.hpp"
#include "core/journal/record.hpp"

namespace weir::journal {

class RecentBytes {
  public:
    // `bytes`: a multiple of block_bytes; 0: nothing is kept.
    explicit RecentBytes(std::uint64_t bytes)
        : bytes_(bytes), memory_(bytes == 0 ? nullptr : make_aligned(static_cast<std::size_t>(bytes))) {
        WEIR_ASSERT(bytes % block_bytes == 0);
        touch(memory_.get(), static_cast<std::size_t>(bytes));
    }

    // `bytes` go to the disk at `at`: both multiples of block_bytes, `at` behind all that was put before.
    void put(Position at, ConstBytes bytes) noexcept {
        if (bytes_ == 0) return;
        const std::uint64_t before = end_.load(std::memory_order_relaxed);
        WEIR_ASSERT(at.value % block_bytes == 0 && bytes.size() % block_bytes == 0 && at.value >= before);
        if (bytes.size() > bytes_) {
            at.value += bytes.size();
            bytes = {};
        }
        const std::uint64_t unused = at.value - before;
        // What an earlier life wrote is not known here, and so is not what lies before a great leap.
        const bool begins_anew = before == 0 || bytes.empty() || unused + bytes.size() > bytes_;
        if (begins_anew) begin_.store(at.value, std::memory_order_relaxed);
        about_to_.store(at.value + bytes.size(), std::memory_order_relaxed);
        // Whoever sees a word of what follows sees that it was about to come.
        std::atomic_thread_fence(std::memory_order_release);
        if (!begins_anew) fill(before, unused);
        store(at.value, bytes);
        end_.store(at.value + bytes.size(), std::memory_order_release);
    }

    // How many bytes from `from` on it has copied to `to`; 0: they are not here. `from` is a multiple of 8.
    [[nodiscard]] std::size_t copy(Position from, Bytes to) const noexcept {
        const std::uint64_t end = end_.load(std::memory_order_acquire);
        if (from.value % sizeof(std::uint64_t) != 0 || from.value >= end || is_gone(from.value, end)) return 0;
        const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(to.size(), end - from.value));
        load(from.value, to.first(count));
        // A word that was written over was loaded after its writer had said so.
        std::atomic_thread_fence(std::memory_order_acquire);
        if (is_gone(from.value, about_to_.load(std::memory_order_relaxed))) return 0;
        return count;
    }

  private:
    using Word = std::uint64_t;

    [[nodiscard]] bool is_gone(std::uint64_t from, std::uint64_t written) const noexcept {
        return written > from + bytes_ || from < begin_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::atomic_ref<Word> word(std::uint64_t place) const noexcept {
        return std::atomic_ref<Word>(*reinterpret_cast<Word*>(memory_.get() + place % bytes_));
    }
    // Calls part(place, offset, count) for the one or two pieces in which so many bytes lie.
    template <class Part>
    void in_pieces(std::uint64_t place, std::uint64_t count, Part&& part) const noexcept {
        const std::uint64_t first = std::min(count, bytes_ - place % bytes_);
        part(place, std::uint64_t{0}, first);
        if (first < count) part(place + first, first, count - first);
    }
    void fill(std::uint64_t place, std::uint64_t count) noexcept {
        for (std::uint64_t at = 0; at < count; at += sizeof(Word)) word(place + at).store(0, std::memory_order_relaxed);
    }
    void store(std::uint64_t place, ConstBytes bytes) noexcept {
        in_pieces(place, bytes.size(), [&](std::uint64_t begin, std::uint64_t offset, std::uint64_t count) {
            auto* const to = reinterpret_cast<Word*>(memory_.get() + begin % bytes_);
            const std::byte* const from = bytes.data() + offset;
            for (std::uint64_t i = 0; i < count / sizeof(Word); ++i) {
                Word value;
                std::memcpy(&value, from + i * sizeof(Word), sizeof value);
                std::atomic_ref<Word>(to[i]).store(value, std::memory_order_relaxed);
            }
        });
    }
    void load(std::uint64_t place, Bytes bytes) const noexcept {
        in_pieces(place, bytes.size(), [&](std::uint64_t begin, std::uint64_t offset, std::uint64_t count) {
            auto* const from = reinterpret_cast<Word*>(memory_.get() + begin % bytes_);
            std::byte* const to = bytes.data() + offset;
            const std::uint64_t words = count / sizeof(Word);
            for (std::uint64_t i = 0; i < words; ++i) {
                const Word value = std::atomic_ref<Word>(from[i]).load(std::memory_order_relaxed);
                std::memcpy(to + i * sizeof(Word), &value, sizeof value);
            }
            const std::uint64_t rest = count % sizeof(Word);
            if (rest == 0) return;
            const Word value = std::atomic_ref<Word>(from[words]).load(std::memory_order_relaxed);
            std::memcpy(to + words * sizeof(Word), &value, static_cast<std::size_t>(rest));
        });
    }

    std::uint64_t bytes_;
    AlignedBytes memory_;
    std::atomic<std::uint64_t> begin_{0};     // nothing before it is here
    std::atomic<std::uint64_t> about_to_{0};  // the end of what is being put
    std::atomic<std::uint64_t> end_{0};       // all before it was put
};

}  // namespace weir::journal
