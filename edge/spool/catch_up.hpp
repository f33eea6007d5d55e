// CatchUp: the few readers that there are, lent to the streams that have something to be read back.
//
// Thread    Spool runner.
// Bounds    Limits::readers of two buffers each, whatever the number of streams.
// Law       A stream has at most one reader. What a reader finds damaged is said to the stream's segment store.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/journal/segments.hpp"
#include "edge/spool/journal_reader.hpp"

namespace weir::edge {

inline constexpr std::uint32_t readers_max = 4;  // unless the configuration says fewer or more
// A stream gives its reader on after so many bytes where another one waits for it.
inline constexpr std::uint64_t reader_turn_bytes = 8ULL << 20;

class CatchUp {
  public:
    struct Source {
        JournalPlace place;
        journal::SegmentStore* segments = nullptr;
    };
    struct Limits {
        std::uint32_t readers = readers_max;
        std::uint32_t buffer_bytes = read_buffer_bytes;  // of each of a reader's two buffers
    };
    CatchUp(io::Io& io, std::uint8_t owner, std::uint8_t kind, std::vector<Source> sources, Limits limits);

    void touch() const {
        for (const Lent& one : readers_) one.reader->touch();
    }
    // Where the journal of a stream that had no name lies. Precondition: it has no reader and never had one.
    void name_journal(std::size_t stream, std::string& directory) { sources_[stream].place.directory.swap(directory); }
    // The stream's reader; null while it has none.
    [[nodiscard]] JournalReader* of(std::size_t stream) {
        const std::size_t number = reader_of_[stream];
        return number == none ? nullptr : readers_[number].reader.get();
    }
    [[nodiscard]] const JournalReader* of(std::size_t stream) const {
        const std::size_t number = reader_of_[stream];
        return number == none ? nullptr : readers_[number].reader.get();
    }
    // False if none is free.
    [[nodiscard]] bool lend(std::size_t stream, Position from);
    // Precondition: it has a reader, which is not reading.
    void take_back(std::size_t stream);
    // It has read so much that another one may have its turn.
    [[nodiscard]] bool has_had_turn(std::size_t stream) const;
    [[nodiscard]] bool has_free() const { return lent_ < readers_.size(); }
    [[nodiscard]] bool is_reading() const;
    // The stream whose read it was.
    std::size_t on_completion(const io::Completion& completion);
    // The user found sequences missing before the stream's record at hand.
    void confirm_suspect(std::size_t stream, const ReadRecord& record);
    [[nodiscard]] std::uint64_t damaged_records() const;
    [[nodiscard]] std::uint64_t read_bytes() const;
    [[nodiscard]] MonotonicNs retry_at() const;

  private:
    static constexpr std::size_t none = SIZE_MAX;
    struct Lent {
        std::unique_ptr<JournalReader> reader;
        std::size_t stream = none;
        std::uint64_t bytes_before = 0;  // read when it was lent
    };
    void settle_damage(Lent& lent);

    std::vector<Source> sources_;
    std::vector<std::size_t> reader_of_;  // by stream
    std::vector<Lent> readers_;
    std::size_t lent_ = 0;
};

}  // namespace weir::edge
