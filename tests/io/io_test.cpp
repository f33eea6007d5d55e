// The Ios that talk to the kernel themselves, io_uring and epoll, and what they share.
#include "core/io/epoll_io.hpp"
#include "core/io/uring_io.hpp"
#include "tests/io/io_suite.hpp"

namespace weir::io {

Result<std::unique_ptr<Io>> make_under_test(std::string_view name, const IoOptions& options) {
    return name == "uring" ? make_uring_io(options) : make_epoll_io(options);
}

namespace {

INSTANTIATE_TEST_SUITE_P(Kernel, IoTest, testing::Values("uring", "epoll"),
                         [](const auto& instance) { return std::string(instance.param); });

TEST(Address, IsReadOrRefusedWithTheReason) {
    for (const char* good : {"127.0.0.1:0", "localhost:7401", "[::1]:7401", "unix:/run/weir.sock", "0.0.0.0:65535"})
        EXPECT_TRUE(check_address(good).ok()) << good;
    for (const char* bad :
         {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:7401x", "host.example:1", "unix:", "[::g]:1"})
        EXPECT_FALSE(check_address(bad).ok()) << bad;
    EXPECT_FALSE(check_address("unix:" + std::string(108, 'x')).ok());
}

TEST(MakeIo, ChoosesByItselfAndSaysWhatItChose) {
    auto io = make_io(IoChoice::automatic, {});
    ASSERT_TRUE(io.ok());
    const bool is_uring_refused = !make_uring_io({}).ok();
    EXPECT_EQ(io.value()->name(), is_uring_refused ? "epoll" : "uring");
    // The test that runs under the launcher that refuses io_uring sets this.
    if (const char* wanted = ::getenv("WEIR_EXPECT_IO")) {
        EXPECT_EQ(io.value()->name(), wanted);
    }
}

}  // namespace
}  // namespace weir::io
