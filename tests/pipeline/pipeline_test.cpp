// Runners and the doorbell between them: nothing is lost when one sleeps, drains or halts.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "core/pipeline/low_latency_idle.hpp"
#include "core/pipeline/runner.hpp"
#include "core/pipeline/thread_plan.hpp"
#include "core/ring/ring.hpp"

namespace weir {
namespace {

// Takes numbers from one ring and passes them on to the next, ringing its doorbell.
class Relay final : public Stage {
  public:
    struct Ends {
        RingReader<std::uint64_t> inlet;
        RingWriter<std::uint64_t> outlet;
        Doorbell& next;
    };
    Relay(Ends ends, std::uint64_t until, std::atomic<std::uint64_t>& last) : ends_(ends), until_(until), last_(last) {}
    std::size_t do_work(MonotonicNs) override {
        return ends_.inlet.consume_all([this](std::uint64_t number) {
            last_.store(number, std::memory_order_release);
            if (number >= until_) return;
            WEIR_ASSERT(ends_.outlet.publish(number + 1));
            ends_.next.ring();
        });
    }
    bool has_input() const override { return !ends_.inlet.is_empty(); }
    MonotonicNs next_deadline() const override { return never; }
    void drain(MonotonicNs) override { is_draining_ = true; }
    bool is_drained() const override { return is_draining_ && ends_.inlet.is_empty(); }
    void on_completion(const io::Completion&, MonotonicNs) override {}

