#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "core/wire/control.hpp"
#include "core/wire/splitter.hpp"
#include "tests/wire/samples.hpp"

namespace weir::wire {
namespace {

using Frame = std::vector<std::byte>;
constexpr std::uint32_t body_max = 4096;
constexpr std::uint32_t no_limit = UINT32_MAX;

std::vector<std::byte> random_stream(std::mt19937_64& random, std::vector<Frame>& frames) {
    std::vector<std::byte> stream;
    for (std::uint64_t i = 0; i < 60; ++i) {
        std::vector<std::byte> body(random() % 3 == 0 ? random() % (body_max + 1) : random() % 300);
        for (std::byte& byte : body) byte = static_cast<std::byte>(random());
        Frame frame;
        samples::append_frame(frame, FrameKind::event, body, i);
        samples::append(stream, frame);
        frames.push_back(std::move(frame));
    }
    return stream;
}

TEST(FrameSplitter, GivesTheSameFramesWhereverTheStreamIsCutAndWhateverIsPutBack) {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        std::mt19937_64 random(seed);
        std::vector<Frame> wanted;
        auto stream = random_stream(random, wanted);
        CarryPool pool(1, body_max);
        FrameSplitter splitter(pool, body_max);
        std::vector<Frame> got;
        std::size_t put_back = 0;
        const std::size_t piece_max = 1 + random() % 3000;
        std::size_t offered_more = 0;
        for (std::size_t at = 0; at < stream.size();) {
            // A copy of the exact size, gone after the call: AddressSanitizer sees any use of it later.
            std::vector<std::byte> piece(
                stream.begin() + static_cast<std::ptrdiff_t>(at),
                stream.begin() + static_cast<std::ptrdiff_t>(std::min(stream.size(), at + 1 + random() % piece_max)));
            ConstBytes rest = piece;
            const auto frames_max = static_cast<std::uint32_t>(random() % 5);
            std::vector<ConstBytes> lent;
            SplitFault fault{};
            std::size_t used = splitter.split(
                rest, frames_max,
                [&](const FrameHeader& header, ConstBytes frame) {
                    if (random() % 8 == 0) return false;
                    EXPECT_EQ(header.number, got.size() + lent.size());
                    lent.push_back(frame);
                    return true;
                },
                fault);
            ASSERT_EQ(fault, SplitFault::none);
            ASSERT_LE(lent.size(), frames_max);
            ASSERT_FALSE(splitter.needs_carry());
            if (!lent.empty() && random() % 3 == 0) {
                const std::size_t first = random() % lent.size();
                used = splitter.put_back(rest, lent[first].data());
                lent.resize(first);
                ++put_back;
                // One that waits whole in the pool may be taken out of it and given again ahead of what follows.
                const ConstBytes waiting = splitter.waiting_in_pool();
                if (!waiting.empty() && random() % 2 == 0) {
                    std::vector<std::byte> again(waiting.begin(), waiting.end());
                    again.insert(again.end(), stream.begin() + static_cast<std::ptrdiff_t>(at + used), stream.end());
                    splitter.drop_waiting();
                    EXPECT_EQ(pool.free_count(), 1U);
                    stream = std::move(again);
                    at = used = 0;
                }
            }
            for (const ConstBytes frame : lent) got.emplace_back(frame.begin(), frame.end());  // still there
            at += used;
            if (used < rest.size()) ++offered_more;
            if (at == stream.size()) break;
        }
        SplitFault fault{};
        for (int i = 0; i < 100 && splitter.carried_bytes() != 0; ++i) {
            ASSERT_EQ(splitter.split(
                          {}, 1,
                          [&](const FrameHeader&, ConstBytes frame) {
                              got.emplace_back(frame.begin(), frame.end());
                              return true;
                          },
                          fault),
                      0U);
        }
        EXPECT_GT(offered_more, 0U);
        EXPECT_GT(put_back, 0U);
        ASSERT_EQ(got, wanted) << "seed " << seed;
        splitter.reset(body_max);
        EXPECT_EQ(pool.free_count(), 1U);
    }
}

// Four connections, two carry buffers: the model is each connection's own list of frames.
TEST(FrameSplitter, ConnectionsThatShareTooFewBuffersEachGetTheirOwnFrames) {
    constexpr std::size_t connections = 4, buffers = 2;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        std::mt19937_64 random(seed);
        // With every other seed a stash for each: what waits for a buffer begins there.
        const CarryPool::Stashes stashes{.count = seed % 2 == 0 ? connections : 0, .bytes = 900};
        CarryPool pool(buffers, body_max, stashes);
        struct Connection {
            explicit Connection(CarryPool& carries) : splitter(carries, body_max) {}
            FrameSplitter splitter;
            std::vector<Frame> wanted;
            std::vector<std::byte> stream;
            std::size_t at = 0;   // of the stream, used up
            std::size_t got = 0;  // of the frames
        };
        std::vector<std::unique_ptr<Connection>> all;
        for (std::size_t i = 0; i < connections; ++i) {
            all.push_back(std::make_unique<Connection>(pool));
            all.back()->stream = random_stream(random, all.back()->wanted);
        }
        std::uint64_t waits = 0;
        for (int step = 0; step < 20'000; ++step) {
            SCOPED_TRACE("seed " + std::to_string(seed) + ", step " + std::to_string(step));
            Connection& one = *all[random() % connections];
            const std::size_t piece = std::min(one.stream.size() - one.at, 1 + random() % 1500);
            SplitFault fault{};
            std::size_t wrong = 0;
            one.at += one.splitter.split(
                ConstBytes(one.stream).subspan(one.at, piece), 1 + static_cast<std::uint32_t>(random() % 4),
                [&](const FrameHeader&, ConstBytes frame) {
                    if (random() % 8 == 0) return false;
                    wrong += one.got == one.wanted.size() || !std::ranges::equal(frame, one.wanted[one.got]) ? 1 : 0;
                    ++one.got;
                    return true;
                },
                fault);
            ASSERT_EQ(fault, SplitFault::none);
            ASSERT_EQ(wrong, 0U);
            waits += one.splitter.needs_carry() ? 1 : 0;
            if (random() % 2 == 0) one.splitter.release_taken();
            std::size_t held = 0;
            for (const auto& each : all) held += each->splitter.holds_pool_buffer() ? 1 : 0;
            ASSERT_EQ(pool.free_count() + held, buffers);
        }
        for (const auto& one : all) {
            EXPECT_EQ(one->at, one->stream.size()) << "seed " << seed;
            EXPECT_EQ(one->got, one->wanted.size()) << "seed " << seed;
        }
        EXPECT_GT(waits, 0U) << "seed " << seed;
        all.clear();
        EXPECT_EQ(pool.free_count(), buffers);
        EXPECT_EQ(pool.free_stash_count(), stashes.count);
    }
}

