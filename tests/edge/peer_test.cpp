// Producers on Unix sockets: who may send there, as the kernel says of the connection.
#include "tests/edge/intake_bench.hpp"

namespace weir::edge::test {
namespace {

class Peers : public ::testing::Test {
  protected:
    // What a producer is told that connects and waits: the refusal's text, or "" for none.
    std::string told(const std::function<void(EdgeConfig&)>& change) {
        IntakeDirectory directory;
        EdgeConfig config = IntakeBench::config_at(directory.path);
        change(config);
        IntakeBench bench(config);
        const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, bench.path.c_str(), sizeof address.sun_path - 1);
        EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        std::string bytes;
        char buffer[512];
        for (int i = 0; i < 50; ++i) {
            bench.step();
            const auto count = ::recv(fd, buffer, sizeof buffer, 0);
            if (count > 0) bytes.append(buffer, static_cast<std::size_t>(count));
        }
        refused_ = bench.counters.refusals_by_reason[static_cast<std::size_t>(wire::RefusalReason::name)].get();
        ::close(fd);
        for (int i = 0; i < 50; ++i) bench.step();
        return bytes;
    }
    std::uint64_t refused_ = 0;
    const std::uint32_t user_ = ::geteuid();
    const std::uint32_t group_ = ::getegid();
};

TEST_F(Peers, AnybodyWhomTheModeLetsMaySendWhereNobodyIsNamed) {
    EXPECT_EQ(told([](EdgeConfig&) {}), "");
    EXPECT_EQ(refused_, 0U);
}

TEST_F(Peers, OfANamedUserOrGroupMaySend) {
    EXPECT_EQ(told([&](EdgeConfig& config) { config.listen.allowed_uids = {user_ + 7, user_}; }), "");
    EXPECT_EQ(told([&](EdgeConfig& config) {
                  config.listen.allowed_uids = {user_ + 7};
                  config.listen.allowed_gids = {group_ + 9, group_};
              }),
              "");
    EXPECT_EQ(refused_, 0U);
}

TEST_F(Peers, OfNoNamedUserOrGroupAreToldSoAndCounted) {
    for (const bool is_by_group : {false, true}) {
        const std::string said = told([&](EdgeConfig& config) {
            (is_by_group ? config.listen.allowed_gids : config.listen.allowed_uids) = {4'000'000'000};
        });
        EXPECT_NE(said.find("this user may not send here"), std::string::npos);
        EXPECT_EQ(refused_, 1U);
    }
}

}  // namespace
}  // namespace weir::edge::test
