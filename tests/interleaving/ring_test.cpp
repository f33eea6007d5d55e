// The ring between its two threads: the product's wrapper over Boost's own source, in every interleaving of its atomics.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>

#include "core/ring/ring.hpp"
#include "tests/interleaving/atomic.hpp"

namespace weir::interleaving {
namespace {

using Note = std::uint32_t;

enum class Taking : std::uint8_t {
    all,       // consume_all, which hands out elements where they lie
    vectors,   // consume(span)
    too_late,  // a mistake: looks at the elements of consume_all after that has returned
};

// Thread 0 publishes notes in vectors into a ring that is smaller than all of them; thread 1 takes them. Each tries a bounded number of
// times; what it did not take is looked for at the end.
class Transfer final : public Scenario {
  public:
    struct Shape {
        std::size_t capacity = 2;
        Note notes = 4;
        std::size_t vector = 2;  // notes offered at a time; 1: publish(const T&)
        std::uint32_t tries = 3;
        Taking taking = Taking::all;
    };
    explicit Transfer(Shape shape) : shape_(shape), ring_(shape.capacity) {}
    void run_thread(std::size_t thread) override { thread == 0 ? publish() : take(); }
    std::string judge() override {
        shape_.taking = Taking::all;
        take_some();  // what was still under way
        if (is_changed_) return "an element changed while its reader had it";
        if (is_wrong_) return "a note was lost, doubled or out of order";
        if (room_shrank_) return "publish() took less than room() had promised";
        if (last_ + 1 != next_) return "a note is missing at the end";
        return reader_.is_empty() ? "" : "the ring is not empty";
    }

  private:
    void publish() {
        for (std::uint32_t round = 0; round < shape_.tries && next_ <= shape_.notes; ++round) {
            std::array<Note, 8> some{};
            const std::size_t count = std::min<std::size_t>(shape_.vector, shape_.notes - next_ + 1);
            for (std::size_t i = 0; i < count; ++i) some[i] = next_ + static_cast<Note>(i);
            const std::size_t room = writer_.room();
            const std::size_t taken = shape_.vector == 1 ? std::size_t{writer_.publish(some[0])}
                                                         : writer_.publish(std::span<const Note>(some.data(), count));
            room_shrank_ = room_shrank_ || taken < std::min(room, count);
            next_ += static_cast<Note>(taken);
        }
    }
    void take() {
        for (std::uint32_t round = 0; round < shape_.tries; ++round) take_some();
    }
    void take_some() {
        Explorer& explorer = *Explorer::current();
        std::array<const Note*, 8> places{};
        std::array<Note, 8> some{};
        std::size_t count = 0;
        switch (shape_.taking) {
            case Taking::all:
                reader_.consume_all([&](const Note& note) {
                    const Note before = note;
                    explorer.observe(before);
                    explorer.step();  // the writer may run while the reader has the element
                    is_changed_ = is_changed_ || note != before;
                    check(before);
                });
                return;
            case Taking::vectors:
                count = reader_.consume(std::span(some.data(), 2));
                for (std::size_t i = 0; i < count; ++i) check(some[i]);
                return;
            case Taking::too_late:
                reader_.consume_all([&](const Note& note) { places[count++] = &note; });
                explorer.step();
                for (std::size_t i = 0; i < count; ++i) check(*places[i]);
                return;
        }
    }
    void check(Note note) {
        Explorer::current()->observe(note);
        is_wrong_ = is_wrong_ || note != last_ + 1;
        last_ = note;
    }

    Shape shape_;
    Ring<Note> ring_;
    RingWriter<Note> writer_ = ring_.take_writer();
    RingReader<Note> reader_ = ring_.take_reader();
    Note next_ = 1;  // to publish
    Note last_ = 0;  // taken
    bool is_wrong_ = false, is_changed_ = false, room_shrank_ = false;
};

Outcome explore(Memory memory, Transfer::Shape shape) {
    return Explorer::explore({.memory = memory}, [shape] { return std::make_unique<Transfer>(shape); });
}
constexpr std::array memories = {Memory::sequential, Memory::store_buffers, Memory::reordered_stores};

TEST(RingInterleavings, LoseDoubleAndReorderNothing) {
    for (const Memory memory : memories) {
        for (const std::size_t vector : {1U, 2U, 3U}) {
            for (const Taking taking : {Taking::all, Taking::vectors}) {
                const Outcome outcome =
                    explore(memory, {.capacity = 2, .notes = 5, .vector = vector, .tries = 4, .taking = taking});
                EXPECT_EQ(outcome.wrong, "");
                EXPECT_TRUE(outcome.is_complete);
                std::printf(
                    "ring, %zu at a time, %-8s        %-16s %9.3g interleavings in %llu runs over %llu states\n",
                    vector, taking == Taking::all ? "in place" : "copied", name_of(memory), outcome.interleavings,
                    static_cast<unsigned long long>(outcome.runs), static_cast<unsigned long long>(outcome.states));
            }
        }
    }
}

TEST(RingInterleavings, AReaderThatLooksAtAnElementTooLateIsFound) {
    const Outcome outcome = explore(Memory::sequential, {.taking = Taking::too_late});
    EXPECT_EQ(outcome.wrong.substr(0, outcome.wrong.find('\n')), "a note was lost, doubled or out of order");
}

}  // namespace
}  // namespace weir::interleaving
