#include "edge/spool/journal_reader.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>

#include "core/base/assert.hpp"
#include "core/base/crc32c.hpp"
#include "edge/handover.hpp"

namespace weir::edge {
namespace {
constexpr std::uint32_t head_bytes = sizeof(journal::RecordHeader) + sizeof(wire::BatchHeader);
// Why nothing could be opened or read although the disk may be well: no reason to name anything as gone, however long it lasts.
bool is_lack(int code) {
    return code == EMFILE || code == ENFILE || code == ENOMEM || code == EAGAIN || code == EINTR || code == EACCES ||
           code == EPERM;
}
static_assert(read_buffer_bytes_min >= batch_buffer_bytes + sizeof(journal::RecordSeal) + journal::block_bytes);
}  // namespace

JournalReader::JournalReader(io::Io& io, std::uint8_t owner, std::uint8_t kind, std::uint32_t first_index,
                             std::uint32_t buffer_bytes)
    : io_(io), owner_(owner), kind_(kind), first_index_(first_index), buffer_bytes_(buffer_bytes) {
    WEIR_ASSERT(buffer_bytes >= read_buffer_bytes_min && buffer_bytes <= read_buffer_bytes);
    WEIR_ASSERT(buffer_bytes % journal::block_bytes == 0);
    for (Buffer& buffer : buffers_) {
        buffer.bytes = static_cast<std::byte*>(std::aligned_alloc(journal::block_bytes, buffer_bytes_));
        WEIR_ASSERT(buffer.bytes != nullptr);
    }
    path_.reserve(PATH_MAX);
    if (journal::keyring().count() > 0) cipher_.emplace(0);
}

JournalReader::~JournalReader() {
    // The owner has quiesced the Io: a read that was under way is over.
    for (Buffer& buffer : buffers_) std::free(buffer.bytes);
}

void JournalReader::restart(const JournalPlace& journal, Position from) {
    WEIR_ASSERT(!reading_);
    if (journal_ != &journal) {
        if (file_.is_valid()) io_.close(file_);
        file_ = {};
        journal_ = &journal;
        segment_bytes_ = journal.segment_bytes;
        if (cipher_) cipher_->use_journal(journal.journal_id);
    }
    for (Buffer& buffer : buffers_) buffer.count = buffer.cursor = 0;
    next_ = from;
    failures_ = 0;
    retry_at_ = {};
    record_bytes_ = 0;
    chain_.reset();
    suspect_segment_.reset();
    is_counted_ = false;
}

const ReadRecord* JournalReader::peek() const {
    const Buffer& buffer = buffers_[front_];
    return buffer.cursor < buffer.count ? &buffer.records[buffer.cursor] : nullptr;
}

void JournalReader::pop() {
    Buffer& buffer = buffers_[front_];
    WEIR_ASSERT(buffer.cursor < buffer.count);
    if (++buffer.cursor < buffer.count) return;
    buffer.count = buffer.cursor = 0;
    front_ ^= 1U;
}

bool JournalReader::pump(Position durable_end, MonotonicNs now, std::uint64_t piece_bytes) {
    if (next_ >= durable_end) retry_at_ = {};
    if (reading_ || next_ >= durable_end || now < retry_at_) return false;
    if (buffers_[front_].count == 0) {
        // Both may be empty; the front one is filled first so that peek() finds the older records.
        if (buffers_[front_ ^ 1U].count != 0) front_ ^= 1U;
    }
    loading_ = buffers_[front_].count == 0 ? front_ : front_ ^ 1U;
    if (buffers_[loading_].count != 0) return false;
    const std::uint64_t segment_index = next_.value / segment_bytes_;
    if (next_.value % segment_bytes_ < journal::segment_header_bytes) {
        next_.value = segment_index * segment_bytes_ + journal::segment_header_bytes;
        if (next_ >= durable_end) return false;
    }
    limit_ = durable_end;
    if (const int code = open_segment(segment_index); code != 0) {
        if (code != ENOENT && try_again(now, code)) return false;
        give_up(segment_index);
        return true;
    }
    base_.value = next_.value / journal::block_bytes * journal::block_bytes;
    const std::uint64_t segment_end = (segment_index + 1) * segment_bytes_;
    const std::uint64_t end = std::min(segment_end, round_up(durable_end.value, journal::block_bytes));
    const std::uint64_t whole = std::min<std::uint64_t>(buffer_bytes_, end - base_.value);
    const std::uint64_t needed = next_.value - base_.value + std::max<std::uint64_t>(record_bytes_, head_bytes);
    // Not round_up: a caller without a bound says UINT64_MAX.
    const std::uint64_t piece = piece_bytes / journal::block_bytes * journal::block_bytes;
    wanted_bytes_ = std::min(whole, std::max(piece, round_up(needed, journal::block_bytes)));
    is_piece_ = wanted_bytes_ < whole;
    reading_ = true;
    read_at_ = now;
    io_.read(file_, Bytes{buffers_[loading_].bytes, wanted_bytes_}, base_.value % segment_bytes_,
             {.owner = owner_, .kind = kind_, .generation = 0, .index = first_index_ + loading_});
    return true;
}

// 0 or errno.
int JournalReader::open_segment(std::uint64_t segment_index) {
    if (open_segment_ == segment_index && file_.is_valid()) return 0;
    if (file_.is_valid()) io_.close(file_);
    file_ = {};
    path_.assign(journal_->directory).append("/");
    journal::append_segment_file_name(path_, segment_index);
    auto opened = io_.open(path_, {.direct = true, .read_only = true});
    if (!opened) return opened.error().code == 0 ? EIO : opened.error().code;
    file_ = opened.value();
    open_segment_ = segment_index;
    return 0;
}

// A disk that fails for a while is no loss: what it holds is asked for again, and only in the end named as gone.
bool JournalReader::try_again(MonotonicNs now, int code) {
    retry_at_ = now.plus_ns(read_retry_ns);
    return is_lack(code) || ++failures_ < read_tries_max;
}

// What was in the rest of this segment is missing, which the next record's sequence will show. Not beyond what was durable: the
// segment may still be written to.
void JournalReader::give_up(std::uint64_t segment_index) {
    count_damaged(segment_index);
    failures_ = 0;
    retry_at_ = {};
    next_.value = std::min((segment_index + 1) * segment_bytes_ + journal::segment_header_bytes,
                           std::max(next_.value, round_up(limit_.value, journal::block_bytes)));
}

void JournalReader::count_damaged(std::uint64_t segment_index) {
    ++damaged_;
    damaged_segment_ = segment_index;
    is_counted_ = true;
}

void JournalReader::on_completion(const io::Completion& completion) {
    WEIR_ASSERT(reading_);
    reading_ = false;
    read_took_ns_ = io_.now().since(read_at_);
    if (completion.result <= 0) {
        if (completion.result < 0 && try_again(io_.now(), -completion.result)) return;
        give_up(base_.value / segment_bytes_);
        return;
    }
    failures_ = 0;
    retry_at_ = {};
    const auto filled = static_cast<std::uint32_t>(completion.result);
    read_bytes_ += filled;
    parse(buffers_[loading_], filled);
}

journal::RecordCipher::Opened JournalReader::unseal(std::byte* record, const journal::RecordHeader& header) {
    if (!cipher_) return journal::RecordCipher::Opened::no_key;
    std::byte* const batch = record + sizeof(header);
    const ConstBytes behind(record + journal::record_bytes(header.batch_bytes), sizeof(journal::RecordSeal));
    return cipher_->open(header.position / segment_bytes_, header, wire::load<journal::RecordSeal>(behind),
                         {batch, header.batch_bytes}, batch);
}

void JournalReader::parse(Buffer& buffer, std::uint32_t filled_bytes) {
    const std::uint64_t segment_index = base_.value / segment_bytes_;
    const std::uint64_t segment_end = (segment_index + 1) * segment_bytes_;
    std::uint64_t at = next_.value - base_.value;
    while (buffer.count < read_records_max && base_.value + at < limit_.value) {
        const std::uint64_t place = base_.value + at;
        if (at + head_bytes > filled_bytes) {
            // Only the end of a segment leaves less room than a head; a short read is gone on with from here.
            if (place + head_bytes > segment_end) at = segment_end - base_.value;
            break;
        }
        const ConstBytes bytes{buffer.bytes + at, filled_bytes - at};
        const auto header = wire::load<journal::RecordHeader>(bytes);
        auto batch = wire::load<wire::BatchHeader>(bytes.subspan(sizeof(header)));
        const bool is_sealed = header.magic == journal::sealed_magic;
        const std::uint64_t record_bytes = journal::stored_bytes(header.batch_bytes, is_sealed);
        const bool has_magic =
            is_sealed || (header.magic == journal::record_magic && place < journal_->plain_until.value);
        const bool is_record = has_magic && header.position == place &&
                               journal::record_bytes(header.batch_bytes) <= batch_buffer_bytes &&
                               place + record_bytes <= segment_end && header.batch_bytes >= sizeof(batch) &&
                               header.crc == journal::record_crc(header, batch) &&
                               (is_sealed || header.batch_bytes == sizeof(batch) + batch.body_bytes);
        if (!is_record) {
            // Zeros that fill a block or the end of a segment, what the file held when it was another segment, or damage: the
            // next record can only begin at a block, and its chain tells.
            const bool was_record = has_magic && header.position == place;
            if (was_record && !is_counted_) count_damaged(segment_index);
            if (header.magic != 0) suspect_segment_ = segment_index;
            at = round_up(at + 1, journal::block_bytes);
            continue;
        }
        record_bytes_ = record_bytes;
        if (at + record_bytes > filled_bytes) break;
        if (chain_ && header.previous_crc == chain_->crc) {
            // Nothing lay between: a gap that the user finds here has another reason.
            suspect_segment_.reset();
        } else if (chain_ && !is_counted_) {
            count_damaged(suspect_segment_.value_or(chain_->end.value / segment_bytes_));
        }
        const auto opened = is_sealed ? unseal(buffer.bytes + at, header) : journal::RecordCipher::Opened::whole;
        if (is_sealed) batch = wire::load<wire::BatchHeader>(bytes.subspan(sizeof(header)));
        const ConstBytes body = bytes.subspan(head_bytes, header.batch_bytes - sizeof(batch));
        // Counted: a gap that the user finds now has been.
        if (is_counted_) suspect_segment_.reset();
        is_counted_ = false;
        if (opened == journal::RecordCipher::Opened::no_key) {
            ++locked_;
        } else if (opened == journal::RecordCipher::Opened::forged || batch.body_bytes != body.size() ||
                   crc32c(0, body) != batch.body_crc) {
            count_damaged(segment_index);
        } else {
            buffer.records[buffer.count++] = {.position = {place},
                                              .end = {place + record_bytes},
                                              .lane = batch.lane,
                                              .first_sequence = batch.first_sequence,
                                              .last_sequence = batch.last_sequence(),
                                              .batch_bytes = header.batch_bytes,
                                              .suspect_segment = std::exchange(suspect_segment_, {}),
                                              .batch = buffer.bytes + at + sizeof(header)};
        }
        chain_ = Chain{.crc = header.crc, .end = {place + record_bytes}};
        at += record_bytes;
    }
    const bool is_stuck = base_.value + at == next_.value && buffer.count == 0;
    next_.value = base_.value + at;
    // The next read is as long as this record.
    const bool is_cut = is_piece_ && filled_bytes == wanted_bytes_;
    if (is_stuck && !is_cut && next_ < limit_) {
        // A file that ends before its records do.
        give_up(segment_index);
    }
    if (next_.value >= segment_end) next_.value = segment_end + journal::segment_header_bytes;
    buffer.cursor = 0;
}

}  // namespace weir::edge
