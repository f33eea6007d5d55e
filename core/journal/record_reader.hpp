// RecordReader: what lies at one place of a journal, verified. Which place comes next is its caller's to know (Scanner).
//
// Thread    One; reads by pread into a buffer of its own, beside a writer of the same journal.
// Failure   A place that cannot be read is `nothing` or `broken_body`, and has_read_error() from then on.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/journal/at_rest.hpp"
#include "core/journal/posix_file.hpp"
#include "core/journal/recent_bytes.hpp"
#include "core/journal/record.hpp"
#include "core/journal/segment_list.hpp"

namespace weir::journal {

struct RecordView {
    Position position{};
    Position end{};  // of the padded record
    RecordHeader header;
    wire::BatchHeader batch_header;
    ConstBytes batch;  // header and body; valid until the next step
    // What was to be read before it was released beside the reader: nothing is known of what lay there, and it is not missing.
    bool is_after_trim = false;
    [[nodiscard]] ConstBytes body() const { return batch.subspan(sizeof(wire::BatchHeader)); }
};

class RecordReader {
  public:
    enum class Found : std::uint8_t { nothing, broken_body, whole };

    explicit RecordReader(std::string directory) : directory_(std::move(directory)) {}

    // Lists the segments anew.
    [[nodiscard]] Status refresh();
    [[nodiscard]] const SegmentList& list() const { return list_; }
    [[nodiscard]] const std::string& directory() const { return directory_; }
    // 0: no segment seen yet.
    [[nodiscard]] std::uint64_t segment_bytes() const { return segment_bytes_; }

    // With `follows`, the checksum of the record before, one that does not follow on is nothing. `view.batch` points into buffers
    // of this reader: valid until its next call.
    [[nodiscard]] Found examine(std::uint64_t place, std::optional<std::uint32_t> follows, RecordView& view);
    // Exactly `bytes` at `place`, or nothing. Must lie in one segment.
    [[nodiscard]] ConstBytes read(std::uint64_t place, std::size_t bytes);
    // The next read must see the disk, not what was read before.
    void forget() { buffer_bytes_ = 0; }
    // All before it is written, what is behind may not be: reading ahead ends there.
    void expect(Position written) { written_ = written.value; }
    // Nothing at or behind `place` is said to be written.
    [[nodiscard]] bool is_beyond_expected(std::uint64_t place) const {
        return written_ != UINT64_MAX && round_up(place, block_bytes) >= written_;
    }
    // What is in there is not read from the disk. It outlives this reader.
    void read_recent_from(const RecentBytes& recent) { recent_ = &recent; }
    [[nodiscard]] std::uint64_t bytes_from_memory() const { return bytes_from_memory_; }
    [[nodiscard]] std::uint64_t bytes_from_disk() const { return bytes_from_disk_; }
    [[nodiscard]] bool has_read_error() const { return has_read_error_; }
    // Called before a segment's records are first read, with its index.
    void on_segment(std::function<void(std::uint64_t)> told) { on_segment_ = std::move(told); }
    // The disk is read in so many bytes at a time, or a longer record's; behind each `told` is called with what was read: who must not read
    // faster than so waits there.
    void read_in_pieces(std::uint64_t bytes, std::function<void(std::uint64_t)> told) {
        piece_bytes_ = bytes;
        on_read_ = std::move(told);
    }

    // nullptr: not there.
    [[nodiscard]] const SegmentInfo* listed(std::uint64_t index) const;
    // nullptr: not there, or locked.
    [[nodiscard]] const SegmentInfo* segment(std::uint64_t index) const;
    [[nodiscard]] std::uint64_t index_of(std::uint64_t place) const { return place / segment_bytes_; }
    [[nodiscard]] std::uint64_t first_place(std::uint64_t index) const {
        return index * segment_bytes_ + segment_header_bytes;
    }
    [[nodiscard]] std::uint64_t end_place(std::uint64_t index) const { return (index + 1) * segment_bytes_; }
    // "PATH:OFFSET"
    [[nodiscard]] std::string place_text(std::uint64_t place) const;

  private:
    [[nodiscard]] bool select(std::uint64_t index);
    void tell_segment(std::uint64_t index);
    [[nodiscard]] bool unseal(std::uint64_t index, RecordView& view);

    std::string directory_;
    SegmentList list_;
    std::uint64_t segment_bytes_ = 0;
    PosixFile file_;
    std::uint64_t file_index_ = UINT64_MAX;
    std::uint64_t told_index_ = UINT64_MAX;
    const RecentBytes* recent_ = nullptr;
    std::uint64_t bytes_from_memory_ = 0;
    std::uint64_t bytes_from_disk_ = 0;
    bool has_read_error_ = false;
    std::optional<RecordCipher> cipher_;
    std::vector<std::byte> opened_;  // the record that was decrypted last
    std::function<void(std::uint64_t)> on_segment_;
    std::function<void(std::uint64_t)> on_read_;
    std::uint64_t piece_bytes_ = 1U << 20;
    std::vector<std::byte> buffer_;
    std::uint64_t written_ = UINT64_MAX;
    std::uint64_t buffer_position_ = 0;
    std::size_t buffer_bytes_ = 0;
};

}  // namespace weir::journal
