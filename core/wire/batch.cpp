#include "core/wire/batch.hpp"

#include <algorithm>
#include <cstddef>

#include "core/base/assert.hpp"
#include "core/base/crc32c.hpp"
#include "core/wire/verdict.hpp"

namespace weir::wire {
namespace {

std::uint32_t header_crc_of(BatchHeader header) noexcept {
    header.header_crc = 0;
    return crc32c(0, std::as_bytes(std::span(&header, 1)));
}

// A zero-padded name field: an allowed name, then zeros to the end.
template <std::size_t N>
bool is_name_field(const std::array<char, N>& field, bool may_be_empty) noexcept {
    const std::string_view name = name_of(field);
    const auto is_zero = [](char c) { return c == 0; };
    if (!std::all_of(field.begin() + static_cast<std::ptrdiff_t>(name.size()), field.end(), is_zero)) return false;
    return name.empty() ? may_be_empty : is_name(name, N);
}

// What this version can read. Codec and key are part of the format from the first day, but none is spoken yet.
bool is_understood(const BatchHeader& header) noexcept {
    if (header.header_bytes != sizeof(BatchHeader)) return false;
    if (text(header.kind) == "unknown" || header.part > Part::backlog) return false;
    return header.codec == Codec::none && header.key_id == 0;
}

bool are_lengths_good(const BatchHeader& header) noexcept {
    if (header.body_bytes > batch_body_bytes_max || header.raw_bytes != header.body_bytes) return false;
    switch (header.kind) {
        case BatchKind::tick:
            return header.count == 0 && header.body_bytes == 0;
        case BatchKind::gap:
            if (header.body_bytes != 0) return false;
            break;
        case BatchKind::events:
            if (header.count > batch_events_max) return false;
            break;
    }
    if (header.count == 0 || header.first_sequence == 0) return false;
    return header.first_sequence <= UINT64_MAX - (header.count - 1);
}

// Dead letters travel on their own lane and nothing else does.
bool is_frame_good(const FrameHeader& frame, ConstBytes body, LaneId lane) noexcept {
    if (lane != dead_letter_lane) {
        return frame.kind == FrameKind::event && frame.body_bytes > 0 && frame.body_bytes <= event_bytes_max;
    }
    if (frame.kind != FrameKind::dead_letter || frame.body_bytes < sizeof(DeadLetterHead)) return false;
    return load<DeadLetterHead>(body).original_bytes == frame.body_bytes - sizeof(DeadLetterHead);
}

bool are_frames_good(const BatchHeader& header, ConstBytes body) noexcept {
    std::uint32_t count = 0;
    for (; !body.empty(); ++count) {
        if (count == header.count || body.size() < sizeof(FrameHeader)) return false;
        const auto frame = load<FrameHeader>(body);
        const std::uint64_t bytes = frame_bytes(frame.body_bytes);
        if (bytes > body.size()) return false;
        const ConstBytes whole = body.subspan(sizeof(FrameHeader), bytes - sizeof(FrameHeader));
        if (!is_frame_good(frame, whole.first(frame.body_bytes), header.lane)) return false;
        if (!is_padding_zero(whole, frame.body_bytes)) return false;
        body = body.subspan(bytes);
    }
    return count == header.count;
}

}  // namespace

bool is_name(std::string_view name, std::size_t bytes_max) noexcept {
    if (name.empty() || name.size() > bytes_max) return false;
    return std::all_of(name.begin(), name.end(),
                       [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

void seal(BatchHeader& header, ConstBytes body) noexcept {
    WEIR_ASSERT(body.size() <= batch_body_bytes_max);
    header.body_bytes = static_cast<std::uint32_t>(body.size());
    header.raw_bytes = header.body_bytes;
    header.body_crc = crc32c(0, body);
    header.header_crc = header_crc_of(header);
}

BatchFault check_header(ConstBytes batch, BatchHeader& header) noexcept {
    if (batch.size() < sizeof(BatchHeader)) return BatchFault::short_header;
    header = load<BatchHeader>(batch);
    if (header.magic != batch_magic) return BatchFault::magic;
    // The version says where the checksum lies, so it has to be looked at first.
    if (header.version != batch_version) return BatchFault::version;
    if (header.header_crc != header_crc_of(header)) return BatchFault::header_crc;
    if (!is_understood(header)) return BatchFault::version;
    if (!are_lengths_good(header)) return BatchFault::bytes;
    // A tick is nobody's: it may leave both names out.
    const bool may_be_empty = header.kind == BatchKind::tick;
    if (!is_name_field(header.edge_id, may_be_empty) || !is_name_field(header.lane_name, may_be_empty)) {
        return BatchFault::names;
    }
    return BatchFault::none;
}

BatchFault check_batch(ConstBytes batch, BatchHeader& header) noexcept {
    const BatchFault fault = check_header(batch, header);
    if (fault != BatchFault::none) return fault;
    const ConstBytes body = batch.subspan(sizeof(BatchHeader));
    if (body.size() != header.body_bytes) return BatchFault::bytes;
    if (crc32c(0, body) != header.body_crc) return BatchFault::body_crc;
    if (header.kind == BatchKind::events && !are_frames_good(header, body)) return BatchFault::frame;
    return BatchFault::none;
}

}  // namespace weir::wire
