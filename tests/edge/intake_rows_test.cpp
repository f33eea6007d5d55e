// What intake does of a whole row at once, against the same done event by event.
#include <gtest/gtest.h>
#include <xxhash.h>

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "core/journal/at_rest.hpp"
#include "edge/intake/ack_book.hpp"
#include "edge/intake/batcher.hpp"
#include "edge/intake/duplicate_filter.hpp"
#include "edge/intake/fuse.hpp"

namespace weir::edge {
namespace {

// Two streams, the second of dead letters, and the ring's far end.
struct BatcherBench {
    explicit BatcherBench(std::uint32_t batch_bytes = batch_body_capacity) {
        streams[0].name = "default";
        streams[0].is_configured = true;
        streams[1].id = dead_letter_lane;
        streams[1].name = dead_letter_lane_name;
        batcher.emplace(Batcher::Parts{config, identity, streams, pool, ring.take_writer(), doorbell, counters});
        reader.emplace(ring.take_reader());
        std::vector<BatchLimits> limits;
        for (const LaneState& stream : streams) {
            limits.push_back({.lane_name = wire::name_field<wire::lane_name_bytes_max>(stream.name),
                              .is_in_use = true,
                              .batch_bytes = batch_bytes,
                              .batch_events = wire::batch_events_max});
        }
        batcher->configure(limits, 9);
    }
    // All that was written, batch behind batch.
    std::vector<std::byte> written() {
        batcher->close_all();
        batcher->flush();
        std::vector<std::byte> bytes;
        reader->consume_all([&](const ToSpool& note) {
            const Bytes batch = pool.buffer(note.buffer).subspan(sizeof(journal::RecordHeader), note.batch_bytes);
            bytes.insert(bytes.end(), batch.begin(), batch.end());
            batcher->durable(note.stream, batcher->last_sequence(note.stream), [](const Batcher::Closed&) {});
            batcher->give_back(note.buffer);
        });
        return bytes;
    }

