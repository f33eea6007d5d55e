// What OpenSSL allocates, and that handshakes leave nothing behind.
//
// Its allocator is replaced before main, as it must be before the first allocation: this is a program of its own.
#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdio>
#include <cstdlib>

#include "tests/tls/tls_bench.hpp"

namespace weir::tls {
namespace {

struct Count {
    std::uint64_t calls = 0;
    std::int64_t bytes = 0;  // held now
};
Count counted;  // one thread

void* count_malloc(std::size_t bytes, const char*, int) {
    void* made = std::malloc(bytes);
    ++counted.calls;
    counted.bytes += static_cast<std::int64_t>(::malloc_usable_size(made));
    return made;
}
void count_free(void* held, const char*, int) {
    counted.bytes -= static_cast<std::int64_t>(::malloc_usable_size(held));
    std::free(held);
}
void* count_realloc(void* held, std::size_t bytes, const char*, int) {
    counted.bytes -= static_cast<std::int64_t>(::malloc_usable_size(held));
    void* made = std::realloc(held, bytes);
    ++counted.calls;
    counted.bytes += static_cast<std::int64_t>(::malloc_usable_size(made));
    return made;
}
const bool is_counting = CRYPTO_set_mem_functions(&count_malloc, &count_realloc, &count_free) == 1;

class MemoryTest : public testing::Test {
  protected:
    void SetUp() override { ASSERT_TRUE(is_counting); }
    TestCa ca;
    std::unique_ptr<TlsState> state = make_state(Side::client, ca.edge("north"), ca.pem(), "central");
    Endpoint server{make_state(Side::server, ca.central("main"), ca.pem(), "edge")};
};

TEST_F(MemoryTest, AThousandHandshakesLeaveNothingBehind) {
    TlsBench bench(io::IoChoice::epoll, &server, {.stranger_share_percent = 100});
    std::int64_t held = 0, largest = 0;
    for (std::size_t round = 0; round < 1200; ++round) {
        {
            Peer peer(bench.address, state.get());
            // Every third leaves in the middle of its handshake.
            if (round % 3 == 2) {
                peer.pump();
                bench.turn();
            } else {
                ASSERT_TRUE(bench.run_until([&] { return bench.accepted.size() == 1; }, {&peer}));
                largest = std::max(largest, counted.bytes);
                bench.close(0);
                bench.accepted.clear();
            }
        }
        for (int i = 0; i < 3; ++i) bench.turn();
        bench.accepted.clear();
        if (round == 199) held = counted.bytes;
    }
    std::printf("held by OpenSSL after 200 handshakes %lld bytes, after 1200 %lld; both ends of one connection: %lld\n",
                static_cast<long long>(held), static_cast<long long>(counted.bytes),
                static_cast<long long>(largest - counted.bytes));
    EXPECT_LT(counted.bytes, held + 4096);
    EXPECT_LT(largest - counted.bytes, 2 * 96 * 1024);
}

TEST_F(MemoryTest, ASessionAtWorkHoldsNoMoreThanBefore) {
    const auto server_session = Session::make(server.current(), wall_now(), output_bytes_min);
    const auto client = Session::make(*state, wall_now(), output_bytes_min);
    std::vector<std::byte> wire;
    const auto carry = [&](Session& from, Session& to, auto&& work) {
        const ConstBytes bytes = from.take_output();
        if (bytes.empty()) return;
        wire.assign(bytes.begin(), bytes.end());
        from.output_sent();
        to.feed(wire);
        work();
    };
    bool is_here = false, is_there = false;
    while (!is_here || !is_there) {
        if (!is_here) is_here = client->handshake() == Outcome::done;
        carry(*client, *server_session, [&] { is_there = server_session->handshake() == Outcome::done; });
        carry(*server_session, *client, [&] {
            if (!is_here) is_here = client->handshake() == Outcome::done;
        });
    }
    const std::vector<std::byte> plain(record_plain_bytes_max);
    std::vector<std::byte> room(record_plain_bytes_max);
    Count before;
    constexpr std::uint64_t records = 2000, warm = 10;
    for (std::uint64_t i = 0; i < records + warm; ++i) {
        if (i == warm) before = counted;
        std::size_t taken = 0, read = 0;
        ASSERT_EQ(client->write(plain, taken), Outcome::done);
        carry(*client, *server_session, [&] { static_cast<void>(server_session->read(room, read)); });
        ASSERT_EQ(read, record_plain_bytes_max);
    }
    const double calls = static_cast<double>(counted.calls - before.calls) / static_cast<double>(records);
    std::printf("OpenSSL allocates %.2f times for a record written and read; it holds %lld bytes more after %llu\n",
                calls, static_cast<long long>(counted.bytes - before.bytes), static_cast<unsigned long long>(records));
    EXPECT_EQ(counted.bytes, before.bytes);
    EXPECT_LE(calls, 8.0);
}

}  // namespace
}  // namespace weir::tls
