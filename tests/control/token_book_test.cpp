#include "core/control/token_book.hpp"

#include "tests/control/guard_bench.hpp"

namespace weir::control {
namespace {

const std::string hash_of_x =
    "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";  // of "x" (FIPS 180-4)

TEST(TokenBook, KnowsATokenByItsHashAndNeverHoldsTheToken) {
    const Folder folder;
    auto tokens = make_tokens(folder / "tokens");
    const auto book = TokenBook::load(folder / "tokens");
    ASSERT_TRUE(book);
    for (const auto& [name, token] : tokens) {
        const TokenBook::Entry* const found = book.value().find(token);
        ASSERT_NE(found, nullptr) << name;
        EXPECT_EQ(found->name, name);
        EXPECT_EQ(text(found->role), name);
        EXPECT_EQ(read_whole(folder / "tokens").find(token.substr(token.find('.') + 1)), std::string::npos);
        EXPECT_EQ(token.size(), name.size() + 1 + 43);
    }
}

TEST(TokenBook, RefusesWhatDiffersInOneLetterAndWhatIsAnothersName) {
    const Folder folder;
    auto tokens = make_tokens(folder / "tokens");
    const auto book = TokenBook::load(folder / "tokens");
    ASSERT_TRUE(book);
    std::string wrong = tokens["admin"];
    wrong.back() = wrong.back() == 'A' ? 'B' : 'A';
    for (const std::string& token :
         {wrong, tokens["admin"] + ' ', tokens["admin"].substr(0, 20), std::string("admin."),
          "viewer" + tokens["admin"].substr(5), std::string(), std::string(token_bytes_max + 1, 'a')}) {
        EXPECT_EQ(book.value().find(token), nullptr) << token;
    }
}

TEST(TokenBook, SaysTheSha256OfAKnownText) {
    EXPECT_EQ(tls::hex_of(tls::sha256("x")), hash_of_x);
    EXPECT_TRUE(tls::is_equal(tls::sha256("x"), *tls::digest_of_hex(hash_of_x)));
    EXPECT_FALSE(tls::is_equal(tls::sha256("x"), tls::sha256("y")));
}

TEST(TokenBook, NamesTheFirstLineThatIsNone) {
    const std::string good = "# who\nalice operator " + hash_of_x + "  # a note\n\n";
    ASSERT_TRUE(TokenBook::parse(good));
    const std::pair<std::string, std::string> cases[] = {
        {good + "alice viewer " + hash_of_x, "line 4: the name alice is there already"},
        {good + "Bob viewer " + hash_of_x, "line 4: the name must be 1 to 32 of a-z, 0-9 and '-'"},
        {good + "bob root " + hash_of_x, "line 4: the role must be viewer, operator, replayer or admin"},
        {good + "bob viewer " + hash_of_x.substr(1),
         "line 4: the hash must be 64 lower-case hexadecimal digits, or the word certificate"},
        {good + "bob viewer " + hash_of_x + " more",
         "line 4: must be NAME ROLE SHA256 or NAME ROLE certificate and nothing else"},
        {good + "bob viewer certificate\nbob admin certificate", "line 5: the name bob is there already"},
        {good + std::string(token_line_bytes_max + 1, ' '), "line 4: is longer than 256 bytes"},
    };
    for (const auto& [text, what] : cases) {
        const auto book = TokenBook::parse(text);
        ASSERT_FALSE(book) << text;
        EXPECT_EQ(book.error().what, what);
    }
}

// The hash of an entry without one is all zeros: no token has that.
TEST(TokenBook, ACertificatesLineIsNoTokensAndTheOtherWayRound) {
    const auto book =
        TokenBook::parse("alice operator " + hash_of_x + "\nalice viewer certificate\nbob admin certificate\n");
    ASSERT_TRUE(book) << book.error().what;
    EXPECT_EQ(book.value().count(), 3U);
    EXPECT_EQ(book.value().certificate_count(), 2U);
    EXPECT_EQ(book.value().role_of_certificate("alice"), Role::viewer);
    EXPECT_EQ(book.value().role_of_certificate("bob"), Role::admin);
    EXPECT_EQ(book.value().role_of_certificate("carol"), std::nullopt);
    EXPECT_TRUE(book.value().has_name("alice"));
    EXPECT_FALSE(book.value().has_name("bob"));
    EXPECT_EQ(book.value().find("bob.x"), nullptr);
    const auto tokens_alone = TokenBook::parse("alice operator " + hash_of_x + "\n");
    ASSERT_TRUE(tokens_alone);
    EXPECT_EQ(tokens_alone.value().role_of_certificate("alice"), std::nullopt);
}

TEST(TokenBook, AFileThatOthersMayReadOrWriteIsRefused) {
    const Folder folder;
    make_tokens(folder / "tokens");
    for (const int mode : {0640, 0604, 0620, 0601}) {
        std::filesystem::permissions(folder / "tokens", std::filesystem::perms(mode));
        const auto book = TokenBook::load(folder / "tokens");
        ASSERT_FALSE(book) << mode;
        EXPECT_NE(book.error().what.find("must have mode 0600"), std::string::npos) << book.error().what;
    }
    EXPECT_FALSE(TokenBook::load(folder.path()));
    EXPECT_FALSE(TokenBook::load(folder / "nothing"));
}

TEST(TokenBook, ATokenIsAddedOnceAndToALineOfItsOwn) {
    const Folder folder;
    ASSERT_TRUE(add_token(folder / "tokens", "alice", Role::viewer));
    EXPECT_EQ(std::filesystem::status(folder / "tokens").permissions(), std::filesystem::perms(0600));
    std::string text = read_whole(folder / "tokens");
    text.pop_back();
    write_whole(folder / "tokens", text);
    ASSERT_TRUE(add_token(folder / "tokens", "bob", Role::admin));
    EXPECT_FALSE(add_token(folder / "tokens", "alice", Role::admin));
    EXPECT_FALSE(add_token(folder / "tokens", "A b", Role::admin));
    const auto book = TokenBook::load(folder / "tokens");
    ASSERT_TRUE(book) << book.error().what;
    EXPECT_EQ(book.value().count(), 2U);
}

TEST(Roles, EachMayWhatItIsForAndOnlyAdminEverything) {
    for (const Role role : {Role::viewer, Role::operator_, Role::replayer, Role::admin}) {
        EXPECT_TRUE(may(role, Role::viewer));
        EXPECT_TRUE(may(role, role));
        EXPECT_TRUE(may(Role::admin, role));
        EXPECT_EQ(may(role, Role::admin), role == Role::admin);
        EXPECT_EQ(parse_role(text(role)), role);
    }
    EXPECT_FALSE(may(Role::operator_, Role::replayer));
    EXPECT_FALSE(may(Role::replayer, Role::operator_));
    EXPECT_FALSE(parse_role("root"));
}

TEST(Roles, WhatNoRuleNamesAViewerMayReadAndOnlyAdminDo) {
    const std::vector<AccessRule> rules{{.is_act = false, .path = "/healthz", .role = {}},
                                        {.path = "/lanes/*", .role = Role::operator_}};
    EXPECT_FALSE(rule_for(rules, false, "/healthz").role);
    EXPECT_EQ(rule_for(rules, true, "/healthz").role, Role::admin);
    EXPECT_EQ(rule_for(rules, false, "/healthz/x").role, Role::viewer);
    EXPECT_EQ(rule_for(rules, true, "/lanes/a/hold").role, Role::operator_);
    EXPECT_EQ(rule_for(rules, false, "/lanes/a").role, Role::viewer);
}

}  // namespace
}  // namespace weir::control
