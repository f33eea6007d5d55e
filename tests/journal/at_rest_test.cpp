// Encrypted segments: what is and what is not on the disk, keys that come and go, and that no key meets a nonce twice.
#include "core/journal/at_rest.hpp"

#include <algorithm>
#include <fstream>
#include <random>
#include <set>

#include "core/journal/scrubber.hpp"
#include "tests/journal/journal_bench.hpp"

namespace weir::journal {
namespace {

constexpr std::uint64_t small_segment = 4 * block_bytes;

bool holds(const std::string& directory, std::string_view text) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
        if (!entry.is_regular_file()) continue;
        const auto content = file_content(entry.path());
        const auto wanted = std::as_bytes(std::span(text));
        if (std::search(content.begin(), content.end(), wanted.begin(), wanted.end()) != content.end()) return true;
    }
    return false;
}

// The segment store's thread lets go of a file soon.
bool is_gone(const std::string& path) {
    for (int i = 0; i < 5000 && std::filesystem::exists(path); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return !std::filesystem::exists(path);
}

struct Sealed {
    RecordHeader header;
    RecordSeal seal;
};
// Every sealed record's head in a directory's files, whatever became of it: in segments, spares, and what was cut.
std::vector<Sealed> all_sealed(const std::string& directory) {
    std::vector<Sealed> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
        if (!entry.is_regular_file()) continue;
        const auto content = file_content(entry.path());
        for (std::size_t at = 0; at + sizeof(RecordHeader) <= content.size(); at += 8) {
            const auto header = wire::load<RecordHeader>(ConstBytes(content).subspan(at));
            const std::uint64_t end = at + stored_bytes(header.batch_bytes, true);
            if (header.magic != sealed_magic || end > content.size()) continue;
            found.push_back({header, wire::load<RecordSeal>(ConstBytes(content).subspan(end - sizeof(RecordSeal)))});
        }
    }
    return found;
}

TEST(AtRest, NothingOfABatchIsReadableOnTheDiskWithoutItsKey) {
    const UseKeys keys({1});
    JournalBench bench(small_segment, 0, 1), plain(small_segment, 0, 0);
    for (JournalBench* one : {&bench, &plain}) {
        one->append_durable({batch_of(1, 500), batch_of(2, 700)});
        one->save();
    }
    EXPECT_TRUE(holds(plain.path(), "north"));
    EXPECT_FALSE(holds(bench.path(), "north"));
    EXPECT_FALSE(holds(bench.path(), "default"));
    const auto payload = batch_of(2, 700);
    const std::string_view part(reinterpret_cast<const char*>(payload.data()) + 300, 16);
    EXPECT_TRUE(holds(plain.path(), part));
    EXPECT_FALSE(holds(bench.path(), part));
    EXPECT_EQ(bench.read().numbers, numbers(1, 2));
}

TEST(AtRest, TheSameBatchesAreOtherBytesInEveryJournalAndLife) {
    const UseKeys keys({1});
    JournalBench first(small_segment, 0, 1), second(small_segment, 0, 1);
    for (JournalBench* one : {&first, &second}) {
        one->append_durable({batch_of(1, 500)});
        one->save();
    }
    const auto a = file_content(first.segment_path(0)), b = file_content(second.segment_path(0));
    std::size_t same = 0;
    for (std::size_t at = 4096 + 40; at < 4096 + 700; ++at) same += a[at] == b[at] ? 1U : 0U;
    EXPECT_LT(same, 30U);  // of 660; 1 in 256 by chance
}

