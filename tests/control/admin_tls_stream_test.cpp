// WebSockets, server-sent events and answers in pieces, over TLS: they go as they do without.
#include <atomic>

#include "tests/control/admin_tls_bench.hpp"
#include "tests/control/newest_stream.hpp"

namespace weir::control {
namespace {

// Pieces of every length around a record's.
class Pieces final : public AdminFlow {
  public:
    [[nodiscard]] bool take(std::string& out) override {
        out.assign(lengths[next_], static_cast<char>('a' + next_));
        return ++next_ < std::size(lengths);
    }
    static constexpr std::size_t lengths[] = {1, 16'383, 16'384, 16'385, 100'000, 7};

  private:
    std::size_t next_ = 0;
};

std::string frame(const std::string& text) {
    return std::string("\x81") + static_cast<char>(text.size()) + text;
}

class AdminTlsStreamTest : public AdminTlsBench {
  protected:
    void SetUp() override {
        AdminTlsBench::SetUp();
        start(true, {.handler = [this](std::string_view, std::string_view target) { return answer(target); },
                     .streams_max = 3,
                     .stalled_ms_max = 100});
        const auto alice = operator_named("alice");
        state_ = client(&alice);
    }
    [[nodiscard]] AdminResponse answer(std::string_view target) {
        AdminResponse told;
        if (target == "/numbers") told.stream = std::make_unique<Newest>(open_, number_, 0);
        if (target == "/long") told.stream = std::make_unique<Newest>(open_, number_, 200'000);
        if (target == "/pieces") told.flow = std::make_unique<Pieces>();
        return told;
    }
    [[nodiscard]] static std::string get(const std::string& target, const std::string& headers) {
        return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n";
    }
    void say(int number) {
        number_ = number;
        server_->wake();
    }
    void await_open(int count) {
        EXPECT_TRUE(within(10, [&] {
            server_->wake();
            return open_ == count;
        })) << open_;
    }
    std::atomic<int> open_{0}, number_{0};
    std::unique_ptr<tls::TlsState> state_;
};

TEST_F(AdminTlsStreamTest, AWebSocketIsToldEachNumberAndHearsPings) {
    TlsClient client(server_->bound_address(), *state_);
    number_ = 7;
    client.send(get("/numbers", upgrade + "Origin: https://localhost\r\n"));
    EXPECT_TRUE(client.receive_until("\r\n\r\n").starts_with("HTTP/1.1 403 "));  // of another port
    TlsClient own(server_->bound_address(), *state_);
    const std::string host = "localhost" + server_->bound_address().substr(server_->bound_address().rfind(':'));
    own.send("GET /numbers HTTP/1.1\r\nHost: " + host + "\r\n" + upgrade + "Origin: https://" + host + "\r\n\r\n");
    const std::string head = own.receive_until(frame("7"));
    EXPECT_TRUE(head.starts_with("HTTP/1.1 101 ")) << head;
    for (int number = 8; number < 60; ++number) {
        say(number);
        own.send(std::string("\x89\x81\0\0\0\0p", 7));  // a ping, while it is told
        EXPECT_TRUE(own.receive_until(frame(std::to_string(number))).ends_with(frame(std::to_string(number))));
    }
    own.send(std::string("\x89\x81\0\0\0\0q", 7));
    EXPECT_TRUE(own.receive_until(std::string("\x8a\x01q", 3)).ends_with("q"));
    // Its close is answered, and its end is TLS's.
    own.send(std::string("\x88\x80\0\0\0\0", 6));
    EXPECT_EQ(own.receive_until("\x88\x02\x03\xe8"), "\x88\x02\x03\xe8");
    EXPECT_TRUE(within(5, [&] {
        own.peer().pump();
        return own.peer().has_finished();
    }));
    own.peer().hang_up();
    await_open(0);
}

TEST_F(AdminTlsStreamTest, AMessageOfManyRecordsComesWhole) {
    TlsClient client(server_->bound_address(), *state_);
    number_ = 1;
    client.send(get("/long", upgrade));
    for (int number = 1; number < 6; ++number) {
        const std::string text = std::to_string(number) + std::string(200'000, '.');
        EXPECT_TRUE(client.receive_until(text).ends_with(text)) << number;
        say(number + 1);
    }
}

TEST_F(AdminTlsStreamTest, WhoHasNoRoleOpensNoWebSocket) {
    const auto mallory = operator_named("mallory");
    const auto unknown = client(&mallory);
    TlsClient one(server_->bound_address(), *unknown);
    one.send(get("/numbers", upgrade));
    EXPECT_TRUE(one.receive_until("\r\n\r\n").starts_with("HTTP/1.1 403 "));
    TlsClient two(server_->bound_address(), *unknown);
    two.send(get("/numbers", upgrade + "Sec-WebSocket-Protocol: weir.v1, weir.token." + tokens_["viewer"] + "\r\n"));
    EXPECT_TRUE(two.receive_until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
}

TEST_F(AdminTlsStreamTest, ServerSentEventsFlowAndEndWhenTheirReaderSaysGoodbye) {
    TlsClient client(server_->bound_address(), *state_);
    number_ = 7;
    client.send(get("/numbers", "Accept: text/event-stream\r\n"));
    EXPECT_TRUE(client.receive_until("data: 7\n\n").starts_with("HTTP/1.1 200 "));
    for (int number = 8; number < 20; ++number) {
        say(number);
        EXPECT_NE(client.receive_until("data: " + std::to_string(number) + "\n\n"), "");
    }
    EXPECT_EQ(open_, 1);
    // TLS's last word alone; TCP stays open, and nothing is told that would fail.
    client.peer().finish();
    client.peer().pump();
    await_open(0);
}

TEST_F(AdminTlsStreamTest, PiecesOfAnyLengthComeAsTheyWere) {
    std::string whole;
    const auto took = [&](std::string_view piece) {
        whole += piece;
        return true;
    };
    const auto alice = operator_named("alice");
    const auto shown = tls::write_files(directory_, "alice", alice, "");
    const AdminTls tls{
        .ca = directory_.write("s.ca", server_ca_.pem()), .certificate = shown.certificate, .key = shown.key};
    const auto answer = ask_admin({.address = server_->bound_address(), .target = "/pieces", .tls = tls, .take = took});
    ASSERT_TRUE(answer) << answer.error().what;
    std::string expected;
    for (std::size_t i = 0; i < std::size(Pieces::lengths); ++i)
        expected += std::string(Pieces::lengths[i], static_cast<char>('a' + i));
    EXPECT_EQ(whole, expected);
}

TEST_F(AdminTlsStreamTest, OneThatTakesNothingIsLetGo) {
    TlsClient stalled(server_->bound_address(), *state_);
    number_ = 1;
    stalled.send(get("/long", upgrade));
    ASSERT_TRUE(stalled.shakes_hands());
    stalled.peer().pump();  // what is to be sent, and not a look at it afterwards
    await_open(1);
    int number = 2;
    EXPECT_TRUE(within(10, [&] {
        say(number++);
        return open_ == 0;
    }));
    EXPECT_EQ(server_->stalled_count(), 1U);
}

TEST_F(AdminTlsStreamTest, TheDenyListEndsWebSocketsAndEventsToo) {
    TlsClient web(server_->bound_address(), *state_), events(server_->bound_address(), *state_);
    number_ = 3;
    web.send(get("/numbers", upgrade));
    events.send(get("/numbers", "Accept: text/event-stream\r\n"));
    EXPECT_NE(web.receive_until(frame("3")), "");
    EXPECT_NE(events.receive_until("data: 3\n\n"), "");
    await_open(2);
    directory_.write("denied", "uri:spiffe://weir.test/operator/alice\n");
    static_cast<void>(keeper_->look(monotonic_now(), wall_now(), true));
    EXPECT_TRUE(web.ends_within(5));
    EXPECT_TRUE(events.ends_within(5));
    await_open(0);
}

}  // namespace
}  // namespace weir::control
