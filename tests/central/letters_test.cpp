// Dead letters go by whole segments when they are too old or too many, and what went is accounted for: in the positions after any
// restart, in the count of expired, and in the audit.
#include <fstream>
#include <sstream>
#include <thread>

#include "central/audit/command.hpp"
#include "central/audit/reader.hpp"
#include "central/letters/retention.hpp"
#include "core/base/clock.hpp"
#include "tests/central/central_bench.hpp"

namespace weir::central {
namespace {

constexpr std::uint64_t segment = 1U << 20;
constexpr std::uint32_t batch_letters = 2000;  // five such batches fill a segment
constexpr std::uint64_t second = ns_per_second;

CentralConfig letters_config(const std::string& directory) {
    CentralConfig config = small_config(directory);
    config.journal.segment_bytes = segment;
    return config;
}

LaneScript letters_lane() {
    LaneScript lane;
    lane.lane = dead_letter_lane;
    lane.lane_name = std::string(dead_letter_lane_name);
    return lane;
}

// The index of the oldest segment on the disk.
std::uint64_t oldest_segment(const std::string& directory) {
    return journal::list_segments(directory).value().segments.front().header.segment_index;
}

class LettersRetention : public testing::Test {
  protected:
    void start() {
        central_ = std::make_unique<Central>(config);
        retention_ =
            std::make_unique<LetterRetention>(config, central_->recovered().dead_letters.id,
                                              central_->recovered().expired, central_->shared(), MonotonicNs{0});
        edge_ = std::make_unique<ScriptedEdge>(central_->port());
        edge_->hello(lane, ++epoch_);
        welcomed = edge_->welcomed();
    }
    void stop() {
        edge_.reset();
        retention_.reset();
        central_->drain();
        central_.reset();
    }
    void send(int batches) {
        for (int i = 0; i < batches; ++i) {
            edge_->send(lane.dead_letters(batch_letters));
            ASSERT_TRUE(edge_->await_ack(lane.next - 1));
        }
    }
    bool look(std::uint64_t now_s) {
        const auto looked = retention_->look({now_s * second});
        EXPECT_TRUE(looked.ok()) << (looked.ok() ? "" : looked.error().what);
        return looked.ok() && looked.value();
    }
    // Ingest's next duty cycle releases, and another thread deletes: waited for, not slept for. False if it does not come to that.
    [[nodiscard]] bool is_deleted() {
        const std::uint64_t kept = central_->shared().letters_kept_from.load() / segment;
        const MonotonicNs until = monotonic_now().plus_ns(5 * second);
        while (oldest_segment(letters_directory()) < kept) {
            if (monotonic_now() > until) return false;
            std::this_thread::yield();
        }
        return oldest_segment(letters_directory()) == kept;
    }
    [[nodiscard]] std::uint64_t expired() const { return central_->shared().letters_expired.get(); }
    [[nodiscard]] std::string letters_directory() const { return dead_letters_directory(config); }
    [[nodiscard]] std::uint64_t first_kept() const { return stored(letters_directory()).front().first; }
    std::string audit(int code) {
        std::ostringstream out, err;
        EXPECT_EQ(audit::audit_command(config, {}, false, out, err), code) << out.str() << err.str();
        return out.str();
    }

