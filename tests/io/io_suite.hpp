// One suite for every Io that talks to a real kernel: what io.hpp promises. A test program includes it once, defines make_under_test()
// and names the Ios.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "core/base/clock.hpp"
#include "core/io/io.hpp"

namespace weir::io {

// The Io of this name. An error with EPERM, ENOSYS or the like: it is refused here, and the test is skipped.
Result<std::unique_ptr<Io>> make_under_test(std::string_view name, const IoOptions& options);

namespace {

constexpr std::uint64_t patience_ns = 10 * ns_per_second;

enum Kind : std::uint8_t { kind_listen = 1, kind_connect, kind_receive, kind_send, kind_file };

Token token(Kind kind, std::uint32_t index = 0) {
    return {.owner = 0, .kind = kind, .generation = 0, .index = index};
}

std::vector<std::byte> random_bytes(std::size_t count, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<std::byte> bytes(count);
    for (std::byte& one : bytes) one = static_cast<std::byte>(random());
    return bytes;
}

class IoTest : public testing::TestWithParam<const char*> {
  protected:
    void SetUp() override { make({.slots = 8, .slot_bytes = 16U << 10, .sockets_max = 64, .operations_max = 64}); }
    void make(const IoOptions& options) {
        io.reset();
        auto made = make_under_test(GetParam(), options);
        if (!made && std::string_view(GetParam()).ends_with("uring"))
            GTEST_SKIP() << "io_uring is refused here: " << made.error().what;
        ASSERT_TRUE(made.ok());
        io = std::move(made.value());
    }
    // Waits until a completion of this kind and index has come; others are kept for later asks.
    Completion await(Kind kind, std::uint32_t index = 0) {
        const MonotonicNs give_up = monotonic_now().plus_ns(patience_ns);
        for (;;) {
            for (auto at = seen.begin(); at != seen.end(); ++at) {
                if (at->token.kind != kind || at->token.index != index) continue;
                const Completion found = *at;
                seen.erase(at);
                return found;
            }
            if (monotonic_now() > give_up) {
                ADD_FAILURE() << "no completion of kind " << int{kind} << " index " << index;
                return {};
            }
            for (const Completion& one : io->wait(give_up)) seen.push_back(one);
        }
    }
    struct Pair {
        Socket client, server;
    };
    Pair connect_pair(const std::string& address = "127.0.0.1:0", std::uint32_t index = 0) {
        if (!listener.is_valid()) {
            auto listening = io->listen(Address{address}, token(kind_listen));
            EXPECT_TRUE(listening.ok());
            listener = listening.value();
        }
        auto client = io->connect(Address{io->local_address(listener)}, token(kind_connect, index));
        EXPECT_TRUE(client.ok());
        EXPECT_EQ(await(kind_connect, index).result, 0);
        return {client.value(), await(kind_listen).socket};
    }
    // Sends `bytes` in pieces of random size and receives them all at the other end.
    void transfer(Socket from, Socket to, const std::vector<std::byte>& bytes, std::uint32_t index) {
        std::mt19937_64 random(index);
        std::size_t sent = 0, under_way = 0;
        std::vector<std::byte> received;
        io->receive(to, token(kind_receive, index));
        const MonotonicNs give_up = monotonic_now().plus_ns(patience_ns);
        while (received.size() < bytes.size() && monotonic_now() < give_up) {
            if (under_way == 0 && sent < bytes.size()) {
                under_way = std::min<std::size_t>(bytes.size() - sent, 1 + random() % 300'000);
                io->send(from, ConstBytes(bytes).subspan(sent, under_way), token(kind_send, index));
            }
            for (const Completion& one : io->wait(give_up)) {
                if (one.token.kind == kind_send) {
                    ASSERT_EQ(static_cast<std::size_t>(one.result), under_way);
                    sent += under_way;
                    under_way = 0;
                } else if (one.token.kind == kind_receive) {
                    ASSERT_GT(one.result, 0);
                    received.insert(received.end(), one.bytes, one.bytes + one.result);
                    io->release(one.slot);
                }
            }
        }
        EXPECT_TRUE(received == bytes);
        if (under_way != 0) {
            EXPECT_EQ(await(kind_send, index).result, static_cast<std::int32_t>(under_way));
        }
    }

    std::unique_ptr<Io> io;
    std::vector<Completion> seen;
    Socket listener;
};

TEST_P(IoTest, CarriesBytesBothWaysInOrder) {
    const Pair pair = connect_pair();
    transfer(pair.client, pair.server, random_bytes(5'000'000, 1), 1);
    transfer(pair.server, pair.client, random_bytes(5'000'000, 2), 2);
}

TEST_P(IoTest, SpeaksOverUnixSocketsAndReplacesADeadOne) {
    char path[] = "/tmp/weir-io-XXXXXX";
    ASSERT_NE(::mkdtemp(path), nullptr);
    const std::string address = std::string("unix:") + path + "/s";
    for (int round = 0; round < 2; ++round) {  // the second finds the first one's file
        make({.slots = 8, .slot_bytes = 16U << 10, .sockets_max = 64, .operations_max = 64});
        if (IsSkipped()) return;
        listener = Socket{};
        seen.clear();
        const Pair pair = connect_pair(address);
        transfer(pair.client, pair.server, random_bytes(100'000, 3), 1);
    }
    EXPECT_EQ(std::filesystem::status(std::string(path) + "/s").permissions() & std::filesystem::perms::all,
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    std::filesystem::remove_all(path);
}

TEST_P(IoTest, KnowsWhoHasAUnixSocketsOtherEndAndNobodyOverTcp) {
    char path[] = "/tmp/weir-io-XXXXXX";
    ASSERT_NE(::mkdtemp(path), nullptr);
    make({.slots = 8, .slot_bytes = 16U << 10, .sockets_max = 64, .operations_max = 64, .unix_mode = 0660});
    if (IsSkipped()) return;
    const Pair tcp = connect_pair();
    EXPECT_FALSE(io->peer_credentials(tcp.server).has_value());
    listener = Socket{};
    const Pair pair = connect_pair(std::string("unix:") + path + "/s");
    const auto peer = io->peer_credentials(pair.server);
    ASSERT_TRUE(peer.has_value());
    EXPECT_EQ(peer->user, ::geteuid());
    ASSERT_GE(peer->group_count, 1U);
    EXPECT_EQ(peer->groups[0], ::getegid());
    using perms = std::filesystem::perms;
    EXPECT_EQ(std::filesystem::status(std::string(path) + "/s").permissions() & perms::all,
              perms::owner_read | perms::owner_write | perms::group_read | perms::group_write);
    std::filesystem::remove_all(path);
}

TEST_P(IoTest, TellsThatThePeerHasFinished) {
    const Pair pair = connect_pair();
    io->receive(pair.server, token(kind_receive, 1));
    io->close(pair.client);
    EXPECT_EQ(await(kind_receive, 1).result, 0);
}

TEST_P(IoTest, TellsThatAConnectionIsRefused) {
    const Pair pair = connect_pair();
    const std::string address = io->local_address(listener);
    io->close(listener);
    io->close(pair.client);
    io->close(pair.server);
    static_cast<void>(io->wait(monotonic_now().plus_ns(50 * ns_per_ms)));
    auto refused = io->connect(Address{address}, token(kind_connect, 9));
    ASSERT_TRUE(refused.ok());
    EXPECT_EQ(await(kind_connect, 9).result, -ECONNREFUSED);
    io->close(refused.value());
}

TEST_P(IoTest, StopsReceivingWithoutSlotsAndGoesOnWithoutLoss) {
    const Pair pair = connect_pair();
    const auto bytes = random_bytes(1'000'000, 4);
    io->receive(pair.server, token(kind_receive, 1));
    io->send(pair.client, bytes, token(kind_send, 1));
    std::vector<Completion> held;
    const MonotonicNs until = monotonic_now().plus_ns(200 * ns_per_ms);
    while (monotonic_now() < until) {
        for (const Completion& one : io->wait(until)) (one.token.kind == kind_receive ? held : seen).push_back(one);
    }
    ASSERT_EQ(held.size(), 8U);  // every slot, and no more
    std::vector<std::byte> received;
    const MonotonicNs give_up = monotonic_now().plus_ns(patience_ns);
    while (received.size() < bytes.size() && monotonic_now() < give_up) {
        for (const Completion& one : held) {
            ASSERT_GT(one.result, 0);
            received.insert(received.end(), one.bytes, one.bytes + one.result);
            io->release(one.slot);
        }
        held.clear();
        if (received.size() == bytes.size()) break;
        for (const Completion& one : io->wait(give_up)) (one.token.kind == kind_receive ? held : seen).push_back(one);
    }
    EXPECT_TRUE(received == bytes);
}

TEST_P(IoTest, PausesAndGoesOnManyTimesWithoutLoss) {
    const Pair pair = connect_pair();
    const auto bytes = random_bytes(2'000'000, 5);
    io->receive(pair.server, token(kind_receive, 1));
    io->send(pair.client, bytes, token(kind_send, 1));
    std::vector<std::byte> received;
    std::mt19937_64 random(6);
    const MonotonicNs give_up = monotonic_now().plus_ns(patience_ns);
    while (received.size() < bytes.size() && monotonic_now() < give_up) {
        const bool pauses = random() % 2 == 0;
        io->pause_receive(pair.server, pauses);
        for (const Completion& one : io->wait(monotonic_now().plus_ns(pauses ? ns_per_ms : 10 * ns_per_ms))) {
            if (one.token.kind != kind_receive) continue;
            ASSERT_GT(one.result, 0);
            received.insert(received.end(), one.bytes, one.bytes + one.result);
            io->release(one.slot);
        }
    }
    EXPECT_TRUE(received == bytes);
}

TEST_P(IoTest, APausedSocketGivesNothing) {
    const Pair pair = connect_pair();
    io->receive(pair.server, token(kind_receive, 1));
    io->pause_receive(pair.server, true);
    static_cast<void>(io->wait(monotonic_now().plus_ns(20 * ns_per_ms)));
    const auto bytes = random_bytes(1000, 7);
    io->send(pair.client, bytes, token(kind_send, 1));
    EXPECT_EQ(await(kind_send, 1).result, 1000);
    for (const Completion& one : io->wait(monotonic_now().plus_ns(50 * ns_per_ms)))
        EXPECT_NE(one.token.kind, kind_receive);
    io->pause_receive(pair.server, false);
    EXPECT_EQ(await(kind_receive, 1).result, 1000);
}

TEST_P(IoTest, APausedListenerLeavesThoseWhoComeInItsQueue) {
    auto listening = io->listen(Address{"127.0.0.1:0"}, token(kind_listen));
    ASSERT_TRUE(listening.ok());
    io->pause_accept(listening.value(), true);
    constexpr std::uint32_t connections = 3 * accepts_per_wait_max;
    for (std::uint32_t i = 0; i < connections; ++i) {
        ASSERT_TRUE(io->connect(Address{io->local_address(listening.value())}, token(kind_connect, i)).ok());
    }
    std::uint32_t accepted = 0;
    const auto look = [&](std::uint64_t ns) {
        const MonotonicNs until = monotonic_now().plus_ns(ns);
        while (accepted < connections && monotonic_now() < until) {
            for (const Completion& one : io->wait(monotonic_now().plus_ns(5 * ns_per_ms))) {
                accepted += one.token.kind == kind_listen ? 1U : 0U;
            }
        }
    };
    look(100 * ns_per_ms);
    EXPECT_LE(accepted, accepts_per_wait_max);  // those that were under way
    io->pause_accept(listening.value(), false);
    look(patience_ns);
    EXPECT_EQ(accepted, connections);
}

TEST_P(IoTest, ClosesWhatIsAcceptedAboveItsLimit) {
    make({.slots = 4, .slot_bytes = 4096, .sockets_max = 4, .operations_max = 16});
    auto listening = io->listen(Address{"127.0.0.1:0"}, token(kind_listen));
    ASSERT_TRUE(listening.ok());
    for (std::uint32_t i = 0; i < 6; ++i) {
        auto client = io->connect(Address{io->local_address(listening.value())}, token(kind_connect, i));
        ASSERT_TRUE(client.ok());
        EXPECT_EQ(await(kind_connect, i).result, 0);
        io->receive(client.value(), token(kind_receive, i));
    }
    for (std::uint32_t i = 4; i < 6; ++i) EXPECT_LE(await(kind_receive, i).result, 0);
    EXPECT_EQ(io->counters().accepts_refused, 2U);
}

TEST_P(IoTest, AClosedSocketsSendIsAnsweredAndItsHandleServesAgain) {
    const std::vector<std::byte> bytes(std::size_t{64} << 20);  // more than the kernel takes: the send stays under way
    for (std::uint32_t round = 0; round < 100; ++round) {
        const Pair pair = connect_pair("127.0.0.1:0", round);
        io->receive(pair.client, token(kind_receive, round));
        io->send(pair.client, bytes, token(kind_send, round));
        if (round % 2 == 0) static_cast<void>(io->wait(MonotonicNs{0}));
        io->close(pair.client);
        EXPECT_LT(await(kind_send, round).result, 0);
        EXPECT_LE(await(kind_receive, round).result, 0);
        io->close(pair.server);
    }
}

TEST_P(IoTest, WritesReadsAndSyncsFiles) {
    char path[] = "/var/tmp/weir-io-XXXXXX";
    ASSERT_NE(::mkdtemp(path), nullptr);
    for (const bool direct : {false, true}) {
        auto file = io->open(std::string(path) + "/f", {.create = true, .direct = direct, .durable = direct});
        ASSERT_TRUE(file.ok());
        const auto bytes = random_bytes(8 * 65536, 8);
        auto* aligned = static_cast<std::byte*>(std::aligned_alloc(4096, 2 * bytes.size()));
        std::memcpy(aligned, bytes.data(), bytes.size());
        for (std::uint32_t i = 0; i < 8; ++i)
            io->write(file.value(), {aligned + i * 65536, 65536}, i * 65536, token(kind_file, i));
        for (std::uint32_t i = 0; i < 8; ++i) EXPECT_EQ(await(kind_file, i).result, 65536);
        io->sync(file.value(), token(kind_file, 20));
        EXPECT_EQ(await(kind_file, 20).result, 0);
        io->read(file.value(), {aligned + bytes.size(), bytes.size()}, 0, token(kind_file, 21));
        EXPECT_EQ(await(kind_file, 21).result, static_cast<std::int32_t>(bytes.size()));
        EXPECT_EQ(std::memcmp(aligned + bytes.size(), bytes.data(), bytes.size()), 0);
        io->read(file.value(), {aligned, 4096}, 1U << 24, token(kind_file, 22));
        EXPECT_EQ(await(kind_file, 22).result, 0);  // beyond the end
        io->close(file.value());
        std::free(aligned);
    }
    EXPECT_FALSE(io->open(std::string(path) + "/absent", {}).ok());
    std::filesystem::remove_all(path);
}

TEST_P(IoTest, WritesPartsFromWhereverTheyLieAsOne) {
    char path[] = "/var/tmp/weir-io-XXXXXX";
    ASSERT_NE(::mkdtemp(path), nullptr);
    for (const bool direct : {false, true}) {
        auto file = io->open(std::string(path) + "/f", {.create = true, .direct = direct, .durable = direct});
        ASSERT_TRUE(file.ok());
        // The parts are of different lengths, and lie in memory the other way round than in the file.
        auto* memory = static_cast<std::byte*>(std::aligned_alloc(4096, 4 << 20));
        std::vector<std::byte> expected;
        std::vector<iovec> parts;
        std::byte* end = memory + (2 << 20);
        for (std::size_t i = 0; i < write_parts_max; ++i) {
            const auto bytes = random_bytes((1 + i % 5) * 4096, static_cast<unsigned>(100 + i));
            end -= bytes.size();
            std::memcpy(end, bytes.data(), bytes.size());
            parts.push_back({end, bytes.size()});
            expected.insert(expected.end(), bytes.begin(), bytes.end());
        }
        io->write_gathered(file.value(), parts, 8192, token(kind_file, 1));
        io->write_gathered(file.value(), std::span(parts).first(1), 4096, token(kind_file, 2));
        EXPECT_EQ(await(kind_file, 1).result, static_cast<std::int32_t>(expected.size()));
        EXPECT_EQ(await(kind_file, 2).result, 4096);
        const Bytes read(memory + (2 << 20), expected.size());
        io->read(file.value(), read, 8192, token(kind_file, 3));
        EXPECT_EQ(await(kind_file, 3).result, static_cast<std::int32_t>(expected.size()));
        EXPECT_TRUE(std::equal(read.begin(), read.end(), expected.begin(), expected.end()));
        io->close(file.value());
        std::free(memory);
    }
    std::filesystem::remove_all(path);
}

// Where the kernel takes a part of it the rest is asked for from there on: what it then refuses is told.
TEST_P(IoTest, GoesOnWithAGatheredWriteWhereTheKernelStopped) {
    char path[] = "/var/tmp/weir-io-XXXXXX";
    ASSERT_NE(::mkdtemp(path), nullptr);
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const auto signal_before = ::signal(SIGXFSZ, SIG_IGN);
    const auto bytes = random_bytes(6000, 1);
    std::vector<iovec> parts;
    for (std::size_t at = 0; at < bytes.size(); at += 1000) {
        parts.push_back({const_cast<std::byte*>(bytes.data()) + at, 1000});
    }
    auto file = io->open(std::string(path) + "/f", {.create = true});
    ASSERT_TRUE(file.ok());
    rlimit small = before;
    small.rlim_cur = 100 + 3500;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    io->write_gathered(file.value(), parts, 100, token(kind_file, 1));
    const std::int32_t result = await(kind_file, 1).result;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    static_cast<void>(::signal(SIGXFSZ, signal_before));
    EXPECT_EQ(result, -EFBIG);
    std::vector<std::byte> read(bytes.size());
    io->read(file.value(), read, 100, token(kind_file, 2));
    EXPECT_EQ(await(kind_file, 2).result, 3500);
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.begin() + 3500, read.begin()));
    // And with room again nothing is left over from before.
    io->write_gathered(file.value(), parts, 100, token(kind_file, 3));
    EXPECT_EQ(await(kind_file, 3).result, 6000);
    io->close(file.value());
    std::filesystem::remove_all(path);
}

TEST_P(IoTest, TellsOfAGatheredWriteThatTheDiskRefuses) {
    auto file = io->open("/dev/full", {});
    ASSERT_TRUE(file.ok());
    const auto bytes = random_bytes(4096, 1);
    const std::array<iovec, 2> parts{iovec{const_cast<std::byte*>(bytes.data()), 1000},
                                     iovec{const_cast<std::byte*>(bytes.data()) + 1000, 3096}};
    io->write_gathered(file.value(), parts, 0, token(kind_file, 1));
    EXPECT_EQ(await(kind_file, 1).result, -ENOSPC);
    io->close(file.value());
}

TEST_P(IoTest, IsWokenByAnotherThread) {
    std::thread other([&] {
        for (int i = 0; i < 1000; ++i) std::this_thread::yield();
        io->wake();
    });
    static_cast<void>(io->wait(never));  // would hang here
    other.join();
}

TEST_P(IoTest, AWakeBeforeTheWaitIsNotLost) {
    for (int i = 0; i < 100; ++i) {
        io->wake();
        static_cast<void>(io->wait(never));
    }
}

TEST_P(IoTest, WaitsNoLongerThanToldAndDoesNotSpin) {
    const MonotonicNs before = monotonic_now();
    const MonotonicNs until = before.plus_ns(50 * ns_per_ms);
    int waits = 0;
    for (; monotonic_now() < until; ++waits) EXPECT_TRUE(io->wait(until).empty());
    EXPECT_LT(waits, 50);  // it may return early, but it sleeps
    EXPECT_LT(monotonic_now().since(before), ns_per_second);
    const MonotonicNs again = monotonic_now();
    EXPECT_TRUE(io->wait(MonotonicNs{0}).empty());
    EXPECT_LT(monotonic_now().since(again), ns_per_second);
}

}  // namespace
}  // namespace weir::io
