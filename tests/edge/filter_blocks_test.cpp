// The duplicate filter on the disk: its blocks against the filter itself, what is torn, what an earlier edition wrote, and that no write that is
// torn takes an id on which the checkpoint counts.
#include "edge/intake/filter_blocks.hpp"

#include <bit>
#include <fstream>
#include <random>

#include "core/base/crc32c.hpp"
#include "tests/edge/intake_bench.hpp"

namespace weir::edge::test {
namespace {

constexpr std::uint64_t second = ns_per_second;
using Options = DuplicateFilter::Options;
using Block = std::vector<std::byte>;

Block sealed(const DuplicateFilter& filter, std::uint64_t number, std::uint64_t entries = filter_block_entries) {
    Block block(filter_bytes_of(entries));
    seal_filter_block(filter, number, block);
    return block;
}

Fingerprint id(std::uint64_t number) {
    return {.high = number * 0x9e3779b97f4a7c15U, .low = ~number * 0xbf58476d1ce4e5b9U};
}

TEST(FilterBlocks, HoldWhatTheFilterKnows) {
    for (const std::uint32_t ids_max : {60U, 240U, 1000U}) {
        const Options options{.ids_max = ids_max, .lifetime_s = 100, .seed = 3};
        std::mt19937 random(ids_max);
        DuplicateFilter filter(options);
        std::uint32_t seconds = 7;
        for (std::uint64_t number = 1; number < 3000; ++number) {
            if (random() % 10 == 0) ++seconds;
            if (random() % 500 == 0) filter.skip_to(filter.next_index() + random() % 90);
            filter.insert(id(number), seconds);
            if (random() % 200 != 0) continue;
            DuplicateFilter read(options);
            for (std::uint64_t block = filter.oldest_index() / filter_block_entries;
                 block <= filter.next_index() / filter_block_entries; ++block) {
                const Block bytes = sealed(filter, block);
                const FilterBlockHead head = open_filter_block(bytes, options.seed);
                ASSERT_EQ(head.step(), 1U);
                ASSERT_EQ(head.number(), block);
                restore_filter_block(read, head, bytes);
            }
            ASSERT_EQ(read.count(), filter.count());
            ASSERT_EQ(read.next_index(), filter.next_index());
            ASSERT_EQ(read.newest_seconds(), filter.newest_seconds());
            for (std::uint64_t one = 1; one <= number; ++one) {
                for (const std::uint32_t later : {0U, 50U, 100U}) {  // its age too
                    ASSERT_EQ(read.index_of(id(one), seconds + later), filter.index_of(id(one), seconds + later))
                        << one;
                }
            }
        }
    }
}

// head: number << 20 | step, seconds, CRC; then hash and age of each.
TEST(FilterBlocks, AreLaidOutAsTheirHeaderSays) {
    constexpr std::uint64_t seed = 0x0123456789abcdefU;
    DuplicateFilter filter({.ids_max = 1000, .lifetime_s = 5000, .seed = seed});
    filter.skip_to(483);  // the fourth of block 2
    filter.insert({.high = 0x1122334455667788U, .low = 5}, 1000);
    filter.insert({.high = 9, .low = 0xa1a2a3a4a5a6a7a8U}, 3003);
    Block block = sealed(filter, 2, 6);
    EXPECT_EQ(wire::load<std::uint64_t>(block), 2U << 20U | 8U) << "2003 s in 254 steps";
    EXPECT_EQ(wire::load<std::uint32_t>(ConstBytes(block).subspan(8)), 3003U);
    const auto age = [&](std::size_t entry) { return std::to_integer<unsigned>(block[16 + 17 * entry + 16]); };
    for (const std::size_t none : {0U, 1U, 2U, 5U}) EXPECT_EQ(age(none), 255U);
    EXPECT_EQ(age(3), (3008U - 1000U) / 8U);
    EXPECT_EQ(age(4), 0U);
    EXPECT_EQ(wire::load<std::uint64_t>(ConstBytes(block).subspan(16 + 17 * 3)), 0x1122334455667788U);
    EXPECT_EQ(wire::load<std::uint64_t>(ConstBytes(block).subspan(16 + 17 * 4 + 8)), 0xa1a2a3a4a5a6a7a8U);
    const auto crc = wire::load<std::uint32_t>(ConstBytes(block).subspan(12));
    wire::store(Bytes(block).subspan(12), std::uint32_t{0});
    EXPECT_EQ(crc, crc32c(crc32c(0, std::as_bytes(std::span(&seed, 1))), block));
}

// However often it is read back and sealed again, beside younger ones each time.
TEST(FilterBlocks, LetAnEntryLiveLongerByLessThanAStepAndNeverShorter) {
    std::mt19937 random(5);
    for (int round = 0; round < 60; ++round) {
        const auto span = static_cast<std::uint32_t>(random() % (round < 20 ? 250 : 31'536'000));
        const Options options{.ids_max = 1000, .lifetime_s = 40'000'000, .seed = 3};
        auto filter = std::make_unique<DuplicateFilter>(options);
        std::vector<std::uint32_t> then;
        for (int i = 0; i < 60; ++i) then.push_back(static_cast<std::uint32_t>(10 + random() % (span + 1)));
        std::sort(then.begin(), then.end());
        for (std::size_t i = 0; i < then.size(); ++i) filter->insert(id(i), then[i]);
        for (int life = 0; life < 100; ++life) {
            const Block block = sealed(*filter, 0);
            const FilterBlockHead head = open_filter_block(block, options.seed);
            // By what was inserted: what is read back may reach less far.
            std::uint32_t step = 1;
            while ((round_up(then.back(), step) - then.front()) / step > 254) step *= 2;
            ASSERT_TRUE(std::has_single_bit(head.step()));
            ASSERT_LE(head.step(), step);
            filter = std::make_unique<DuplicateFilter>(options);
            restore_filter_block(*filter, head, block);
            ASSERT_EQ(filter->newest_seconds(), then.back());
            filter->for_each(1, then.size(), [&](std::uint64_t index, const FilterEntry* entry) {
                ASSERT_NE(entry, nullptr);
                ASSERT_GE(entry->seconds, then[index - 1]);
                ASSERT_LT(entry->seconds, then[index - 1] + step) << "life " << life;
            });
            then.push_back(then.back() + static_cast<std::uint32_t>(random() % (step + 1)));
            filter->insert(id(then.size()), then.back());
        }
    }
}

// What would make a clock or a block's number pass its bound.
TEST(FilterBlocks, AnEntryBeyondTheBoundsIsNone) {
    DuplicateFilter filter({.ids_max = 100, .lifetime_s = 100, .seed = 3});
    EXPECT_FALSE(filter.restore(1, id(1), DuplicateFilter::restored_seconds_max + 1));
    EXPECT_FALSE(filter.restore(DuplicateFilter::index_max + 1, id(2), 5));
    EXPECT_FALSE(filter.restore(0, id(3), 5));
    EXPECT_EQ(filter.count(), 0U);
    EXPECT_TRUE(filter.restore(DuplicateFilter::index_max, id(4), DuplicateFilter::restored_seconds_max));
    const Block block = sealed(filter, DuplicateFilter::index_max / filter_block_entries);
    EXPECT_EQ(open_filter_block(block, 3).number(), DuplicateFilter::index_max / filter_block_entries);
    EXPECT_EQ(filter.index_of(id(4), DuplicateFilter::restored_seconds_max), DuplicateFilter::index_max);
}

TEST(FilterBlocks, ATornOneAndOneOfAnotherFilterAreNone) {
    const Options options{.ids_max = 1000, .lifetime_s = 100, .seed = 3};
    DuplicateFilter filter(options);
    for (std::uint64_t number = 1; number < 500; ++number) filter.insert(id(number), 5);
    const Block block = sealed(filter, 1);
    ASSERT_EQ(open_filter_block(block, 3).step(), 1U);
    EXPECT_EQ(open_filter_block(block, 4).step(), 0U);
    for (std::size_t at = 0; at < block.size(); ++at) {
        Block torn = block;
        torn[at] ^= std::byte{1};
        EXPECT_EQ(open_filter_block(torn, 3).step(), 0U) << at;
    }
    EXPECT_EQ(open_filter_block(Block(journal::block_bytes), 3).step(), 0U);
    EXPECT_EQ(open_filter_block(ConstBytes(block).first(15), 3).step(), 0U);
    EXPECT_EQ(open_filter_block(ConstBytes(block).first(16), 3).step(), 0U);
}

std::string name_of(std::uint64_t number) {
    return "e" + std::to_string(number);
}

// Of the numbers below `count`, those from `oldest` on and no others.
void expect_known(IntakeMemory& memory, std::uint64_t oldest, std::uint64_t count) {
    DuplicateFilter& filter = memory.filter();
    for (std::uint64_t number = 0; number < count; ++number) {
        ASSERT_EQ(filter.contains(filter.fingerprint("s", name_of(number)), filter.newest_seconds()), number >= oldest)
            << number;
    }
}

void write_file(const std::string& path, ConstBytes bytes) {
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

Block read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

// A checkpoint of version 2 and entries of 32 bytes, at their index mod ids_max, with one that is torn.
void write_as_before(const EdgeConfig& config, std::uint64_t seed, std::uint64_t count, std::uint64_t torn) {
    struct Head {
        std::uint32_t magic = 0x31494857, version = 2;
        std::uint64_t seed, filter_next;
        std::uint32_t streams = 0, reserved = 0;
    } const head{.seed = seed, .filter_next = count + 1};
    std::vector<std::byte> content(sizeof head);
    wire::store(Bytes(content), head);
    Producers(16).encode(content);
    journal::CheckpointFile checkpoint(intake_checkpoint_path(config.data_dir), 1);
    ASSERT_TRUE(checkpoint.store_now(content).ok());
    std::vector<std::byte> file(config.cache.ids_max * 32);
    for (std::uint64_t number = 0; number < count; ++number) {
        const std::uint64_t index = number + 1;
        const Fingerprint fingerprint = fingerprint_of("s", name_of(number), seed);
        const Bytes at = Bytes(file).subspan(index % config.cache.ids_max * 32, 32);
        wire::store(at, fingerprint.high);
        wire::store(at.subspan(8), fingerprint.low);
        wire::store(at.subspan(16), index);
        wire::store(at.subspan(24), static_cast<std::uint32_t>(100 + number / 100));
        const std::uint32_t crc = crc32c(crc32c(0, at.first(28)), std::as_bytes(std::span(&seed, 1)));
        wire::store(at.subspan(28), number == torn ? ~crc : crc);
    }
    write_file(filter_path_before(config.data_dir), file);
}

TEST(FilterBlocks, GoOnFromWhatAnEarlierEditionWrote) {
    IntakeDirectory directory;
    EdgeConfig config = IntakeBench::config_at(directory.path);
    config.cache.ids_max = 1440;
    constexpr std::uint64_t seed = 77, count = 4000, torn = 3900;
    write_as_before(config, seed, count, torn);
    for (int start = 0; start < 3;
         ++start) {  // the second and third from the new file, while no new checkpoint has come
        auto memory = IntakeMemory::load(config, config.data_dir);
        ASSERT_TRUE(memory.ok());
        EXPECT_TRUE(memory.value().faults().empty());
        DuplicateFilter& filter = memory.value().filter();
        ASSERT_EQ(filter.options().seed, seed);
        EXPECT_EQ(filter.newest_seconds(), 139U);
        EXPECT_EQ(filter.next_index() % filter_block_entries, 0U)
            << "the block that no checkpoint has is never written again";
        EXPECT_EQ(memory.value().next_filter_block() * filter_block_entries, filter.next_index());
        const std::uint64_t skipped = filter.next_index() - (count + 1);
        for (std::uint64_t number = 0; number < count; ++number) {
            const bool is_kept = number >= count - config.cache.ids_max + skipped && number != torn;
            const Fingerprint fingerprint = filter.fingerprint("s", name_of(number));
            ASSERT_EQ(filter.contains(fingerprint, 139), is_kept) << number;
            ASSERT_EQ(filter.contains(fingerprint,
                                      100 + static_cast<std::uint32_t>(number / 100 + config.cache.lifetime_s) + 1),
                      false);
        }
        EXPECT_FALSE(std::filesystem::exists(filter_path_before(config.data_dir)));
        // Once more as if it had been killed before that: the file of before counts, whatever there is besides.
        if (start == 0) {
            write_as_before(config, seed, count, torn);
            write_file(filter_path(config.data_dir), Block(filter_file_bytes(1440), std::byte{7}));
        }
        EXPECT_EQ(std::filesystem::file_size(filter_path(config.data_dir)), filter_file_bytes(1440));
    }
}

// The first checkpoint of this edition may come when there is no new id: it counts on the block that was not full, which has its only copy in the
// file, and must not be written again.
TEST(FilterBlocks, WhatWasNotFullWhenItWasConvertedStaysAsItIs) {
    IntakeDirectory directory;
    EdgeConfig config = IntakeBench::config_at(directory.path);
    config.cache.ids_max = 1440;
    write_as_before(config, 77, 1000, 1000);
    std::uint64_t next = 0;
    {
        auto memory = IntakeMemory::load(config, config.data_dir);
        ASSERT_TRUE(memory.ok());
        next = memory.value().filter().next_index();
        ASSERT_EQ(next, 5 * filter_block_entries);
        const Block block = sealed(memory.value().filter(), 5, 0);
        const IntakeCheckpointHead head{
            .seed = 77, .filter_next = next, .last_block_bytes = static_cast<std::uint32_t>(block.size())};
        std::vector<std::byte> content(sizeof head + block.size());
        wire::store(Bytes(content), head);
        std::copy(block.begin(), block.end(), content.begin() + sizeof head);
        Producers(16).encode(content);
        journal::CheckpointFile checkpoint(intake_checkpoint_path(config.data_dir), memory.value().checkpoint_serial());
        ASSERT_TRUE(checkpoint.store_now(content).ok());
    }
    auto memory = IntakeMemory::load(config, config.data_dir);
    ASSERT_TRUE(memory.ok());
    EXPECT_EQ(memory.value().filter().next_index(), next);
    EXPECT_EQ(memory.value().next_filter_block(), 5U);
    expect_known(memory.value(), 0, 1000);
}

// So many events, and a checkpoint that has them; few enough that none is begun before.
void send_and_store(IntakeBench& bench, TestProducer& producer, std::uint32_t& sent, std::uint32_t at_start,
                    std::uint32_t count) {
    for (const std::uint32_t until = sent + count; sent < until; ++sent) producer.send_event(name_of(sent));
    ASSERT_TRUE(producer.wait_acked(sent - at_start));
    const std::uint64_t before = bench.counters.checkpoints.get();
    bench.added_ns += checkpoint_patience * EdgeConfig{}.spool.checkpoint_ms * ns_per_ms + second;
    ASSERT_TRUE(bench.step_until([&] { return bench.counters.checkpoints.get() > before; }));
}

TEST(FilterBlocks, OfAnotherLengthAreWrittenAnewWithTheNewestThatFit) {
    IntakeDirectory directory;
    EdgeConfig config = IntakeBench::config_at(directory.path);
    config.cache.ids_max = 2000;
    std::uint32_t sent = 0;
    {
        IntakeBench bench(config);
        bench.keeps_batches = false;
        TestProducer producer(bench);
        producer.hello(wire::AckLevel::spooled);
        while (sent < 4000) send_and_store(bench, producer, sent, 0, 250);
    }
    std::uint64_t oldest = sent;
    for (const std::uint32_t ids_max : {2000U, 3000U, 1200U, 5000U}) {  // 1200: whole blocks, and one that is not full
        config.cache.ids_max = ids_max;
        auto memory = IntakeMemory::load(config, config.data_dir);
        ASSERT_TRUE(memory.ok());
        EXPECT_EQ(std::filesystem::file_size(filter_path(config.data_dir)), filter_file_bytes(ids_max));
        EXPECT_EQ(memory.value().filter().next_index(), sent + 1U);
        if (ids_max == 3000) {  // a block more than what was to be known may still be there
            oldest = sent - memory.value().filter().count();
            EXPECT_LE(oldest, 2000U);
        } else {
            oldest = sent - std::min(ids_max, 2000U);
            if (ids_max == 5000) oldest = sent - 1200;
        }
        expect_known(memory.value(), oldest, sent);
    }
}

// What the disk had when it was cut off: of each block that differs any of its sectors, all or none.
Block torn(const Block& before, Block after, std::mt19937& random) {
    constexpr std::size_t sector_bytes = 512;
    for (std::size_t at = 0; at < after.size(); at += journal::block_bytes) {
        const auto kind = random() % 3;  // new, old, or mixed
        for (std::size_t sector = at; sector < at + journal::block_bytes; sector += sector_bytes) {
            const bool is_old = kind == 1 || (kind == 2 && random() % 2 == 0);
            if (is_old)
                std::copy_n(before.begin() + static_cast<std::ptrdiff_t>(sector), sector_bytes,
                            after.begin() + static_cast<std::ptrdiff_t>(sector));
        }
    }
    return after;
}

// With the checkpoint of before and a file that was torn while it was written, all that this checkpoint counts on must be known; and it
// must still be after the next one.
TEST(FilterBlocks, ATornWriteTakesNothingOnWhichTheCheckpointCounts) {
    IntakeDirectory directory;
    EdgeConfig config = IntakeBench::config_at(directory.path);
    config.cache.ids_max = 4096;
    std::mt19937 random(11);
    std::uint32_t sent = 0;
    for (int life = 0; life < 4; ++life) {
        IntakeBench bench(config);
        bench.keeps_batches = false;
        TestProducer producer(bench);
        producer.hello(wire::AckLevel::spooled);
        const std::uint32_t at_start = sent;
        for (int cut = 0; cut < 8; ++cut) {
            SCOPED_TRACE("life " + std::to_string(life) + ", cut " + std::to_string(cut));
            const Block file = read_file(filter_path(config.data_dir));
            IntakeDirectory crashed;
            for (const std::string name : {"/intake.0", "/intake.1"})
                write_file(crashed.path + name, read_file(config.data_dir + name));
            const std::uint32_t covered = sent;
            send_and_store(bench, producer, sent, at_start, 1 + static_cast<std::uint32_t>(random() % 1000));
            if (covered == 0) continue;  // there was no checkpoint before
            write_file(filter_path(crashed.path), torn(file, read_file(filter_path(config.data_dir)), random));
            EdgeConfig other = IntakeBench::config_at(crashed.path);
            other.cache = config.cache;
            // What newer blocks have pushed out is gone by right; their events can be read, or are in the spool.
            const std::uint32_t oldest = sent - std::min(sent, config.cache.ids_max);
            const auto expect_covered = [&] {
                auto memory = IntakeMemory::load(other, other.data_dir);
                ASSERT_TRUE(memory.ok());
                DuplicateFilter& filter = memory.value().filter();
                for (std::uint32_t number = oldest; number < covered; ++number) {
                    ASSERT_TRUE(filter.contains(filter.fingerprint("s", name_of(number)), filter.newest_seconds()))
                        << number << " of " << covered;
                }
            };
            expect_covered();
            {
                IntakeBench next(other);
                TestProducer one(next);
                one.hello(wire::AckLevel::spooled);
                std::uint32_t more = 1'000'000;
                send_and_store(next, one, more, more, 1);
            }
            expect_covered();
        }
    }
}

}  // namespace
}  // namespace weir::edge::test
