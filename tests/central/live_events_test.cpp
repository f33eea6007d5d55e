// Live events: who is told of which, and what a client that is slow is told instead.
#include "central/api/live_events.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "core/wire/event.hpp"

namespace weir::central::test {
namespace {

// A record with events of these types, as the journal has it.
struct Record {
    explicit Record(const std::vector<std::string>& types, std::uint64_t position = 4096) {
        wire::EventBuilder builder;
        for (const auto& type : types) {
            wire::EventView event;
            event.id = event.source = "x";
            event.type = type;
            event.key = "k";
            event.payload = "{\"a\":1}";
            const ConstBytes bytes = builder.build(event);
            const auto begin = body.size();
            body.resize(begin + wire::frame_bytes(static_cast<std::uint32_t>(bytes.size())));
            const Bytes place = Bytes(body).subspan(begin);
            wire::store(place, wire::FrameHeader{.body_bytes = static_cast<std::uint32_t>(bytes.size())});
            std::copy(bytes.begin(), bytes.end(), place.begin() + sizeof(wire::FrameHeader));
        }
        view.position = {position};
        view.end = {position + 4096};
        view.batch_header.edge_id = wire::name_field<wire::edge_id_bytes_max>("north");
        view.batch_header.lane_name = wire::name_field<wire::lane_name_bytes_max>("default");
        view.batch_header.first_sequence = 7;
        view.batch_header.count = static_cast<std::uint32_t>(types.size());
        whole.resize(sizeof(wire::BatchHeader));
        whole.insert(whole.end(), body.begin(), body.end());
        view.batch = whole;
    }
    std::vector<std::byte> body, whole;
    journal::RecordView view;
};

std::size_t count(const control::AdminStream::Text& text, std::string_view what) {
    std::size_t found = 0;
    for (auto at = text->find(what); at != std::string::npos; at = text->find(what, at + 1)) ++found;
    return found;
}

class LiveEventsTest : public testing::Test {
  protected:
    void SetUp() override {
        live_.set_wake([this] { ++wakes_; });
    }
    LiveEvents live_{{.clients_max = 2, .queue_bytes = 4096, .beat_ms = 1000}};
    int wakes_ = 0;
};

TEST_F(LiveEventsTest, AClientIsToldOfWhatItAskedForAndWokenOnce) {
    const auto all = live_.open({}, 0);
    const auto some = live_.open({.type = "fine.*", .key = {}, .edge = "north", .lane = {}}, 0);
    live_.look({1});
    wakes_ = 0;
    live_.take(Record({"fine.paid", "other", "fine.due"}).view);
    live_.look({2});
    EXPECT_EQ(wakes_, 1);
    live_.look({3});
    EXPECT_EQ(wakes_, 1);
    const auto every = all->take(), fines = some->take();
    ASSERT_TRUE(every && fines);
    EXPECT_EQ(count(every, "\"type\":\"other\""), 1U);
    EXPECT_EQ(count(every, "\"source\":"), 3U);
    EXPECT_EQ(count(fines, "\"source\":"), 2U);
    EXPECT_NE(fines->find("\"sequence\":9,"), std::string::npos) << *fines;
    EXPECT_NE(fines->find("\"data\":{\"a\":1}"), std::string::npos) << *fines;
    EXPECT_TRUE(fines->starts_with("{\"type\":\"events\",\"sequence\":1,")) << *fines;
    EXPECT_EQ(some->take(), nullptr);
}

TEST_F(LiveEventsTest, OfAnotherEdgeAndOfBeforeItCameItIsToldNothing) {
    const auto other = live_.open({.type = {}, .key = {}, .edge = "south", .lane = {}}, 0);
    const auto late = live_.open({}, 8192);
    live_.take(Record({"a"}, 4096).view);
    EXPECT_EQ(late->take(), nullptr);
    live_.take(Record({"b"}, 8192).view);
    EXPECT_EQ(count(late->take(), "\"source\":"), 1U);
    EXPECT_EQ(other->take(), nullptr);
}

TEST_F(LiveEventsTest, WhatDoesNotFitIsCountedAndToldBehindWhatDid) {
    const auto client = live_.open({}, 0);
    for (int round = 0; round < 10; ++round) live_.take(Record({"a", "b", "c", "d"}).view);
    const auto events = client->take();
    ASSERT_TRUE(events);
    EXPECT_LT(events->size(), 4096U + 200U);
    const std::size_t told = count(events, "\"source\":");
    EXPECT_GT(told, 0U);
    const auto gap = client->take();
    ASSERT_TRUE(gap);
    EXPECT_TRUE(gap->starts_with("{\"type\":\"gap\",\"sequence\":2,")) << *gap;
    EXPECT_NE(gap->find("\"dropped\":" + std::to_string(40 - told) + "}"), std::string::npos) << *gap;
    EXPECT_EQ(client->take(), nullptr);
    EXPECT_EQ(live_.told() + live_.dropped(), 40U);
    live_.take(Record({"e"}).view);
    EXPECT_EQ(count(client->take(), "\"source\":"), 1U);
}

TEST_F(LiveEventsTest, SilenceIsBrokenByBeatsAndThereIsABoundToClients) {
    auto one = live_.open({}, 0);
    const auto two = live_.open({}, 0);
    EXPECT_EQ(live_.open({}, 0), nullptr);
    live_.look({5000 * ns_per_ms});
    EXPECT_TRUE(one->take()->starts_with("{\"type\":\"beat\",\"sequence\":0,"));
    EXPECT_EQ(one->take(), nullptr);
    live_.look({5999 * ns_per_ms});
    EXPECT_EQ(one->take(), nullptr);
    one.reset();
    EXPECT_EQ(live_.client_count(), 1U);
    EXPECT_NE(live_.open({}, 0), nullptr);
}

}  // namespace
}  // namespace weir::central::test
