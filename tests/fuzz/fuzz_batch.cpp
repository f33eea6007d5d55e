// A batch from anywhere: check_batch either refuses it or every frame in it can be read within its bytes. Nearly no change
// survives the checksums, so the same bytes are looked at again with checksums that fit.
#include "core/wire/batch.hpp"
#include "core/wire/verdict.hpp"
#include "tests/fuzz/input.hpp"

namespace {
using namespace weir;

void look_at(ConstBytes batch) {
    wire::BatchHeader header;
    if (wire::check_batch(batch, header) != wire::BatchFault::none) return;
    WEIR_ASSERT(batch.size() == sizeof header + header.body_bytes);
    WEIR_ASSERT(header.kind == wire::BatchKind::tick || header.first_sequence <= header.last_sequence());
    WEIR_ASSERT(header.kind == wire::BatchKind::tick || wire::is_name(wire::name_of(header.edge_id), 32));
    std::uint32_t frames = 0;
    std::size_t bytes = 0;
    wire::for_each_frame(batch.subspan(sizeof header), [&](const wire::FrameView& frame, std::uint32_t index) {
        WEIR_ASSERT(index == frames);
        WEIR_ASSERT(frame.body.size() == frame.header.body_bytes);
        WEIR_ASSERT(frame.body.data() + frame.body.size() <= batch.data() + batch.size());
        const bool is_letter = frame.header.kind == wire::FrameKind::dead_letter;
        WEIR_ASSERT(is_letter == (header.lane == dead_letter_lane));
        WEIR_ASSERT(!is_letter || frame.body.size() >= sizeof(wire::DeadLetterHead));
        bytes += wire::frame_bytes(frame.header.body_bytes);
        ++frames;
    });
    WEIR_ASSERT(header.kind != wire::BatchKind::events || frames == header.count);
    WEIR_ASSERT(bytes == header.body_bytes);
    // What was accepted is what seal() would have made of it.
    wire::BatchHeader again = header;
    wire::seal(again, batch.subspan(sizeof header));
    WEIR_ASSERT(again.header_crc == header.header_crc);
    WEIR_ASSERT(again.body_crc == header.body_crc);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    const ConstBytes batch = std::as_bytes(std::span(data, bytes));
    look_at(batch);
    if (bytes < sizeof(wire::BatchHeader) || bytes > sizeof(wire::BatchHeader) + wire::batch_body_bytes_max) return 0;
    auto sealed = fuzz::copy_of(batch);
    auto header = wire::load<wire::BatchHeader>(sealed);
    wire::seal(header, ConstBytes(sealed).subspan(sizeof header));
    wire::store(sealed, header);
    look_at(sealed);
    return 0;
}