TEST(AtRest, NoKeyMeetsAPlaceTwiceOverCrashesReusedFilesAndTailsOpenedAnew) {
    const UseKeys keys({1});
    std::mt19937 random(5);
    JournalBench bench(small_segment, 2, 1);
    std::map<std::tuple<std::array<std::byte, 12>, std::uint64_t>, std::array<std::byte, 16>> tags;
    std::uint64_t last = 0;
    std::size_t lives = 0;
    const auto take_all = [&] {
        for (const Sealed& one : all_sealed(bench.path())) {
            const auto [place, is_new] = tags.emplace(std::tuple(one.seal.life, one.header.position), one.seal.tag);
            ASSERT_TRUE(is_new || place->second == one.seal.tag) << "another text at " << one.header.position;
        }
    };
    for (int round = 0; round < 60; ++round) {
        bench.append({batch_of(++last, 1 + random() % 3000)});
        // Some crashes come before a write landed, some after one behind it did.
        if (random() % 3 == 0) {
            if (bench.writer().can_append(2 * block_bytes)) {
                bench.append({batch_of(last + 1, 900)});
                bench.io().complete(bench.io().pending_count() - 1);
            }
            bench.save();
            take_all();
            const Found found = bench.restart();
            last = found.numbers.empty() ? 0 : found.numbers.back();
            ++lives;
        } else {
            bench.complete_all();
            bench.save();
            take_all();
            if (random() % 2 == 0) bench.writer().release_before(bench.writer().durable_position());
        }
    }
    EXPECT_GT(lives, 10U);
    std::set<std::array<std::byte, 12>> seen;
    for (const auto& [place, tag] : tags) seen.insert(std::get<0>(place));
    EXPECT_GE(seen.size(), lives / 2);  // a life that wrote nothing shows none
}

TEST(AtRest, AnotherKeyBeginsWithAnotherSegmentAndBothAreRead) {
    const UseKeys keys({1, 2});
    JournalBench bench(small_segment, 0, 1);
    bench.append_durable({batch_of(1, 100)});
    bench.use_key(2);
    EXPECT_EQ(bench.restart().numbers, numbers(1, 1));
    bench.append_durable({batch_of(2, 100)});
    bench.use_key(0);
    EXPECT_EQ(bench.restart().numbers, numbers(1, 2));
    bench.append_durable({batch_of(3, 100)});
    bench.use_key(1);
    EXPECT_EQ(bench.restart().numbers, numbers(1, 3));
    bench.append_durable({batch_of(4, 100)});
    const Found found = bench.read();
    EXPECT_EQ(found.numbers, numbers(1, 4));
    EXPECT_EQ(found.fault, "");
    std::vector<std::uint32_t> key_ids;
    const auto list = list_segments(bench.path());
    for (const auto& info : list.value().segments) key_ids.push_back(info.header.key_id);
    ASSERT_GE(key_ids.size(), 4U);
    EXPECT_EQ(std::vector(key_ids.begin(), key_ids.begin() + 4), (std::vector<std::uint32_t>{1, 2, 0, 1}));
}

// The next segment was made ahead, under the key of the life before.
TEST(AtRest, AnotherKeyIsTakenAtTheNextSegmentWithoutARestart) {
    const UseKeys keys({1});
    JournalBench bench(small_segment, 0, 1);
    const auto key_of_segment = [&](std::uint64_t index) {
        return wire::load<SegmentHeader>(file_content(bench.segment_path(index))).key_id;
    };
    bench.append_durable({batch_of(1, 900)});
    ASSERT_EQ(extend_keyring(test_keyring({1, 2})), std::nullopt);
    use_sealing_key(2);
    // The segment behind the open one may have been asked for already: it stays under the key it was asked for with.
    for (std::uint64_t number = 2; number <= 20; ++number) bench.append_durable({batch_of(number, 3000)});
    use_sealing_key(0);
    EXPECT_EQ(bench.read().numbers, numbers(1, 20));
    EXPECT_EQ(key_of_segment(0), 1U);
    EXPECT_EQ(key_of_segment(3), 2U);
    for (const Sealed& one : all_sealed(bench.path())) {
        EXPECT_EQ(one.seal.key_id, key_of_segment(one.header.position / small_segment)) << one.header.position;
    }
    EXPECT_EQ(bench.restart().numbers, numbers(1, 20));
}

