// The spool's words to intake while the ring between them is full: none is lost, none is said twice, none overtakes what it must not.
#include "edge/spool/intake_notes.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace weir::edge::test {
namespace {

constexpr std::size_t ring_places = 4;

struct NotesBench {
    Ring<ToIntake> ring{ring_places};
    RingReader<ToIntake> reader{ring.take_reader()};
    Doorbell bell;
    IntakeNotes notes{ring.take_writer(), bell, 2, 8};

    void fill_ring() {
        for (std::size_t i = 0; i < 64; ++i) notes.durable(1, i + 1, {i + 1});
    }
    std::vector<ToIntake> read() {
        std::vector<ToIntake> all;
        for (std::size_t before = SIZE_MAX; before != all.size();) {
            before = all.size();
            (void)reader.consume_all([&](const ToIntake& note) { all.push_back(note); });
            (void)notes.flush();
        }
        return all;
    }
};

TEST(IntakeNotes, RowsThatWereShedApartAreSaidOneByOneThroughAFullRing) {
    NotesBench bench;
    bench.fill_ring();
    bench.notes.shed(0, 11, 20, 10);
    bench.notes.shed(0, 31, 40, 20);
    bench.notes.shed(0, 41, 50, 30);
    std::vector<std::pair<Sequence, Sequence>> rows;
    for (const ToIntake& note : bench.read()) {
        if (note.kind == ToIntake::Kind::shed) rows.emplace_back(note.first_sequence, note.last_sequence);
    }
    EXPECT_EQ(rows, (std::vector<std::pair<Sequence, Sequence>>{{11, 20}, {31, 50}}));
}

TEST(IntakeNotes, WhatWasShedIsSaidBeforeCentralsWordThatItKnows) {
    NotesBench bench;
    bench.fill_ring();
    bench.notes.shed(0, 11, 20, 10);
    bench.notes.delivered(0, 20);
    bool is_said = false;
    for (const ToIntake& note : bench.read()) {
        if (note.kind == ToIntake::Kind::shed) is_said = true;
        if (note.kind == ToIntake::Kind::delivered) {
            EXPECT_TRUE(is_said);
        }
    }
    EXPECT_TRUE(is_said);
}

TEST(IntakeNotes, NothingIsShedThatCouldNotBeSaid) {
    NotesBench bench;
    bench.fill_ring();
    Sequence first = 1;
    for (; bench.notes.may_shed(0) && first < 1000; first += 10) bench.notes.shed(0, first, first + 4, first);
    EXPECT_EQ(first, 1 + 10 * shed_rows_max);
    EXPECT_TRUE(bench.notes.may_shed(1)) << "the other stream's are its own";
    (void)bench.read();
    EXPECT_TRUE(bench.notes.may_shed(0));
}

TEST(IntakeNotes, EachSequenceIsSaidOnceUnderRandomPressure) {
    for (std::uint32_t seed = 1; seed <= 200; ++seed) {
        std::mt19937 random(seed);
        NotesBench bench;
        std::set<Sequence> expected, said;
        Sequence next = 1;
        std::uint64_t total = 0, heard = 0;
        const auto take = [&](const ToIntake& note) {
            if (note.kind != ToIntake::Kind::shed) return;
            heard = note.shed_events;
            for (Sequence at = std::max<Sequence>(note.first_sequence, 1); at <= note.last_sequence; ++at) {
                EXPECT_TRUE(said.insert(at).second) << "seed " << seed << ": " << at << " twice";
            }
        };
        for (int step = 0; step < 200; ++step) {
            switch (random() % 4) {
                case 0:
                    if (!bench.notes.may_shed(0)) break;
                    next += random() % 3;
                    for (Sequence at = next; at < next + 3; ++at) expected.insert(at);
                    total += 3;
                    bench.notes.shed(0, next, next + 2, total);
                    next += 3;
                    break;
                case 1:
                    bench.notes.durable(0, next, {next});
                    break;
                case 2:
                    if (random() % 4 != 0 || total == 0) break;
                    bench.notes.shed_in_all(0, --total);
                    break;
                case 3:
                    if (random() % 3 != 0) break;
                    (void)bench.reader.consume_all(take);
                    (void)bench.notes.flush();
                    break;
            }
        }
        for (const ToIntake& note : bench.read()) take(note);
        EXPECT_EQ(said, expected) << "seed " << seed;
        EXPECT_EQ(heard, total) << "seed " << seed;
    }
}

}  // namespace
}  // namespace weir::edge::test
