// The ledger that a running edge tells: each event once, and a fault where one has left twice.
#include <gtest/gtest.h>

#include "edge/account.hpp"

namespace weir::edge {
namespace {

const std::vector<LaneName> lanes{{.id = 0, .name = "default"}, {.id = 1, .name = "positions"}};

// A hundred offered and accepted: sixty sequenced, of which the spool gave up ten; forty shed before they had a sequence.
void shed_before_and_behind(EdgeCounters& counters) {
    counters.intake.offered.set(100);
    counters.intake.accepted.set(100);
    counters.intake.shed[1].unsequenced.set(40);
    counters.intake.shed[1].sequences.set(10);  // what the spool told intake of
    counters.spool.lanes[1].spooled.set(60);
    counters.spool.lanes[1].shed.set(10);
    counters.spool.lanes[1].delivered.set(50);
}

TEST(Account, CountsOnceWhatTheSpoolGaveUpAndToldIntakeOf) {
    EdgeCounters counters;
    shed_before_and_behind(counters);
    const Ledger ledger = ledger_of(counters, lanes);
    EXPECT_EQ(ledger.shed, 50U);
    EXPECT_EQ(ledger.delivered, 50U);
    EXPECT_EQ(ledger.held, 0U);
    EXPECT_EQ(ledger.residue, 0);
}

TEST(Account, HoldsWhatIsNeitherDeliveredNorGivenUp) {
    EdgeCounters counters;
    shed_before_and_behind(counters);
    counters.spool.lanes[1].delivered.set(43);
    EXPECT_EQ(ledger_of(counters, lanes).held, 7U);
    EXPECT_EQ(ledger_of(counters, lanes).residue, 0);
}

TEST(Account, HasAResidueWhereMoreLeftThanCame) {
    EdgeCounters counters;
    shed_before_and_behind(counters);
    counters.spool.lanes[1].delivered.set(53);
    EXPECT_EQ(ledger_of(counters, lanes).held, 0U);
    EXPECT_EQ(ledger_of(counters, lanes).residue, -3);
}

}  // namespace
}  // namespace weir::edge
