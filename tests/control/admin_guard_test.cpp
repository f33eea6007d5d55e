#include "core/control/admin_guard.hpp"

#include "core/control/admin_target.hpp"
#include "tests/control/guard_bench.hpp"

namespace weir::control {
namespace {

class AdminGuardTest : public testing::Test {
  protected:
    void SetUp() override {
        tokens_ = make_tokens(folder_ / "tokens");
        open(folder_ / "tokens");
    }
    void open(const std::string& tokens, AdminLimits limits = {}) {
        auto opened =
            AdminGuard::open({.owner = "edge",
                              .tokens = tokens,
                              .limits = limits,
                              .rules = {{.is_act = false, .path = "/healthz", .role = {}},
                                        {.path = "/v1/reload", .role = Role::operator_},
                                        {.path = "/v1/letters/*", .role = Role::replayer, .needs_reason = true}}},
                             trail_);
        ASSERT_TRUE(opened) << opened.error().what;
        guard_ = std::move(opened.value());
    }
    unsigned judge(bool is_act, const std::string& target, const std::string& token, const std::string& reason = "",
                   const std::string& from = "127.0.0.1") {
        const std::string header = token.empty() ? "" : "Bearer " + token;
        last_ = guard_->judge(
            {.is_act = is_act, .target = target, .from = from, .authorization = header, .reason = reason}, now_);
        return last_.status;
    }
    void pass_ms(std::uint64_t ms) { now_ = now_.plus_ns(ms * ns_per_ms); }

