// A stream of bytes cut as the input says: the splitter gives the same frames however it is cut, or the same fault; the frames
// are the stream itself, one behind the other; and every carry buffer comes back.
//
// Input     1 byte: how to cut · 1 byte: which frames to put off once · the stream.
#include <string>

#include "core/wire/splitter.hpp"
#include "tests/fuzz/input.hpp"

namespace {
using namespace weir;

constexpr std::uint32_t body_bytes_max = 4096;

struct Seen {
    std::string frames;
    wire::SplitFault fault = wire::SplitFault::none;
};

// `cut` 0: all at once; below 64: in pieces of so many bytes; above: in pieces of changing length. `put_off` 0: each frame is
// taken as it comes.
Seen split_in_pieces(ConstBytes stream, std::uint8_t cut, std::uint8_t put_off) {
    wire::CarryPool pool(1, body_bytes_max);
    Seen seen;
    {
        wire::FrameSplitter splitter(pool, body_bytes_max);
        std::uint32_t state = cut;
        std::uint32_t offers = 0;
        const auto take = [&](const wire::FrameHeader& header, ConstBytes frame) {
            if (put_off != 0 && ++offers % (2U + put_off % 7U) == 0) return false;
            WEIR_ASSERT(frame.size() == wire::frame_bytes(header.body_bytes));
            seen.frames += fuzz::text_of(frame);
            return true;
        };
        while (!stream.empty() && seen.fault == wire::SplitFault::none) {
            state = state * 1'664'525U + 1'013'904'223U;
            std::size_t piece_bytes = cut < 64 ? cut : 1 + (state >> 16) % cut;
            if (cut == 0) piece_bytes = stream.size();
            ConstBytes piece = stream.first(std::min(piece_bytes, stream.size()));
            stream = stream.subspan(piece.size());
            // Every round takes a frame, puts one off, or is the last.
            const std::size_t rounds_max = 8 + 4 * (seen.frames.size() + piece.size());
            for (std::size_t rounds = 0;; ++rounds) {
                WEIR_ASSERT(rounds < rounds_max);
                const std::size_t used = splitter.split(piece, 1 + put_off % 5U, take, seen.fault);
                WEIR_ASSERT(!splitter.needs_carry());
                piece = piece.subspan(used);
                if (seen.fault != wire::SplitFault::none || piece.empty()) break;
            }
        }
        // What waits in the carry because it was put off is offered again.
        for (int i = 0; i < 4 && seen.fault == wire::SplitFault::none; ++i) {
            static_cast<void>(splitter.split({}, 8, take, seen.fault));
        }
        splitter.release_taken();
    }
    WEIR_ASSERT(pool.free_count() == 1);
    return seen;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    fuzz::Input input(data, bytes);
    const auto cut = input.take<std::uint8_t>();
    const auto put_off = input.take<std::uint8_t>();
    const ConstBytes stream = input.rest();
    const Seen whole = split_in_pieces(stream, 0, 0);
    WEIR_ASSERT(fuzz::text_of(stream).starts_with(whole.frames));
    const Seen cut_up = split_in_pieces(stream, cut, 0);
    WEIR_ASSERT(whole.fault == cut_up.fault);
    WEIR_ASSERT(whole.frames == cut_up.frames);
    const Seen halting = split_in_pieces(stream, cut, put_off);
    WEIR_ASSERT(whole.fault == halting.fault);
    WEIR_ASSERT(whole.frames == halting.frames);
    return 0;
}
