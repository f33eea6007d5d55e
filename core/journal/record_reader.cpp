#include "core/journal/record_reader.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/wire/frame.hpp"

namespace weir::journal {
namespace {

constexpr std::uint64_t batch_bytes_max = wire::frame_body_bytes_max;

}  // namespace

Status RecordReader::refresh() {
    auto listed = list_segments(directory_);
    if (!listed) return listed.error();
    list_ = std::move(listed.value());
    if (segment_bytes_ == 0 && !list_.segments.empty()) segment_bytes_ = list_.segments.front().header.segment_bytes;
    return Done{};
}

RecordReader::Found RecordReader::examine(std::uint64_t place, std::optional<std::uint32_t> follows, RecordView& view) {
    constexpr std::size_t heads_bytes = sizeof(RecordHeader) + sizeof(wire::BatchHeader);
    const std::uint64_t index = place / segment_bytes_;
    const SegmentInfo* const info = segment(index);
    if (info == nullptr || place + heads_bytes > end_place(index)) return Found::nothing;
    const bool is_sealed = info->header.key_id != 0;
    const ConstBytes heads = read(place, heads_bytes);
    if (heads.empty()) return Found::nothing;
    view.header = wire::load<RecordHeader>(heads);
    if (view.header.magic != (is_sealed ? sealed_magic : record_magic) || view.header.position != place) {
        return Found::nothing;
    }
    if (view.header.batch_bytes < sizeof(wire::BatchHeader) || view.header.batch_bytes > batch_bytes_max) {
        return Found::nothing;
    }
    view.batch_header = wire::load<wire::BatchHeader>(heads.subspan(sizeof(RecordHeader)));
    if (view.header.crc != record_crc(view.header, view.batch_header)) return Found::nothing;
    if (follows && view.header.previous_crc != *follows) return Found::nothing;
    view.position = {place};
    view.end = {place + stored_bytes(view.header.batch_bytes, is_sealed)};
    if (view.end.value > end_place(index)) return Found::nothing;
    if (is_sealed) {
        if (!unseal(index, view)) return Found::broken_body;
    } else {
        const ConstBytes all = read(place, sizeof(RecordHeader) + view.header.batch_bytes);
        if (all.empty()) return Found::broken_body;
        view.batch = all.subspan(sizeof(RecordHeader));
    }
    wire::BatchHeader checked;
    if (wire::check_batch(view.batch, checked) != wire::BatchFault::none) return Found::broken_body;
    return Found::whole;
}

// False: what lies there is not what was written under its key.
bool RecordReader::unseal(std::uint64_t index, RecordView& view) {
    const SegmentHeader& segment_header = segment(index)->header;
    const ConstBytes all = read(view.position.value, view.end.value - view.position.value);
    if (all.empty()) return false;
    const auto seal = wire::load<RecordSeal>(all.subspan(all.size() - sizeof(RecordSeal)));
    if (seal.key_id != segment_header.key_id) return false;
    if (!cipher_) cipher_.emplace(segment_header.journal_id);
    if (opened_.size() < view.header.batch_bytes) opened_.resize(view.header.batch_bytes);
    const ConstBytes sealed = all.subspan(sizeof(RecordHeader), view.header.batch_bytes);
    if (cipher_->open(index, view.header, seal, sealed, opened_.data()) != RecordCipher::Opened::whole) return false;
    view.batch = ConstBytes(opened_).first(view.header.batch_bytes);
    view.batch_header = wire::load<wire::BatchHeader>(view.batch);
    return true;
}

ConstBytes RecordReader::read(std::uint64_t place, std::size_t bytes) {
    if (place < buffer_position_ || place + bytes > buffer_position_ + buffer_bytes_) {
        const std::uint64_t index = place / segment_bytes_;
        const std::uint64_t ahead = place < written_ ? std::min(piece_bytes_, written_ - place) : piece_bytes_;
        const std::uint64_t wish = std::min(std::max<std::uint64_t>(bytes, ahead), end_place(index) - place);
        if (buffer_.size() < wish) buffer_.resize(wish);
        buffer_position_ = place;
        buffer_bytes_ = recent_ != nullptr ? recent_->copy({place}, Bytes(buffer_).first(wish)) : 0;
        if (buffer_bytes_ >= bytes) {
            bytes_from_memory_ += buffer_bytes_;
            tell_segment(index);
            return ConstBytes(buffer_).first(bytes);
        }
        buffer_bytes_ = 0;
        if (!select(index)) return {};
        auto count = file_.read(Bytes(buffer_).first(wish), place - index * segment_bytes_);
        if (count < 0) count = file_.read(Bytes(buffer_).first(bytes), place - index * segment_bytes_);
        if (count < 0) {
            has_read_error_ = true;
            return {};
        }
        buffer_bytes_ = static_cast<std::size_t>(count);
        bytes_from_disk_ += buffer_bytes_;
        if (on_read_) on_read_(buffer_bytes_);
        if (bytes > buffer_bytes_) return {};
    }
    return ConstBytes(buffer_).subspan(place - buffer_position_, bytes);
}

void RecordReader::tell_segment(std::uint64_t index) {
    if (std::exchange(told_index_, index) != index && on_segment_) on_segment_(index);
}

bool RecordReader::select(std::uint64_t index) {
    if (file_index_ == index && file_.is_open()) return true;
    const SegmentInfo* info = segment(index);
    if (info == nullptr) return false;
    tell_segment(index);
    file_ = PosixFile(info->path, O_RDONLY);
    file_index_ = index;
    return file_.is_open();
}

const SegmentInfo* RecordReader::segment(std::uint64_t index) const {
    const SegmentInfo* found = listed(index);
    return found != nullptr && !found->is_locked ? found : nullptr;
}

const SegmentInfo* RecordReader::listed(std::uint64_t index) const {
    const auto found = std::lower_bound(
        list_.segments.begin(), list_.segments.end(), index,
        [](const SegmentInfo& info, std::uint64_t wanted) { return info.header.segment_index < wanted; });
    return found != list_.segments.end() && found->header.segment_index == index ? &*found : nullptr;
}

std::string RecordReader::place_text(std::uint64_t place) const {
    return directory_ + "/" + segment_file_name(place / segment_bytes_) + ":" + std::to_string(place % segment_bytes_);
}

}  // namespace weir::journal