    Folder folder_;
    AuditTrail trail_{{.directory = folder_.path(), .owner = "edge"}};
    std::map<std::string, std::string> tokens_;
    std::unique_ptr<AdminGuard> guard_;
    AdminVerdict last_;
    MonotonicNs now_{ns_per_second};
};

TEST_F(AdminGuardTest, NobodyWithoutATokenMayMoreThanWhatIsForAnyone) {
    EXPECT_EQ(judge(false, "/healthz", ""), 0U);
    EXPECT_EQ(judge(false, "/metrics", ""), 401U);
    EXPECT_EQ(judge(true, "/v1/reload", ""), 401U);
    EXPECT_EQ(judge(true, "/healthz", ""), 401U);
    EXPECT_EQ(
        guard_->judge({.target = "/metrics", .from = "::1", .authorization = "Basic " + tokens_["admin"]}, now_).status,
        401U);
}

TEST_F(AdminGuardTest, EachRoleMayWhatItIsForAndNoMore) {
    struct Case {
        std::string role;
        unsigned read, reload, replay, other;
    };
    for (const Case& one : {Case{"viewer", 0, 403, 403, 403}, Case{"operator", 0, 0, 403, 403},
                            Case{"replayer", 0, 403, 0, 403}, Case{"admin", 0, 0, 0, 0}}) {
        EXPECT_EQ(judge(false, "/metrics", tokens_[one.role]), one.read) << one.role;
        EXPECT_EQ(judge(true, "/v1/reload", tokens_[one.role]), one.reload) << one.role;
        EXPECT_EQ(judge(true, "/v1/letters/replay?limit=1", tokens_[one.role], "mended"), one.replay) << one.role;
        EXPECT_EQ(judge(true, "/v1/what-is-new", tokens_[one.role]), one.other) << one.role;
    }
    EXPECT_EQ(last_.who, "admin");
    EXPECT_EQ(last_.role, "admin");
}

TEST_F(AdminGuardTest, ReplayAndPurgeAskForAReasonAlsoWhereNoTokensAreAskedFor) {
    EXPECT_EQ(judge(true, "/v1/letters/purge", tokens_["replayer"]), 400U);
    EXPECT_EQ(judge(true, "/v1/letters/purge", tokens_["replayer"], std::string(reason_bytes_max + 1, 'x')), 400U);
    EXPECT_EQ(judge(true, "/v1/letters/purge", tokens_["replayer"], std::string(reason_bytes_max, 'x')), 0U);
    open("");
    EXPECT_EQ(judge(true, "/v1/letters/purge", ""), 400U);
    EXPECT_EQ(judge(true, "/v1/letters/purge", "", "scanner"), 0U);
    EXPECT_EQ(judge(true, "/v1/anything", ""), 0U);
    EXPECT_EQ(last_.who, "anyone");
    EXPECT_NE(guard_->health(), "");
}

TEST_F(AdminGuardTest, WrongTokensArePausedEverLongerAndARightOneEndsThat) {
    const std::string wrong = "admin.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for (int i = 0; i < 5; ++i) EXPECT_EQ(judge(false, "/metrics", wrong), 401U) << i;
    EXPECT_EQ(judge(false, "/metrics", wrong), 429U);
    EXPECT_EQ(last_.retry_s, 2U);
    EXPECT_EQ(judge(false, "/metrics", tokens_["admin"]), 429U);  // nothing of it is looked at
    EXPECT_EQ(judge(false, "/metrics", tokens_["viewer"]), 0U);   // others are not held up,
    EXPECT_EQ(judge(false, "/healthz", wrong), 0U);               // and neither is what is for anyone
    pass_ms(1000);
    EXPECT_EQ(judge(false, "/metrics", wrong), 401U);
    pass_ms(1999);
    EXPECT_EQ(judge(false, "/metrics", wrong), 429U);
    pass_ms(1);
    for (const std::uint64_t ms : {4000UL, 8000UL, 16'000UL, 30'000UL, 30'000UL}) {
        EXPECT_EQ(judge(false, "/metrics", wrong), 401U);
        pass_ms(ms - 1);
        EXPECT_EQ(judge(false, "/metrics", wrong), 429U) << ms;
        pass_ms(1);
    }
    EXPECT_EQ(judge(false, "/metrics", tokens_["admin"]), 0U);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(judge(false, "/metrics", wrong), 401U) << i;
}

TEST_F(AdminGuardTest, NamesThatThereAreNotArePausedTogether) {
    for (int i = 0; i < 5; ++i) EXPECT_EQ(judge(false, "/metrics", "n" + std::to_string(i) + ".x"), 401U);
    EXPECT_EQ(judge(false, "/metrics", "another.x"), 429U);
    EXPECT_EQ(judge(false, "/metrics", "another.x", "", "10.0.0.1"), 401U);
    EXPECT_EQ(judge(false, "/metrics", "another.x", "", "127.9.9.9"), 429U);  // loopback is one
}

TEST_F(AdminGuardTest, MoreRequestsThanTheRateAreRefusedAndTheRateComesBack) {
    open("", {.requests_per_second = 10});
    for (int i = 0; i < 10; ++i) EXPECT_EQ(judge(false, "/metrics", ""), 0U) << i;
    EXPECT_EQ(judge(false, "/metrics", ""), 429U);
    pass_ms(100);
    EXPECT_EQ(judge(false, "/metrics", ""), 0U);
    EXPECT_EQ(judge(false, "/metrics", ""), 429U);
    EXPECT_NE(guard_->metrics().find("weir_edge_admin_refused_requests_total{for=\"rate\"} 2"), std::string::npos);
}

TEST_F(AdminGuardTest, MoreAddressesThanAreRememberedMakeRoomForEachOther) {
    for (std::size_t i = 0; i < 4 * AdminGuard::peers_max; ++i) {
        EXPECT_EQ(judge(false, "/metrics", "x.y", "", "10.0.0." + std::to_string(i)), 401U);
    }
}

TEST_F(AdminGuardTest, AChangedTokenFileIsTakenWholeOrNotAtAll) {
    ASSERT_TRUE(add_token(folder_ / "tokens", "carol", Role::operator_));
    guard_->look(now_, false);
    const auto carol = add_token(folder_ / "tokens", "dave", Role::operator_);
    EXPECT_EQ(judge(true, "/v1/reload", carol.value()), 401U);
    pass_ms(1000);
    guard_->look(now_, false);
    EXPECT_EQ(judge(true, "/v1/reload", carol.value()), 0U);
    // A bad one changes nothing; one that is gone neither.
    std::filesystem::permissions(folder_ / "tokens", std::filesystem::perms(0644));
    guard_->look(now_, true);
    EXPECT_EQ(judge(true, "/v1/reload", carol.value()), 0U);
    std::filesystem::rename(folder_ / "tokens", folder_ / "kept");
    guard_->look(now_, true);
    EXPECT_EQ(judge(true, "/v1/reload", carol.value()), 0U);
    EXPECT_NE(guard_->metrics().find("weir_edge_admin_tokens_refused_total 2"), std::string::npos);
    // Who is not in it any more is out.
    const std::string all = read_whole(folder_ / "kept");
    write_whole(folder_ / "kept", all.substr(0, all.find("dave")));
    std::filesystem::permissions(folder_ / "kept", std::filesystem::perms(0600));
    std::filesystem::rename(folder_ / "kept", folder_ / "tokens");
    guard_->look(now_, true);
    EXPECT_EQ(judge(true, "/v1/reload", carol.value()), 401U);
}

TEST_F(AdminGuardTest, AStartWithoutAGoodTokenFileIsRefused) {
    const auto fault_of = [&](const std::string& tokens) {
        const auto opened = AdminGuard::open({.owner = "edge", .tokens = tokens, .limits = {}, .rules = {}}, trail_);
        return opened ? std::string() : opened.error().what;
    };
    EXPECT_NE(fault_of(folder_ / "nothing"), "");
    write_whole(folder_ / "empty", "");
    std::filesystem::permissions(folder_ / "empty", std::filesystem::perms(0600));
    EXPECT_NE(fault_of(folder_ / "empty").find("has no token"), std::string::npos);
    std::filesystem::permissions(folder_ / "tokens", std::filesystem::perms(0640));
    EXPECT_NE(fault_of(folder_ / "tokens").find("must have mode 0600"), std::string::npos);
}

TEST_F(AdminGuardTest, WhoIsRefusedIsWrittenDownWithoutTheToken) {
    const std::string wrong = "admin.secretsecretsecret";
    judge(false, "/metrics", wrong);
    judge(true, "/v1/reload", tokens_["viewer"]);
    const std::string trail = read_whole(folder_ / "audit-trail");
    EXPECT_NE(trail.find("\"act\":\"authentication\",\"who\":\"admin\""), std::string::npos);
    EXPECT_NE(
        trail.find(
            "\"act\":\"role\",\"who\":\"viewer\",\"role\":\"viewer\",\"from\":\"127.0.0.1\",\"target\":\"/v1/reload\""),
        std::string::npos);
    EXPECT_EQ(trail.find("secret"), std::string::npos);
}

TEST(AdminTarget, IsAPlainPathOrRefused) {
    for (const char* good :
         {"/", "/metrics", "/api/v1/lanes/a-b/hold", "/v1/tap?limit=1&where=a%20b/../c", "/a/%41~:@"}) {
        EXPECT_EQ(target_fault(good), "") << good;
    }
    for (const std::string& bad : {std::string(""),
                                   std::string("metrics"),
                                   std::string("http://x/y"),
                                   std::string("/../etc/passwd"),
                                   std::string("/api/../metrics"),
                                   std::string("/api/."),
                                   std::string("/a//b"),
                                   std::string("//a"),
                                   std::string("/a/%2e%2e/b"),
                                   std::string("/a/%2fb"),
                                   std::string("/a/%5c"),
                                   std::string("/a\\b"),
                                   std::string("/a/%00"),
                                   std::string("/a/%252e"),
                                   std::string("/a/%zz"),
                                   std::string("/a%4"),
                                   std::string("/a\x01"),
                                   std::string("/\xc3\xa9"),
                                   std::string("/a#b"),
                                   std::string("/a?b c"),
                                   std::string("/a?\x7f"),
                                   std::string("/a/"),
                                   '/' + std::string(target_bytes_max, 'a')}) {
        EXPECT_NE(target_fault(bad), "") << bad;
    }
}

}  // namespace
}  // namespace weir::control