TEST(AtRest, AKeyThatIsThereIsNotReplacedByAnotherOfItsNumber) {
    const UseKeys keys({1});
    Keyring other;
    other.add(1, test_key(9));
    other.add(2, test_key(2));
    EXPECT_EQ(extend_keyring(std::move(other)), 1U);
    EXPECT_FALSE(keyring().holds(2));
    EXPECT_EQ(std::memcmp(keyring().find(1).data(), test_key(1).bytes().data(), master_key_bytes), 0);
}

TEST(AtRest, AnotherKeyBehindAFullSegmentLeavesNoHole) {
    const UseKeys keys({1, 2});
    for (const std::uint32_t second : {0U, 2U}) {
        JournalBench bench(small_segment, 0, 1);
        for (std::uint64_t number = 1; number <= 3; ++number) bench.append_durable({batch_of(number, 4096 - 400)});
        while (!bench.store().ready(1)) std::this_thread::yield();
        bench.use_key(second);
        EXPECT_EQ(bench.restart().numbers, numbers(1, 3));
        for (std::uint64_t number = 4; number <= 6; ++number) bench.append_durable({batch_of(number, 100)});
        const Found found = bench.read();
        EXPECT_EQ(found.numbers, numbers(1, 6));
        EXPECT_EQ(found.fault, "");
        const auto list = list_segments(bench.path());
        EXPECT_EQ(list.value().segments.at(1).header.key_id, second);
    }
}

TEST(AtRest, WithoutItsKeyASegmentIsNamedKeptAndNoDamageAndTheRestIsRead) {
    JournalBench* bench = nullptr;
    std::unique_ptr<JournalBench> owned;
    {
        const UseKeys keys({1, 2});
        owned = std::make_unique<JournalBench>(small_segment, 2, 2);
        bench = owned.get();
        bench->append_durable({batch_of(1, 100)});
        bench->use_key(1);
        static_cast<void>(bench->restart());
        for (std::uint64_t number = 2; number <= 6; ++number) bench->append_durable({batch_of(number, 100)});
        bench->use_key(2);
        static_cast<void>(bench->restart());
        bench->append_durable({batch_of(7, 100)});
        bench->save();
    }
    const UseKeys keys({2});
    const auto before = file_content(bench->segment_path(1));
    auto scanner = Scanner::open(bench->path(), {});
    std::vector<std::uint64_t> read;
    while (const auto record = scanner.value().next()) read.push_back(record->batch_header.first_sequence);
    EXPECT_EQ(read, (std::vector<std::uint64_t>{1, 7}));
    EXPECT_EQ(scanner.value().damaged_records(), 0U);
    EXPECT_TRUE(scanner.value().damaged_segments().empty());
    EXPECT_EQ(scanner.value().locked_segments(), (std::vector<std::uint64_t>{1, 2}));
    EXPECT_NE(scanner.value().fault().find("key 1 is not here"), std::string::npos) << scanner.value().fault();

    Scrubber scrubber({.directories = {bench->path()}, .on_damage = [](std::size_t, std::uint64_t index) {
                           ADD_FAILURE() << "segment " << index << " is called damaged";
                       }});
    EXPECT_TRUE(scrubber.round());
    EXPECT_EQ(scrubber.counters().damaged_segments.get(), 0U);

    // A life without the key goes on behind, and neither uses, moves nor deletes what it cannot read, even released.
    EXPECT_EQ(bench->restart().tail.end, scanner.value().tail().end);
    bench->append_durable({batch_of(8, 100)});
    bench->save();
    for (int i = 0; i < 8; ++i) bench->append_durable({batch_of(9 + static_cast<std::uint64_t>(i), 3000)});
    bench->writer().release_before(bench->writer().durable_position());
    EXPECT_TRUE(is_gone(bench->segment_path(3)));
    EXPECT_EQ(file_content(bench->segment_path(1)), before);
    EXPECT_TRUE(std::filesystem::exists(bench->segment_path(2)));
    EXPECT_FALSE(std::filesystem::exists(bench->path() + "/quarantine"));

    const UseKeys again({1, 2});
    bench->save();
    const Found found = read_all(bench->path(), {small_segment});
    EXPECT_EQ(std::vector(found.numbers.begin(), found.numbers.begin() + 5), numbers(2, 6));
}

