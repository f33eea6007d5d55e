// A batch from anywhere: check_batch either refuses it or every frame in it can be read within its bytes.
#include "core/base/assert.hpp"
#include "core/wire/batch.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    using namespace weir;
    const ConstBytes batch = std::as_bytes(std::span(data, bytes));
    wire::BatchHeader header;
    if (wire::check_batch(batch, header) != wire::BatchFault::none) return 0;
    std::uint32_t frames = 0;
    wire::for_each_frame(batch.subspan(sizeof(header)), [&](const wire::FrameView& frame, std::uint32_t) {
        for (const std::byte one : frame.body) frames += static_cast<std::uint32_t>(one) & 0U;
        ++frames;
    });
    WEIR_ASSERT(header.kind != wire::BatchKind::events || frames == header.count);
    return 0;
}
