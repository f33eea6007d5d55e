#include "core/journal/writer.hpp"
#include "core/base/planted.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/assert.hpp"

namespace weir::journal {
namespace {

// What is encrypted lies in memory of the writer's own, for so many groups.
std::uint32_t groups_max(const JournalOptions& options) {
    return options.gathers && options.key_id == 0 ? gathered_groups_max : writes_in_flight_max;
}

}  // namespace

JournalWriter::JournalWriter(io::Io& io, SegmentStore& segments, JournalOptions options, Tail tail, io::Token token)
    : io_(io),
      segments_(segments),
      options_(std::move(options)),
      open_segment_(tail.end.value / options_.segment_bytes),
      end_{std::max(tail.end.value, open_segment_ * options_.segment_bytes + segment_header_bytes)},
      queue_(io, token, {.gathers = options_.gathers, .groups_max = groups_max(options_)}, end_),
      previous_crc_(tail.previous_crc) {
    WEIR_ASSERT(options_.segment_bytes % block_bytes == 0);
    WEIR_ASSERT(options_.segment_bytes >= 2 * block_bytes);
    WEIR_ASSERT(tail.end.value % block_bytes == 0);
    if (options_.key_id == 0) return;
    WEIR_ASSERT(options_.group_bytes_max > 0);
    sealing_ = std::make_unique<Sealing>(Sealing{.cipher = RecordCipher(options_.journal_id),
                                                 .seal = {.life = {}, .key_id = options_.key_id, .tag = {}},
                                                 .buffer_bytes = static_cast<std::uint32_t>(round_up(
                                                     options_.group_bytes_max + sizeof(RecordSeal), block_bytes)),
                                                 .buffers = {}});
    for (AlignedBytes& buffer : sealing_->buffers) buffer = make_aligned(sealing_->buffer_bytes);
    if (io::files().random(sealing_->seal.life) != 0) queue_.poison(errno == 0 ? EIO : errno);
}

Status JournalWriter::open() {
    if (is_poisoned()) return error_from_errno(poison_errno(), "draw random bytes");
    if (options_.key_id != 0 && !keyring().holds(options_.key_id)) {
        return Error{0, options_.directory + ": there is no key " + std::to_string(options_.key_id)};
    }
    if (auto left = leave_segment_of_another_key(); !left) return left;
    if (auto made = segments_.create_now(header_of(open_segment_, options_.key_id)); !made) return made;
    // A record beyond the tail was never durable in order; left there it could pass for a successor of what is written
    // now.
    if (auto cut = segments_.cut_after(end_); !cut) return cut;
    auto file = io_.open(segments_.path_of(open_segment_), {.direct = true, .durable = is_durable()});
    if (!file) return file.error();
    file_ = file.value();
    released_segments_ = segments_.first_index();
    look_ahead();
    return Done{};
}

Status JournalWriter::leave_segment_of_another_key() {
    // Nothing is in it yet: it is made anew.
    if (end_.value == open_segment_ * options_.segment_bytes + segment_header_bytes) return Done{};
    const PosixFile file(segments_.path_of(open_segment_), O_RDONLY);
    SegmentHeader present;
    const bool is_there = file.is_open() && file.read(std::as_writable_bytes(std::span(&present, 1)), 0) ==
                                                static_cast<std::int64_t>(sizeof present);
    // What is no whole header is refused where the segment is adopted.
    if (!is_there || present.crc != segment_crc(present) || present.key_id == options_.key_id) return Done{};
    if (auto cut = segments_.cut_after(end_); !cut) return cut;
    ++open_segment_;
    end_ = {open_segment_ * options_.segment_bytes + segment_header_bytes};
    queue_.begin_at(end_);
    return Done{};
}

bool JournalWriter::open_first() {
    const std::string* const path = segments_.ready(open_segment_);
    if (!path) return false;
    auto file = io_.open(*path, {.direct = true, .durable = is_durable()});
    if (!file) {
        queue_.poison(file.error().code == 0 ? EIO : file.error().code);
        return false;
    }
    file_ = file.value();
    return true;
}

void JournalWriter::look_ahead() {
    segments_.use(end_.value - open_segment_ * options_.segment_bytes);
    if (has_looked_ahead_ || end_.value < open_segment_ * options_.segment_bytes + options_.ahead_after_bytes) return;
    has_looked_ahead_ = true;
    prepare_next();
}

void JournalWriter::prepare_next() {
    if (!next_key_id_) {
        const std::uint32_t sealing = sealing_key();
        next_key_id_ = options_.key_id == 0 || sealing == 0 ? options_.key_id : sealing;
    }
    segments_.prepare(header_of(open_segment_ + 1, *next_key_id_));
}

bool JournalWriter::can_append(std::size_t group_bytes) {
    WEIR_ASSERT(group_bytes <= options_.segment_bytes - segment_header_bytes);
    waits_for_segment_ = false;
    if (is_poisoned() || queue_.is_full()) return false;
    const bool is_open = file_.is_valid();
    if (is_open && fits_open_segment(group_bytes)) return true;
    if (retiring_.is_valid()) return false;
    const std::uint64_t wanted = is_open ? open_segment_ + 1 : open_segment_;
    if (segments_.ready(wanted) != nullptr) return true;
    if (is_open) {
        prepare_next();
    } else {
        segments_.prepare(header_of(wanted, options_.key_id));
    }
    segments_.use(options_.segment_bytes);
    waits_for_segment_ = true;
    return false;
}

std::optional<Position> JournalWriter::append(Bytes group, std::span<const RecordSlot> records, WallNs arrival) {
    WEIR_ASSERT(!group.empty() && group.size() % block_bytes == 0);
    WEIR_ASSERT(reinterpret_cast<std::uintptr_t>(group.data()) % block_bytes == 0);
    const std::size_t bytes = stored_group_bytes(group.size(), records);
    if (!can_append(bytes)) return std::nullopt;
    if (!file_.is_valid() && !open_first()) return std::nullopt;
    if (!fits_open_segment(bytes) && !roll()) return std::nullopt;

    const Position begin = end_;
    ConstBytes written = group;
    if (sealing_) {
        written = seal(group, records, arrival, bytes);
        if (written.empty()) {
            queue_.poison(EIO);
            return std::nullopt;
        }
    } else {
        chain(group, records, arrival);
    }
    end_ = {begin.value + written.size()};
    if (options_.recent != nullptr) options_.recent->put(begin, written);
    queue_.push(
        {.bytes = written, .file = file_, .offset = begin.value - open_segment_ * options_.segment_bytes, .end = end_});
    look_ahead();
    return begin;
}

void JournalWriter::on_completion(const io::Completion& completion) {
    queue_.on_completion(completion);
    if (retiring_.is_valid() && queue_.unwritten_in(retiring_) == 0) {
        io_.close(retiring_);
        retiring_ = {};
    }
}

void JournalWriter::release_before(Position position) {
    std::uint64_t kept = position.value / options_.segment_bytes;
    kept = std::min(kept, retiring_.is_valid() ? open_segment_ - 1 : open_segment_);
    for (; released_segments_ < kept; ++released_segments_) segments_.release(released_segments_);
}

SegmentHeader JournalWriter::header_of(std::uint64_t segment_index, std::uint32_t key_id) const {
    SegmentHeader header;
    header.role = options_.role;
    header.version = key_id == 0 ? journal_version : sealed_version;
    header.key_id = key_id;
    header.journal_id = options_.journal_id;
    header.segment_index = segment_index;
    header.segment_bytes = options_.segment_bytes;
    header.created_wall_ns = io_.wall().value;
    header.crc = segment_crc(header);
    return header;
}

bool JournalWriter::is_durable() const {
    return options_.durable && !WEIR_PLANTED(write_without_sync);
}

bool JournalWriter::fits_open_segment(std::size_t group_bytes) const {
    return end_.value + group_bytes <= (open_segment_ + 1) * options_.segment_bytes;
}

bool JournalWriter::roll() {
    WEIR_ASSERT(!retiring_.is_valid());
    const std::string* const path = segments_.ready(open_segment_ + 1);
    if (!path) return false;
    auto file = io_.open(*path, {.direct = true, .durable = is_durable()});
    if (!file) {
        queue_.poison(file.error().code == 0 ? EIO : file.error().code);
        return false;
    }
    if (queue_.unwritten_in(file_) == 0) {
        io_.close(file_);
    } else {
        retiring_ = file_;
    }
    file_ = file.value();
    ++open_segment_;
    if (sealing_ && next_key_id_) options_.key_id = sealing_->seal.key_id = *next_key_id_;
    next_key_id_.reset();
    end_ = {open_segment_ * options_.segment_bytes + segment_header_bytes};
    has_looked_ahead_ = false;
    look_ahead();
    return true;
}

void JournalWriter::chain(Bytes group, std::span<const RecordSlot> records, WallNs arrival) {
    std::uint64_t at_least = 0;
    for (const RecordSlot& slot : records) {
        WEIR_ASSERT(slot.at >= at_least && slot.at % wire::frame_alignment == 0);
        WEIR_ASSERT(slot.batch_bytes >= sizeof(wire::BatchHeader));
        WEIR_ASSERT(slot.at + record_bytes(slot.batch_bytes) <= group.size());
        RecordHeader header = header_at(slot, arrival);
        header.crc = record_crc(header, wire::load<wire::BatchHeader>(group.subspan(slot.at + sizeof(RecordHeader))));
        wire::store(group.subspan(slot.at), header);
        previous_crc_ = header.crc;
        at_least = slot.at + record_bytes(slot.batch_bytes);
    }
}

RecordHeader JournalWriter::header_at(const RecordSlot& slot, WallNs arrival) const {
    RecordHeader header;
    header.magic = sealing_ ? sealed_magic : record_magic;
    header.batch_bytes = slot.batch_bytes;
    header.position = end_.value + slot.at;
    header.arrival_wall_ns = arrival.value;
    header.durable_before = queue_.durable().value;
    header.previous_crc = previous_crc_;
    return header;
}

std::size_t JournalWriter::stored_group_bytes(std::size_t group_bytes, std::span<const RecordSlot> records) const {
    if (!sealing_ || records.empty()) return group_bytes;
    const std::uint64_t end = records.back().at + stored_bytes(records.back().batch_bytes);
    return std::max<std::uint64_t>(group_bytes, round_up(end, block_bytes));
}

ConstBytes JournalWriter::seal(Bytes group, std::span<const RecordSlot> records, WallNs arrival, std::size_t bytes) {
    WEIR_ASSERT(bytes <= sealing_->buffer_bytes);
    const Bytes out(sealing_->buffers[queue_.next_place()].get(), bytes);
    std::uint64_t at = 0;
    for (const RecordSlot& slot : records) {
        WEIR_ASSERT(slot.at >= at && slot.at % wire::frame_alignment == 0);
        WEIR_ASSERT(slot.batch_bytes >= sizeof(wire::BatchHeader));
        WEIR_ASSERT(slot.at + record_bytes(slot.batch_bytes) <= group.size());
        const std::uint64_t seal_at = slot.at + record_bytes(slot.batch_bytes);
        WEIR_ASSERT(seal_at + sizeof(RecordSeal) <= out.size());
        std::memset(out.data() + at, 0, slot.at - at);
        const std::uint64_t batch_at = slot.at + sizeof(RecordHeader);
        RecordHeader header = header_at(slot, arrival);
        if (!sealing_->cipher.seal(open_segment_, header, group.subspan(batch_at, slot.batch_bytes),
                                   out.data() + batch_at, sealing_->seal)) {
            return {};
        }
        std::memset(out.data() + batch_at + slot.batch_bytes, 0, seal_at - batch_at - slot.batch_bytes);
        wire::store(out.subspan(seal_at), sealing_->seal);
        header.crc = record_crc(header, wire::load<wire::BatchHeader>(out.subspan(batch_at)));
        wire::store(out.subspan(slot.at), header);
        wire::store(group.subspan(slot.at), header);  // for the caller, who asks it for the crc
        previous_crc_ = header.crc;
        at = seal_at + sizeof(RecordSeal);
    }
    std::memset(out.data() + at, 0, out.size() - at);
    return out;
}

}  // namespace weir::journal
