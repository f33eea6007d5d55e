// Counts what judging allocates: operator new of this program tells.
#include "tests/counted_new.hpp"
#include "tests/rules/rules_bench.hpp"

namespace weir::rules::test {
namespace {

using weir::test::allocations;
using weir::test::counts_allocations;

TEST(Judge, AllocatesNothing) {
    const RuleSet set =
        set_of({"type == \"violation.parking\" && data.fine > 100.5",
                "lower(data.name) == \"\\u00e4bc\\n\" || upper(key) == \"X\"",
                "data.list[1].x in [1,2,3,4,5,6,7,8,9,10,11]", "time(data.when) < time && number(data.n) == 1e300",
                "trace like \"00*\" && contains(source, \"police\")", "lookup(\"t\", data.name).x == null",
                "len(data.list) * 10m / 3 > 1h", "default(data.rate, 5) + 1.5 > abs(floor(data.rate)) % 7"});
    Judge judge(set);
    const Event event(
        R"({"fine": 1.25e2, "name": "\u00e4BC\n", "list": [1, {"x": 11}], "when": "2017-12-01T00:00:00.5Z", "n": "1e300",
        "rate": 123456789012345678901234567890.123456789012345678901234567890})");
    const Event broken("{\"fine\": 12");
    counts_allocations = true;
    // The counter counts: a look at it before it is trusted.
    ::operator delete(::operator new(8));
    const std::uint64_t seen = allocations;
    allocations = 0;
    std::uint64_t bits = 0;
    for (int n = 0; n < 10'000; ++n) {
        judge.begin({n % 3 == 0 ? broken.view : event.view, "north", "fast", "live"});
        bits ^= judge.matches()[0];
        bits ^= judge.first_match(2, 8).value_or(64);
        bits ^= judge.value(6).is_null() ? 1U : 0U;
    }
    counts_allocations = false;
    EXPECT_EQ(seen, 1U);
    EXPECT_EQ(allocations, 0U);
    judge.begin({event.view});
    EXPECT_EQ(judge.matches()[0] & 0x3fU, 0x3fU) << bits;  // and it did do the work
}

}  // namespace
}  // namespace weir::rules::test
