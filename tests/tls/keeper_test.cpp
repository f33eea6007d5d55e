// Files that change while a daemon runs: what is good is taken whole, what is not changes nothing and is named.
#include "core/tls/keeper.hpp"

#include <gtest/gtest.h>

#include "core/tls/session.hpp"
#include "tests/tls/test_ca.hpp"

namespace weir::tls {
namespace {

class KeeperTest : public testing::Test {
  protected:
    void open(const TestCertificate& certificate, const std::string& denied = "") {
        TlsFiles files = write_files(directory, "north", certificate, ca.pem());
        if (!denied.empty()) files.deny_list = directory.write("denied", denied);
        auto made = CredentialKeeper::open({.files = files, .role = "edge", .name = "north", .time_floor = {}});
        ASSERT_TRUE(made.ok()) << made.error().what;
        keeper = std::move(made.value());
        auto added = keeper->add_endpoint(Side::client, {test_domain, "central", {}});
        ASSERT_TRUE(added.ok());
        endpoint = added.value();
    }
    // A second goes by.
    std::vector<News> look(bool is_asked = false) {
        now = now.plus_ns(look_ns);
        return keeper->look(now, wall_now(), is_asked);
    }
    [[nodiscard]] std::string error_of(const TlsFiles& files) const {
        auto made = CredentialKeeper::open({.files = files, .role = "edge", .name = "north", .time_floor = {}});
        return made.ok() ? "" : made.error().what;
    }

