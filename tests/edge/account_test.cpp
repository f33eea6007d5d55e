// The ledger that a running edge tells: each event once, and a fault where one has left twice.
#include <gtest/gtest.h>

#include "core/control/metrics_reader.hpp"
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

control::Metrics metrics_of(const EdgeCounters& counters) {
    const journal::ScrubCounters scrub;
    const std::vector<std::string> centrals{"127.0.0.1:7500"};
    const std::string data_dir = "/";
    const FlashCounters flash;
    return control::Metrics::read(metrics_text(counters, lanes,
                                               {.edge_id = "north",
                                                .io_name = "uring",
                                                .data_dir = data_dir,
                                                .scrub = scrub,
                                                .centrals = centrals,
                                                .runners = {{"intake", {.worked_ns = 2'500'000'000}}},
                                                .limits = {},
                                                .quarantined = 0,
                                                .prepared_bytes = 7,
                                                .flash = flash,
                                                .flash_limit_bytes = 0,
                                                .poisons = 0,
                                                .reloads_refused = 0,
                                                .tables = nullptr,
                                                .cached_tables = nullptr,
                                                .row_asks = nullptr,
                                                .is_kept_awake = false}));
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
    EXPECT_EQ(metrics_of(counters).value("weir_edge_ledger_residue_events"), -3);
}

// Who looks at the growth of a counter that appears with its first event does not see that event.
TEST(Account, EveryReasonIsThereBeforeItsFirstEvent) {
    const auto metrics = metrics_of({});
    EXPECT_EQ(metrics.value("weir_edge_dead_letters_total", "reason", "poison"), 0);
    EXPECT_EQ(metrics.all("weir_edge_dead_letters_total").size(),
              metrics.all("weir_edge_rejected_by_reason_events_total").size());
    EXPECT_EQ(metrics.all("weir_edge_dead_letters_total").size(), 26U);
    EXPECT_EQ(metrics.all("weir_edge_shed_events_total").size(), 8U) << "of two lanes";
    EXPECT_EQ(metrics.all("weir_edge_producers_refused_total").size(), 13U);
}

TEST(Account, TimesAndPartsAreInTheUnitsOfTheirNames) {
    EdgeCounters counters;
    counters.intake.fill[1].set(25);
    counters.spool.live_usual_ns.set(1'500'000);
    const auto metrics = metrics_of(counters);
    EXPECT_EQ(metrics.value("weir_edge_lane_fill_ratio", "lane", "positions"), 0.25);
    EXPECT_EQ(metrics.value("weir_edge_live_usual_seconds"), 0.0015);
    EXPECT_EQ(metrics.value("weir_edge_runner_worked_seconds_total", "runner", "intake"), 2.5);
}

}  // namespace
}  // namespace weir::edge
