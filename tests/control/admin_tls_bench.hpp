// An admin server with TLS, a token file with certificates in it, and clients that show what a test gives them.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "core/control/admin.hpp"
#include "core/control/admin_client.hpp"
#include "core/control/admin_guard.hpp"
#include "core/tls/keeper.hpp"
#include "tests/control/guard_bench.hpp"
#include "tests/tls/tls_bench.hpp"

namespace weir::control {

inline bool within(std::uint64_t seconds, const std::function<bool()>& is_so) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    while (!is_so()) {
        if (std::chrono::steady_clock::now() > until) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

// As RawClient, over TLS.
class TlsClient {
  public:
    TlsClient(const std::string& address, const tls::TlsState& state) : peer_(address, &state) {}
    // False: the handshake failed here, or the server closed.
    [[nodiscard]] bool shakes_hands() {
        return until([&] { return peer_.is_open(); }) && peer_.is_open();
    }
    void send(const std::string& text) {
        peer_.say(text);
        peer_.pump();
    }
    // Everything up to `end`, or until the server closes.
    [[nodiscard]] std::string receive_until(const std::string& end) {
        static_cast<void>(until([&] { return peer_.heard().find(end, taken_) != std::string::npos; }));
        const auto found = peer_.heard().find(end, taken_);
        const auto to = found == std::string::npos ? peer_.heard().size() : found + end.size();
        const std::string text = peer_.heard().substr(taken_, to - taken_);
        taken_ = to;
        return text;
    }
    [[nodiscard]] std::string receive_all() {
        static_cast<void>(until([] { return false; }));
        return peer_.heard().substr(std::exchange(taken_, peer_.heard().size()));
    }
    [[nodiscard]] bool ends_within(std::uint64_t seconds) {
        return within(seconds, [&] {
            peer_.pump();
            return peer_.has_ended() || peer_.session().has_failed();
        });
    }
    [[nodiscard]] tls::Peer& peer() { return peer_; }

  private:
    bool until(const std::function<bool()>& is_so) {
        return within(10, [&] {
            peer_.pump();
            return is_so() || peer_.has_ended() || peer_.session().has_failed();
        });
    }
    tls::Peer peer_;
    std::size_t taken_ = 0;
};

class AdminTlsBench : public testing::Test {
  protected:
    static constexpr const char* lines =
        "alice operator certificate\nbob viewer certificate\nadmin viewer certificate\n";

    void SetUp() override {
        tokens_ = make_tokens(folder_ / "tokens");
        std::ofstream(folder_ / "tokens", std::ios::app) << lines;
        place(server_ca_);
    }
    // The server's files, of that CA.
    void place(const tls::TestCa& ca) {
        const auto own = ca.issue("DNS:localhost,DNS:*.weir.example,IP:127.0.0.1");
        files_ = tls::write_files(directory_, "admin", own, client_ca_.pem());
        files_.deny_list = directory_.file("denied");
        if (!std::filesystem::exists(files_.deny_list)) directory_.write("denied", "");
    }
    void start(bool is_optional, AdminOptions options = {}) {
        auto keeper = tls::CredentialKeeper::open({.files = files_, .role = {}, .name = {}});
        ASSERT_TRUE(keeper) << keeper.error().what;
        keeper_ = std::move(keeper.value());
        auto added = keeper_->add_endpoint(tls::Side::server, {tls::test_domain, "operator", {}, is_optional});
        ASSERT_TRUE(added);
        endpoint_ = added.value();
        auto opened = AdminGuard::open(
            {.owner = "edge",
             .tokens = folder_ / "tokens",
             .limits = {},
             .rules = {{.is_act = false, .path = "/healthz", .role = {}}, {.path = "/act", .role = Role::operator_}}},
            trail_);
        ASSERT_TRUE(opened) << opened.error().what;
        guard_ = std::move(opened.value());
        options.address = "127.0.0.1:0";
        if (!options.handler)
            options.handler = [](std::string_view, std::string_view target) {
                return target == "/large" ? AdminResponse{.body = std::string(3U << 20, 'x')}
                                          : AdminResponse{.body = "read\n"};
            };
        options.acts = [](const AdminAct& act) -> AdminResponse {
            return {.body = std::string(act.who) + ' ' + std::string(act.role) + '\n'};
        };
        options.guard = guard_.get();
        options.tls = endpoint_;
        server_ = std::make_unique<AdminServer>(std::move(options));
        ASSERT_TRUE(server_->start());
    }
    [[nodiscard]] tls::TestCertificate operator_named(const std::string& name) const {
        return client_ca_.issue("URI:spiffe://weir.test/operator/" + name);
    }
    // Who trusts the server's CA, and shows `certificate`, if any.
    [[nodiscard]] std::unique_ptr<tls::TlsState> client(const tls::TestCertificate* certificate = nullptr) const {
        tls::TlsFiles shown;
        if (certificate != nullptr) shown = tls::write_files(directory_, "client", *certificate, "");
        shown.ca = directory_.write("servers.ca", server_ca_.pem() + other_ca_.pem());
        auto context = tls::make_host_client(shown, "localhost");
        EXPECT_TRUE(context) << context.error().what;
        auto state = std::make_unique<tls::TlsState>();
        state->side = tls::Side::client;
        state->context = std::move(context.value());
        return state;
    }
    [[nodiscard]] static std::string request(const std::string& line, const std::string& headers = "") {
        return line + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + headers +
               (line.starts_with("POST") ? "Content-Length: 0\r\n" : "") + "\r\n";
    }
    [[nodiscard]] std::string ask(const tls::TlsState& state, const std::string& text) {
        TlsClient one(server_->bound_address(), state);
        one.send(text);
        return one.receive_all();
    }
    // 0: no answer.
    [[nodiscard]] int status(const tls::TlsState& state, const std::string& line, const std::string& headers = "") {
        const std::string text = ask(state, request(line, headers));
        return text.starts_with("HTTP/1.1 ") ? std::stoi(text.substr(9, 3)) : 0;
    }
    [[nodiscard]] std::string bearer(const std::string& role) const {
        return "Authorization: Bearer " + tokens_.at(role) + "\r\n";
    }
    [[nodiscard]] std::uint64_t refused_handshakes() const {
        const std::string text = guard_->metrics();
        const std::string name = "refused_requests_total{for=\"handshake\"} ";
        return std::stoull(text.substr(text.find(name) + name.size()));
    }

    Folder folder_;
    tls::TestDirectory directory_;
    tls::TestCa server_ca_{"server CA"}, client_ca_{"client CA"}, other_ca_{"other CA"};
    tls::TlsFiles files_;
    AuditTrail trail_{{.directory = folder_.path(), .owner = "edge", .bytes_max = 1U << 20}};
    std::map<std::string, std::string> tokens_;
    std::unique_ptr<tls::CredentialKeeper> keeper_;
    tls::Endpoint* endpoint_ = nullptr;
    std::unique_ptr<AdminGuard> guard_;
    std::unique_ptr<AdminServer> server_;
};

}  // namespace weir::control
