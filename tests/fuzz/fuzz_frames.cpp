// A stream of bytes cut as the input says: the splitter gives the same frames however it is cut, or the same fault.
#include <string>

#include "core/base/assert.hpp"
#include "core/wire/splitter.hpp"

namespace {
using namespace weir;

struct Seen {
    std::string frames;
    wire::SplitFault fault = wire::SplitFault::none;
};

// Feeds the stream in pieces of `piece_bytes` (0: all at once).
Seen split_in_pieces(ConstBytes stream, std::size_t piece_bytes) {
    wire::CarryPool pool(1, 4096);
    wire::FrameSplitter splitter(pool, 4096);
    Seen seen;
    while (!stream.empty() && seen.fault == wire::SplitFault::none) {
        ConstBytes piece = stream.first(piece_bytes == 0 ? stream.size() : std::min(piece_bytes, stream.size()));
        stream = stream.subspan(piece.size());
        for (std::size_t rounds = 0; rounds < stream.size() + piece.size() + 8; ++rounds) {
            const std::size_t used = splitter.split(
                piece, 7,
                [&](const wire::FrameHeader&, ConstBytes frame) {
                    seen.frames.append(reinterpret_cast<const char*>(frame.data()), frame.size());
                    return true;
                },
                seen.fault);
            piece = piece.subspan(used);
            if (seen.fault != wire::SplitFault::none || piece.empty()) break;
        }
        WEIR_ASSERT(seen.fault != wire::SplitFault::none || piece.empty());
    }
    return seen;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    if (bytes < 2) return 0;
    const ConstBytes stream = std::as_bytes(std::span(data + 1, bytes - 1));
    const Seen whole = split_in_pieces(stream, 0);
    const Seen cut = split_in_pieces(stream, 1 + data[0] % 64U);
    WEIR_ASSERT(whole.fault == cut.fault);
    WEIR_ASSERT(whole.frames == cut.frames);
    return 0;
}
