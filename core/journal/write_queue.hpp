// WriteQueue: a journal's groups on their way to the disk, from the append to the word that they are durable.
//
//   push(group) ─▶ waits, where the disk is busy ─▶ Io::write, alone or with those behind it ─▶ durable() moves, in order
//
// Thread    The runner that owns the Io.
// Ownership A group's bytes are the caller's, untouched until durable() has passed its end.
// Pressure  is_full(): groups_max() groups are not durable.
// Law       durable() only grows and never passes a write that has not completed, whatever order the disk has. The first
//           write that fails poisons the queue: nothing is durable after it, nothing is begun, nothing is retried (RELIABILITY P8).
#pragma once

#include <array>
#include <cstdint>

#include "core/base/types.hpp"
#include "core/io/io.hpp"

namespace weir::journal {

inline constexpr std::uint32_t writes_in_flight_max = 4;
// Of a queue that gathers: groups in it, and bytes of a write that several share.
inline constexpr std::uint32_t gathered_groups_max = 16;
inline constexpr std::uint32_t gathered_bytes_max = 1U << 20;
static_assert(gathered_groups_max <= io::write_parts_max);
static_assert(gathered_groups_max % writes_in_flight_max == 0);
// What is shorter goes beside so many other writes: it would wait longer for them than for the disk.
inline constexpr std::uint32_t short_write_bytes = 64U << 10;
inline constexpr std::uint32_t short_writes_max = 2;

class WriteQueue {
  public:
    struct Group {
        ConstBytes bytes;
        io::File file;  // open until unwritten_in() says 0
        std::uint64_t offset = 0;
        Position end{};
    };
    struct Options {
        // false: each group is a write of its own, at once, writes_in_flight_max at a time.
        // true: one that finds a write under way waits, and what waits goes as one write when none is, or once it is
        // gathered_bytes_max. A disk that is behind has few large writes to do, and not many small ones.
        bool gathers = false;
        std::uint32_t groups_max = writes_in_flight_max;  // to gathered_groups_max
    };
    // `token`'s index is the queue's own. All before `durable` is.
    WriteQueue(io::Io& io, io::Token token, Options options, Position durable);

    [[nodiscard]] bool is_full() const { return count_ == options_.groups_max; }
    // Which of groups_max places the next group takes: free again once it is durable.
    [[nodiscard]] std::uint32_t next_place() const { return (head_ + count_) % options_.groups_max; }
    // Precondition: neither full nor poisoned.
    void push(const Group& group);
    void on_completion(const io::Completion& completion);

    // All before it counts as durable. Precondition: the queue is empty.
    void begin_at(Position position);
    [[nodiscard]] Position durable() const { return durable_; }
    [[nodiscard]] std::uint32_t writes_in_flight() const { return in_flight_count_; }
    [[nodiscard]] std::uint64_t written_bytes() const { return written_bytes_; }
    [[nodiscard]] std::uint64_t writes_begun() const { return writes_begun_; }
    [[nodiscard]] std::uint32_t unwritten_in(io::File file) const;  // groups that are under way or will be
    void poison(int code);
    [[nodiscard]] bool is_poisoned() const { return poison_errno_ != 0; }
    [[nodiscard]] int poison_errno() const { return poison_errno_; }

  private:
    struct Write {
        std::array<iovec, gathered_groups_max> parts{};
        std::uint32_t groups = 0;
        std::uint32_t bytes = 0;
        io::File file;
        Position end{};
        bool is_done = false;
    };
    [[nodiscard]] const Group& oldest_waiting() const {
        return groups_[(head_ + count_ - waiting_) % options_.groups_max];
    }
    [[nodiscard]] Write& write(std::uint32_t nth) { return writes_[(write_head_ + nth) % writes_in_flight_max]; }
    [[nodiscard]] bool is_write_due() const;
    void begin_due();
    void begin_write();

    io::Io& io_;
    io::Token token_;
    Options options_;
    // From the oldest on that is not durable: count_ groups, the last waiting_ of them in no write yet.
    std::array<Group, gathered_groups_max> groups_;
    std::uint32_t head_ = 0;
    std::uint32_t count_ = 0;
    std::uint32_t waiting_ = 0;
    std::uint64_t waiting_bytes_ = 0;
    // From the oldest on that is not durable, done or not.
    std::array<Write, writes_in_flight_max> writes_;
    std::uint32_t write_head_ = 0;
    std::uint32_t write_count_ = 0;
    std::uint32_t in_flight_count_ = 0;
    Position durable_{};
    int poison_errno_ = 0;
    std::uint64_t written_bytes_ = 0;
    std::uint64_t writes_begun_ = 0;
};

}  // namespace weir::journal
