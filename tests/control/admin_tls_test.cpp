// TLS on the admin port: who is let in, in which role, and what becomes of it when files change.
#include "tests/control/admin_tls_bench.hpp"
#include "tests/control/raw_client.hpp"

namespace weir::control {
namespace {

class AdminTlsTest : public AdminTlsBench {};

TEST_F(AdminTlsTest, ACertificateHasTheRoleThatItsLineSays) {
    start(true);
    const auto alice = operator_named("alice"), bob = operator_named("bob"), mallory = operator_named("mallory");
    const auto operates = client(&alice), views = client(&bob), unknown = client(&mallory), nobody = client();
    EXPECT_TRUE(ask(*operates, request("POST /act")).ends_with("certificate:alice operator\n"));
    EXPECT_EQ(status(*operates, "POST /other"), 403);
    EXPECT_EQ(status(*views, "GET /x"), 200);
    EXPECT_EQ(status(*views, "POST /act"), 403);
    EXPECT_EQ(status(*unknown, "GET /x"), 403);
    EXPECT_EQ(status(*unknown, "GET /healthz"), 200);
    EXPECT_EQ(status(*nobody, "GET /x"), 401);
    EXPECT_EQ(status(*nobody, "GET /healthz"), 200);
    EXPECT_EQ(status(*nobody, "POST /act", bearer("operator")), 200);
    const std::string trail = read_whole(folder_ / "audit-trail");
    EXPECT_NE(trail.find("\"who\":\"certificate:alice\",\"role\":\"operator\""), std::string::npos) << trail;
    EXPECT_NE(trail.find("\"who\":\"certificate:mallory\""), std::string::npos) << trail;
}

TEST_F(AdminTlsTest, ATokenThatIsShownCountsAloneWhateverTheCertificateMay) {
    start(true);
    const auto alice = operator_named("alice"), admin = operator_named("admin"), mallory = operator_named("mallory");
    EXPECT_EQ(status(*client(&alice), "POST /act", bearer("viewer")), 403);
    EXPECT_EQ(status(*client(&alice), "POST /act", "Authorization: Bearer alice.wrong\r\n"), 401);
    EXPECT_EQ(status(*client(&alice), "POST /act", "Authorization: Basic eA==\r\n"), 401);
    EXPECT_TRUE(ask(*client(&mallory), request("POST /act", bearer("operator"))).ends_with("operator operator\n"));
    // A token and a certificate of one name are two entries.
    EXPECT_EQ(status(*client(&admin), "POST /act"), 403);
    EXPECT_EQ(status(*client(&admin), "POST /act", bearer("admin")), 200);
}

TEST_F(AdminTlsTest, NobodyIsLetInWhoseCertificateIsNotGood) {
    start(false);
    const std::string uri = "URI:spiffe://weir.test/operator/alice";
    const auto good = operator_named("alice"), other = other_ca_.issue(uri),
               expired = client_ca_.issue(uri, -7200, -60), early = client_ca_.issue(uri, 3600, 7200),
               edge = client_ca_.issue("URI:spiffe://weir.test/edge/alice"),
               foreign = client_ca_.issue("URI:spiffe://else.test/operator/alice"),
               none = client_ca_.issue("DNS:alice"), of_servers = server_ca_.issue(uri);
    EXPECT_EQ(status(*client(&good), "GET /x"), 200);
    EXPECT_EQ(refused_handshakes(), 0U);
    std::uint64_t refused = 0;
    for (const auto* one : {&other, &expired, &early, &edge, &foreign, &none, &of_servers}) {
        EXPECT_EQ(status(*client(one), "GET /healthz"), 0) << refused;
        ++refused;
        EXPECT_TRUE(within(5, [&] { return refused_handshakes() == refused; })) << refused_handshakes();
    }
    EXPECT_EQ(status(*client(), "GET /healthz"), 0);  // none at all
    EXPECT_TRUE(within(5, [&] { return endpoint_->counters.handshakes_failed.get() == refused + 1; }));
    const auto notes = tls::notes_of(*endpoint_);
    ASSERT_EQ(notes.size(), refused + 1);
    EXPECT_STREQ(notes[1].what.data(), "certificate verify failed: certificate has expired");
    EXPECT_STREQ(notes[3].what.data(),
                 "its name is not spiffe://weir.test/operator/NAME but \"spiffe://weir.test/edge/alice\"");
    EXPECT_STREQ(notes[0].address.data(), "127.0.0.1");
    EXPECT_EQ(status(*client(&good), "GET /x"), 200);
}

TEST_F(AdminTlsTest, APlainClientIsClosedAndCounted) {
    start(true);
    RawClient plain(server_->bound_address());
    plain.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_EQ(plain.receive_all().find("HTTP"), std::string::npos);
    EXPECT_TRUE(plain.is_closed());
    EXPECT_TRUE(within(5, [&] { return refused_handshakes() == 1; }));
}

TEST_F(AdminTlsTest, AHandshakeThatDoesNotComeIsLetGoAndHoldsUpNobody) {
    start(true, {.connections_max = 2, .handshake_ms_max = 300});
    RawClient silent(server_->bound_address());
    EXPECT_EQ(status(*client(), "GET /healthz"), 200);
    EXPECT_EQ(silent.receive_all(), "");
    EXPECT_TRUE(silent.is_closed());
    // The connection ends before it is counted.
    EXPECT_TRUE(within(5, [&] { return endpoint_->counters.handshakes_late.get() == 1 && refused_handshakes() == 1; }));
    // Its place is free again.
    RawClient one(server_->bound_address());
    EXPECT_EQ(status(*client(), "GET /healthz"), 200);
}

TEST_F(AdminTlsTest, WhoIsLongestAtItsHandshakeMakesRoomForWhoComes) {
    start(true, {.connections_max = 3});
    RawClient first(server_->bound_address()), second(server_->bound_address()), third(server_->bound_address());
    EXPECT_TRUE(within(5, [&] { return endpoint_->counters.handshakes.get() == 3; }));
    EXPECT_EQ(status(*client(), "GET /healthz"), 200);
    EXPECT_EQ(first.receive_all(), "");
    EXPECT_TRUE(first.is_closed());
    EXPECT_TRUE(within(5, [&] { return endpoint_->counters.handshakes_pushed_out.get() == 1; }));
    EXPECT_EQ(refused_handshakes(), 0U);
    // Those who are in are not pushed out.
    const auto state = client();
    TlsClient one(server_->bound_address(), *state), two(server_->bound_address(), *state),
        three(server_->bound_address(), *state);
    ASSERT_TRUE(one.shakes_hands() && two.shakes_hands() && three.shakes_hands());
    EXPECT_EQ(status(*client(), "GET /healthz"), 0);
    one.send(request("GET /healthz"));
    EXPECT_TRUE(one.receive_all().starts_with("HTTP/1.1 200 "));
}

TEST_F(AdminTlsTest, HandshakesCountAsRequestsDo) {
    start(true);
    const MonotonicNs now{1'000'000'000};
    std::uint32_t let_in = 0;
    while (let_in < 10'000 && guard_->may_come("192.0.2.1", now)) ++let_in;
    EXPECT_EQ(let_in, AdminLimits{}.requests_per_second);
    EXPECT_TRUE(guard_->may_come("192.0.2.2", now));
    EXPECT_NE(guard_->metrics().find("refused_requests_total{for=\"rate\"} 1"), std::string::npos);
}

TEST_F(AdminTlsTest, TheHostAndTheOriginAreThoseOfTheCertificateAndOfHttps) {
    start(true);
    const auto state = client();
    const std::string port = server_->bound_address().substr(server_->bound_address().rfind(':'));
    const auto with = [&](const std::string& line, const std::string& host, const std::string& more) {
        const std::string text =
            ask(*state, line + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\nContent-Length: 0\r\n" +
                            bearer("admin") + more + "\r\n");
        return text.starts_with("HTTP/1.1 ") ? std::stoi(text.substr(9, 3)) : 0;
    };
    EXPECT_EQ(with("GET /x", "central.weir.example" + port, ""), 200);
    EXPECT_EQ(with("GET /x", "weir.example" + port, ""), 403);
    EXPECT_EQ(with("GET /x", "evil.example" + port, ""), 403);
    EXPECT_EQ(with("GET /x", "192.0.2.1" + port, ""), 403);
    const std::string page = "X-Weir: 1\r\nOrigin: ";
    EXPECT_EQ(with("POST /act", "central.weir.example" + port, page + "https://central.weir.example" + port + "\r\n"),
              200);
    EXPECT_EQ(with("POST /act", "localhost" + port, page + "http://localhost" + port + "\r\n"), 403);
    EXPECT_EQ(with("POST /act", "localhost" + port, page + "https://localhost\r\n"), 403);
    EXPECT_EQ(with("POST /act", "localhost" + port, page + "https://central.weir.example" + port + "\r\n"), 403);
}

TEST_F(AdminTlsTest, NewHandshakesUseNewFilesAndOpenConnectionsGoOn) {
    start(true);
    const auto alice = operator_named("alice");
    const auto before = client(&alice);
    TlsClient open(server_->bound_address(), *before);
    const std::string kept = "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n";
    open.send(kept);
    EXPECT_TRUE(open.receive_until("read\n").starts_with("HTTP/1.1 200 "));
    const std::string first = tls::facts_of(SSL_CTX_get0_certificate(endpoint_->current().context.get())).fingerprint;
    place(other_ca_);
    static_cast<void>(keeper_->look(monotonic_now(), wall_now(), true));
    const std::uint64_t taken = keeper_->taken();
    EXPECT_EQ(taken, 1U);
    EXPECT_EQ(status(*client(&alice), "GET /x"), 200);
    // Who trusts the old CA alone is not connected.
    tls::TlsState old;
    old.side = tls::Side::client;
    old.context =
        std::move(tls::make_anonymous_client(directory_.write("old.ca", server_ca_.pem()), "localhost").value());
    EXPECT_EQ(status(old, "GET /healthz"), 0);
    open.send(kept);
    EXPECT_TRUE(open.receive_until("read\n").starts_with("HTTP/1.1 200 "));
    server_.reset();
    EXPECT_NE(tls::facts_of(SSL_CTX_get0_certificate(endpoint_->current().context.get())).fingerprint, first);
}

TEST_F(AdminTlsTest, TheDenyListEndsOpenConnectionsAndNoOthers) {
    start(true);
    const auto alice = operator_named("alice"), bob = operator_named("bob");
    const auto operates = client(&alice), views = client(&bob);
    TlsClient denied(server_->bound_address(), *operates), other(server_->bound_address(), *views);
    ASSERT_TRUE(denied.shakes_hands() && other.shakes_hands());
    directory_.write("denied", "uri:spiffe://weir.test/operator/alice\n");
    static_cast<void>(keeper_->look(monotonic_now(), wall_now(), true));
    EXPECT_TRUE(denied.ends_within(5));
    EXPECT_EQ(endpoint_->counters.sessions_denied.get(), 1U);
    EXPECT_EQ(status(*operates, "GET /healthz"), 0);
    other.send(request("GET /x"));
    EXPECT_TRUE(other.receive_all().starts_with("HTTP/1.1 200 "));
}

TEST_F(AdminTlsTest, AConnectionEndsWhenItsCertificateRunsOut) {
    start(true);
    const auto brief = client_ca_.issue("URI:spiffe://weir.test/operator/alice", -60, 2);
    const auto state = client(&brief);
    TlsClient one(server_->bound_address(), *state);
    ASSERT_TRUE(one.shakes_hands());
    EXPECT_TRUE(one.ends_within(8));
    EXPECT_EQ(endpoint_->counters.sessions_expired.get(), 1U);
}

TEST_F(AdminTlsTest, ALineThatIsTakenOutOfTheFileCountsFromTheNextRequestOn) {
    start(true);
    const auto alice = operator_named("alice");
    const auto state = client(&alice);
    TlsClient open(server_->bound_address(), *state);
    const std::string kept = "POST /act HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    open.send(kept);
    EXPECT_TRUE(open.receive_until("operator\n").starts_with("HTTP/1.1 200 "));
    std::string text = read_whole(folder_ / "tokens");
    text.replace(text.find("alice"), 5, "carol");
    write_whole(folder_ / "tokens", text);
    guard_->look(monotonic_now(), true);
    open.send(kept);
    EXPECT_TRUE(open.receive_until("}").starts_with("HTTP/1.1 403 "));
}

TEST_F(AdminTlsTest, TheToolsClientAsksOverTlsWithACertificateOrAToken) {
    start(true);
    const auto alice = operator_named("alice");
    const auto shown = tls::write_files(directory_, "alice", alice, "");
    const std::string ca = directory_.write("s.ca", server_ca_.pem()),
                      wrong = directory_.write("o.ca", other_ca_.pem());
    const std::string address = server_->bound_address();
    const AdminTls trusts{.ca = ca}, shows{.ca = ca, .certificate = shown.certificate, .key = shown.key};
    auto answer = ask_admin({.address = "https://" + address, .method = "POST", .target = "/act", .tls = shows});
    ASSERT_TRUE(answer) << answer.error().what;
    EXPECT_EQ(answer.value().body, "certificate:alice operator\n");
    answer = ask_admin({.address = address, .target = "/large", .tls = shows});
    ASSERT_TRUE(answer) << answer.error().what;
    EXPECT_EQ(answer.value().body, std::string(3U << 20, 'x'));
    const std::string token = folder_ / "viewer";
    write_whole(token, tokens_["viewer"]);
    std::filesystem::permissions(token, std::filesystem::perms::owner_read);
    answer =
        ask_admin({.address = "localhost" + address.substr(address.rfind(':')), .token_file = token, .tls = trusts});
    ASSERT_TRUE(answer) << answer.error().what;
    EXPECT_EQ(answer.value().status, 200U);
    const auto fault = [](const AdminQuestion& question) {
        const auto refused = ask_admin(question);
        return refused ? "answered " + std::to_string(refused.value().status) : refused.error().what;
    };
    EXPECT_NE(fault({.address = address, .tls = {.ca = wrong}}).find("certificate verify failed"), std::string::npos);
    EXPECT_NE(fault({.address = "127.0.0.2" + address.substr(address.rfind(':')), .tls = trusts}), "answered 200");
    EXPECT_NE(fault({.address = "https://" + address}).find("--ca"), std::string::npos);
    EXPECT_EQ(fault({.address = address}).find("answered"), std::string::npos);
    std::filesystem::permissions(shown.key, std::filesystem::perms::others_read, std::filesystem::perm_options::add);
    EXPECT_NE(fault({.address = address, .tls = shows}).find("0600"), std::string::npos);
}

TEST_F(AdminTlsTest, ARefusalIsHeardByTheToolThatWasRefused) {
    start(false);
    const auto edge = client_ca_.issue("URI:spiffe://weir.test/edge/north");
    const auto shown = tls::write_files(directory_, "edge", edge, "");
    const AdminTls tls{
        .ca = directory_.write("s.ca", server_ca_.pem()), .certificate = shown.certificate, .key = shown.key};
    for (int i = 0; i < 5; ++i) {
        const auto answer = ask_admin({.address = server_->bound_address(), .tls = tls});
        ASSERT_FALSE(answer);
        EXPECT_NE(answer.error().what.find("alert"), std::string::npos) << answer.error().what;
    }
}

TEST_F(AdminTlsTest, BeyondLoopbackItAsksForTlsAndForAGuardThatAsksForTokens) {
    start(true);
    const auto fault = [&](tls::Endpoint* endpoint, AdminGuard* guard) {
        // An address for documentation, which this machine does not have (RFC 5737).
        AdminServer server(AdminOptions{.address = "192.0.2.1:0", .handler = {}, .guard = guard, .tls = endpoint});
        return server.start().error().what;
    };
    EXPECT_NE(fault(nullptr, guard_.get()).find("not a loopback address"), std::string::npos);
    EXPECT_NE(fault(endpoint_, nullptr).find("not a loopback address"), std::string::npos);
    EXPECT_EQ(fault(endpoint_, guard_.get()).find("not a loopback address"), std::string::npos);
}

}  // namespace
}  // namespace weir::control