  private:
    Ends ends_;
    std::uint64_t until_;
    std::atomic<std::uint64_t>& last_;
    bool is_draining_ = false;
};

class RunnerTest : public testing::TestWithParam<io::IoChoice> {};

TEST_P(RunnerTest, NeverLosesAWakeUpOverManyHandOversBetweenParkedRunners) {
    static constexpr std::uint64_t hand_overs = 20'000;
    Ring<std::uint64_t> there(16), back(16);
    std::atomic<std::uint64_t> last_a{0}, last_b{0};
    // Parks at once: each hand-over has to wake the other side.
    RunnerOptions options{.name = "a",
                          .core = -1,
                          .idle = IdlePolicy::spin_then_park,
                          .idle_spin_ns = 0,
                          .io = GetParam(),
                          .io_options = {}};
    Runner a(options), b(options);
    auto first = there.take_writer();
    const auto one_stage = [](Relay::Ends ends, std::atomic<std::uint64_t>& last) {
        return [ends, &last](io::Io&) -> Result<std::vector<std::unique_ptr<Stage>>> {
            std::vector<std::unique_ptr<Stage>> stages;
            stages.push_back(std::make_unique<Relay>(ends, hand_overs, last));
            return stages;
        };
    };
    // b answers a; a's inlet is fed by b.
    const Status a_started = a.start(one_stage({back.take_reader(), first, b.doorbell()}, last_a));
    if (!a_started) GTEST_SKIP() << "refused here: " << a_started.error().what;
    auto back_writer = back.take_writer();
    ASSERT_TRUE(b.start(one_stage({there.take_reader(), back_writer, a.doorbell()}, last_b)).ok());
    // The first one comes from this thread, before either runner writes there.
    ASSERT_TRUE(first.publish(1));
    b.doorbell().ring();
    // A parked runner looks again after a second by itself: a lost wake-up costs that long, each time.
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (std::max(last_a.load(std::memory_order_acquire), last_b.load(std::memory_order_acquire)) < hand_overs &&
           std::chrono::steady_clock::now() < give_up) {
        std::this_thread::yield();
    }
    EXPECT_EQ(std::max(last_a.load(), last_b.load()), hand_overs);
    EXPECT_LT(a.heartbeat() + b.heartbeat(), hand_overs * 20);  // they did park
    a.request_drain();
    b.request_drain();
    a.join();
    b.join();
    EXPECT_TRUE(a.is_finished() && b.is_finished());
}

// What comes while it rests is taken in one round.
TEST_P(RunnerTest, RestsOnceItHasWorkedAndTakesWhatCameInOneRound) {
    static constexpr std::uint64_t numbers = 400;
    Ring<std::uint64_t> in(1024), out(16);
    std::atomic<std::uint64_t> last{0};
    Doorbell nobody;
    Runner runner({.name = "rests",
                   .core = -1,
                   .idle = IdlePolicy::spin_then_park,
                   .idle_spin_ns = 0,
                   .rest_ns = 20 * ns_per_ms,
                   .io = GetParam(),
                   .io_options = {}});
    auto writer = in.take_writer();
    const Status started = runner.start([&](io::Io&) -> Result<std::vector<std::unique_ptr<Stage>>> {
        std::vector<std::unique_ptr<Stage>> stages;
        stages.push_back(std::make_unique<Relay>(Relay::Ends{in.take_reader(), out.take_writer(), nobody}, 1, last));
        return stages;
    });
    if (!started) GTEST_SKIP() << "refused here: " << started.error().what;
    const std::uint64_t rounds_before = runner.heartbeat();
    for (std::uint64_t number = 1; number <= numbers; ++number) {
        ASSERT_TRUE(writer.publish(number));
        runner.doorbell().ring();
        std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (last.load(std::memory_order_acquire) < numbers && std::chrono::steady_clock::now() < give_up) {
        std::this_thread::yield();
    }
    EXPECT_EQ(last.load(), numbers);
    // Of each rest one round that works and one that finds no more; without rests there are more rounds than numbers.
    EXPECT_LT(runner.heartbeat() - rounds_before, numbers / 2);
    runner.request_drain();
    runner.join();
    EXPECT_TRUE(runner.is_finished());
}

// Of two stages on one runner the second is asked to drain when the first has.
TEST_P(RunnerTest, DrainsItsStagesInTheirOrder) {
    struct Log {
        int first_left = 3;  // rounds that the first needs to drain
        bool was_second_early = false;
    } log;
    class First final : public Stage {
      public:
        explicit First(Log& log) : log_(log) {}
        std::size_t do_work(MonotonicNs) override {
            return is_draining_ && log_.first_left > 0 ? log_.first_left-- > 0 : 0;
        }
        bool has_input() const override { return false; }
        MonotonicNs next_deadline() const override { return never; }
        void drain(MonotonicNs) override { is_draining_ = true; }
        bool is_drained() const override { return is_draining_ && log_.first_left == 0; }
        void on_completion(const io::Completion&, MonotonicNs) override {}

      private:
        Log& log_;
        bool is_draining_ = false;
    };
    class Second final : public Stage {
      public:
        explicit Second(Log& log) : log_(log) {}
        std::size_t do_work(MonotonicNs) override { return 0; }
        bool has_input() const override { return false; }
        MonotonicNs next_deadline() const override { return never; }
        void drain(MonotonicNs) override {
            is_draining_ = true;
            log_.was_second_early = log_.was_second_early || log_.first_left > 0;
        }
        bool is_drained() const override { return is_draining_; }
        void on_completion(const io::Completion&, MonotonicNs) override {}

      private:
        Log& log_;
        bool is_draining_ = false;
    };
    Runner runner({.name = "drains", .core = -1, .idle_spin_ns = 0, .io = GetParam(), .io_options = {}});
    const Status started = runner.start([&](io::Io&) -> Result<std::vector<std::unique_ptr<Stage>>> {
        std::vector<std::unique_ptr<Stage>> stages;
        stages.push_back(std::make_unique<First>(log));
        stages.push_back(std::make_unique<Second>(log));
        return stages;
    });
    if (!started) GTEST_SKIP() << "refused here: " << started.error().what;
    runner.request_drain();
    runner.join();
    EXPECT_EQ(log.first_left, 0);
    EXPECT_FALSE(log.was_second_early);
}

TEST_P(RunnerTest, HaltsWhileItSleeps) {
    Ring<std::uint64_t> in(16), out(16);
    std::atomic<std::uint64_t> last{0};
    Doorbell nobody;
    Runner runner({.name = "halts",
                   .core = -1,
                   .idle = IdlePolicy::spin_then_park,
                   .idle_spin_ns = 0,
                   .io = GetParam(),
                   .io_options = {}});
    const Status started = runner.start([&](io::Io&) -> Result<std::vector<std::unique_ptr<Stage>>> {
        std::vector<std::unique_ptr<Stage>> stages;
        stages.push_back(std::make_unique<Relay>(Relay::Ends{in.take_reader(), out.take_writer(), nobody}, 1, last));
        return stages;
    });
    if (!started) GTEST_SKIP() << "refused here: " << started.error().what;
    runner.request_halt();
    runner.join();
    EXPECT_TRUE(runner.is_finished());
}

TEST_P(RunnerTest, GivesTheErrorOfWhatItCouldNotBuild) {
    Runner runner({.name = "fails",
                   .core = -1,
                   .idle = IdlePolicy::spin_then_park,
                   .idle_spin_ns = 0,
                   .io = GetParam(),
                   .io_options = {}});
    const Status started = runner.start([](io::Io&) -> Result<std::vector<std::unique_ptr<Stage>>> {
        return Error{5, "no such stage"};
    });
    ASSERT_FALSE(started.ok());
    if (GetParam() == io::IoChoice::epoll) {
        EXPECT_EQ(started.error().what, "no such stage");
    }
    EXPECT_TRUE(runner.is_finished());
}

INSTANTIATE_TEST_SUITE_P(Kernel, RunnerTest, testing::Values(io::IoChoice::uring, io::IoChoice::epoll),
                         [](const auto& instance) {
                             return instance.param == io::IoChoice::uring ? "uring" : "epoll";
                         });

TEST(ThreadPlan, PinsOnlyWhenEveryRunnerHasACoreAndOneIsLeft) {
    const std::vector<std::string> runners = {"intake", "spool"};
    const ThreadPlan none_left = make_thread_plan("auto", {"a", "b", "c"}, IdlePolicy::spin, {0, 1, 2});
    EXPECT_EQ(none_left.places[0].core, -1);
    EXPECT_EQ(none_left.places[0].idle, IdlePolicy::spin_then_park);
    const ThreadPlan wide = make_thread_plan("auto", runners, IdlePolicy::spin, {0, 1, 2, 3});
    EXPECT_EQ(wide.places[0].core, 1);
    EXPECT_EQ(wide.places[1].core, 2);
    EXPECT_EQ(wide.places[0].idle, IdlePolicy::spin);
    EXPECT_EQ(make_thread_plan("floating", runners, IdlePolicy::spin_then_park, {0, 1, 2, 3}).places[0].core, -1);
    const ThreadPlan tight = make_thread_plan("pinned", runners, IdlePolicy::spin, {5});
    EXPECT_EQ(tight.places[0].core, 5);
    EXPECT_EQ(tight.places[1].idle, IdlePolicy::spin_then_park);  // never two that spin on one core
}

TEST(ThreadPlan, OneRunnerForAllWhereItIsAskedForOrCoresAreFew) {
    const std::vector<std::string> runners = {"intake", "spool"};
    for (const ThreadPlan& plan : {make_thread_plan("one", runners, IdlePolicy::spin, {0, 1, 2, 3}),
                                   make_thread_plan("auto", runners, IdlePolicy::spin, {3}),
                                   make_thread_plan("auto", runners, IdlePolicy::spin, {0, 1})}) {
        ASSERT_EQ(plan.places.size(), 1U);
        EXPECT_EQ(plan.places[0].runner, "intake+spool");
        EXPECT_EQ(plan.places[0].core, -1);
        EXPECT_EQ(plan.places[0].idle, IdlePolicy::spin_then_park);
    }
    EXPECT_EQ(make_thread_plan("floating", runners, IdlePolicy::spin, {3}).places.size(), 2U);
    EXPECT_EQ(make_thread_plan("auto", runners, IdlePolicy::spin, {0, 1, 2}).places.size(), 2U);
}

TEST(LowLatencyIdle, SaysWhyWhereItIsNotAllowedAndWritesNoMicroseconds) {
    EXPECT_FALSE(LowLatencyIdle::hold("/no/such/device").ok());
    std::string path = (std::filesystem::temp_directory_path() / "weir-latency-XXXXXX").string();
    const int file = ::mkstemp(path.data());
    ASSERT_GE(file, 0);
    auto held = LowLatencyIdle::hold(path);
    std::array<char, 8> bytes{};
    bytes.fill('x');
    EXPECT_TRUE(held.ok());
    EXPECT_EQ(::pread(file, bytes.data(), bytes.size(), 0), 4);
    EXPECT_EQ(std::string(bytes.data(), 5), std::string("\0\0\0\0x", 5));
    ::close(file);
    std::filesystem::remove(path);
}

}  // namespace
}  // namespace weir
