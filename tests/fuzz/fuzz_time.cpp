// Text that claims to be a time: what is read and printed reads back as the same time. The input's first eight bytes, taken as
// nanoseconds, too.
#include "core/base/time_text.hpp"
#include "tests/fuzz/input.hpp"

namespace {
using namespace weir;

constexpr std::uint64_t year_2554_s = 18'429'292'800;  // the first second that parse_time refuses

void must_survive(WallNs time) {
    const std::string printed = format_time(time);
    const auto again = parse_time(printed);
    WEIR_ASSERT(again.has_value());
    WEIR_ASSERT(*again == time);
    WEIR_ASSERT(format_time(*again) == printed);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    fuzz::Input input(data, bytes);
    if (const auto time = parse_time(fuzz::text_of(input.rest()))) must_survive(*time);
    const WallNs any{input.take<std::uint64_t>()};
    if (any.value / ns_per_second < year_2554_s) {
        must_survive(any);
    } else {
        WEIR_ASSERT(!parse_time(format_time(any)).has_value());
    }
    return 0;
}
