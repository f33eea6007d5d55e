#include "edge/spool/catch_up.hpp"

#include <algorithm>

#include "core/base/assert.hpp"

namespace weir::edge {

CatchUp::CatchUp(io::Io& io, std::uint8_t owner, std::uint8_t kind, std::vector<Source> sources, Limits limits)
    : sources_(std::move(sources)), reader_of_(sources_.size(), none), readers_(limits.readers) {
    WEIR_ASSERT(limits.readers > 0);
    for (std::uint32_t number = 0; number < readers_.size(); ++number) {
        readers_[number].reader = std::make_unique<JournalReader>(io, owner, kind, 2 * number, limits.buffer_bytes);
    }
}

bool CatchUp::lend(std::size_t stream, Position from) {
    WEIR_ASSERT(reader_of_[stream] == none);
    if (!has_free()) return false;
    std::size_t number = 0;
    while (readers_[number].stream != none) ++number;
    Lent& lent = readers_[number];
    lent.stream = stream;
    lent.bytes_before = lent.reader->read_bytes();
    lent.reader->restart(sources_[stream].place, from);
    reader_of_[stream] = number;
    ++lent_;
    return true;
}

void CatchUp::take_back(std::size_t stream) {
    WEIR_ASSERT(reader_of_[stream] != none);
    Lent& lent = readers_[reader_of_[stream]];
    WEIR_ASSERT(!lent.reader->is_reading());
    settle_damage(lent);
    lent.stream = none;
    reader_of_[stream] = none;
    --lent_;
}

bool CatchUp::has_had_turn(std::size_t stream) const {
    const Lent& lent = readers_[reader_of_[stream]];
    return lent.reader->read_bytes() - lent.bytes_before >= reader_turn_bytes;
}

bool CatchUp::is_reading() const {
    return std::any_of(readers_.begin(), readers_.end(), [](const Lent& one) { return one.reader->is_reading(); });
}

std::size_t CatchUp::on_completion(const io::Completion& completion) {
    WEIR_ASSERT(completion.token.index < 2 * readers_.size());
    Lent& lent = readers_[completion.token.index / 2];
    WEIR_ASSERT(lent.stream != none);
    lent.reader->on_completion(completion);
    settle_damage(lent);
    return lent.stream;
}

void CatchUp::confirm_suspect(std::size_t stream, const ReadRecord& record) {
    Lent& lent = readers_[reader_of_[stream]];
    lent.reader->confirm_suspect(record);
    settle_damage(lent);
}

void CatchUp::settle_damage(Lent& lent) {
    if (const auto damaged = lent.reader->take_damaged_segment()) {
        sources_[lent.stream].segments->mark_damaged(*damaged);
    }
}

std::uint64_t CatchUp::damaged_records() const {
    std::uint64_t sum = 0;
    for (const Lent& one : readers_) sum += one.reader->damaged_records();
    return sum;
}

std::uint64_t CatchUp::read_bytes() const {
    std::uint64_t sum = 0;
    for (const Lent& one : readers_) sum += one.reader->read_bytes();
    return sum;
}

MonotonicNs CatchUp::retry_at() const {
    MonotonicNs at = never;
    for (const Lent& one : readers_) {
        if (one.stream != none && !one.reader->is_reading() && one.reader->retry_at().value != 0) {
            at = std::min(at, one.reader->retry_at());
        }
    }
    return at;
}

}  // namespace weir::edge