TEST(AtRest, ATailWithoutItsKeyIsNeverWrittenOver) {
    std::unique_ptr<JournalBench> bench;
    {
        const UseKeys keys({1});
        bench = std::make_unique<JournalBench>(small_segment, 0, 1);
        bench->append_durable({batch_of(1, 100)});
        bench->save();
    }
    const UseKeys keys({2});
    const auto before = file_content(bench->segment_path(0));
    bench->use_key(2);
    EXPECT_TRUE(bench->restart().numbers.empty());
    bench->append_durable({batch_of(2, 100)});
    EXPECT_EQ(bench->read().numbers, numbers(2, 2));
    EXPECT_EQ(file_content(bench->segment_path(0)), before);
}

TEST(AtRest, DamageBesideALockedSegmentIsStillFound) {
    std::unique_ptr<JournalBench> bench;
    {
        const UseKeys keys({1, 2});
        bench = std::make_unique<JournalBench>(small_segment, 0, 2);
        for (std::uint64_t number = 1; number <= 3; ++number) bench->append_durable({batch_of(number, 100)});
        bench->use_key(1);
        static_cast<void>(bench->restart());
        bench->append_durable({batch_of(4, 100)});
        bench->use_key(2);
        static_cast<void>(bench->restart());
        for (std::uint64_t number = 5; number <= 6; ++number) bench->append_durable({batch_of(number, 100)});
        bench->save();
    }
    const UseKeys keys({2});
    auto broken = file_content(bench->segment_path(0));
    broken[2 * block_bytes + 300] ^= std::byte{1};
    put_file(bench->segment_path(0), broken);
    const Found found = read_all(bench->path());
    EXPECT_EQ(found.numbers, (std::vector<std::uint64_t>{1, 3, 5, 6}));
    EXPECT_EQ(found.damaged, 1U) << found.fault;
}

// Who can write to the disk but has no key can recompute every CRC.
TEST(AtRest, WhoHasNoKeyMakesNoRecordThatIsRead) {
    const UseKeys keys({1});
    JournalBench bench(small_segment, 0, 1);
    for (std::uint64_t number = 1; number <= 3; ++number) bench.append_durable({batch_of(number, 100)});
    bench.save();
    const auto whole = file_content(bench.segment_path(0));
    const auto forge = [&](auto change) {
        auto forged = whole;
        const Bytes at = Bytes(forged).subspan(2 * block_bytes);
        auto header = wire::load<RecordHeader>(at);
        change(header, at);
        header.crc = record_crc(header, wire::load<wire::BatchHeader>(at.subspan(sizeof header)));
        wire::store(at, header);
        put_file(bench.segment_path(0), forged);
        const Found found = read_all(bench.path());
        EXPECT_TRUE(std::find(found.numbers.begin(), found.numbers.end(), 2U) == found.numbers.end());
        EXPECT_EQ(found.damaged, 1U) << found.fault;
    };
    forge([](RecordHeader& header, Bytes) { header.arrival_wall_ns += 1; });
    forge([](RecordHeader& header, Bytes) { header.durable_before += 4096; });
    forge([](RecordHeader& header, Bytes) { header.previous_crc ^= 1; });
    forge([](RecordHeader&, Bytes at) { at[sizeof(RecordHeader) + 250] ^= std::byte{1}; });
    // A plain record of its own making, with everything right but the key.
    forge([](RecordHeader& header, Bytes at) {
        const auto batch = batch_of(2, 100);
        header.magic = record_magic;
        std::copy(batch.begin(), batch.end(), at.begin() + sizeof(RecordHeader));
    });
    // The record of another place: its own seal and all.
    forge([&](RecordHeader& header, Bytes at) {
        const ConstBytes other = ConstBytes(whole).subspan(3 * block_bytes, block_bytes);
        std::copy(other.begin(), other.end(), at.begin());
        const auto mine = header;
        header = wire::load<RecordHeader>(other);
        header.position = mine.position;
        header.previous_crc = mine.previous_crc;
    });
}