    EdgeConfig config;
    SpoolIdentity identity{"north", 7, 1, 9};
    std::vector<LaneState> streams{2};
    BatchPool pool{4};
    Ring<ToSpool> ring{16};
    Doorbell doorbell;
    IntakeCounters counters;
    std::optional<Batcher> batcher;
    std::optional<RingReader<ToSpool>> reader;
};

// Frames one behind the other, of up to `bytes_max` each, and their references.
struct Row {
    Row(std::mt19937& random, std::size_t count, std::uint32_t bytes_max) {
        std::vector<std::size_t> places;
        for (std::size_t i = 0; i < count; ++i) {
            const auto body_bytes = static_cast<std::uint32_t>(1 + random() % bytes_max);
            places.push_back(bytes.size());
            const std::size_t body_at = bytes.size() + sizeof(wire::FrameHeader);
            bytes.resize(bytes.size() + wire::frame_bytes(body_bytes));
            wire::store(Bytes(bytes).subspan(places.back()), wire::FrameHeader{.body_bytes = body_bytes, .number = i});
            for (std::size_t at = 0; at < body_bytes; ++at) bytes[body_at + at] = static_cast<std::byte>(random());
            events.emplace_back().begin(body_bytes);
        }
        for (std::size_t i = 0; i < count; ++i) events[i].frame = bytes.data() + places[i];
    }
    std::vector<std::byte> bytes;
    std::vector<EventRef> events;
};

// What the spool is told of when a batch was to be closed: with its first event, or a linger behind that if it was open for so long.
TEST(Batcher, ABatchIsDueWithItsFirstEventOrWhenItHasLingered) {
    std::mt19937 random(5);
    const Row row(random, 1, 300);
    const auto due_at = [&](std::uint64_t linger_ns, MonotonicNs closed_at) {
        BatcherBench bench;
        bench.batcher->linger_at_least(linger_ns);
        bench.batcher->set_time({1000}, {});
        bench.batcher->set_judged({1500});
        (void)bench.batcher->append(0, row.events[0], 0);
        bench.batcher->set_judged({1700});
        (void)bench.batcher->append(0, row.events[0], 0);
        bench.batcher->set_time(closed_at, {});
        bench.batcher->close_all();
        bench.batcher->flush();
        std::optional<ToSpool> batch;
        bench.reader->consume_all([&](const ToSpool& note) { batch = note; });
        EXPECT_EQ(batch.value_or(ToSpool{}).closed_at, closed_at);
        return batch.value_or(ToSpool{}).due_at.value;
    };
    EXPECT_EQ(due_at(0, {5000}), 1500U);
    EXPECT_EQ(due_at(2000, {5000}), 3500U);
    EXPECT_EQ(due_at(2000, {3000}), 3000U) << "it was full before";
}

// What is written is whole blocks: the last one is not left empty because the batch has its bytes with the first event in it. Of events that come
// one by one: with a whole vector a batch may go on behind that block.
TEST(Batcher, ABatchFillsTheBlockInWhichItHasItsBytes) {
    constexpr std::uint64_t frame_bytes = 216;
    std::vector<std::byte> frame(frame_bytes);
    wire::store(Bytes(frame), wire::FrameHeader{.body_bytes = 200});
    EventRef event;
    event.begin(200);
    event.frame = frame.data();
    for (const std::uint32_t batch_bytes : {4096U, 16'384U, 262'144U}) {
        BatcherBench bench(batch_bytes);
        std::uint32_t closed = 0;
        for (int i = 0; i < 3000; ++i) {
            (void)bench.batcher->append(0, event, 0);
            bench.batcher->close_full();
            bench.batcher->flush();
            bench.reader->consume_all([&](const ToSpool& note) {
                const std::uint64_t record = sizeof(journal::RecordHeader) + note.batch_bytes;
                const std::uint64_t written = round_up(record, journal::block_bytes);
                EXPECT_EQ(written, round_up(batch_body_at + batch_bytes, journal::block_bytes)) << batch_bytes;
                EXPECT_LT(written - record, frame_bytes + sizeof(journal::RecordSeal)) << batch_bytes;
                EXPECT_EQ(round_up(record + sizeof(journal::RecordSeal), journal::block_bytes), written) << "encrypted";
                bench.batcher->durable(note.stream, bench.batcher->last_sequence(note.stream), [](const auto&) {});
                bench.batcher->give_back(note.buffer);
                ++closed;
            });
        }
        EXPECT_GE(closed, 2U) << batch_bytes;
    }
}

// How many batches are closed as full by so many events of that size, one by one.
std::size_t closed_of(std::uint32_t batch_bytes, std::uint32_t body_bytes, int events) {
    std::vector<std::byte> frame(wire::frame_bytes(body_bytes));
    wire::store(Bytes(frame), wire::FrameHeader{.body_bytes = body_bytes});
    EventRef event;
    event.begin(body_bytes);
    event.frame = frame.data();
    BatcherBench bench(batch_bytes);
    std::size_t closed = 0;
    for (int i = 0; i < events; ++i) {
        (void)bench.batcher->append(0, event, 0);
        bench.batcher->close_full();
        closed += bench.batcher->flush();
    }
    return closed;
}

// However large its events are: the mean of a few says little of the next.
TEST(Batcher, ABatchIsNotFullBeforeItHasItsBytes) {
    EXPECT_EQ(closed_of(65'536, 36'000, 1), 0U);
    EXPECT_EQ(closed_of(65'536, 36'000, 2), 1U);
}

// One that nothing like it would fit beside waits for nobody.
TEST(Batcher, ALargeEventIsABatchOfItsOwn) {
    EXPECT_EQ(closed_of(262'144, 200'000, 1), 1U);
}

TEST(Rows, ARowIsPlacedAsItsEventsOneByOne) {
    std::mt19937 random(5);
    BatcherBench rows, single;
    std::uint64_t at_once = 0;
    for (int step = 0; step < 400; ++step) {
        // Some make a batch run over.
        const Row row(random, 1 + random() % 64, random() % 8 == 0 ? 9000 : 300);
        const auto tag = static_cast<std::uint16_t>(random() % 3);
        for (std::span<const EventRef> rest = row.events; !rest.empty();) {
            const Batcher::Room room = rows.batcher->open_room(0);
            std::uint64_t bytes = 0;
            std::size_t count = 0;
            for (; count < std::min<std::size_t>(rest.size(), room.events); ++count) {
                bytes += rest[count].frame_bytes();
                if (bytes > room.bytes) break;
            }
            const Placed placed = count == 0 ? rows.batcher->append(0, rest[0], tag)
                                             : rows.batcher->append_row(0, rest.first(count), tag);
            at_once += count;
            count = std::max<std::size_t>(count, 1);
            Placed other;
            for (const EventRef& event : rest.first(count)) other = single.batcher->append(0, event, tag);
            ASSERT_EQ(placed.sequence, other.sequence);
            ASSERT_EQ(placed.batch, other.batch);
            ASSERT_EQ(placed.stream, other.stream);
            rest = rest.subspan(count);
        }
        if (random() % 4 == 0) {
            ASSERT_EQ(rows.written(), single.written()) << step;
        }
    }
    EXPECT_EQ(rows.written(), single.written());
    EXPECT_EQ(rows.counters.accepted.get(), single.counters.accepted.get());
    EXPECT_EQ(rows.batcher->copied_bytes(), single.batcher->copied_bytes());
    EXPECT_EQ(rows.counters.hops.batched.count(), single.counters.hops.batched.count());
    EXPECT_GT(at_once, 5'000U);
}

TEST(Rows, AFuseCountsARowAsItsEventsOneByOne) {
    DeadLettersConfig config;
    config.fuse_window_events = 400;
    config.fuse_failures_min = 40;
    config.fuse_trial_events = 10;
    config.fuse_pause_ms = 50;
    std::mt19937 random(6);
    Fuse rows(config), single(config);
    std::array<ConnectionRecord, 3> of_rows, of_single;
    std::array<std::uint64_t, 3> states{};
    for (std::uint64_t step = 0; step < 50'000; ++step) {
        const std::size_t connection = random() % 3;
        const auto events = static_cast<std::uint32_t>(random() % 65);
        // Good and bad times, so that it blows, tries, and closes.
        const bool has_failed = step / 500 % 2 == 0 && random() % 4 != 0;
        for (std::uint32_t i = 0; i < events; ++i) single.count(of_single[connection], has_failed);
        if (has_failed) {
            for (std::uint32_t i = 0; i < events; ++i) rows.count(of_rows[connection], true);
        } else {
            rows.count_passed(of_rows[connection], events);
        }
        const MonotonicNs now{step * ns_per_ms};
        ASSERT_EQ(rows.look(now), single.look(now)) << step;
        ASSERT_EQ(rows.state(), single.state());
        ++states[static_cast<std::size_t>(rows.state())];
        for (std::size_t one = 0; one < 3; ++one) {
            ASSERT_EQ(of_rows[one].judged, of_single[one].judged);
            ASSERT_EQ(of_rows[one].failed, of_single[one].failed);
            ASSERT_EQ(rows.holds(of_rows[one]), single.holds(of_single[one]));
        }
    }
    for (const std::uint64_t times : states) EXPECT_GT(times, 100U);
}

TEST(Rows, AreAckedAsTheirEventsOneByOne) {
    std::vector<LaneState> lanes(2);
    IntakeHops row_hops, single_hops;
    AckBook rows(3, lanes, row_hops), single(3, lanes, single_hops);
    std::mt19937 random(7);
    std::array<Sequence, 2> appended{}, batch{1, 1};
    std::array<std::uint64_t, 3> ordinals{};
    MonotonicNs now{1};
    const auto expect_same_acks = [&](std::uint32_t connection) {
        std::array<wire::AckRange, 64> a, b;
        std::uint64_t events_a = 0, events_b = 0;
        const auto count_a = rows.take_ready(connection, a, events_a);
        const auto count_b = single.take_ready(connection, b, events_b);
        ASSERT_EQ(count_a, count_b);
        ASSERT_EQ(events_a, events_b);
        for (std::uint32_t i = 0; i < count_a; ++i) {
            ASSERT_EQ(a[i].first_ordinal, b[i].first_ordinal);
            ASSERT_EQ(a[i].count, b[i].count);
            ASSERT_EQ(a[i].status, b[i].status);
        }
    };
    for (int step = 0; step < 20'000; ++step) {
        now = now.plus_ns(random() % 1000);
        const auto connection = static_cast<std::uint32_t>(random() % 3);
        const auto lane = static_cast<std::uint8_t>(random() % 2);
        const Wait wait = random() % 2 == 0 ? Wait::spooled : Wait::delivered;
        const auto what = random() % 8;
        if (what < 5) {
            const auto count = static_cast<std::uint32_t>(1 + random() % 20);
            AckItem item{.connection = connection, .ordinal = ordinals[connection] + 1, .received_at = now};
            for (std::uint32_t i = 0; i < count; ++i) {
                item.ordinal = ++ordinals[connection];
                single.appended(lane, appended[lane] + i + 1);
                if (what == 0) {
                    single.ack_now(item);
                } else {
                    single.wait_for(wait, lane, appended[lane] + i + 1, batch[lane], item);
                }
            }
            item.ordinal -= count - 1;
            item.count = count;
            appended[lane] += count;
            rows.appended(lane, appended[lane]);
            if (what == 0) {
                rows.ack_now(item);
            } else {
                rows.wait_for(wait, lane, appended[lane], batch[lane], item);
            }
        } else if (what == 5) {
            batch[lane] = appended[lane] + 1;
            rows.reached(wait, lane, appended[lane], now);
            single.reached(wait, lane, appended[lane], now);
        } else if (what == 6) {
            const AckItem item{
                .connection = connection, .ordinal = ++ordinals[connection], .status = wire::AckStatus::duplicate};
            rows.wait_behind_all(wait, item);
            single.wait_behind_all(wait, item);
        } else {
            expect_same_acks(connection);
            if (HasFatalFailure()) return;
        }
    }
    EXPECT_EQ(row_hops.spooled_ack.count(), single_hops.spooled_ack.count());
    EXPECT_EQ(row_hops.spooled_ack.sum(), single_hops.spooled_ack.sum());
    EXPECT_EQ(row_hops.delivered_ack.sum(), single_hops.delivered_ack.sum());
    EXPECT_GT(row_hops.spooled_ack.count(), 10'000U);
}

TEST(Rows, AdmittingIsAskingAndInsertingInOne) {
    constexpr DuplicateFilter::Options options{.ids_max = 48, .lifetime_s = 10, .seed = 3};
    DuplicateFilter one(options), two(options);
    std::mt19937 random(8);
    std::uint32_t seconds = 1;
    std::uint64_t known = 0;
    for (int step = 0; step < 100'000; ++step) {
        if (random() % 16 == 0) ++seconds;
        // Few homes: what is looked for, what makes room and what has expired lie in one cluster.
        const std::uint64_t id = random() % 90;
        const Fingerprint fingerprint{.high = id, .low = id / 30 << 32U | id % 30};
        const bool is_known = one.contains(fingerprint, seconds);
        if (!is_known) one.insert(fingerprint, seconds);
        ASSERT_EQ(two.admit(fingerprint, seconds), !is_known) << step;
        ASSERT_EQ(one.count(), two.count());
        known += is_known ? 1 : 0;
    }
    EXPECT_GT(known, 10'000U);
}

// The values lie in files: they are those of libxxhash over source, zero, id, for every length.
TEST(Rows, AFingerprintIsTheHashItAlwaysWas) {
    const std::string letters = [] {
        std::string text;
        for (int i = 0; i < 256; ++i) text.push_back(static_cast<char>('!' + i % 90));
        return text;
    }();
    for (std::size_t source_bytes = 0; source_bytes <= 256; source_bytes += source_bytes < 40 ? 1 : 27) {
        for (std::size_t id_bytes = 0; id_bytes <= 256; ++id_bytes) {
            const std::string_view source = std::string_view(letters).substr(0, source_bytes);
            const std::string_view id = std::string_view(letters).substr(256 - id_bytes);
            const std::string joined = std::string(source) + '\0' + std::string(id);
            const XXH128_hash_t hash = XXH3_128bits_withSeed(joined.data(), joined.size(), 77);
            const Fingerprint expected{hash.high64, hash.low64};
            ASSERT_EQ(fingerprint_of(source, id, 77), expected) << source_bytes << " " << id_bytes;
        }
    }
    EXPECT_EQ(hash_of("a key"), XXH3_64bits("a key", 5));
}

}  // namespace
}  // namespace weir::edge
