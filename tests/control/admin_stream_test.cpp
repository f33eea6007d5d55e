// WebSockets of the admin server, and answers that a client has already.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "core/control/admin.hpp"
#include "core/control/event_flow.hpp"
#include "tests/control/newest_stream.hpp"
#include "tests/control/raw_client.hpp"

namespace weir::control {
namespace {

class AdminStreamTest : public testing::Test {
  protected:
    void SetUp() override { ASSERT_TRUE(server_.start()); }
    [[nodiscard]] AdminResponse answer(std::string_view target) {
        AdminResponse told;
        told.etag = "one";
        told.body = "text";
        if (target == "/numbers") told.stream = std::make_unique<Newest>(open_, number_, 0);
        if (target == "/large") told.stream = std::make_unique<Newest>(open_, number_, 4U << 20);
        return told;
    }
    [[nodiscard]] static std::string get(const std::string& target, const std::string& headers) {
        return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n";
    }
    [[nodiscard]] std::string ask(const std::string& target, const std::string& headers = "") {
        RawClient client(server_.bound_address());
        client.send(get(target, headers + "Connection: close\r\n"));
        return client.receive_all();
    }
    void say(int number) {
        number_ = number;
        server_.wake();
    }
    void await_open(int count) {
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (open_ != count && std::chrono::steady_clock::now() < until) {
            server_.wake();
            std::this_thread::yield();
        }
        EXPECT_EQ(open_, count);
    }
    std::atomic<int> open_{0}, number_{0};
    AdminServer server_{
        AdminOptions{.address = "127.0.0.1:0",
                     .handler = [this](std::string_view, std::string_view target) { return answer(target); },
                     .streams_max = 2,
                     .stalled_ms_max = 100}};
};

// A text frame of less than 126 bytes, as RFC 6455 has it.
std::string frame(const std::string& text) {
    return std::string("\x81") + static_cast<char>(text.size()) + text;
}

TEST_F(AdminStreamTest, TellsAWebSocketTheNewestEachTimeThatItIsWoken) {
    RawClient client(server_.bound_address());
    number_ = 7;
    client.send(get("/numbers", upgrade + "Sec-WebSocket-Protocol: x, weir.v1, weir.token.a.b\r\n"));
    const std::string head = client.receive_until(frame("7"));
    EXPECT_TRUE(head.starts_with("HTTP/1.1 101 ")) << head;
    // The answer to the RFC's own example.
    EXPECT_NE(head.find("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), std::string::npos) << head;
    EXPECT_NE(head.find("Sec-WebSocket-Protocol: weir.v1\r\n"), std::string::npos) << head;
    EXPECT_EQ(head.find("weir.token"), std::string::npos) << head;
    for (int number = 8; number < 20; ++number) {
        say(number);
        EXPECT_EQ(client.receive_until(frame(std::to_string(number))), frame(std::to_string(number)));
    }
}

TEST_F(AdminStreamTest, TellsTheSameAsServerSentEventsToWhoAcceptsThem) {
    {
        RawClient client(server_.bound_address());
        number_ = 7;
        client.send(get("/numbers", "Accept: text/html, text/event-stream;q=0.9\r\n"));
        const std::string head = client.receive_until("data: 7\n\n");
        EXPECT_TRUE(head.starts_with("HTTP/1.1 200 ")) << head;
        EXPECT_NE(head.find("Content-Type: text/event-stream\r\n"), std::string::npos) << head;
        EXPECT_NE(head.find("Cache-Control: no-store\r\n"), std::string::npos) << head;
        for (int number = 8; number < 20; ++number) {
            say(number);
            const std::string expected = "data: " + std::to_string(number) + "\n\n";
            EXPECT_NE(client.receive_until(expected).find(expected), std::string::npos);
        }
    }
    await_open(0);
}

TEST_F(AdminStreamTest, WhoAcceptsNoEventsIsToldWhatThereIs) {
    const std::string told = ask("/numbers", "Accept: application/json\r\n");
    EXPECT_TRUE(told.starts_with("HTTP/1.1 426 ")) << told;
    EXPECT_NE(told.find("text/event-stream"), std::string::npos) << told;
}

TEST_F(AdminStreamTest, TheHeadOfAStreamIsAHeadAlone) {
    RawClient client(server_.bound_address());
    number_ = 7;
    client.send("HEAD /numbers HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nConnection: close\r\n\r\n");
    const std::string told = client.receive_all();
    EXPECT_TRUE(told.starts_with("HTTP/1.1 200 ")) << told;
    EXPECT_TRUE(told.ends_with("\r\n\r\n")) << told;
}

TEST(EventFlow, EachLineOfAMessageIsADataLine) {
    struct Lines final : AdminStream {
        int told = 0;
        [[nodiscard]] Text take() override {
            return told++ == 0 ? std::make_shared<const std::string>("a\n\nb") : nullptr;
        }
    };
    EventFlow flow(std::make_unique<Lines>());
    std::string out;
    EXPECT_TRUE(flow.take(out));
    EXPECT_EQ(out, "data: a\ndata: \ndata: b\n\n");
}

TEST_F(AdminStreamTest, AWebSocketEndsWhenItsClientHasGone) {
    {
        RawClient client(server_.bound_address());
        client.send(get("/numbers", upgrade));
        EXPECT_NE(client.receive_until("\r\n\r\n"), "");
        await_open(1);
    }
    await_open(0);
}

TEST_F(AdminStreamTest, OneThatTakesNothingIsLetGoAndHoldsUpNobody) {
    RawClient stalled(server_.bound_address()), lively(server_.bound_address());
    number_ = 1;
    stalled.send(get("/large", upgrade));
    lively.send(get("/numbers", upgrade));
    EXPECT_NE(lively.receive_until(frame("1")), "");
    await_open(2);
    for (int number = 2; open_ == 2 && number < 100; ++number) {
        say(number);
        EXPECT_TRUE(lively.receive_until(frame(std::to_string(number))).ends_with(frame(std::to_string(number))));
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    EXPECT_EQ(open_, 1);
    EXPECT_EQ(server_.stalled_count(), 1U);
}

TEST_F(AdminStreamTest, NoMoreThanItsBoundAndNobodyWhoAskedForNone) {
    EXPECT_TRUE(ask("/numbers").starts_with("HTTP/1.1 426 "));
    RawClient one(server_.bound_address()), two(server_.bound_address());
    one.send(get("/numbers", upgrade));
    two.send(get("/numbers", upgrade));
    EXPECT_NE(one.receive_until("\r\n\r\n"), "");
    EXPECT_NE(two.receive_until("\r\n\r\n"), "");
    RawClient three(server_.bound_address());
    three.send(get("/numbers", upgrade));
    EXPECT_TRUE(three.receive_until("\r\n\r\n").starts_with("HTTP/1.1 503 "));
    await_open(2);
}

TEST_F(AdminStreamTest, APageOfAnotherOriginOpensNoWebSocket) {
    for (const std::string header : {"Origin: http://evil.example\r\n", "Origin: null\r\n",
                                     "Sec-Fetch-Site: cross-site\r\n", "Origin: http://127.0.0.2\r\n"}) {
        RawClient client(server_.bound_address());
        client.send(get("/numbers", upgrade + header));
        EXPECT_TRUE(client.receive_until("\r\n\r\n").starts_with("HTTP/1.1 403 ")) << header;
    }
    EXPECT_EQ(open_, 0);
}

TEST_F(AdminStreamTest, AFrameTooLongForItsBoundEndsIt) {
    RawClient client(server_.bound_address());
    client.send(get("/numbers", upgrade));
    EXPECT_NE(client.receive_until("\r\n\r\n"), "");
    await_open(1);
    client.send(std::string("\x82\xff\x00\x00\x00\x00\x10\x00\x00\x00mask", 14));
    await_open(0);
}

TEST_F(AdminStreamTest, WhatAClientHasAlreadyIsNotSentAgain) {
    EXPECT_NE(ask("/text").find("ETag: \"one\"\r\n"), std::string::npos);
    const std::string same = ask("/text", "If-None-Match: \"none\", \"one\"\r\n");
    EXPECT_TRUE(same.starts_with("HTTP/1.1 304 ")) << same;
    EXPECT_TRUE(same.ends_with("\r\n\r\n")) << same;
    EXPECT_TRUE(ask("/text", "If-None-Match: \"two\"\r\n").starts_with("HTTP/1.1 200 "));
}

TEST_F(AdminStreamTest, ALinkToThePageIsFollowedAndToNothingElse) {
    const std::string visit = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
    EXPECT_TRUE(ask("/", visit).starts_with("HTTP/1.1 200 "));
    EXPECT_TRUE(ask("/text", visit).starts_with("HTTP/1.1 403 "));
    EXPECT_TRUE(ask("/", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n").starts_with("HTTP/1.1 403 "));
}

}  // namespace
}  // namespace weir::control