// Blocks and segments swapped, copied, wiped and overwritten, bits flipped, and every head's CRC made to fit again: what is read is
// what was written (read_all compares each byte), in its order.
TEST(AtRest, WhateverIsDoneToTheBytesOnlyWhatWasWrittenIsRead) {
    const UseKeys keys({1});
    JournalBench bench(8 * block_bytes, 0, 1);
    std::uint64_t last = 0;
    for (int group = 0; group < 14; ++group) {
        bench.append_durable({batch_of(last + 1, 300), batch_of(last + 2, 900)});
        last += 2;
    }
    bench.save();
    std::vector<std::vector<std::byte>> whole;
    for (std::uint64_t index = 0; index < 2; ++index) whole.push_back(file_content(bench.segment_path(index)));
    std::mt19937 random(11);
    std::uint64_t damaged = 0, read = 0;
    for (int round = 0; round < 400; ++round) {
        auto broken = whole;
        const auto block = [&] {
            return Bytes(broken[random() % broken.size()]).subspan((1 + random() % 7) * block_bytes, block_bytes);
        };
        for (auto steps = 1 + random() % 6; steps > 0; --steps) {
            const Bytes at = block();
            const auto dice = random() % 4;
            if (dice == 0) at[random() % 1600] ^= static_cast<std::byte>(1U << random() % 8);
            if (dice == 1) std::copy_n(block().begin(), block_bytes, at.begin());
            if (dice == 2) std::fill_n(at.begin() + static_cast<std::ptrdiff_t>(random() % 1600), 64, std::byte{0});
            if (dice == 3) std::swap_ranges(at.begin(), at.end(), block().begin());
        }
        for (std::size_t index = 0; index < broken.size(); ++index) {
            const Bytes bytes(broken[index]);
            for (std::size_t at = block_bytes; at + 240 <= bytes.size(); at += 8) {
                auto header = wire::load<RecordHeader>(bytes.subspan(at));
                if (header.magic != sealed_magic) continue;
                if (round % 2 == 0) header.position = index * 8 * block_bytes + at;
                header.crc = record_crc(header, wire::load<wire::BatchHeader>(bytes.subspan(at + sizeof header)));
                wire::store(bytes.subspan(at), header);
            }
            put_file(bench.segment_path(index), broken[index]);
        }
        const Found found = read_all(bench.path());
        ASSERT_TRUE(std::is_sorted(found.numbers.begin(), found.numbers.end(), std::less_equal<>())) << round;
        damaged += found.damaged;
        read += found.numbers.size();
    }
    EXPECT_GT(damaged, 200U);
    EXPECT_GT(read, 400U);
}

TEST(AtRest, AFileWrittenPlainIsNotUsedAgainUnderAKey) {
    const UseKeys keys({1});
    JournalBench bench(small_segment, 4, 0);
    for (std::uint64_t number = 1; number <= 9; ++number) bench.append_durable({batch_of(number, 3000)});
    bench.save();
    bench.writer().release_before(bench.writer().durable_position());
    EXPECT_TRUE(is_gone(bench.segment_path(1)));
    bench.use_key(1);
    static_cast<void>(bench.restart());
    bench.append_durable({batch_of(10, 3000)});  // most of its segment is what the file held before
    bench.save();
    const auto list = list_segments(bench.path());
    for (const auto& info : list.value().segments) {
        if (info.header.key_id == 0) continue;
        const auto content = file_content(info.path);
        const std::string_view name = "north";
        const auto wanted = std::as_bytes(std::span(name));
        EXPECT_TRUE(std::search(content.begin(), content.end(), wanted.begin(), wanted.end()) == content.end())
            << info.path;
    }
}

