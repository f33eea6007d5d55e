#include "core/control/audit_trail.hpp"

#include <sstream>
#include <vector>

#include "core/base/clock.hpp"
#include "core/control/audit_command.hpp"
#include "tests/control/guard_bench.hpp"

namespace weir::control {
namespace {

AuditTrail::Options options_of(const Folder& folder, std::uint64_t bytes_max = audit_bytes_default) {
    return {.directory = folder.path(), .owner = "edge north", .bytes_max = bytes_max};
}

struct Verified {
    int code = 0;
    std::string text;
};
Verified verify(const std::string& path, std::vector<std::string> anchors = {}) {
    std::ostringstream out, err;
    const int code = audit_trail_command({.verb = "verify", .path = path, .anchors = std::move(anchors)}, out, err);
    return {code, out.str() + err.str()};
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}
std::string joined(const std::vector<std::string>& lines) {
    std::string text;
    for (const auto& line : lines) text += line + '\n';
    return text;
}

// A trail of six records: its beginning and five acts.
class AuditTrailTest : public testing::Test {
  protected:
    void SetUp() override {
        AuditTrail trail(options_of(folder_));
        for (int i = 1; i <= 5; ++i) {
            const auto added = trail.add({.act = "admin",
                                          .who = "alice",
                                          .target = "POST /v1/x" + std::to_string(i),
                                          .reason = "why \"not\"\n"});
            ASSERT_TRUE(added) << added.error().what;
            EXPECT_EQ(added.value(), static_cast<std::uint64_t>(i) + 1);
        }
        head_ = trail.head();
        lines_ = lines_of(read_whole(path()));
        ASSERT_EQ(lines_.size(), 6U);
    }
    [[nodiscard]] std::string path() const { return folder_ / "audit-trail"; }
    void put(const std::vector<std::string>& lines) { write_whole(path(), joined(lines)); }
    Folder folder_;
    AuditHead head_;
    std::vector<std::string> lines_;
};

TEST_F(AuditTrailTest, AWholeTrailIsVerifiedAndGoesOnWhereItWas) {
    EXPECT_EQ(std::filesystem::status(path()).permissions(), std::filesystem::perms(0600));
    const Verified found = verify(folder_.path());
    EXPECT_EQ(found.code, 0);
    EXPECT_EQ(found.text, "6 records, none changed, removed or moved; head 6:" + tls::hex_of(head_.hash) +
                              ", as a metric " + std::to_string(number_of(head_.hash)) + "\n");
    AuditTrail again(options_of(folder_));
    ASSERT_TRUE(again.begin());
    EXPECT_EQ(again.head().records, 6U);
    EXPECT_EQ(again.add({.act = "admin"}).value(), 7U);
    EXPECT_EQ(again.breaks(), 0U);
    EXPECT_EQ(verify(path()).code, 0);
}

TEST_F(AuditTrailTest, AnyByteThatIsChangedIsFoundAndItsRecordNamed) {
    const std::string whole = joined(lines_);
    std::size_t record = 1;
    for (std::size_t at = 0; at < whole.size(); ++at) {
        std::string changed = whole;
        changed[at] = static_cast<char>(changed[at] ^ 1);
        AuditChecker checker;
        checker.feed(changed);
        const bool is_last_end = at + 1 == whole.size();
        EXPECT_EQ(checker.is_good(), is_last_end) << at;
        EXPECT_EQ(checker.torn_bytes() != 0, is_last_end);
        if (!checker.is_good()) {
            EXPECT_TRUE(checker.fault().starts_with("record " + std::to_string(record) + ": changed"))
                << at << checker.fault();
        }
        if (whole[at] == '\n') ++record;
    }
}

TEST_F(AuditTrailTest, ARecordThatIsRemovedOrMovedOrPutInIsFoundAndTheFirstNamed) {
    auto removed = lines_;
    removed.erase(removed.begin() + 2);
    put(removed);
    EXPECT_EQ(verify(path()).text, path() + ": record 3: removed or moved: record 4 stands in its place\n");
    EXPECT_EQ(verify(path()).code, 1);
    auto moved = lines_;
    std::swap(moved[3], moved[4]);
    put(moved);
    EXPECT_EQ(verify(path()).text, path() + ": record 4: removed or moved: record 5 stands in its place\n");
    auto twice = lines_;
    twice.insert(twice.begin() + 4, twice[3]);
    put(twice);
    EXPECT_EQ(verify(path()).text, path() + ": record 5: removed or moved: record 4 stands in its place\n");
    put(std::vector<std::string>(lines_.begin() + 1, lines_.end()));
    EXPECT_EQ(verify(path()).text, path() + ": record 1: removed or moved: record 2 stands in its place\n");
}

TEST_F(AuditTrailTest, ARecordWrittenAnewWithItsHashDoesNotFitTheNext) {
    AuditChecker before;
    before.feed(lines_[0] + '\n' + lines_[1] + '\n');
    tls::Digest ignored{};
    std::string forged = audit_line(before.head(), {.act = "admin", .who = "mallory"}, {1}, ignored);
    forged.pop_back();
    auto changed = lines_;
    changed[2] = forged;
    put(changed);
    EXPECT_EQ(verify(path()).text, path() +
                                       ": record 4: does not follow the record before it, which was changed with its "
                                       "hash, or is another trail's\n");
}

TEST_F(AuditTrailTest, WhatIsCutOffTheEndOnlyAnAnchorShows) {
    put(std::vector<std::string>(lines_.begin(), lines_.end() - 2));
    EXPECT_EQ(verify(path()).code, 0);
    const std::string anchor = "6:" + tls::hex_of(head_.hash);
    EXPECT_EQ(verify(path(), {anchor}).text,
              path() + ": record 6: is missing: records were cut off the end, which has 4\n");
    put(lines_);
    EXPECT_EQ(verify(path(), {anchor}).code, 0);
    EXPECT_NE(verify(path(), {"5:" + tls::hex_of(head_.hash)}).text.find("record 5: is not the anchor's"),
              std::string::npos);
    EXPECT_EQ(verify(path(), {"5"}).code, 64);
    EXPECT_EQ(verify(folder_ / "nothing").code, 2);
}

TEST_F(AuditTrailTest, WhatACrashLeftInTheMiddleIsNoRecordAndIsSaid) {
    write_whole(path(), joined(lines_) + lines_[5].substr(0, 50));
    EXPECT_EQ(verify(path()).code, 1);
    EXPECT_NE(verify(path()).text.find("50 bytes after the last record"), std::string::npos);
    AuditTrail trail(options_of(folder_));
    ASSERT_TRUE(trail.begin());
    EXPECT_EQ(verify(path()).code, 0);
    EXPECT_NE(lines_of(read_whole(path())).at(6).find("\"act\":\"trail.torn\""), std::string::npos);
    EXPECT_EQ(trail.breaks(), 0U);
}

TEST_F(AuditTrailTest, AChangedTrailIsKeptAsideAndTheNextOneSaysSo) {
    auto changed = lines_;
    changed[2][20] ^= 1;
    put(changed);
    AuditTrail trail(options_of(folder_));
    ASSERT_TRUE(trail.add({.act = "admin"}));
    EXPECT_EQ(trail.breaks(), 1U);
    EXPECT_EQ(read_whole(path() + ".broken-1"), joined(changed));
    EXPECT_EQ(verify(path()).code, 0);
    const auto begun = lines_of(read_whole(path()));
    ASSERT_EQ(begun.size(), 3U);
    EXPECT_NE(begun[1].find("record 3: changed"), std::string::npos) << begun[1];
}

TEST_F(AuditTrailTest, ATrailThatGetsShorterUnderItsDaemonIsBroken) {
    AuditTrail trail(options_of(folder_));
    ASSERT_TRUE(trail.begin());
    put(std::vector<std::string>(lines_.begin(), lines_.end() - 1));
    ASSERT_TRUE(trail.add({.act = "admin"}));
    EXPECT_EQ(trail.breaks(), 1U);
    // The new one anchors what was known of the old.
    EXPECT_NE(read_whole(path()).find("6:" + tls::hex_of(head_.hash)), std::string::npos);
}

TEST_F(AuditTrailTest, TwoWritersTakeTurnsAndTheChainHolds) {
    AuditTrail daemon(options_of(folder_)), tool(options_of(folder_));
    for (int i = 0; i < 10; ++i) {
        ASSERT_TRUE((i % 3 == 0 ? tool : daemon).add({.act = "admin", .who = i % 3 == 0 ? "uid:0" : "alice"}));
    }
    EXPECT_EQ(verify(path()).text.substr(0, 11), "16 records,");
    EXPECT_EQ(daemon.breaks() + tool.breaks(), 0U);
}

TEST(AuditTrail, WhatCannotBeWrittenIsAnError) {
    const Folder folder;
    AuditTrail missing({.directory = folder / "nothing", .owner = "x"});
    EXPECT_FALSE(missing.begin());
    EXPECT_FALSE(missing.add({.act = "admin"}));
    EXPECT_EQ(missing.failures(), 1U);
    AuditTrail small(options_of(folder, 1000));
    ASSERT_TRUE(small.add({.act = "admin"}));
    const auto full = small.add({.act = "admin", .reason = std::string(500, 'x')});
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().code, ENOSPC);
    EXPECT_EQ(verify(folder.path()).code, 0);
    EXPECT_EQ(small.failures(), 1U);
}

TEST(AuditTrail, OutsidersFillItNoFasterThanARecordAPeriod) {
    const Folder folder;
    AuditTrail trail(options_of(folder));
    MonotonicNs now{1};
    for (int i = 0; i < 1000; ++i) trail.note({.act = "authentication", .outcome = "wrong token"}, now);
    trail.note({.act = "identity"}, now);
    trail.write_notes(now);
    EXPECT_EQ(trail.head().records, 3U);  // its beginning, and the first of each
    now = now.plus_ns(AuditTrail::note_period_ns);
    trail.write_notes(now);
    trail.write_notes(now);
    EXPECT_EQ(trail.head().records, 4U);
    EXPECT_NE(read_whole(folder / "audit-trail").find("\"count\":999"), std::string::npos);
}

TEST(AuditTrail, ARecordIsTheseBytes) {
    const AuditHead head{.records = 6, .hash = tls::sha256("x"), .bytes = 1};
    tls::Digest hash{};
    const std::string line = audit_line(head,
                                        {.act = "admin",
                                         .who = "alice",
                                         .role = "replayer",
                                         .from = "127.0.0.1",
                                         .target = "/v1/dead-letters/purge?limit=1",
                                         .reason = "scanner \"x\" on the port\xff",
                                         .outcome = "200",
                                         .of = 5,
                                         .count = 1},
                                        {1'700'000'000'500'000'000ULL}, hash);
    EXPECT_EQ(
        line,
        "{\"sequence\":7,\"time\":\"2023-11-14T22:13:20.5Z\",\"act\":\"admin\",\"who\":\"alice\",\"role\":\"replayer\","
        "\"from\":\"127.0.0.1\",\"target\":\"/v1/dead-letters/purge?limit=1\",\"reason\":\"scanner \\\"x\\\" on the "
        "port?\","
        "\"outcome\":\"200\",\"of\":5,\"count\":1,"
        "\"previous\":\"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\",\"hash\":\"" +
            tls::hex_of(hash) + "\"}\n");
    EXPECT_EQ(hash, tls::sha256(line.substr(0, line.find(",\"hash\":"))));
}

}  // namespace
}  // namespace weir::control