TEST(FrameSplitter, HandsWholeFramesOutWhereTheyLie) {
    CarryPool pool(0, body_max);
    FrameSplitter splitter(pool, body_max);
    std::vector<std::byte> stream;
    for (int i = 0; i < 3; ++i) samples::append_frame(stream, FrameKind::event, std::vector<std::byte>(2000));
    std::size_t at = 0;
    SplitFault fault{};
    EXPECT_EQ(splitter.split(
                  stream, no_limit,
                  [&](const FrameHeader&, ConstBytes frame) {
                      EXPECT_EQ(frame.data(), stream.data() + at);
                      at += frame.size();
                      return true;
                  },
                  fault),
              stream.size());
    EXPECT_EQ(at, stream.size());
}

TEST(FrameSplitter, WaitsForACarryBufferAndGoesOn) {
    CarryPool pool(1, body_max);
    FrameSplitter first(pool, body_max);
    FrameSplitter second(pool, body_max);
    std::vector<std::byte> stream;
    samples::append_frame(stream, FrameKind::event, std::vector<std::byte>(1000, std::byte{7}));
    const ConstBytes all(stream);
    int frames = 0;
    const auto take = [&](const FrameHeader&, ConstBytes frame) {
        EXPECT_TRUE(std::ranges::equal(frame, all));
        ++frames;
        return true;
    };
    SplitFault fault{};
    EXPECT_EQ(first.split(all.first(100), no_limit, take, fault), 100U);
    EXPECT_TRUE(first.holds_pool_buffer());
    std::size_t used = second.split(all.first(600), no_limit, take, fault);
    EXPECT_LT(used, 600U);
    EXPECT_TRUE(second.needs_carry());
    EXPECT_EQ(second.split(all.subspan(used, 600 - used), no_limit, take, fault), 0U);
    EXPECT_EQ(first.split(all.subspan(100), no_limit, take, fault), stream.size() - 100);
    EXPECT_EQ(first.split({}, no_limit, take, fault), 0U);  // gives the buffer back
    used += second.split(all.subspan(used), no_limit, take, fault);
    EXPECT_FALSE(second.needs_carry());
    EXPECT_EQ(used, stream.size());
    EXPECT_EQ(frames, 2);
}

