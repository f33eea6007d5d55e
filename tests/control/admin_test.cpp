#include "core/control/admin.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "core/control/admin_client.hpp"
#include "core/control/admin_guard.hpp"
#include "tests/control/guard_bench.hpp"
#include "tests/control/raw_client.hpp"

namespace weir::control {
namespace {

AdminResponse answer(std::string_view method, std::string_view target) {
    EXPECT_EQ(method, "GET");
    if (target == "/healthz") return {.body = "ok\n"};
    if (target == "/api?x=1") return {.content_type = "application/json", .body = "{}"};
    if (target == "/broken") throw std::runtime_error("no snapshot");
    return {.status = 404, .body = "not found\n"};
}

using Client = RawClient;

class AdminServerTest : public testing::Test {
  protected:
    void SetUp() override {
        const Status status = server_.start();
        ASSERT_TRUE(status) << status.error().what;
    }
    std::string ask(const std::string& request) {
        Client client(server_.bound_address());
        client.send(request);
        return client.receive_all();
    }
    std::string get(const std::string& target, const std::string& host = "localhost") {
        return ask("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n");
    }
    AdminServer server_{"127.0.0.1:0", answer};
};

TEST_F(AdminServerTest, AnswersAGetWithTheHandlersWord) {
    const std::string text = get("/healthz");
    EXPECT_TRUE(text.starts_with("HTTP/1.1 200 OK\r\n")) << text;
    EXPECT_TRUE(text.ends_with("\r\n\r\nok\n")) << text;
    EXPECT_NE(get("/api?x=1").find("Content-Type: application/json\r\n"), std::string::npos);
}

TEST_F(AdminServerTest, AnswersAHeadWithTheLengthButWithoutTheBody) {
    const std::string text = ask("HEAD /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    EXPECT_TRUE(text.starts_with("HTTP/1.1 200 OK\r\n")) << text;
    EXPECT_NE(text.find("Content-Length: 3\r\n"), std::string::npos) << text;
    EXPECT_TRUE(text.ends_with("\r\n\r\n")) << text;
}

TEST_F(AdminServerTest, PassesTheHandlers404On) {
    EXPECT_TRUE(get("/nothing").starts_with("HTTP/1.1 404 "));
}

TEST_F(AdminServerTest, RefusesOtherMethodsAndSaysWhichItTakes) {
    const std::string text =
        ask("POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
    EXPECT_TRUE(text.starts_with("HTTP/1.1 405 ")) << text;
    EXPECT_NE(text.find("Allow: GET, HEAD\r\n"), std::string::npos) << text;
}

TEST_F(AdminServerTest, RefusesAHeadThatIsTooLong) {
    const std::string text =
        ask("GET / HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(AdminServer::head_bytes_max, 'x') + "\r\n\r\n");
    EXPECT_TRUE(text.starts_with("HTTP/1.1 431 ")) << text;
}

TEST_F(AdminServerTest, RefusesABodyThatIsTooLongBeforeItComes) {
    const std::string text = ask("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n");
    EXPECT_TRUE(text.starts_with("HTTP/1.1 413 ")) << text;
}

TEST_F(AdminServerTest, RefusesWhatIsNoHttp) {
    EXPECT_TRUE(ask("\x16\x03\x01 hello\r\n\r\n").starts_with("HTTP/1.1 400 "));
}

TEST_F(AdminServerTest, RefusesAHostThatIsNotThisMachinesLoopback) {
    for (const std::string host : {"example.org", "example.org:80", "10.0.0.1", "127.0.0.1.example.org", ""}) {
        EXPECT_TRUE(get("/healthz", host).starts_with("HTTP/1.1 403 ")) << host;
    }
    EXPECT_TRUE(ask("GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 403 "));
    for (const std::string& host : {std::string("127.0.0.1"), std::string("[::1]:80"), std::string("localhost:1"),
                                    std::string("[::1]"), server_.bound_address()}) {
        EXPECT_TRUE(get("/healthz", host).starts_with("HTTP/1.1 200 ")) << host;
    }
}

TEST_F(AdminServerTest, KeepsAConnectionForTheNextRequest) {
    Client client(server_.bound_address());
    for (int count = 0; count < 3; ++count) {
        client.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        EXPECT_TRUE(client.receive_until("ok\n").starts_with("HTTP/1.1 200 "));
    }
}

TEST_F(AdminServerTest, TurnsAHandlersExceptionIntoA500AndGoesOn) {
    EXPECT_TRUE(get("/broken").starts_with("HTTP/1.1 500 "));
    EXPECT_TRUE(get("/healthz").starts_with("HTTP/1.1 200 "));
}

TEST_F(AdminServerTest, ClosesConnectionsBeyondItsBoundAtOnce) {
    std::vector<std::unique_ptr<Client>> held;
    for (std::uint32_t index = 0; index < AdminServer::connections_max; ++index) {
        held.push_back(std::make_unique<Client>(server_.bound_address()));
        held.back()->send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        ASSERT_TRUE(held.back()->receive_until("ok\n").starts_with("HTTP/1.1 200 "));
    }
    Client more(server_.bound_address());
    EXPECT_EQ(more.receive_all(), "");
    EXPECT_TRUE(more.is_closed());
}

TEST_F(AdminServerTest, SaysWhichAddressIsTaken) {
    AdminServer second(server_.bound_address(), answer);
    const Status status = second.start();
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().what, "admin " + server_.bound_address() + ": Address already in use");
}

TEST(AdminServer, RefusesToListenBeyondLoopback) {
    AdminServer server("0.0.0.0:0", answer);
    const Status status = server.start();
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().what, "admin 0.0.0.0:0: not a loopback address");
}

TEST(AdminServer, StopsWithOpenConnections) {
    AdminServer server("127.0.0.1:0", answer);
    ASSERT_TRUE(server.start());
    Client idle(server.bound_address());
    idle.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_TRUE(idle.receive_until("ok\n").starts_with("HTTP/1.1 200 "));
    server.stop();
}

// Says the numbers up to its end, each in a piece of its own; counts itself.
class Numbers final : public AdminFlow {
  public:
    Numbers(std::atomic<int>& open, int end) : open_(open), end_(end) { ++open_; }
    ~Numbers() override { --open_; }
    bool take(std::string& out) override {
        if (end_ == 0) return true;  // nothing, for ever
        out += std::to_string(++number_) + '\n';
        return number_ < end_;
    }

  private:
    std::atomic<int>& open_;
    int end_;
    int number_ = 0;
};

class AdminActsTest : public testing::Test {
  protected:
    void SetUp() override { ASSERT_TRUE(server_.start()); }
    std::string post(const std::string& target, const std::string& body, const std::string& more = "") {
        Client client(server_.bound_address());
        client.send("POST " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + more +
                    "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
        return client.receive_all();
    }
    std::atomic<int> flows_{0};
    AdminServer server_{"127.0.0.1:0", answer, [this](const AdminAct& act) -> AdminResponse {
                            const std::string_view target = act.target, body = act.body;
                            if (target == "/count") return {.flow = std::make_unique<Numbers>(flows_, 3)};
                            if (target == "/silence") return {.flow = std::make_unique<Numbers>(flows_, 0)};
                            if (target == "/flood") return {.flow = std::make_unique<Numbers>(flows_, 1 << 30)};
                            return {.status = 422, .body = "not " + std::string(body)};
                        }};
};

TEST_F(AdminActsTest, APostGoesToItsHandlerWithItsBody) {
    const std::string text = post("/x", "thus");
    EXPECT_TRUE(text.starts_with("HTTP/1.1 422 ")) << text;
    EXPECT_TRUE(text.ends_with("\r\n\r\nnot thus")) << text;
}

TEST_F(AdminActsTest, APostThatAPageSendsIsRefused) {
    EXPECT_TRUE(post("/x", "", "Origin: http://localhost\r\n").starts_with("HTTP/1.1 403 "));
}

TEST_F(AdminActsTest, AFlowComesInChunksUntilItEnds) {
    const std::string text = post("/count", "");
    EXPECT_TRUE(text.starts_with("HTTP/1.1 200 OK\r\n")) << text;
    EXPECT_NE(text.find("Transfer-Encoding: chunked\r\n"), std::string::npos) << text;
    EXPECT_TRUE(text.ends_with("\r\n\r\n2\r\n1\n\r\n2\r\n2\n\r\n2\r\n3\n\r\n0\r\n\r\n")) << text;
    EXPECT_EQ(flows_, 0);
}

TEST_F(AdminActsTest, AFlowEndsWhenItsReaderHasGoneAlsoInSilence) {
    for (const char* const target : {"/silence", "/flood"}) {
        {
            Client client(server_.bound_address());
            client.send("POST " + std::string(target) + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
            EXPECT_NE(client.receive_until("\r\n\r\n"), "");
        }
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (flows_ != 0 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
        EXPECT_EQ(flows_, 0) << target;
    }
}

TEST_F(AdminActsTest, TheClientTakesAFlowAsItComes) {
    std::string got;
    auto answer = ask_admin(
        {.address = server_.bound_address(), .method = "POST", .target = "/count", .take = [&](std::string_view piece) {
             got += piece;
             return true;
         }});
    ASSERT_TRUE(answer.ok()) << answer.error().what;
    EXPECT_EQ(answer.value().status, 200U);
    EXPECT_EQ(got, "1\n2\n3\n");
    EXPECT_EQ(answer.value().body, "");
    answer = ask_admin({.address = server_.bound_address(), .target = "/healthz"});
    ASSERT_TRUE(answer.ok());
    EXPECT_EQ(answer.value().body, "ok\n");
    answer = ask_admin({.address = server_.bound_address(), .method = "POST", .target = "/y", .body = "so"});
    ASSERT_TRUE(answer.ok());
    EXPECT_EQ(answer.value().status, 422U);
    EXPECT_EQ(answer.value().body, "not so");
    EXPECT_FALSE(ask_admin({.address = "127.0.0.1:1"}).ok());
    EXPECT_FALSE(ask_admin({.address = "nowhere"}).ok());
}

class GuardedAdminTest : public testing::Test {
  protected:
    void SetUp() override {
        tokens_ = make_tokens(folder_ / "tokens");
        auto opened = AdminGuard::open({.owner = "edge",
                                        .tokens = folder_ / "tokens",
                                        .limits = {},
                                        .rules = {{.is_act = false, .path = "/healthz", .role = {}},
                                                  {.path = "/act", .role = Role::operator_, .needs_reason = true}}},
                                       trail_);
        ASSERT_TRUE(opened) << opened.error().what;
        guard_ = std::move(opened.value());
        server_ = std::make_unique<AdminServer>(
            "127.0.0.1:0", answer,
            [this](const AdminAct& act) -> AdminResponse {
                ++acts_;
                trail_at_act_ = read_whole(folder_ / "audit-trail");
                return {.status = act.target == "/act" ? 200U : 404U,
                        .body = std::string(act.who) + ' ' + std::string(act.role) + ' ' + std::string(act.reason)};
            },
            guard_.get());
        ASSERT_TRUE(server_->start());
    }
    std::string ask(const std::string& line, const std::string& headers = "", const std::string& role = "") {
        Client client(server_->bound_address());
        client.send(line + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + headers +
                    (role.empty() ? "" : "Authorization: Bearer " + tokens_[role] + "\r\n") + "\r\n");
        return client.receive_all();
    }
    [[nodiscard]] static bool is(const std::string& answer, int status) {
        return answer.starts_with("HTTP/1.1 " + std::to_string(status) + ' ');
    }

    Folder folder_;
    AuditTrail trail_{{.directory = folder_.path(), .owner = "edge", .bytes_max = 8192}};
    std::map<std::string, std::string> tokens_;
    std::unique_ptr<AdminGuard> guard_;
    std::unique_ptr<AdminServer> server_;
    int acts_ = 0;
    std::string trail_at_act_;
};

TEST_F(GuardedAdminTest, AnActIsOnTheDiskBeforeItIsDoneAndItsOutcomeBeforeItIsAnswered) {
    const std::string text = ask("POST /act", "Content-Length: 0\r\nWeir-Reason: mended the rule\r\n", "operator");
    EXPECT_TRUE(is(text, 200)) << text;
    EXPECT_TRUE(text.ends_with("operator operator mended the rule")) << text;
    EXPECT_NE(trail_at_act_.find("\"act\":\"admin\",\"who\":\"operator\",\"role\":\"operator\",\"from\":\"127.0.0.1\","
                                 "\"target\":\"/act\",\"reason\":\"mended the rule\",\"outcome\":\"asked\""),
              std::string::npos)
        << trail_at_act_;
    EXPECT_NE(read_whole(folder_ / "audit-trail").find("\"outcome\":\"200\",\"of\":2"), std::string::npos);
}

TEST_F(GuardedAdminTest, AnActThatCannotBeWrittenDownIsNotDone) {
    int status = 200;
    for (int i = 0; i < 100 && status == 200; ++i) {
        const std::string text = ask("POST /act", "Content-Length: 0\r\nWeir-Reason: x\r\n", "operator");
        status = is(text, 200) ? 200 : is(text, 503) ? 503 : is(text, 500) ? 500 : 0;
    }
    EXPECT_NE(status, 200);
    const int before = acts_;
    EXPECT_TRUE(
        is(ask("POST /act", "Content-Length: 0\r\nWeir-Reason: " + std::string(500, 'x') + "\r\n", "operator"), 503));
    EXPECT_EQ(acts_, before);
    EXPECT_TRUE(is(ask("GET /api?x=1", "", "viewer"), 200));
}

TEST_F(GuardedAdminTest, WhoMayNotIsNeverHeard) {
    const std::string none = ask("POST /act", "Content-Length: 0\r\nWeir-Reason: x\r\n");
    EXPECT_TRUE(is(none, 401)) << none;
    EXPECT_NE(none.find("WWW-Authenticate: Bearer"), std::string::npos);
    EXPECT_TRUE(is(ask("POST /act", "Content-Length: 0\r\nWeir-Reason: x\r\n", "viewer"), 403));
    EXPECT_TRUE(is(ask("POST /act", "Content-Length: 0\r\n", "operator"), 400));
    EXPECT_TRUE(is(ask("GET /api?x=1"), 401));
    EXPECT_TRUE(is(ask("GET /healthz"), 200));
    EXPECT_TRUE(is(ask("GET /healthz", "Authorization: x\r\nAuthorization: y\r\n"), 400));
    EXPECT_EQ(acts_, 0);
}

TEST_F(GuardedAdminTest, WhatAPageSendsIsRefusedWithTheBestToken) {
    const std::string act = "Content-Length: 0\r\nWeir-Reason: x\r\n";
    for (const std::string header : {"Origin: http://evil.example\r\n", "Origin: null\r\n",
                                     "Sec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: same-site\r\n"}) {
        EXPECT_TRUE(is(ask("POST /act", act + header, "admin"), 403)) << header;
        EXPECT_TRUE(is(ask("GET /api?x=1", header, "admin"), 403)) << header;
    }
    const std::string own = "Origin: http://" + server_->bound_address() + "\r\n";
    EXPECT_TRUE(is(ask("GET /api?x=1", own + "Sec-Fetch-Site: same-origin\r\n", "admin"), 200));
    EXPECT_TRUE(is(ask("POST /act", act + own, "admin"), 403));
    EXPECT_TRUE(is(ask("POST /act", act + own + "X-Weir: 2\r\n", "admin"), 403));
    EXPECT_EQ(acts_, 0);
    EXPECT_NE(guard_->metrics().find("weir_edge_admin_refused_requests_total{for=\"origin\"} 10"), std::string::npos)
        << guard_->metrics();
}

TEST_F(GuardedAdminTest, ItsOwnPageActsWithAHeaderThatNoFormSends) {
    const std::string port = server_->bound_address().substr(server_->bound_address().rfind(':'));
    const std::string act = "Content-Length: 0\r\nWeir-Reason: x\r\nX-Weir: 1\r\n";
    const std::string own = "Origin: http://localhost" + port + "\r\n";
    Client client(server_->bound_address());
    client.send("POST /act HTTP/1.1\r\nHost: localhost" + port + "\r\nConnection: close\r\n" + act + own +
                "Sec-Fetch-Site: same-origin\r\nAuthorization: Bearer " + tokens_["admin"] + "\r\n\r\n");
    EXPECT_TRUE(is(client.receive_all(), 200));
    EXPECT_EQ(acts_, 1);
    // On another address of this machine somebody else may listen at the same port.
    for (const std::string& origin :
         {"http://127.0.0.2" + port, std::string("http://localhost:1"), "https://localhost" + port}) {
        Client other(server_->bound_address());
        other.send("POST /act HTTP/1.1\r\nHost: localhost" + port + "\r\nConnection: close\r\n" + act +
                   "Origin: " + origin + "\r\nAuthorization: Bearer " + tokens_["admin"] + "\r\n\r\n");
        EXPECT_TRUE(is(other.receive_all(), 403)) << origin;
    }
    EXPECT_EQ(acts_, 1);
}

TEST_F(GuardedAdminTest, APathThatLeavesItsPlaceIsRefusedBeforeAnyHandler) {
    for (const std::string path : {"/../etc/passwd", "/api/%2e%2e/x", "/a//b", "/healthz/%00"}) {
        EXPECT_TRUE(is(ask("GET " + path, "", "admin"), 400)) << path;
    }
}

TEST_F(GuardedAdminTest, EveryAnswerForbidsAPageToUseIt) {
    for (const std::string& text : {ask("GET /healthz"), ask("GET /api?x=1"), ask("GET /../x")}) {
        EXPECT_NE(text.find("Content-Security-Policy: default-src 'none'; frame-ancestors 'none'"), std::string::npos)
            << text;
        EXPECT_NE(text.find("X-Content-Type-Options: nosniff\r\n"), std::string::npos);
    }
}

}  // namespace
}  // namespace weir::control
