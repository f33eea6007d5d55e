// A sink is not told of what is silenced.
#include "central/sinks/silence_book.hpp"

#include <chrono>
#include <thread>

#include "central/sinks/alert_teller.hpp"
#include "core/base/clock.hpp"
#include "tests/analysis/world.hpp"

namespace weir::central::test {
namespace {

TEST(AlertTeller, DoesNotTellWhatIsSilencedAndCountsIt) {
    World world(150);
    world.compute();
    const auto told = [&](const std::string& more) {
        return static_cast<std::uint64_t>(world.number("SELECT count(*) FROM alerts WHERE fate = 'told'" + more));
    };
    ASSERT_GT(told(" AND name = 'many'"), 0U);
    std::vector<std::string> faults;
    SilenceBook book(world.config.data_dir, faults);
    const WallNs now = wall_now();
    Silence silence;
    silence.name = "many";
    silence.until_ms = now.value / ns_per_ms + 3'600'000;
    silence.who = "test";
    silence.reason = "a test";
    ASSERT_TRUE(book.add(silence, now).ok());
    SinkConfig sink;
    sink.name = "cat";
    sink.kind = SinkConfig::Kind::command;
    sink.command = {"/bin/cat"};
    AlertTeller teller(sink, world.config.data_dir, world.journal.durable, &book);
    teller.start();
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    const auto& counters = teller.counters();
    while (counters.told.get() + counters.silenced.get() < told("") && std::chrono::steady_clock::now() < give_up) {
        std::this_thread::yield();
    }
    teller.stop();
    EXPECT_EQ(counters.told.get(), told(" AND name <> 'many'"));
    EXPECT_EQ(counters.silenced.get(), told(" AND name = 'many'"));
}

}  // namespace
}  // namespace weir::central::test
