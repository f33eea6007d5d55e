// JournalReader: reads durable records back from one journal's segments, in order, for a stream that has to catch up.
//
// Two buffers: while the records of one are being sent, the other is filled. The 16 bytes before a batch (the second half of
// its record header) may be overwritten by the reader's user: a frame header goes there, so that one send takes both.
//
// Thread    Spool runner.
// Ownership A record's bytes are the user's from peek() until pop(). Whoever ends it in mid read quiesces its Io first.
// Law       Records come in the order of their positions, none left out but those that do not match their checksums.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/touch.hpp"
#include "core/io/io.hpp"
#include "core/journal/at_rest.hpp"
#include "core/journal/record.hpp"

namespace weir::edge {

// A buffer's default length, which is the most; the least holds the largest record whole, whatever the place in a block at which it begins.
inline constexpr std::uint32_t read_buffer_bytes = 1U << 20;
inline constexpr std::uint32_t read_buffer_bytes_min = 67 * journal::block_bytes;
// A read that fails with an error of the disk is tried so often, once a second, before what it asked for counts as damaged. Where
// this process lacks something (descriptors, memory, permission) it is tried for ever.
inline constexpr std::uint32_t read_tries_max = 60;
inline constexpr std::uint64_t read_retry_ns = ns_per_second;
inline constexpr std::uint32_t read_records_max =
    read_buffer_bytes / journal::block_bytes;  // per buffer; a group is at least one block, so that is all of it

// The journal that is read; it outlives the reading.
struct JournalPlace {
    std::string directory;
    std::uint64_t segment_bytes = 0;
    std::uint64_t journal_id = 0;
    // From here on only encrypted records are taken.
    Position plain_until{UINT64_MAX};
};

struct ReadRecord {
    Position position{};
    Position end{};
    LaneId lane = 0;
    Sequence first_sequence = 0;
    Sequence last_sequence = 0;
    std::uint32_t batch_bytes = 0;
    // Where bytes that are no record were passed over on the way here: old ones in a file that is used again, or damage.
    std::optional<std::uint64_t> suspect_segment;
    std::byte* batch = nullptr;  // sizeof(wire::FrameHeader) bytes before it are free to use
};

class JournalReader {
  public:
    // Its reads have Token::index `first_index` and `first_index` + 1. `buffer_bytes`: of each of the two buffers, whole blocks from
    // read_buffer_bytes_min to read_buffer_bytes.
    JournalReader(io::Io& io, std::uint8_t owner, std::uint8_t kind, std::uint32_t first_index,
                  std::uint32_t buffer_bytes = read_buffer_bytes);
    ~JournalReader();
    JournalReader(const JournalReader&) = delete;
    JournalReader& operator=(const JournalReader&) = delete;

    void touch() const {
        for (const Buffer& buffer : buffers_) weir::touch(buffer.bytes, buffer_bytes_);
    }
    // Forgets what it holds and goes on from `from` of `journal`. Precondition: !is_reading().
    void restart(const JournalPlace& journal, Position from);
    // Starts a read if there is a free buffer and something durable to read; true if it did. Who shares the disk with others
    // gives a small `piece_bytes`; a record that is longer is still read whole.
    bool pump(Position durable_end, MonotonicNs now, std::uint64_t piece_bytes = read_buffer_bytes);
    // When a read that failed is tried again; in the past if none did.
    [[nodiscard]] MonotonicNs retry_at() const { return retry_at_; }
    [[nodiscard]] const ReadRecord* peek() const;
    void pop();
    void on_completion(const io::Completion& completion);
    [[nodiscard]] bool is_reading() const { return reading_; }
    // Nothing is loaded or being loaded, and everything before `durable_end` was handed out.
    [[nodiscard]] bool is_caught_up(Position durable_end) const {
        return !reading_ && peek() == nullptr && next_ >= durable_end;
    }
    // The first byte that was not loaded yet.
    [[nodiscard]] Position next_position() const { return next_; }
    // Everything before `place` was handed out or is loaded: what begins there need not be read.
    [[nodiscard]] bool has_passed(Position place) const { return !reading_ && next_ >= place; }
    // The user got the record that ends at `end` another way. Precondition: has_passed(its start).
    void skip_to(Position end) {
        next_ = end;
        chain_.reset();
    }
    [[nodiscard]] std::uint64_t damaged_records() const { return damaged_; }
    // Passed over because their key is not here: no damage.
    [[nodiscard]] std::uint64_t locked_records() const { return locked_; }
    // The user found sequences missing before `record`: what was passed over was damage.
    void confirm_suspect(const ReadRecord& record) {
        if (record.suspect_segment) count_damaged(*record.suspect_segment);
    }
    // The segment in which something damaged was met since the last call; of several the last one.
    [[nodiscard]] std::optional<std::uint64_t> take_damaged_segment() { return std::exchange(damaged_segment_, {}); }
    [[nodiscard]] std::uint64_t read_bytes() const { return read_bytes_; }
    // The last read, from pump() to its completion.
    [[nodiscard]] std::uint64_t read_took_ns() const { return read_took_ns_; }

  private:
    struct Buffer {
        std::byte* bytes = nullptr;
        std::uint32_t count = 0;
        std::uint32_t cursor = 0;
        std::array<ReadRecord, read_records_max> records;
    };
    [[nodiscard]] int open_segment(std::uint64_t segment_index);
    [[nodiscard]] bool try_again(MonotonicNs now, int code);
    void give_up(std::uint64_t segment_index);
    void count_damaged(std::uint64_t segment_index);
    void parse(Buffer& buffer, std::uint32_t filled_bytes);
    // The sealed record at `record`, decrypted where it lies.
    [[nodiscard]] journal::RecordCipher::Opened unseal(std::byte* record, const journal::RecordHeader& header);

    io::Io& io_;
    const JournalPlace* journal_ = nullptr;
    std::uint64_t segment_bytes_ = 0;
    std::uint8_t owner_;
    std::uint8_t kind_;
    std::uint32_t first_index_;
    std::uint32_t buffer_bytes_;
    std::array<Buffer, 2> buffers_;
    std::uint32_t front_ = 0;
    std::uint32_t loading_ = 0;
    std::string path_;  // of file_; with memory for any
    io::File file_{};
    std::uint64_t open_segment_ = UINT64_MAX;
    Position next_{};                 // the first byte not parsed yet
    Position base_{};                 // where the read under way begins
    Position limit_{};                // durable end as of that read
    std::uint64_t wanted_bytes_ = 0;  // of the read under way
    bool is_piece_ = false;           // it could have been longer
    std::uint64_t record_bytes_ = 0;  // of the record at next_, or as many as the last one had
    bool reading_ = false;
    MonotonicNs read_at_{};
    std::uint64_t read_took_ns_ = 0;
    std::uint32_t failures_ = 0;  // of the present read, one behind the other
    MonotonicNs retry_at_{};
    std::uint64_t damaged_ = 0;
    std::uint64_t locked_ = 0;
    std::optional<journal::RecordCipher> cipher_;  // none: there are no keys
    std::optional<std::uint64_t> damaged_segment_;
    // Since the last record: its checksum and end, what was passed over, and whether that was counted as damage already.
    struct Chain {
        std::uint32_t crc = 0;
        Position end{};
    };
    std::optional<Chain> chain_;
    std::optional<std::uint64_t> suspect_segment_;
    bool is_counted_ = false;
    std::uint64_t read_bytes_ = 0;
};

}  // namespace weir::edge
