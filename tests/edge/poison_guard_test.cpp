#include "edge/intake/poison_guard.hpp"

#include <sys/wait.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <thread>

#include "tests/edge/intake_bench.hpp"

namespace weir::edge::test {
namespace {

ConstBytes bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text));
}

PoisonGuard opened(const std::string& directory) {
    auto guard = PoisonGuard::open(directory);
    EXPECT_TRUE(guard.ok());
    return std::move(guard.value());
}

// A process that judges these events in one vector and dies of those that contain "poison"; true if it died.
bool dies_of(const std::string& directory, const std::vector<std::string>& events) {
    const pid_t child = ::fork();
    if (child == 0) {
        auto guard = PoisonGuard::open(directory);
        if (!guard) ::_exit(2);
        PoisonGuard& noted = guard.value();
        noted.begin_vector();
        for (const std::string& event : events) {
            if (noted.is_poison(bytes_of(event))) continue;
            if (noted.is_careful()) noted.begin_event(bytes_of(event));
            if (event.find("poison") != event.npos) ::raise(SIGKILL);
            if (noted.is_careful()) noted.end_event();
        }
        noted.end();
        ::_exit(0);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_FALSE(WIFEXITED(status) && WEXITSTATUS(status) == 2);
    return WIFSIGNALED(status);
}

TEST(PoisonGuard, LetsOneEventKillThreeProcessesAndNoFourth) {
    IntakeDirectory directory;
    const std::vector<std::string> events = {"one", "poison", "three"};
    EXPECT_TRUE(dies_of(directory.path, events));
    EXPECT_TRUE(dies_of(directory.path, events));
    EXPECT_TRUE(dies_of(directory.path, events));
    EXPECT_FALSE(dies_of(directory.path, events));
    EXPECT_FALSE(dies_of(directory.path, events));
    PoisonGuard guard = opened(directory.path);
    EXPECT_EQ(guard.poisons(), 1U);
    EXPECT_TRUE(guard.is_poison(bytes_of("poison")));
    // Of the same length, and of another.
    EXPECT_FALSE(guard.is_poison(bytes_of("Poison")));
    EXPECT_FALSE(guard.is_poison(bytes_of("one")));
}

TEST(PoisonGuard, NamesTwoPoisonsThatComeTogetherOneAfterTheOther) {
    IntakeDirectory directory;
    const std::vector<std::string> events = {"poison a", "poison b"};
    int deaths = 0;
    while (deaths < 20 && dies_of(directory.path, events)) ++deaths;
    EXPECT_EQ(deaths, 5);  // one unnamed, then two each
    EXPECT_EQ(opened(directory.path).poisons(), 2U);
}

TEST(PoisonGuard, AProcessThatDiesBetweenTwoVectorsWasJudgingNothing) {
    IntakeDirectory directory;
    for (const bool is_judging : {false, true}) {
        const pid_t child = ::fork();
        if (child == 0) {
            auto guard = PoisonGuard::open(directory.path);
            std::thread judge([&] {
                for (int vectors = 0; vectors < 3; ++vectors) {
                    guard.value().begin_vector();
                    guard.value().end();
                }
                if (is_judging) guard.value().begin_vector();
                ::kill(::getpid(), SIGKILL);  // the process, as from outside
                ::pause();
            });
            judge.join();
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        EXPECT_EQ(opened(directory.path).last_deaths(), is_judging ? 1U : 0U);
        EXPECT_EQ(opened(directory.path).last_deaths(), 0U) << "told once";
    }
}

TEST(PoisonGuard, WritesNothingToItsFileFromVectorToVector) {
    IntakeDirectory directory;
    const auto content = [&] {
        std::ifstream file(poison_path(directory.path), std::ios::binary);
        return std::string{std::istreambuf_iterator<char>(file), {}};
    };
    PoisonGuard guard = opened(directory.path);
    guard.begin_vector();
    guard.end();
    const std::string before = content();
    guard.begin_vector();
    EXPECT_EQ(content(), before);
    guard.end();
    EXPECT_EQ(content(), before);
}

TEST(PoisonGuard, ForgetsASuspectThatComesThrough) {
    IntakeDirectory directory;
    const auto die_with = [&](std::string_view event) {
        const pid_t child = ::fork();
        if (child == 0) {
            auto guard = PoisonGuard::open(directory.path);
            guard.value().begin_event(bytes_of(event));
            ::raise(SIGKILL);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
    };
    die_with("unlucky");
    {
        PoisonGuard guard = opened(directory.path);
        EXPECT_EQ(guard.last_deaths(), 1U);
        EXPECT_TRUE(guard.is_careful());
        guard.begin_event(bytes_of("unlucky"));
        guard.end_event();
    }
    die_with("unlucky");
    EXPECT_FALSE(opened(directory.path).is_poison(bytes_of("unlucky")));
}

TEST(PoisonGuard, IsNotCarefulAfterAnOrderlyEndOrWithAFileOfRubbish) {
    IntakeDirectory directory;
    opened(directory.path).begin_vector();
    EXPECT_FALSE(opened(directory.path).is_careful());
    std::ofstream(poison_path(directory.path), std::ios::binary) << std::string(5000, 'x');
    PoisonGuard guard = opened(directory.path);
    EXPECT_FALSE(guard.is_careful());
    EXPECT_EQ(guard.poisons(), 0U);
}

TEST(Intake, SetsAPoisonAsideUnreadAndJudgesTheRestOfItsVector) {
    IntakeDirectory directory;
    wire::EventBuilder builder;
    wire::EventView event;
    event.id = "deadly";
    event.type = "reading";
    event.source = "s";
    event.key = "k";
    event.content_type = "application/json";
    event.payload = "{\"n\":1}";
    const ConstBytes built = builder.build(event);
    for (int deaths = 0; deaths < 2; ++deaths) {
        const pid_t child = ::fork();
        if (child == 0) {
            auto guard = PoisonGuard::open(directory.path);
            guard.value().begin_event(built);
            ::raise(SIGKILL);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
    }
    PoisonGuard guard = opened(directory.path);
    IntakeBench bench(IntakeBench::config_at(directory.path));
    bench.intake->note_in(guard);
    TestProducer producer(bench);
    producer.hello(wire::AckLevel::spooled);
    for (const std::string_view id : {"before", "deadly", "after"}) producer.send_event(id);
    ASSERT_TRUE(producer.wait_acked(3));
    const auto poison = static_cast<std::size_t>(wire::Reason::poison);
    EXPECT_EQ(bench.counters.dead_letters_by_reason[poison].get(), 1U);
    EXPECT_EQ(bench.counters.accepted.get(), 3U);
    std::uint64_t letters = 0;
    for (const StoredBatch& batch : bench.stored) {
        if (batch.header.lane != dead_letter_lane) continue;
        wire::for_each_frame(batch.body(), [&](const wire::FrameView& frame, std::uint32_t) {
            const ConstBytes original = frame.body.subspan(sizeof(wire::DeadLetterHead));
            EXPECT_TRUE(std::equal(original.begin(), original.end(), built.begin(), built.end()));
            ++letters;
        });
    }
    EXPECT_EQ(letters, 1U);
}

TEST(Intake, NotesThatItIsJudgingOnlyWhileItIs) {
    IntakeDirectory directory;
    {
        PoisonGuard guard = opened(directory.path);
        IntakeBench bench(IntakeBench::config_at(directory.path));
        bench.intake->note_in(guard);
        TestProducer producer(bench);
        producer.hello(wire::AckLevel::spooled);
        producer.send_event("a");
        ASSERT_TRUE(producer.wait_acked(1));
        // As a kill would leave it now.
        std::filesystem::copy_file(poison_path(directory.path), directory.path + "/as-left");
    }
    std::filesystem::rename(directory.path + "/as-left", poison_path(directory.path));
    EXPECT_EQ(opened(directory.path).last_deaths(), 0U);
}

}  // namespace
}  // namespace weir::edge::test
