// Follower beside a central that takes batches: what it stores while it is asked, redefined, stopped and started.
#include "central/analysis/follower.hpp"

#include <chrono>

#include "central/readmodel/result_questions.hpp"
#include "tests/analysis/questions_bench.hpp"
#include "tests/analysis/world.hpp"

namespace weir::central::test {
namespace {

bool catches_up(const Follower& follower, const IngestShared& shared) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (round_up(follower.counters().position.get(), journal::block_bytes) < shared.durable_position.load()) {
        if (std::chrono::steady_clock::now() > give_up) return false;
        std::this_thread::yield();
    }
    return true;
}

std::pair<int, std::string> verify(const CentralConfig& config) {
    std::ostringstream out;
    const int code = verify_command(config, {}, out, out);
    return {code, out.str()};
}

TEST(Follower, StoresWhatIsDurableWhileItIsAskedRedefinedStoppedAndStarted) {
    const Directory directory;
    Central central(small_config(directory.path()));
    const CentralConfig config = config_of(directory.path(), definitions_text + "[journal]\nsegment_bytes = 4194304\n");
    AnalyticsConfig analytics = config.analytics;
    analytics.checkpoint_ms = 10;
    analytics.commit_ms = 1;
    JournalScript script(7, central.port());
    QuestionsBench questions(config.data_dir);
    for (int life = 0; life < 3; ++life) {
        Follower follower(journal_directory(config), config.data_dir, central.shared().durable_position, analytics);
        follower.start();
        for (int piece = 0; piece < 6; ++piece) {
            script.write(10);
            // So that there are results to be asked and a run to be redefined.
            EXPECT_TRUE(catches_up(follower, central.shared()));
            EXPECT_TRUE(questions.answer("/api/v1/windows?limit=5").has_value());
            if (piece == 2) {
                auto& window = analytics.definitions.windows[2];
                window.spec.gap_ns += second;
                // What is kept beside the results must say the same.
                const auto at = analytics.text.find("gap_s = ");
                analytics.text.replace(at, analytics.text.find('\n', at) - at,
                                       "gap_s = " + std::to_string(window.spec.gap_ns / second));
                follower.redefine(analytics);
            }
        }
        EXPECT_TRUE(catches_up(follower, central.shared()));
        follower.stop();
        EXPECT_EQ(follower.counters().failures.get(), 0U);
        EXPECT_EQ(follower.take_notes(), std::vector<std::string>{"window.visits begins anew: its definition changed"});
        EXPECT_GT(follower.counters().rows.commits.get() + follower.counters().checkpoints.get(), 0U);
        const auto [code, said] = verify(config);
        EXPECT_EQ(code, exit_same) << said;
    }
    central.halt();
    auto database = Database::open(results_path(config.data_dir), Database::Use::ask);
    auto count = database.value().prepare("SELECT count(*) FROM definitions");
    EXPECT_TRUE(count.value().step().ok());
    EXPECT_EQ(count.value().number(0), 4);  // the first, and one of each life
}

TEST(Follower, GoesOnWhenItsStoreFails) {
    const Directory directory;
    Central central(small_config(directory.path()));
    const CentralConfig config = config_of(directory.path());
    // A directory where the file should be: nothing can be stored.
    std::filesystem::create_directory(results_path(config.data_dir));
    JournalScript script(8, central.port());
    script.write(20);
    Follower follower(journal_directory(config), config.data_dir, central.shared().durable_position, config.analytics);
    follower.start();
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    std::vector<std::string> notes;  // what failed is noted after it was counted
    while (notes.empty() && std::chrono::steady_clock::now() < give_up) {
        std::this_thread::yield();
        notes = follower.take_notes();
    }
    EXPECT_FALSE(notes.empty());
    EXPECT_GT(follower.counters().failures.get(), 0U);
    std::filesystem::remove(results_path(config.data_dir));
    EXPECT_TRUE(catches_up(follower, central.shared()));
    follower.stop();
    EXPECT_EQ(verify(config).first, exit_same) << verify(config).second;
    central.halt();
}

}  // namespace
}  // namespace weir::central::test
