// Parking and waking: the product's DutyLoop, Doorbell and Ring, in every interleaving and with every planted bug.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <functional>
#include <string_view>

#include "core/pipeline/duty_loop.hpp"
#include "core/ring/ring.hpp"
#include "tests/interleaving/atomic.hpp"
#include "tests/interleaving/explored_io.hpp"

namespace weir::interleaving {
namespace {

using Note = std::uint32_t;

// Takes notes 1, 2, 3 ... from an inlet; passes each on as the next number, if it has somebody to pass it to.
class Taker final : public Stage {
  public:
    struct Outlet {
        RingWriter<Note> ring;
        DoorbellOver<ExploredSync>* doorbell = nullptr;
    };
    struct Seen {
        Note last = 0;
        Note stride = 1;  // between two notes of this inlet
        bool is_wrong = false;
    };
    Taker(RingReader<Note> inlet, Seen& seen, std::optional<Outlet> outlet = {}, Note until = 0)
        : inlet_(inlet), outlet_(outlet), until_(until), seen_(seen) {}
    std::size_t do_work(MonotonicNs) override {
        return inlet_.consume_all([this](Note note) {
            Explorer::current()->observe(note);
            seen_.is_wrong = seen_.is_wrong || note != seen_.last + seen_.stride;  // lost, doubled or out of order
            seen_.last = note;
            if (!outlet_ || note >= until_) return;
            seen_.is_wrong = !outlet_->ring.publish(note + 1) || seen_.is_wrong;
            outlet_->doorbell->ring();
        });
    }
    bool has_input() const override { return !inlet_.is_empty(); }
    MonotonicNs next_deadline() const override { return never; }
    void drain(MonotonicNs) override { is_draining_ = true; }
    bool is_drained() const override { return is_draining_ && inlet_.is_empty(); }
    void on_completion(const io::Completion&, MonotonicNs) override {}

  private:
    RingReader<Note> inlet_;
    std::optional<Outlet> outlet_;
    Note until_;
    Seen& seen_;
    bool is_draining_ = false;
};

// A loop that parks as soon as a round found nothing.
struct Sleeper {
    ExploredIo io;
    DutyLoop<ExploredSync> loop{IdlePolicy::spin_then_park, 0};
    void start(std::unique_ptr<Stage> first, std::unique_ptr<Stage> second = nullptr) {
        std::vector<std::unique_ptr<Stage>> stages;
        stages.push_back(std::move(first));
        if (second != nullptr) stages.push_back(std::move(second));
        loop.start(io, std::move(stages));
    }
    // It did not return from a sleep more often than somebody woke it, and nobody woke it without a reason to.
    [[nodiscard]] std::string judge(std::uint32_t rings) const {
        if (io.wakes_all() > rings) return "woken more often than rung";
        if (io.sleeps_ended() > io.wakes_all()) return "a sleep ended without a wake";
        return {};
    }
};

enum class Mistake : std::uint8_t { none, rings_first, rings_never };

// Thread 0 hands over `notes` one by one and rings after each; thread 1 is the runner; it drains or halts if thread 0 asks for it.
class OneCaller final : public Scenario {
  public:
    enum class End : std::uint8_t { parked, drained, halted };
    OneCaller(Note notes, End end, Mistake mistake) : notes_(notes), end_(end), mistake_(mistake) {
        sleeper_.start(std::make_unique<Taker>(ring_.take_reader(), seen_));
    }
    void run_thread(std::size_t thread) override {
        if (thread == 1) return sleeper_.loop.run();
        for (Note note = 1; note <= notes_; ++note) {
            if (mistake_ == Mistake::rings_first) sleeper_.loop.doorbell().ring();
            all_taken_ = writer_.publish(note) && all_taken_;
            if (mistake_ == Mistake::none) sleeper_.loop.doorbell().ring();
        }
        if (end_ == End::drained) sleeper_.loop.request_drain();
        if (end_ == End::halted) sleeper_.loop.request_halt();
    }
    std::string judge() override {
        const Explorer& explorer = *Explorer::current();
        if (!all_taken_) return "the ring had no room";
        if (seen_.is_wrong) return "a note was lost, doubled or out of order";
        if (end_ != End::parked && !explorer.is_done(1)) return "the runner sleeps and will never end";
        if (end_ != End::halted && seen_.last != notes_)
            return explorer.is_done(1) ? "the runner ended before it had taken every note"
                                       : "the runner sleeps on a full inlet";
        return sleeper_.judge(notes_ + (end_ == End::parked ? 0 : 1));
    }