TEST(FrameSplitter, SmallFramesNeedNoPool) {
    CarryPool pool(0, body_max);
    FrameSplitter splitter(pool, body_max);
    std::vector<std::byte> stream;
    samples::append_frame(stream, FrameKind::event, std::vector<std::byte>(FrameSplitter::own_carry_bytes - 16));
    int frames = 0;
    SplitFault fault{};
    for (const std::byte& byte : stream) {
        ASSERT_EQ(splitter.split(
                      {&byte, 1}, no_limit, [&](const FrameHeader&, ConstBytes) { return ++frames, true; }, fault),
                  1U);
    }
    EXPECT_EQ(frames, 1);
}

TEST(FrameSplitter, RefusesEachFaultInPlaceAndAcrossACutAndStaysRefusing) {
    struct Case {
        FrameHeader header;
        SplitFault fault;
    };
    const Case cases[] = {
        {{body_max + 1, 0, FrameKind::event, 0, 0}, SplitFault::too_large},
        {{UINT32_MAX, 0, FrameKind::event, 0, 0}, SplitFault::too_large},
        {{3, 0, static_cast<FrameKind>(0), 0, 0}, SplitFault::unknown_kind},
        {{3, 0, static_cast<FrameKind>(255), 0, 0}, SplitFault::unknown_kind},
        {{3, 1, FrameKind::event, 0, 0}, SplitFault::header},
        {{3, 0, FrameKind::event, 1, 0}, SplitFault::header},
        {{3, 0, FrameKind::event, 0, 0}, SplitFault::padding},
    };
    for (const Case& c : cases) {
        std::vector<std::byte> stream;
        samples::append_frame(stream, FrameKind::ping, {}, 5);
        samples::append_struct(stream, c.header);
        samples::append(stream, std::vector<std::byte>(8, std::byte{1}));
        for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
            CarryPool pool(1, body_max);
            FrameSplitter splitter(pool, body_max);
            int frames = 0;
            const auto take = [&](const FrameHeader& header, ConstBytes) {
                EXPECT_EQ(header.number, 5U);
                return ++frames, true;
            };
            SplitFault fault{};
            const ConstBytes all(stream);
            std::size_t at = splitter.split(all.first(cut), no_limit, take, fault);
            for (int i = 0; i < 3 && fault == SplitFault::none; ++i) {
                at += splitter.split(all.subspan(at), no_limit, take, fault);
            }
            ASSERT_EQ(fault, c.fault) << cut;
            ASSERT_EQ(frames, 1) << cut;
            ASSERT_EQ(splitter.split(all, no_limit, take, fault), 0U);
            ASSERT_EQ(fault, c.fault);
            splitter.reset(body_max);
            ASSERT_EQ(splitter.split(all.first(16), no_limit, take, fault), 16U);
            ASSERT_EQ(fault, SplitFault::none);
        }
    }
}

TEST(FrameSplitter, TakesANewLimitFromTheNextFrameOn) {
    CarryPool pool(1, body_max);
    FrameSplitter splitter(pool, sizeof(ProducerHello));
    std::vector<std::byte> stream;
    samples::append_frame(stream, FrameKind::producer_hello, std::vector<std::byte>(sizeof(ProducerHello)));
    samples::append_frame(stream, FrameKind::event, std::vector<std::byte>(body_max));
    int frames = 0;
    SplitFault fault{};
    EXPECT_EQ(splitter.split(
                  stream, no_limit,
                  [&](const FrameHeader& header, ConstBytes) {
                      if (header.kind == FrameKind::producer_hello) splitter.set_body_bytes_max(body_max);
                      return ++frames, true;
                  },
                  fault),
              stream.size());
    EXPECT_EQ(frames, 2);
    EXPECT_EQ(fault, SplitFault::none);
}

}  // namespace
}  // namespace weir::wire
