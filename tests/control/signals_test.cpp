#include "core/control/signals.hpp"

#include <gtest/gtest.h>

#include <csignal>

namespace weir::control {
namespace {

TEST(SignalWatch, TheFirstTermDrainsTheSecondHaltsAndHupReloads) {
    block_signals();
    SignalWatch watch;
    EXPECT_EQ(watch.wait(0), Wish::none);
    ASSERT_EQ(raise(SIGHUP), 0);
    EXPECT_EQ(watch.wait(1'000), Wish::reload);
    ASSERT_EQ(raise(SIGTERM), 0);
    EXPECT_EQ(watch.wait(1'000), Wish::drain);
    EXPECT_EQ(watch.wait(0), Wish::none);
    ASSERT_EQ(raise(SIGINT), 0);
    EXPECT_EQ(watch.wait(1'000), Wish::halt);
}

TEST(SignalWatch, ABrokenPipeDoesNotEndTheProcess) {
    block_signals();
    EXPECT_EQ(raise(SIGPIPE), 0);
}

TEST(SignalWatch, AFileAtItsLimitDoesNotEndTheProcess) {
    block_signals();
    EXPECT_EQ(raise(SIGXFSZ), 0);
}

}  // namespace
}  // namespace weir::control