TEST(AtRestCipher, GivesWhatAnIndependentHkdfAndGcmGive) {
    const UseKeys keys({7});
    RecordCipher cipher(0x0102030405060708);
    RecordHeader header;
    header.magic = sealed_magic;
    header.batch_bytes = 5;
    header.position = 0x11223344;
    header.arrival_wall_ns = 99;
    RecordSeal seal{.life = {}, .key_id = 7, .tag = {}};
    for (std::size_t i = 0; i < seal.life.size(); ++i) seal.life[i] = static_cast<std::byte>(i + 1);
    const std::string_view text = "hello";
    std::array<std::byte, 5> sealed{}, opened{};
    ASSERT_TRUE(cipher.seal(9, header, std::as_bytes(std::span(text)), sealed.data(), seal));
    const auto hex = [](ConstBytes bytes) {
        std::string out;
        for (const std::byte byte : bytes) {
            constexpr std::string_view digits = "0123456789abcdef";
            out += digits[static_cast<std::size_t>(byte) >> 4U];
            out += digits[static_cast<std::size_t>(byte) & 15U];
        }
        return out;
    };
    // By Python's hmac, and its cryptography's AESGCM: tests/journal/at_rest_vector.py.
    EXPECT_EQ(hex(sealed), "c11594e052");
    EXPECT_EQ(hex(seal.tag), "ca5dbc252c5d1c1876e129e7dbbd239d");
    EXPECT_EQ(cipher.open(9, header, seal, sealed, opened.data()), RecordCipher::Opened::whole);
    EXPECT_EQ(std::memcmp(opened.data(), text.data(), text.size()), 0);
    EXPECT_EQ(cipher.open(10, header, seal, sealed, opened.data()), RecordCipher::Opened::forged);
    EXPECT_EQ(hex(opened), "0000000000");
    seal.key_id = 8;
    EXPECT_EQ(cipher.open(9, header, seal, sealed, opened.data()), RecordCipher::Opened::no_key);
}

class KeyFiles : public ::testing::Test {
  protected:
    void put(const std::string& name, const std::string& text, int mode) {
        const std::string path = directory_.path() + "/" + name;
        std::ofstream(path) << text;
        ASSERT_EQ(::chmod(path.c_str(), static_cast<mode_t>(mode)), 0);
    }
    std::string fault() {
        auto loaded = Keyring::load(directory_.path());
        return loaded.ok() ? "" : loaded.error().what;
    }
    Directory directory_;
    const std::string digits_ = std::string(31, 'a') + std::string(33, '7');
};

TEST_F(KeyFiles, AreReadByTheirNumber) {
    put("1.key", digits_ + "\n", 0600);
    put("20.key", digits_, 0400);
    put("README", "not a key", 0644);
    const auto loaded = Keyring::load(directory_.path());
    ASSERT_TRUE(loaded.ok()) << loaded.error().what;
    EXPECT_EQ(loaded.value().count(), 2U);
    EXPECT_TRUE(loaded.value().holds(20));
    EXPECT_EQ(loaded.value().find(1)[0], std::byte{0xaa});
}

TEST_F(KeyFiles, ThatOthersMayReadOrWriteAreRefused) {
    for (const int mode : {0640, 0604, 0620, 0602, 0644}) {
        put("1.key", digits_, mode);
        EXPECT_NE(fault().find("1.key: must have mode 0600"), std::string::npos) << mode;
    }
    put("1.key", digits_, 0600);
    EXPECT_EQ(fault(), "");
    ASSERT_EQ(::chmod(directory_.path().c_str(), 0770), 0);
    EXPECT_NE(fault().find("others may put keys into it"), std::string::npos);
}

TEST_F(KeyFiles, WithAnythingButAKeyInThemAreRefusedWithoutShowingIt) {
    for (const std::string& text : {digits_ + "0", digits_.substr(1), "g" + digits_.substr(1), std::string()}) {
        put("1.key", text, 0600);
        EXPECT_NE(fault().find("64 hexadecimal digits"), std::string::npos) << text;
        EXPECT_EQ(fault().find("777"), std::string::npos);
    }
    put("1.key", digits_, 0600);
    for (const char* name : {"0.key", "01.key", "a.key", ".key", "4294967296.key"}) {
        put(name, digits_, 0600);
        EXPECT_NE(fault().find("a key's name is its number"), std::string::npos) << name;
        std::filesystem::remove(directory_.path() + "/" + name);
    }
}

}  // namespace
}  // namespace weir::journal
