// The Ios that talk to the kernel themselves, io_uring and epoll, and what they share.
#include <fcntl.h>
#include <liburing.h>
#include <unistd.h>

#include "core/io/epoll_io.hpp"
#include "core/io/gathered.hpp"
#include "core/io/ring_restrictions.hpp"
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

// As UringIo makes its ring; then someone puts into it what UringIo never does.
TEST(RingRestrictions, RefuseAnOperationThatIsNotInUseAndLetTheOthersPass) {
    io_uring ring{};
    io_uring_params params{};
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED;
    if (io_uring_queue_init_params(8, &ring, &params) != 0) GTEST_SKIP() << "io_uring is refused here";
    ASSERT_EQ(restrict_ring(ring.ring_fd), 0);
    ASSERT_EQ(enable_ring(ring.ring_fd), 0);
    const auto result_of = [&](auto prepare) {
        io_uring_sqe* sqe = io_uring_get_sqe(&ring);
        prepare(sqe);
        EXPECT_EQ(io_uring_submit_and_wait(&ring, 1), 1);
        io_uring_cqe* cqe = nullptr;
        EXPECT_EQ(io_uring_wait_cqe(&ring, &cqe), 0);
        const int result = cqe->res;
        io_uring_cqe_seen(&ring, cqe);
        return result;
    };
    char byte = 0;
    const int zeros = ::open("/dev/zero", O_RDONLY | O_CLOEXEC);
    EXPECT_EQ(result_of([&](io_uring_sqe* sqe) { io_uring_prep_read(sqe, zeros, &byte, 1, 0); }), 1);
    EXPECT_EQ(result_of([](io_uring_sqe* sqe) { io_uring_prep_nop(sqe); }), -EACCES);
    EXPECT_EQ(result_of([](io_uring_sqe* sqe) { io_uring_prep_openat(sqe, AT_FDCWD, "/dev/null", O_RDONLY, 0); }),
              -EACCES);
    EXPECT_EQ(result_of([](io_uring_sqe* sqe) { io_uring_prep_unlinkat(sqe, AT_FDCWD, "/nowhere", 0); }), -EACCES);
    EXPECT_EQ(result_of([&](io_uring_sqe* sqe) {
                  io_uring_prep_read(sqe, zeros, &byte, 1, 0);
                  sqe->flags |= IOSQE_ASYNC;
              }),
              -EACCES);
    EXPECT_EQ(io_uring_register_files_sparse(&ring, 4), -EACCES);
    ::close(zeros);
    io_uring_queue_exit(&ring);
}

TEST(Gathered, KnowsWhatIsLeftOfThePartInWhichItStopped) {
    std::array<std::byte, 30> bytes{};
    const std::array<iovec, 3> parts{iovec{bytes.data(), 10}, iovec{bytes.data() + 20, 3}, iovec{bytes.data() + 10, 7}};
    EXPECT_EQ(gathered_bytes(parts), 20U);
    const auto expect = [&](std::size_t moved, std::size_t at, std::size_t count) {
        const ConstBytes rest = rest_of_part(parts, moved);
        EXPECT_EQ(rest.data(), bytes.data() + at) << moved;
        EXPECT_EQ(rest.size(), count) << moved;
    };
    expect(0, 0, 10);
    expect(9, 9, 1);
    expect(10, 20, 3);
    expect(12, 22, 1);
    expect(13, 10, 7);
    expect(19, 16, 1);
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