    Directory directory_;
    CentralConfig config = letters_config(directory_.path());
    LaneScript lane = letters_lane();
    Sequence welcomed = 0;
    std::uint64_t epoch_ = 0;
    std::unique_ptr<Central> central_;
    std::unique_ptr<LetterRetention> retention_;
    std::unique_ptr<ScriptedEdge> edge_;
};

TEST_F(LettersRetention, TheOldestSegmentsGoWhenAllAreTooLargeAndEachLetterIsKeptOrExpired) {
    config.dead_letters.bytes_max = 4 * segment;
    start();
    std::uint64_t now_s = 0;
    for (int i = 0; i < 50; ++i) {
        send(1);
        (void)look(++now_s);
    }
    send(1);  // and a duty cycle that releases
    ASSERT_TRUE(is_deleted());
    EXPECT_GT(expired(), 50'000U);
    EXPECT_EQ(expired() % batch_letters, 0U);
    EXPECT_EQ(first_kept(), expired() + 1);
    const auto on_disk = journal::list_segments(letters_directory()).value().segments.size();
    EXPECT_LE(on_disk, 5U);  // four, and the one that the last batch may have begun
    EXPECT_EQ(central_->shared().positions.row(0).dead_lettered.get(), 51U * batch_letters);
    stop();
    start();
    EXPECT_EQ(welcomed, 51U * batch_letters);
    EXPECT_EQ(central_->shared().positions.row(0).dead_lettered.get(), 51U * batch_letters);
    stop();
    const std::string said = audit(0);
    EXPECT_NE(said.find("  expired " + std::to_string(first_kept() - 1) + "  held"), std::string::npos) << said;
    EXPECT_NE(said.find("residue 0"), std::string::npos);
}

TEST_F(LettersRetention, ASegmentGoesWhenItWasClosedForSoLongInRunningTimeAcrossRestarts) {
    config.dead_letters.keep_s = 100;
    start();
    send(6);
    EXPECT_FALSE(look(10));  // the first segment is seen closed
    EXPECT_FALSE(look(69));
    EXPECT_FALSE(look(70));  // running time is stored every minute
    stop();
    start();  // the clock of this life begins at 0 again
    EXPECT_EQ(welcomed, 6U * batch_letters);
    EXPECT_FALSE(look(39));
    EXPECT_EQ(expired(), 0U);
    EXPECT_TRUE(look(40));  // 70 - 10 + 40
    EXPECT_GT(expired(), 0U);
    send(1);
    ASSERT_TRUE(is_deleted());
    EXPECT_GT(first_kept(), 1U);
    EXPECT_EQ(first_kept(), expired() + 1);
    EXPECT_FALSE(look(100'000));  // the one that is written never goes
    EXPECT_EQ(first_kept(), expired() + 1);
    stop();
}

TEST_F(LettersRetention, AfterACrashBetweenTheNoteAndTheReleaseItIsReleasedAndCountedOnce) {
    config.dead_letters.bytes_max = 3 * segment;
    start();
    send(30);
    EXPECT_TRUE(look(1));
    EXPECT_FALSE(look(2));
    const std::uint64_t noted = expired();
    EXPECT_GT(noted, 0U);
    edge_.reset();
    central_->halt();
    central_.reset();
    start();
    EXPECT_EQ(expired(), noted);
    EXPECT_EQ(welcomed, 30U * batch_letters);
    send(1);
    ASSERT_TRUE(is_deleted());
    EXPECT_EQ(first_kept(), noted + 1);
    stop();
    (void)audit(0);
}

TEST_F(LettersRetention, AfterANoteThatFailedItIsTriedAgainAtTheNextLook) {
    config.dead_letters.bytes_max = 3 * segment;
    start();
    send(30);
    // Where the file would be lies a directory, as long as this disk takes no note.
    for (const char* copy : {".0", ".1"}) std::filesystem::create_directory(expired_letters_path(config) + copy);
    EXPECT_FALSE(retention_->look({second}).ok());
    EXPECT_EQ(central_->shared().letters_kept_from.load(), 0U);
    for (const char* copy : {".0", ".1"}) std::filesystem::remove(expired_letters_path(config) + copy);
    EXPECT_TRUE(look(2));
    EXPECT_GT(expired(), 0U);
    send(1);
    EXPECT_TRUE(is_deleted());
    stop();
    (void)audit(0);
}

TEST_F(LettersRetention, WhatIsNotDeletedYetIsCountedOnce) {
    config.dead_letters.bytes_max = 5 * segment;
    start();
    send(30);
    edge_.reset();
    central_->halt();  // nobody deletes any more
    EXPECT_TRUE(look(1));
    const std::uint64_t noted = expired();
    config.dead_letters.bytes_max = 3 * segment;
    const auto expired_now = load_expired_letters(config);
    ASSERT_TRUE(expired_now.ok());
    LetterRetention next(config, central_->recovered().dead_letters.id, expired_now.value(), central_->shared(),
                         MonotonicNs{0});
    ASSERT_TRUE(next.look({2 * second}).ok());
    EXPECT_GT(expired(), noted);
    const std::uint64_t kept_from = central_->shared().letters_kept_from.load();
    auto scanner = journal::Scanner::open(letters_directory(), {});
    Sequence first = 0;
    while (const auto record = scanner.value().next()) {
        if (first == 0 && record->position.value >= kept_from) first = record->batch_header.first_sequence;
    }
    EXPECT_EQ(first, expired() + 1);
    central_.reset();
}

TEST_F(LettersRetention, WithoutACheckpointThePositionsOfExpiredLettersAreStillKnown) {
    config.dead_letters.bytes_max = 3 * segment;
    start();
    // Another edge, whose only letters are among the first to go.
    LaneScript south = letters_lane();
    south.edge = "south";
    south.lineage = 88;
    {
        ScriptedEdge other(central_->port());
        other.hello(south);
        ASSERT_EQ(other.welcomed(), 0U);
        other.send(south.dead_letters(3));
        ASSERT_TRUE(other.await_ack(3));
    }
    send(30);
    EXPECT_TRUE(look(1));
    send(1);
    ASSERT_TRUE(is_deleted());
    stop();
    for (const char* copy : {".0", ".1"}) std::filesystem::remove(checkpoint_path(config) + copy);
    start();
    EXPECT_EQ(welcomed, 31U * batch_letters);
    send(1);  // and the chain goes on
    {
        ScriptedEdge other(central_->port());
        other.hello(south, 2);
        EXPECT_EQ(other.welcomed(), 3U);
        other.send(south.dead_letters(2));
        EXPECT_TRUE(other.await_ack(5));
    }
    stop();
    (void)audit(0);
}

TEST_F(LettersRetention, WhatIsGoneWithoutANoteIsMissing) {
    config.dead_letters.bytes_max = 3 * segment;
    start();
    send(30);
    EXPECT_TRUE(look(1));
    send(1);
    ASSERT_TRUE(is_deleted());
    stop();
    (void)audit(0);
    for (const char* copy : {".0", ".1"}) std::filesystem::remove(expired_letters_path(config) + copy);
    EXPECT_NE(audit(1).find("FAULT missing-at-central"), std::string::npos);
}

TEST_F(LettersRetention, NothingGoesWhileASegmentCannotBeReadToItsEnd) {
    config.dead_letters.bytes_max = 3 * segment;
    start();
    send(30);
    // The newest record with all behind it: nothing shows any more that the segments before were read whole.
    for (std::uint64_t index = 1; index < 16; ++index) {
        const std::string path = letters_directory() + "/" + journal::segment_file_name(index);
        if (!std::filesystem::exists(path)) continue;
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        const std::vector<char> zeros(segment - 4096, 0);
        file.seekp(4096);
        file.write(zeros.data(), static_cast<std::streamsize>(zeros.size()));
    }
    const auto looked = retention_->look({second});
    EXPECT_FALSE(looked.ok());
    EXPECT_EQ(expired(), 0U);
    EXPECT_EQ(central_->shared().letters_kept_from.load(), 0U);
    edge_.reset();
    central_->halt();
    central_.reset();
}

}  // namespace
}  // namespace weir::central
