#include "central/ingest/group_journal.hpp"

#include <algorithm>
#include <cstring>

#include "core/base/assert.hpp"
#include "core/wire/batch.hpp"

namespace weir::central {

GroupJournal::GroupJournal(io::Io& io, journal::SegmentStore& segments, Options options)
    : group_bytes_(options.group_bytes),
      last_group_(options.last_group),
      writer_(io, segments, options.journal, options.tail, options.token) {
    const std::uint64_t segment_room = options.journal.segment_bytes - journal::segment_header_bytes -
                                       (writer_.is_sealed() ? journal::block_bytes : 0);
    const std::uint64_t largest = round_up(writer_.stored_bytes(wire::frame_body_bytes_max), journal::block_bytes);
    capacity_bytes_ =
        static_cast<std::uint32_t>(std::min(segment_room, std::max<std::uint64_t>(group_bytes_, largest)));
    group_bytes_ = std::min(group_bytes_, capacity_bytes_);
    batch_bytes_max_ = std::min<std::uint32_t>(wire::frame_body_bytes_max,
                                               capacity_bytes_ - static_cast<std::uint32_t>(writer_.stored_bytes(0)));
    records_max_ = capacity_bytes_ / static_cast<std::uint32_t>(writer_.stored_bytes(sizeof(wire::BatchHeader)));
    groups_.resize(std::max(options.groups, 2U));
    for (Group& one : groups_) {
        one.bytes = journal::make_aligned(capacity_bytes_);
        one.slots.reserve(records_max_);
        one.touches.reserve(records_max_);
    }
}

bool GroupJournal::has_room(std::size_t batch_bytes) {
    const std::uint64_t need = writer_.stored_bytes(static_cast<std::uint32_t>(batch_bytes));
    WEIR_ASSERT(need <= capacity_bytes_);
    if (used_ > written_) {
        const Group& open = group(used_ - 1);
        // The wished-for size closes a group; a batch larger than it has a group for itself.
        if (open.used_bytes + need <= group_bytes_ && open.slots.size() < records_max_) return true;
    }
    return used_ < groups_.size();
}

bool GroupJournal::put(ConstBytes batch, const Touch& touch) {
    if (!has_room(batch.size())) return false;
    const auto need = static_cast<std::uint32_t>(writer_.stored_bytes(static_cast<std::uint32_t>(batch.size())));
    const bool fits_open = used_ > written_ && group(used_ - 1).used_bytes + need <= group_bytes_ &&
                           group(used_ - 1).slots.size() < records_max_;
    if (!fits_open) ++used_;
    Group& open = group(used_ - 1);
    std::byte* const at = open.bytes.get() + open.used_bytes;
    std::memcpy(at + sizeof(journal::RecordHeader), batch.data(), batch.size());
    const std::size_t filled = sizeof(journal::RecordHeader) + batch.size();
    std::memset(at + filled, 0, need - filled);
    open.slots.push_back({open.used_bytes, static_cast<std::uint32_t>(batch.size())});
    open.touches.push_back(touch);
    open.used_bytes += need;
    return true;
}

std::size_t GroupJournal::flush(WallNs arrival, MonotonicNs now) {
    std::size_t count = 0;
    while (written_ < used_) {
        const bool is_closed = written_ + 1 < used_;  // another group was opened behind it: it is full
        if (!is_closed && writer_.writes_in_flight() > 0) break;
        Group& next = group(written_);
        const auto padded = static_cast<std::uint32_t>(round_up(next.used_bytes, journal::block_bytes));
        std::memset(next.bytes.get() + next.used_bytes, 0, padded - next.used_bytes);
        const auto position = writer_.append(Bytes(next.bytes.get(), padded), next.slots, arrival);
        if (!position) break;
        last_group_ = *position;
        next.end = writer_.end_position();
        next.written_at = now;
        ++written_;
        ++groups_written_;
        ++count;
    }
    return count;
}

void GroupJournal::free_oldest() {
    Group& done = group(0);
    done.used_bytes = 0;
    done.slots.clear();
    done.touches.clear();
    oldest_ = (oldest_ + 1) % static_cast<std::uint32_t>(groups_.size());
    --written_;
    --used_;
}

}  // namespace weir::central