  private:
    Note notes_;
    End end_;
    Mistake mistake_;
    Ring<Note> ring_{4};
    RingWriter<Note> writer_ = ring_.take_writer();
    Taker::Seen seen_;
    Sleeper sleeper_;
    bool all_taken_ = true;
};

// Two callers with a ring each (threads 0 and 1), one runner (thread 2); the second caller may ask it to halt instead.
class TwoCallers final : public Scenario {
  public:
    explicit TwoCallers(bool halts) : halts_(halts) {
        sleeper_.start(std::make_unique<Taker>(rings_[0].take_reader(), seen_[0]),
                       std::make_unique<Taker>(rings_[1].take_reader(), seen_[1]));
    }
    void run_thread(std::size_t thread) override {
        if (thread == 2) return sleeper_.loop.run();
        if (thread == 1 && halts_) return sleeper_.loop.request_halt();
        all_taken_[thread] = writers_[thread].publish(Note{1});
        sleeper_.loop.doorbell().ring();
    }
    std::string judge() override {
        if (!all_taken_[0] || !(halts_ || all_taken_[1])) return "the ring had no room";
        if (halts_) return Explorer::current()->is_done(2) ? sleeper_.judge(2) : "the runner sleeps and will never end";
        if (seen_[0].is_wrong || seen_[1].is_wrong) return "a note was lost or doubled";
        if (seen_[0].last != 1 || seen_[1].last != 1) return "the runner sleeps on a full inlet";
        return sleeper_.judge(2);
    }

  private:
    bool halts_;
    std::array<Ring<Note>, 2> rings_{Ring<Note>(2), Ring<Note>(2)};
    std::array<RingWriter<Note>, 2> writers_{rings_[0].take_writer(), rings_[1].take_writer()};
    std::array<Taker::Seen, 2> seen_;
    std::array<bool, 2> all_taken_{};
    Sleeper sleeper_;
};

// Two runners that pass a note to and fro, as intake and spool do: each hand-over has to wake the other side.
class TwoRunners final : public Scenario {
  public:
    explicit TwoRunners(Note hand_overs) : hand_overs_(hand_overs) {
        seen_[0] = {.last = 0, .stride = 2, .is_wrong = false};
        seen_[1] = {.last = static_cast<Note>(-1), .stride = 2, .is_wrong = false};
        auto there = rings_[1].take_writer();
        is_begun_ = there.publish(1);
        for (std::size_t side : {0U, 1U}) {
            const std::size_t other = 1 - side;
            // The first note is in place before anybody runs: its writer goes to side 0.
            auto outlet = side == 0 ? there : rings_[0].take_writer();
            sleepers_[side].start(std::make_unique<Taker>(rings_[side].take_reader(), seen_[side],
                                                          Taker::Outlet{outlet, &sleepers_[other].loop.doorbell()},
                                                          hand_overs_));
        }
    }
    void run_thread(std::size_t thread) override { sleepers_[thread].loop.run(); }
    std::string judge() override {
        if (!is_begun_ || seen_[0].is_wrong || seen_[1].is_wrong) return "a note was lost, doubled or out of order";
        if (std::max(seen_[0].last, seen_[1].last + 1) < hand_overs_) return "both runners sleep on a note";
        for (const Sleeper& sleeper : sleepers_) {
            if (auto wrong = sleeper.judge(hand_overs_); !wrong.empty()) return wrong;
        }
        return {};
    }

