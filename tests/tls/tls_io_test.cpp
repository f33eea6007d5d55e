// Who is let in, who is not, and what a peer can and cannot do to a TlsIo.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/tls/tls_bench.hpp"

namespace weir::tls {
namespace {

class TlsIoTest : public testing::TestWithParam<io::IoChoice> {
  protected:
    void SetUp() override {
        if (!io::make_io(GetParam(), {.slots = 2, .sockets_max = 4, .operations_max = 4}).ok()) {
            GTEST_SKIP() << "io_uring is refused here";
        }
    }
    std::unique_ptr<TlsState> client(const TestCertificate& certificate) const {
        return make_state(Side::client, certificate, ca.pem(), "central");
    }

    TestCa ca;
    Endpoint server{make_state(Side::server, ca.central("main"), ca.pem(), "edge")};
};

TEST_P(TlsIoTest, GivesItsOwnerThePeersNameAndItsBytes) {
    TlsBench bench(GetParam(), &server);
    const auto state = client(ca.edge("north"));
    Peer peer(bench.address, state.get());
    peer.say("hello");
    ASSERT_TRUE(
        bench.run_until([&] { return bench.accepted.size() == 1 && bench.accepted[0].heard == "hello"; }, {&peer}));
    const io::Socket socket = bench.accepted[0].socket;
    EXPECT_EQ(bench.io->peer_identity(socket), "edge/north");
    EXPECT_TRUE(bench.io->may_claim(socket, "edge", "north"));
    EXPECT_EQ(server.counters.false_claims.get(), 0U);
    EXPECT_FALSE(bench.io->may_claim(socket, "edge", "south"));
    EXPECT_FALSE(bench.io->may_claim(socket, "operator", "north"));
    EXPECT_FALSE(bench.io->may_claim(socket, "edg", "north"));
    EXPECT_EQ(server.counters.false_claims.get(), 3U);
    const auto notes = notes_of(server);
    ASSERT_EQ(notes.size(), 3U);
    EXPECT_STREQ(notes[0].identity.data(), "edge/north");
    EXPECT_STREQ(notes[0].what.data(), "edge/south");
    bench.send(0, "welcome");
    ASSERT_TRUE(bench.run_until([&] { return peer.heard() == "welcome" && bench.accepted[0].sent; }, {&peer}));
    EXPECT_EQ(*bench.accepted[0].sent, 7);
    EXPECT_EQ(peer.session().identity(), "central/main");
}

TEST_P(TlsIoTest, LetsNobodyInWhoseCertificateIsNotGood) {
    const TestCa stranger("weir test CA");  // of the same name
    const auto list = DenyList::parse("sha256:" + facts_of(ca.edge("x").certificate.get()).fingerprint);
    ASSERT_TRUE(list.ok());
    const TestCertificate denied = ca.edge("south");
    auto denying = DenyList::parse("# stolen\n serial:00" + facts_of(denied.certificate.get()).serial + "\n");
    ASSERT_TRUE(denying.ok());
    Endpoint strict(make_state(Side::server, ca.central("main"), ca.pem(), "edge", std::move(denying.value())));
    const struct {
        TestCertificate certificate;
        std::string why;
    } cases[] = {
        {stranger.edge("north"), "certificate verify failed"},
        {ca.central("other"), "its name is not spiffe://weir.test/edge/NAME but \"spiffe://weir.test/central/other\""},
        {ca.issue("URI:spiffe://other.test/edge/north"), "but \"spiffe://other.test/edge/north\""},
        {ca.issue("URI:spiffe://weir.test/edge/north,URI:spiffe://weir.test/edge/south"), "but \"\""},
        {ca.issue("DNS:north.weir.test"), "but \"\""},
        {ca.issue("URI:spiffe://weir.test/edge/north", -7200, -3600), "certificate has expired"},
        {ca.issue("URI:spiffe://weir.test/edge/north", 3600, 7200), "certificate is not yet valid"},
        {ca.issue("URI:spiffe://weir.test/edge/North"), "but \"spiffe://weir.test/edge/North\""},
        {ca.edge("south"), ""},  // not the denied one: its serial is another
    };
    std::size_t accepted = 0;
    TlsBench bench(GetParam(), &strict);
    for (const auto& one : cases) {
        const auto state = client(one.certificate);
        Peer peer(bench.address, state.get());
        if (one.why.empty()) {
            ASSERT_TRUE(bench.run_until([&] { return bench.accepted.size() == 1; }, {&peer}));
            ++accepted;
            continue;
        }
        ASSERT_TRUE(bench.run_until([&] { return peer.session().has_failed() || peer.has_ended(); }, {&peer}))
            << one.why;
        EXPECT_NE(peer.session().fault().find("alert"), std::string::npos) << peer.session().fault();
        const auto notes = notes_of(strict);
        ASSERT_EQ(notes.size(), 1U) << one.why;
        EXPECT_NE(std::string(notes[0].what.data()).find(one.why), std::string::npos) << notes[0].what.data();
    }
    const auto state = client(denied);
    Peer peer(bench.address, state.get());
    ASSERT_TRUE(bench.run_until([&] { return peer.session().has_failed(); }, {&peer}));
    EXPECT_NE(peer.session().fault().find("revoked"), std::string::npos) << peer.session().fault();
    EXPECT_EQ(bench.accepted.size(), accepted);
    EXPECT_EQ(strict.counters.handshakes_failed.get(), std::size(cases));
}

TEST_P(TlsIoTest, AsksForACertificateWhereOneIsNeededAndOnlyThere) {
    const TestDirectory directory;
    auto context = make_anonymous_client(directory.write("ca", ca.pem()), "127.0.0.1");
    ASSERT_TRUE(context.ok());
    TlsState nobody;
    nobody.side = Side::client;
    nobody.context = std::move(context.value());
    {
        TlsBench bench(GetParam(), &server);
        Peer peer(bench.address, &nobody);
        ASSERT_TRUE(bench.run_until([&] { return peer.session().has_failed() || peer.has_ended(); }, {&peer}));
        EXPECT_TRUE(bench.accepted.empty());
    }
    auto open = make_state(Side::server, ca.edge("north"), ca.pem(), "producer");
    open->rule.is_optional = true;
    const auto credentials =
        Credentials::load(write_files(directory, "north", ca.edge("north"), ca.pem()), "edge", "north");
    ASSERT_TRUE(credentials.ok());
    open->context = std::move(credentials.value()->make_context(Side::server, open->rule).value());
    Endpoint producers(std::move(open));
    TlsBench bench(GetParam(), &producers);
    Peer peer(bench.address, &nobody);
    ASSERT_TRUE(bench.run_until([&] { return bench.accepted.size() == 1; }, {&peer}));
    EXPECT_EQ(bench.io->peer_identity(bench.accepted[0].socket), "");
    EXPECT_TRUE(bench.io->may_claim(bench.accepted[0].socket, "producer", "anyone"));
    // One that is not asked for must still be good, and a producer's.
    const auto wrong = client(ca.edge("south"));
    Peer edge(bench.address, wrong.get());
    ASSERT_TRUE(bench.run_until([&] { return edge.session().has_failed() || edge.has_ended(); }, {&edge}));
    EXPECT_EQ(bench.accepted.size(), 1U);
}

TEST_P(TlsIoTest, ConnectsOnlyToWhomItIsTold) {
    const struct {
        TestCertificate certificate;
        std::vector<std::string> names;
        bool is_good;
    } cases[] = {
        {ca.central("main"), {}, true},
        {ca.central("main"), {"spare", "main"}, true},
        {ca.central("other"), {"spare", "main"}, false},
        {ca.edge("north"), {}, false},                 // a stolen edge is no central
        {ca.edge("north"), {"dns:localhost"}, false},  // not even under a host's name
        {ca.issue("DNS:localhost"), {"dns:localhost"}, true},
        {ca.issue("IP:127.0.0.1"), {"ip:127.0.0.1"}, true},
        {ca.issue("DNS:elsewhere"), {"dns:localhost"}, false},
        {TestCa().central("main"), {}, false},
    };
    const TestDirectory directory;
    for (const auto& one : cases) {
        auto state = make_state(Side::client, ca.edge("north"), ca.pem(), "central");
        state->rule.names = one.names;
        Endpoint connect(std::move(state));
        Endpoint listen(make_state(Side::server, one.certificate, ca.pem(), "edge"));
        TlsBench bench(GetParam(), &listen, {}, &connect);
        auto socket = bench.io->connect({bench.address}, {.kind = TlsBench::connect_kind});
        ASSERT_TRUE(socket.ok());
        ASSERT_TRUE(bench.run_until([&] { return bench.connected.has_value(); }));
        EXPECT_EQ(*bench.connected == 0, one.is_good)
            << facts_of(one.certificate.certificate.get()).uri << *bench.connected;
        if (!one.is_good) {
            EXPECT_EQ(notes_of(connect).size(), 1U);
        }
        bench.io->close(socket.value());
    }
}

TEST_P(TlsIoTest, BytesThatAreNoTlsGetNobodyIn) {
    TlsBench bench(GetParam(), &server);
    std::string record(70'000, 'x');
    record.replace(0, 5, std::string("\x16\x03\x01\xff\xff", 5));
    std::string message(70'000, 'y');
    message.replace(0, 9, std::string("\x16\x03\x01\x40\x00\x01\xff\xff\xff", 9));
    for (const std::string& bytes : {std::string("GET / HTTP/1.1\r\n\r\n"), std::string(300, '\0'), record, message,
                                     std::string("\x15\x03\x03\x00\x02\x02\x28", 7)}) {
        Peer peer(bench.address);
        peer.say_bytes(bytes);
        ASSERT_TRUE(bench.run_until([&] { return peer.has_ended(); }, {&peer})) << bytes.substr(0, 10);
    }
    EXPECT_TRUE(bench.accepted.empty());
    EXPECT_EQ(server.counters.handshakes_failed.get(), 5U);
}

TEST_P(TlsIoTest, ReadsNoMoreThan16KiBBeforeAHandshakeIsDone) {
    TlsBench bench(GetParam(), &server);
    Peer peer(bench.address);
    // A hello of many extensions, in whole records: well-formed as far as it goes, and it goes on for ever.
    std::string record("\x16\x03\x01\x20\x00", 5);
    record += std::string("\x01\x01\xff\x00\x03\x03", 6) + std::string(0x2000 - 6, 'z');
    std::string more("\x16\x03\x01\x20\x00", 5);
    more += std::string(0x2000, 'z');
    peer.say_bytes(record);
    peer.say_bytes(more);
    peer.say_bytes(more);
    ASSERT_TRUE(bench.run_until([&] { return server.counters.handshakes_failed.get() == 1; }, {&peer}));
    EXPECT_STREQ(notes_of(server)[0].what.data(), "more than 16 KiB before the handshake was done");
}

TEST_P(TlsIoTest, AHandshakeHasItsTime) {
    TlsBench bench(GetParam(), &server, {.handshake_ns_max = 200 * ns_per_ms});
    const auto state = client(ca.edge("north"));
    Peer silent(bench.address);
    Peer slow(bench.address, state.get());
    slow.pump();  // its hello goes out, and then nothing more
    ASSERT_TRUE(bench.run_until([&] { return server.counters.handshakes_late.get() == 2; }));
    ASSERT_TRUE(bench.run_until([&] { return silent.has_ended(); }, {&silent}));
    EXPECT_TRUE(bench.accepted.empty());
}

TEST_P(TlsIoTest, AConnectionThatIsNeverAnsweredFailsInItsTime) {
    Endpoint connect(client(ca.edge("north")));
    TlsBench plain(GetParam(), nullptr);  // accepts, and says nothing
    TlsBench bench(GetParam(), nullptr, {.handshake_ns_max = 200 * ns_per_ms}, &connect);
    auto socket = bench.io->connect({plain.address}, {.kind = TlsBench::connect_kind});
    ASSERT_TRUE(socket.ok());
    ASSERT_TRUE(bench.run_until([&] {
        plain.turn();
        return bench.connected.has_value();
    }));
    EXPECT_EQ(*bench.connected, -ETIMEDOUT);
    EXPECT_EQ(plain.accepted.size(), 1U);  // and without an endpoint a socket is plain
}

TEST_P(TlsIoTest, IdleConnectionsMakeRoomForNewOnes) {
    TlsBench bench(GetParam(), &server, {.handshakes_max = 4});
    std::vector<std::unique_ptr<Peer>> idle;
    for (int i = 0; i < 20; ++i) idle.push_back(std::make_unique<Peer>(bench.address));
    ASSERT_TRUE(bench.run_until([&] { return server.counters.handshakes_pushed_out.get() >= 16; }));
    const auto state = client(ca.edge("north"));
    Peer peer(bench.address, state.get());
    ASSERT_TRUE(bench.run_until([&] { return bench.accepted.size() == 1; }, {&peer}));
    EXPECT_EQ(server.counters.handshakes_pushed_out.get(), 17U);
}

TEST_P(TlsIoTest, AFloodOfHandshakesTakesNoMoreThanItsShareOfTime) {
    TlsBench bench(GetParam(), &server, {.stranger_share_percent = 10});
    const auto state = client(ca.edge("north"));
    std::vector<std::unique_ptr<Peer>> flood;
    const auto flood_again = [&] {
        for (auto& peer : flood) {
            if (!peer->has_ended()) continue;
            peer = std::make_unique<Peer>(bench.address, state.get());
            peer->pump();
        }
    };
    for (int i = 0; i < 40; ++i) {
        flood.push_back(std::make_unique<Peer>(bench.address, state.get()));
        flood.back()->pump();  // its hello, and never more
    }
    const MonotonicNs before = monotonic_now();
    ASSERT_TRUE(bench.run_until([&] {
        flood_again();
        return monotonic_now() >= before.plus_ns(200 * ns_per_ms);
    }));
    const std::uint64_t passed_ns = monotonic_now().since(before);
    EXPECT_GT(server.counters.handshakes.get(), 0U);
    EXPECT_GT(server.counters.accept_pauses.get(), 0U);
    // A step may go beyond the share once; what a kernel takes away in its middle is counted in it.
    EXPECT_LE(server.counters.handshake_ns.get(), passed_ns / 10 + ns_per_ms + 2 * StrangerTime::piece_ns_max);
    // And one who goes on to the end gets in beside them.
    Peer peer(bench.address, state.get());
    ASSERT_TRUE(bench.run_until([&] { return bench.accepted.size() == 1; }, {&peer}));
}

TEST_P(TlsIoTest, OneWaitMakesOneStepOfOneHandshake) {
    TlsBench bench(GetParam(), &server, {.stranger_share_percent = 100});
    const auto state = client(ca.edge("north"));
    std::vector<std::unique_ptr<Peer>> peers;
    for (int i = 0; i < 20; ++i) {
        peers.push_back(std::make_unique<Peer>(bench.address, state.get()));
        peers.back()->pump();
    }
    for (std::uint64_t before = 0; before < 20;) {
        bench.turn();
        ASSERT_LE(server.counters.handshakes.get(), before + 1);
        before = server.counters.handshakes.get();
    }
}

TEST_P(TlsIoTest, WhatStrangersSayKeepsNoSlot) {
    TlsBench bench(GetParam(), &server, {.stranger_share_percent = 1, .stranger_ns_at_once = 1});
    const auto state = client(ca.edge("north"));
    Peer peer(bench.address, state.get());
    ASSERT_TRUE(bench.run_until([&] { return bench.accepted.size() == 1; }, {&peer}));
    // More of them than there are slots, all of them waiting for their turn.
    std::vector<std::unique_ptr<Peer>> strangers;
    for (int i = 0; i < 12; ++i) {
        strangers.push_back(std::make_unique<Peer>(bench.address, state.get()));
        strangers.back()->pump();
    }
    peer.say("through");
    ASSERT_TRUE(bench.run_until([&] { return bench.accepted[0].heard == "through"; }, {&peer}));
    EXPECT_EQ(bench.io->counters().slots_exhausted, 0U);
}

TEST_P(TlsIoTest, WhatIsSaidRightAfterAHandshakeIsHeardInItsOrder) {
    TlsBench bench(GetParam(), &server, {.stranger_share_percent = 1});
    const auto state = client(ca.edge("north"));
    Peer peer(bench.address, state.get());
    std::string much;
    for (int i = 0; much.size() < 200'000; ++i) much += std::to_string(i) + ' ';
    peer.say(much);  // goes out with the last of the handshake, more than is kept for a stranger
    ASSERT_TRUE(
        bench.run_until([&] { return bench.accepted.size() == 1 && bench.accepted[0].heard == much; }, {&peer}));
}

TEST_P(TlsIoTest, EverythingCutIntoSingleBytesStillArrives) {
    TlsBench bench(GetParam(), &server);
    const auto state = client(ca.edge("north"));
    Peer peer(bench.address, state.get(), 1);
    peer.say("one byte at a time");
    peer.finish();
    ASSERT_TRUE(bench.run_until(
        [&] {
            for (int i = 0; i < 50; ++i) peer.pump();
            return bench.accepted.size() == 1 && bench.accepted[0].end.has_value();
        },
        {&peer}));
    EXPECT_EQ(bench.accepted[0].heard, "one byte at a time");
    EXPECT_EQ(*bench.accepted[0].end, 0);
}

TEST_P(TlsIoTest, APeerThatHasFinishedIsStillSpokenTo) {
    TlsBench bench(GetParam(), &server);
    const auto state = client(ca.edge("north"));
    Peer peer(bench.address, state.get());
    peer.say("last");
    peer.finish();
    ASSERT_TRUE(bench.run_until([&] { return bench.accepted.size() == 1 && bench.accepted[0].end; }, {&peer}));
    EXPECT_EQ(*bench.accepted[0].end, 0);
    EXPECT_EQ(bench.accepted[0].heard, "last");
    peer.half_close();
    const std::string answer(100'000, 'a');
    bench.send(0, answer);
    ASSERT_TRUE(bench.run_until([&] { return peer.heard() == answer; }, {&peer}));
    bench.close(0);
    ASSERT_TRUE(bench.run_until([&] { return peer.has_finished() && peer.has_ended(); }, {&peer}));
}

TEST_P(TlsIoTest, AnEndWithoutTheLastWordIsNoCleanEnd) {
    TlsBench bench(GetParam(), &server);
    const auto state = client(ca.edge("north"));
    Peer peer(bench.address, state.get());
    peer.say("cut");
    ASSERT_TRUE(
        bench.run_until([&] { return bench.accepted.size() == 1 && bench.accepted[0].heard == "cut"; }, {&peer}));
    peer.hang_up();
    ASSERT_TRUE(bench.run_until([&] { return bench.accepted[0].end.has_value(); }));
    EXPECT_LT(*bench.accepted[0].end, 0);
    EXPECT_EQ(server.counters.cut_short.get(), 1U);
}

TEST_P(TlsIoTest, BytesThatWereChangedOnTheWayEndTheSession) {
    TlsBench bench(GetParam(), &server);
    const auto state = client(ca.edge("north"));
    Peer peer(bench.address, state.get());
    peer.say("good");
    ASSERT_TRUE(
        bench.run_until([&] { return bench.accepted.size() == 1 && bench.accepted[0].heard == "good"; }, {&peer}));
    peer.say_bytes(std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'q'));
    ASSERT_TRUE(bench.run_until([&] { return bench.accepted[0].end.has_value(); }, {&peer}));
    EXPECT_EQ(*bench.accepted[0].end, -EPROTO);
    EXPECT_EQ(bench.accepted[0].heard, "good");
    bench.send(0, "too late");
    ASSERT_TRUE(bench.run_until([&] { return bench.accepted[0].sent.has_value(); }, {&peer}));
    EXPECT_EQ(*bench.accepted[0].sent, -EPIPE);
    bench.close(0);
}

TEST_P(TlsIoTest, NewCredentialsAreForNewConnectionsAndOldOnesGoOn) {
    TlsBench bench(GetParam(), &server);
    const TestCa next("the next CA");
    const auto before = client(ca.edge("north"));
    Peer old_peer(bench.address, before.get());
    ASSERT_TRUE(bench.run_until([&] { return bench.accepted.size() == 1; }, {&old_peer}));
    // A handshake is under way while they change.
    Peer between(bench.address, before.get());
    between.pump();
    ASSERT_TRUE(bench.run_until([&] { return server.counters.handshakes.get() == 2; }));
    server.offer(make_state(Side::server, next.central("main"), next.pem(), "edge"));
    bench.turn();
    ASSERT_TRUE(bench.run_until([&] { return bench.accepted.size() == 2; }, {&between}));
    old_peer.say("still here");
    ASSERT_TRUE(bench.run_until([&] { return bench.accepted[0].heard == "still here"; }, {&old_peer}));
    Peer late(bench.address, before.get());
    ASSERT_TRUE(bench.run_until([&] { return late.session().has_failed() || late.has_ended(); }, {&late}));
    const auto after = make_state(Side::client, next.edge("north"), next.pem(), "central");
    Peer new_peer(bench.address, after.get());
    ASSERT_TRUE(bench.run_until([&] { return bench.accepted.size() == 3; }, {&new_peer}));
    EXPECT_EQ(server.counters.rotations.get(), 1U);
}

TEST_P(TlsIoTest, CredentialsComeFromAnotherThreadWhileHandshakesGoOn) {
    const auto state = client(ca.edge("north"));
    std::atomic<bool> is_over{false};
    std::uint64_t offers = 0;
    std::thread control([&] {
        while (!is_over.load(std::memory_order_relaxed)) {
            server.offer(make_state(Side::server, ca.central("main"), ca.pem(), "edge"));
            ++offers;
            server.take_back();
            server.take_notes([](const Note&) {});
        }
    });
    TlsBench bench(GetParam(), &server, {.stranger_share_percent = 100});
    for (std::size_t round = 1; round <= 30; ++round) {
        Peer peer(bench.address, state.get());
        const bool is_in = bench.run_until([&] { return bench.accepted.size() == round; }, {&peer});
        EXPECT_TRUE(is_in);
        if (!is_in) break;  // the other thread must still be joined
        bench.close(round - 1);
    }
    is_over.store(true);
    control.join();
    EXPECT_GT(server.counters.rotations.get(), 0U);
    EXPECT_LE(server.counters.rotations.get(), offers);
    EXPECT_EQ(server.counters.handshakes_failed.get(), 0U);
}

TEST_P(TlsIoTest, TheDenyListEndsOpenSessionsAndNoOthers) {
    TlsBench bench(GetParam(), &server);
    const TestCertificate stolen = ca.edge("stolen");
    const auto bad = client(stolen), good = client(ca.edge("north"));
    Peer thief(bench.address, bad.get());
    ASSERT_TRUE(bench.run_until([&] { return bench.accepted.size() == 1; }, {&thief}));
    Peer peer(bench.address, good.get());
    ASSERT_TRUE(bench.run_until([&] { return bench.accepted.size() == 2; }, {&peer}));
    auto list = DenyList::parse("sha256:" + facts_of(stolen.certificate.get()).fingerprint);
    ASSERT_TRUE(list.ok());
    server.offer(make_state(Side::server, ca.central("main"), ca.pem(), "edge", std::move(list.value())));
    ASSERT_TRUE(bench.run_until([&] { return bench.accepted[0].end.has_value(); }, {&peer, &thief}));
    EXPECT_EQ(*bench.accepted[0].end, -EACCES);
    EXPECT_EQ(notes_of(server)[0].kind, NoteKind::session_denied);
    peer.say("untouched");
    ASSERT_TRUE(bench.run_until([&] { return bench.accepted[1].heard == "untouched"; }, {&peer}));
}

TEST_P(TlsIoTest, ASessionEndsWhenThePeersCertificateRunsOut) {
    TlsBench bench(GetParam(), &server);
    const auto lasting = client(ca.edge("north"));
    const auto brief = client(ca.issue("URI:spiffe://weir.test/edge/south", -3600, 2));
    Peer passing(bench.address, brief.get()), staying(bench.address, lasting.get());
    ASSERT_TRUE(bench.run_until([&] { return bench.accepted.size() == 2; }, {&passing, &staying}));
    const std::size_t south = bench.io->peer_identity(bench.accepted[0].socket) == "edge/south" ? 0 : 1;
    EXPECT_FALSE(bench.accepted[south].end.has_value());
    ASSERT_TRUE(bench.run_until([&] { return bench.accepted[south].end.has_value(); }, {&passing, &staying}));
    EXPECT_EQ(*bench.accepted[south].end, -EKEYEXPIRED);
    EXPECT_EQ(server.counters.sessions_expired.get(), 1U);
    EXPECT_EQ(notes_of(server)[0].kind, NoteKind::session_expired);
    staying.say("untouched");
    ASSERT_TRUE(bench.run_until([&] { return bench.accepted[1 - south].heard == "untouched"; }, {&staying}));
}

TEST_P(TlsIoTest, APeerThatReadsNothingHoldsUpOnlyItself) {
    TlsBench bench(GetParam(), &server);
    const auto state = client(ca.edge("north"));
    Peer stuck(bench.address, state.get()), peer(bench.address, state.get());
    ASSERT_TRUE(bench.run_until([&] { return bench.accepted.size() == 2; }, {&stuck, &peer}));
    const std::vector<std::byte> much(std::size_t{32} << 20);
    bench.io->send(bench.accepted[0].socket, much, {.kind = TlsBench::send_kind, .index = 0});
    peer.say("through");
    ASSERT_TRUE(bench.run_until([&] { return bench.accepted[1].heard == "through"; }, {&peer}));
    EXPECT_FALSE(bench.accepted[0].sent.has_value());
    bench.close(0);
    ASSERT_TRUE(bench.run_until([&] { return bench.accepted[0].sent.has_value(); }, {&peer}));
    EXPECT_EQ(*bench.accepted[0].sent, -ECANCELED);
}

TEST_P(TlsIoTest, ItsEndTellsPeersThatNothingMoreComes) {
    TlsBench bench(GetParam(), &server);
    const auto state = client(ca.edge("north"));
    Peer peer(bench.address, state.get());
    ASSERT_TRUE(bench.run_until([&] { return bench.accepted.size() == 1; }, {&peer}));
    EXPECT_TRUE(bench.io->quiesce());
    for (int i = 0; i < 1000 && !peer.has_finished(); ++i) peer.pump();
    EXPECT_TRUE(peer.has_finished());
}

INSTANTIATE_TEST_SUITE_P(Over, TlsIoTest, testing::Values(io::IoChoice::uring, io::IoChoice::epoll),
                         [](const auto& one) { return one.param == io::IoChoice::uring ? "uring" : "epoll"; });

}  // namespace
}  // namespace weir::tls