    TestDirectory directory;
    TestCa ca;
    std::unique_ptr<CredentialKeeper> keeper;
    Endpoint* endpoint = nullptr;
    MonotonicNs now{1000};
};

TEST_F(KeeperTest, NothingIsSaidWhileNothingChanges) {
    open(ca.edge("north"));
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(look().empty());
    EXPECT_FALSE(endpoint->refresh());
}

TEST_F(KeeperTest, NewFilesAreTakenWithinTwoLooks) {
    open(ca.edge("north"));
    write_files(directory, "north", ca.edge("north"), ca.pem());
    EXPECT_TRUE(look().empty());  // still being written, perhaps
    const auto news = look();
    ASSERT_EQ(news.size(), 1U);
    EXPECT_EQ(news[0].kind, NewsKind::taken) << news[0].what;
    EXPECT_TRUE(endpoint->refresh());
    EXPECT_FALSE(endpoint->refresh());
    EXPECT_TRUE(look().empty());
    EXPECT_EQ(keeper->taken(), 1U);
}

TEST_F(KeeperTest, AskedForTheyAreTakenAtOnce) {
    open(ca.edge("north"));
    write_files(directory, "north", ca.edge("north"), ca.pem());
    const auto news = keeper->look(now, wall_now(), true);
    ASSERT_EQ(news.size(), 1U);
    EXPECT_EQ(news[0].kind, NewsKind::taken);
}

TEST_F(KeeperTest, ACertificateWithoutItsKeyWaitsForIt) {
    open(ca.edge("north"));
    const TestCertificate next = ca.edge("north");
    directory.write("north.crt", next.pem(), 0644);
    EXPECT_TRUE(look().empty());
    auto news = look();
    ASSERT_EQ(news.size(), 1U);
    EXPECT_EQ(news[0].kind, NewsKind::refused);
    EXPECT_NE(news[0].what.find("is not the key of"), std::string::npos) << news[0].what;
    EXPECT_TRUE(look().empty());  // once
    EXPECT_FALSE(endpoint->refresh());
    directory.write("north.key", next.key_pem());
    EXPECT_TRUE(look().empty());
    news = look();
    ASSERT_EQ(news.size(), 1U);
    EXPECT_EQ(news[0].kind, NewsKind::taken);
    EXPECT_TRUE(endpoint->refresh());
}

TEST_F(KeeperTest, WhatIsNotGoodChangesNothingAndSaysWhy) {
    open(ca.edge("north"));
    const TestCertificate good = ca.edge("north");
    const struct {
        std::string certificate, key, ca, why;
        mode_t mode = 0600;
    } cases[] = {
        {"no PEM", good.key_pem(), ca.pem(), "holds no certificate in PEM"},
        {good.pem(), "no PEM", ca.pem(), "holds no private key"},
        {good.pem(), good.key_pem(), "no PEM", "holds no certificate in PEM"},
        {good.pem(), good.key_pem(), good.pem(), "holds a certificate that is no CA's"},
        {good.pem(), good.key_pem(), ca.pem(), "0600 or stricter", 0640},
        {good.pem().substr(0, good.pem().size() / 2), good.key_pem(), ca.pem(), "north.crt: "},
    };
    std::uint64_t refused = 0;
    for (const auto& one : cases) {
        directory.write("north.crt", one.certificate, 0644);
        directory.write("north.key", one.key, one.mode);
        directory.write("north.ca", one.ca, 0644);
        static_cast<void>(look());
        const auto news = look();
        ASSERT_EQ(news.size(), 1U) << one.why;
        EXPECT_EQ(news[0].kind, NewsKind::refused);
        EXPECT_NE(news[0].what.find(one.why), std::string::npos) << news[0].what;
        EXPECT_EQ(news[0].what.find("PRIVATE KEY"), std::string::npos);
        EXPECT_FALSE(endpoint->refresh());
        EXPECT_EQ(keeper->refused(), ++refused);
    }
    for (const bool is_late : {true, false}) {
        const std::string name = "URI:spiffe://weir.test/edge/north";
        const auto next = is_late ? ca.issue(name, -7200, -3600) : ca.issue(name, 3600, 7200);
        write_files(directory, "north", next, ca.pem());
        static_cast<void>(look());
        const auto news = look();
        ASSERT_EQ(news.size(), 1U);
        EXPECT_NE(news[0].what.find(is_late ? "ran out at" : "is good only from"), std::string::npos) << news[0].what;
    }
}

TEST_F(KeeperTest, AStartRefusesAKeyThatOthersMayReadAndAnotherEdgesName) {
    TlsFiles files = write_files(directory, "north", ca.edge("north"), ca.pem());
    EXPECT_EQ(error_of(files), "");
    for (const mode_t mode : {0640U, 0604U, 0620U, 0601U}) {
        ASSERT_EQ(::chmod(files.key.c_str(), mode), 0);
        EXPECT_NE(error_of(files).find("0600 or stricter"), std::string::npos) << mode;
    }
    ASSERT_EQ(::chmod(files.key.c_str(), 0400), 0);
    EXPECT_EQ(error_of(files), "");
    files = write_files(directory, "south", ca.edge("south"), ca.pem());
    EXPECT_NE(error_of(files).find("is none of the names"), std::string::npos) << error_of(files);
    files = write_files(directory, "central", ca.central("north"), ca.pem());
    EXPECT_NE(error_of(files).find("its name is not spiffe://weir.test/edge/NAME"), std::string::npos);
    files.ca = directory.file("absent");
    EXPECT_NE(error_of(files).find("No such file"), std::string::npos) << error_of(files);
}

TEST_F(KeeperTest, ACertificateThatHasRunOutStopsNoStartAndIsToldOnce) {
    open(ca.issue("URI:spiffe://weir.test/edge/north", -7200, -3600));
    EXPECT_LT(keeper->seconds_left(wall_now()), -3500);
    const auto news = look();
    ASSERT_EQ(news.size(), 1U);
    EXPECT_EQ(news[0].kind, NewsKind::expired);
    EXPECT_TRUE(look().empty());
}

TEST_F(KeeperTest, TwoThirdsOfALifeAreTold) {
    open(ca.issue("URI:spiffe://weir.test/edge/north", -3600, 3600));
    EXPECT_TRUE(look().empty());
    const auto later = [](std::uint64_t seconds) { return WallNs{wall_now().value + seconds * ns_per_second}; };
    EXPECT_FALSE(keeper->is_ageing(later(1100)));
    EXPECT_TRUE(keeper->is_ageing(later(1300)));
    now = now.plus_ns(look_ns);
    const auto news = keeper->look(now, later(1300), false);
    ASSERT_EQ(news.size(), 1U);
    EXPECT_EQ(news[0].kind, NewsKind::ageing);
}

TEST_F(KeeperTest, TheDenyListIsTakenAtTheNextLookAndABadOneIsNot) {
    open(ca.edge("north"), "serial:aa\n");
    EXPECT_EQ(keeper->denied_count(), 1U);
    directory.write("denied", "serial:aa\nserial:BB\n");
    auto news = look();
    ASSERT_EQ(news.size(), 1U);
    EXPECT_EQ(news[0].kind, NewsKind::deny_list_taken);
    ASSERT_TRUE(endpoint->refresh());
    EXPECT_EQ(endpoint->current().denied.count(), 2U);
    directory.write("denied", "serial:aa\nserial:no\n");
    news = look();
    ASSERT_EQ(news.size(), 1U);
    EXPECT_EQ(news[0].kind, NewsKind::deny_list_refused);
    EXPECT_NE(news[0].what.find("line 2: "), std::string::npos) << news[0].what;
    EXPECT_FALSE(endpoint->refresh());
    EXPECT_EQ(keeper->denied_count(), 2U);
    std::filesystem::remove(directory.file("denied"));
    ASSERT_EQ(look().size(), 1U);
    EXPECT_FALSE(endpoint->refresh());
}

TEST(DenyListTest, NamesSerialsAndFingerprintsHoweverTheyAreWritten) {
    const TestCa ca;
    const TestCertificate one = ca.edge("a"), two = ca.edge("b"), three = ca.edge("c");
    const auto facts = [](const TestCertificate& of) { return facts_of(of.certificate.get()); };
    std::string upper;
    for (std::size_t i = 0; i < 64; ++i) {
        if (i > 0 && i % 2 == 0) upper += ':';
        upper += static_cast<char>(std::toupper(facts(two).fingerprint[i]));
    }
    const auto list = DenyList::parse("\r\n# all\n  serial:00" + facts(one).serial + " # one\r\nsha256:" + upper);
    ASSERT_TRUE(list.ok()) << list.error().what;
    EXPECT_TRUE(list.value().contains(facts(one)));
    EXPECT_TRUE(list.value().contains(facts(two)));
    EXPECT_FALSE(list.value().contains(facts(three)));
    for (const char* bad : {"serial:", "sha256:aabb", "serial:xy", "1234", "serial 12", "sha1:12"}) {
        EXPECT_FALSE(DenyList::parse(bad).ok()) << bad;
    }
}

TEST(DenyListTest, NamesEveryCertificateOfAnIdentity) {
    const TestCa ca;
    const auto list = DenyList::parse("uri:spiffe://weir.test/edge/a\n");
    ASSERT_TRUE(list.ok()) << list.error().what;
    const auto facts = [](const TestCertificate& of) { return facts_of(of.certificate.get()); };
    EXPECT_TRUE(list.value().contains(facts(ca.edge("a"))));
    EXPECT_TRUE(list.value().contains(facts(ca.edge("a"))));  // of another serial
    EXPECT_FALSE(list.value().contains(facts(ca.edge("ab"))));
    EXPECT_FALSE(list.value().contains(facts(ca.central("a"))));
    for (const char* bad :
         {"uri:", "uri:weir.test/edge/a", "uri:spiffe://weir.test/edge", "uri:spiffe://weir.test/edge/A"}) {
        EXPECT_FALSE(DenyList::parse(bad).ok()) << bad;
    }
}

TEST(IdentityTest, IsReadFromTheUriAloneAndInOneForm) {
    const auto identity = parse_identity("spiffe://weir.example/edge/north-1");
    ASSERT_TRUE(identity.has_value());
    EXPECT_EQ(identity->trust_domain, "weir.example");
    EXPECT_EQ(identity->path, "edge/north-1");
    EXPECT_EQ(identity->role, "edge");
    EXPECT_EQ(identity->name, "north-1");
    for (const std::string bad :
         {"", "spiffe://", "spiffe:///edge/a", "spiffe://d/edge", "spiffe://d/edge/", "spiffe://d//a",
          "spiffe://d/edge/a/b", "spiffe://d/edge/a?x", "SPIFFE://d/edge/a", "https://d/edge/a", "spiffe://d:1/edge/a",
          "spiffe://u@d/edge/a", "spiffe://d/edge/A", "spiffe://d/edge/a%62"}) {
        EXPECT_FALSE(parse_identity(bad).has_value()) << bad;
    }
    EXPECT_FALSE(parse_identity(std::string("spiffe://d/edge/a\0b", 19)).has_value());
}

TEST(SessionTest, AClockThatWasNeverSetIsTakenForTheTimeOfTheBuild) {
    const TestCa ca;
    auto server = make_state(Side::server, ca.central("main"), ca.pem(), "edge");
    auto client = make_state(Side::client, ca.edge("north"), ca.pem(), "central");
    for (const bool has_floor : {false, true}) {
        server->time_floor = client->time_floor = has_floor ? wall_now() : WallNs{};
        const WallNs unset{5 * ns_per_second};
        auto there = Session::make(*server, unset, output_bytes_min);
        auto here = Session::make(*client, unset, output_bytes_min);
        auto outcomes = std::pair(Outcome::wants_input, Outcome::wants_input);
        for (int i = 0; i < 10; ++i) {
            outcomes.first = outcomes.first == Outcome::done ? Outcome::done : here->handshake();
            if (const ConstBytes bytes = here->take_output(); !bytes.empty()) {
                there->feed(bytes);
                outcomes.second = outcomes.second == Outcome::done ? Outcome::done : there->handshake();
                here->output_sent();
                if (!there->unread().empty()) break;
            }
            if (const ConstBytes bytes = there->take_output(); !bytes.empty() && here->unread().empty()) {
                here->feed(bytes);
                outcomes.first = outcomes.first == Outcome::done ? Outcome::done : here->handshake();
                there->output_sent();
            }
        }
        EXPECT_EQ(outcomes.first == Outcome::done && outcomes.second == Outcome::done, has_floor) << here->fault();
    }
    EXPECT_GT(build_time().value, 1'700'000'000ULL * ns_per_second);
}

}  // namespace
}  // namespace weir::tls