  private:
    Note hand_overs_;
    std::array<Ring<Note>, 2> rings_{Ring<Note>(2), Ring<Note>(2)};  // a note is its ring's until the reader is through
    std::array<Taker::Seen, 2> seen_;
    std::array<Sleeper, 2> sleepers_;
    bool is_begun_ = false;
};

struct Case {
    const char* name;
    std::size_t threads;
    Explorer::Make make;
};

Explorer::Make one_caller(Note notes, OneCaller::End end, Mistake mistake = Mistake::none) {
    return [=] { return std::make_unique<OneCaller>(notes, end, mistake); };
}

const std::vector<Case>& cases() {
    static const std::vector<Case> all = {
        {"one caller, two notes", 2, one_caller(2, OneCaller::End::parked)},
        {"a drain behind two notes", 2, one_caller(2, OneCaller::End::drained)},
        {"a halt behind a note", 2, one_caller(1, OneCaller::End::halted)},
        {"a halt alone", 2, one_caller(0, OneCaller::End::halted)},
        {"two callers", 3, [] { return std::make_unique<TwoCallers>(false); }},
        {"a caller and a halt", 3, [] { return std::make_unique<TwoCallers>(true); }},
        {"two runners, three hand-overs", 2, [] { return std::make_unique<TwoRunners>(3); }},
    };
    return all;
}
constexpr std::array memories = {Memory::sequential, Memory::store_buffers, Memory::reordered_stores};

void print(const char* name, Memory memory, const Outcome& outcome) {
    std::printf("%-30s %-16s %9.3g interleavings in %llu runs over %llu states, up to %u steps\n", name,
                name_of(memory), outcome.interleavings, static_cast<unsigned long long>(outcome.runs),
                static_cast<unsigned long long>(outcome.states), outcome.steps_max);
}

void expect_right(const Case& one, std::uint32_t early_wakes = 0) {
    for (const Memory memory : memories) {
        const Outcome outcome =
            Explorer::explore({.memory = memory, .threads = one.threads, .early_wakes = early_wakes}, one.make);
        EXPECT_EQ(outcome.wrong, "") << one.name << ", " << name_of(memory);
        EXPECT_TRUE(outcome.is_complete) << one.name << ", " << name_of(memory);
        EXPECT_GT(outcome.states, 10U) << "nothing was explored";
        print(one.name, memory, outcome);
    }
}

TEST(Parking, LosesNoWakeUpAndNoNoteInAnyInterleaving) {
    for (const Case& one : cases()) expect_right(one);
}

TEST(Parking, StandsASleepThatEndsForNoReason) {
    expect_right({"a note, a sleep ends early", 2, one_caller(1, OneCaller::End::parked)}, 1);
    expect_right({"a drain, a sleep ends early", 2, one_caller(1, OneCaller::End::drained)}, 1);
}

// The same, larger: minutes under a slow machine, so not in every run of the tests.
TEST(ParkingDeep, LosesNoWakeUpAndNoNoteInAnyInterleaving) {
    expect_right({"one caller, three notes", 2, one_caller(3, OneCaller::End::parked)});
    expect_right({"two runners, four hand-overs", 2, [] { return std::make_unique<TwoRunners>(4); }});
    expect_right({"a drain, two sleeps end early", 2, one_caller(2, OneCaller::End::drained)}, 2);
}

// The first case in which the bug shows; empty: in none.
std::string found_in(ParkBug bug, Memory memory) {
    for (const Case& one : cases()) {
        const Outcome outcome = Explorer::explore({.memory = memory, .bug = bug, .threads = one.threads}, one.make);
        if (!outcome.wrong.empty()) return one.name + (": " + outcome.wrong.substr(0, outcome.wrong.find('\n')));
    }
    return {};
}

TEST(Parking, EachPlantedBugIsFound) {
    struct Planted {
        ParkBug bug;
        const char* name;
        bool needs_buffers;  // no order of the steps alone shows it
    };
    constexpr std::array<Planted, 6> bugs = {{{ParkBug::ring_without_fence, "ring_without_fence", true},
                                              {ParkBug::sleep_without_fence, "sleep_without_fence", true},
                                              {ParkBug::no_second_look, "no_second_look", false},
                                              {ParkBug::look_before_sleep, "look_before_sleep", false},
                                              {ParkBug::no_look_at_wishes, "no_look_at_wishes", false},
                                              {ParkBug::halt_without_ring, "halt_without_ring", false}}};
    for (const Planted& planted : bugs) {
        for (const Memory memory : memories) {
            const std::string found = found_in(planted.bug, memory);
            EXPECT_EQ(found.empty(), planted.needs_buffers && memory == Memory::sequential)
                << planted.name << ", " << name_of(memory) << ": " << found;
            std::printf("%-30s %-16s %s\n", planted.name, name_of(memory), found.empty() ? "not found" : found.c_str());
        }
    }
}

TEST(Parking, ACallerThatKeepsNotToTheProtocolIsFound) {
    for (const Mistake mistake : {Mistake::rings_first, Mistake::rings_never}) {
        const Outcome outcome = Explorer::explore({}, one_caller(2, OneCaller::End::parked, mistake));
        EXPECT_EQ(outcome.wrong.substr(0, outcome.wrong.find('\n')), "the runner sleeps on a full inlet");
    }
}

}  // namespace
}  // namespace weir::interleaving
