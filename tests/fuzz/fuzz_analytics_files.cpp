// The operators' state file and a segment's index: whatever the bytes behind a checksum that holds, no read beyond them; an index that is
// taken up is written as the same bytes.
//
// Input     1 byte: which · its bytes without the checksum.
#include <cstring>

#include "central/analysis/state_file.hpp"
#include "central/store/segment_index.hpp"
#include "core/base/crc32c.hpp"
#include "tests/fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    using namespace weir;
    fuzz::Input input(data, bytes);
    const auto which = input.take<std::uint8_t>();
    std::vector<std::byte> whole = fuzz::copy_of(input.rest());
    const std::uint32_t crc = crc32c(0, whole);
    whole.resize(whole.size() + sizeof crc);
    std::memcpy(whole.data() + whole.size() - sizeof crc, &crc, sizeof crc);
    const std::string_view text = fuzz::text_of(whole);
    if (which % 2 == 0) {
        const auto state = central::parse_state(text);
        WEIR_ASSERT(!state || state->engine.size() < text.size());
    } else if (const auto index = central::SegmentIndex::parse(text)) {
        WEIR_ASSERT(index->bytes() == text);
    }
    return 0;
}
