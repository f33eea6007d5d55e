#include "core/control/admin.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace weir::control {
namespace {

AdminResponse answer(std::string_view method, std::string_view target) {
    EXPECT_EQ(method, "GET");
    if (target == "/healthz") return {.body = "ok\n"};
    if (target == "/api?x=1") return {.content_type = "application/json", .body = "{}"};
    if (target == "/broken") throw std::runtime_error("no snapshot");
    return {.status = 404, .body = "not found\n"};
}

// A plain socket to the server: what is sent is exactly what the test says.
class Client {
  public:
    explicit Client(const std::string& address) {
        handle_ = ::socket(AF_INET, SOCK_STREAM, 0);
        const timeval patience{10, 0};
        ::setsockopt(handle_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
        EXPECT_EQ(::connect(handle_, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    }
    ~Client() { ::close(handle_); }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    void send(const std::string& text) {
        EXPECT_EQ(::send(handle_, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
    }
    // Everything up to `end`, or until the server closes.
    [[nodiscard]] std::string receive_until(const std::string& end) {
        std::string text;
        char bytes[4096];
        while (end.empty() || text.find(end) == text.npos) {
            const ssize_t count = ::recv(handle_, bytes, sizeof bytes, 0);
            is_closed_ = count == 0;
            if (count <= 0) break;
            text.append(bytes, static_cast<std::size_t>(count));
        }
        return text;
    }
    [[nodiscard]] std::string receive_all() { return receive_until(""); }

    // True if the last receive ended because the server closed, not because patience ran out.
    [[nodiscard]] bool is_closed() const { return is_closed_; }

  private:
    int handle_ = -1;
    bool is_closed_ = false;
};

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

TEST(AdminActs, APostIsDoneUnlessAPageInABrowserSendsIt) {
    int done = 0;
    AdminServer server("127.0.0.1:0", answer, [&](std::string_view target, std::string_view) {
        ++done;
        return AdminResponse{.body = std::string(target)};
    });
    ASSERT_TRUE(server.start().ok());
    const auto post = [&](const std::string& more) {
        Client client(server.bound_address());
        client.send("POST /do HTTP/1.1\r\nHost: localhost\r\n" + more +
                    "Content-Length: 0\r\nConnection: close\r\n\r\n");
        return client.receive_all();
    };
    const std::string text = post("");
    EXPECT_TRUE(text.starts_with("HTTP/1.1 200 ")) << text;
    EXPECT_TRUE(text.ends_with("/do")) << text;
    EXPECT_TRUE(post("Origin: http://127.0.0.1\r\n").starts_with("HTTP/1.1 403 "));
    EXPECT_EQ(done, 1);
    server.stop();
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

}  // namespace
}  // namespace weir::control
