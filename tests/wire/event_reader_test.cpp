// The reader of the usual event against FlatBuffers' own verifier: whatever the one takes, the other takes and reads the same.
#include "core/wire/event_reader.hpp"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string>
#include <vector>

#include "tests/wire/samples.hpp"

namespace weir::wire {
namespace {

std::vector<std::byte> built(const EventView& event) {
    EventBuilder builder;
    const ConstBytes bytes = builder.build(event);
    return {bytes.begin(), bytes.end()};
}

// Texts and where they lie; what is not in the event itself (a default) has no place.
void expect_same(std::string_view a, std::string_view b, ConstBytes event) {
    EXPECT_EQ(a, b);
    const auto place = [&](std::string_view text) {
        const auto* const at = reinterpret_cast<const std::byte*>(text.data());
        const bool is_inside = at >= event.data() && at < event.data() + event.size();
        return is_inside ? at - event.data() : -1;
    };
    EXPECT_EQ(place(a), place(b));
}

// Counts what both take; false if they do not agree.
[[nodiscard]] bool agree(ConstBytes bytes, std::uint64_t& taken) {
    EventView view;
    if (!read_usual_event(bytes, view)) return true;
    ++taken;
    EventView other;
    if (verify_event_by_library(bytes, other) != Reason::none) return false;
    expect_same(view.id, other.id, bytes);
    expect_same(view.type, other.type, bytes);
    expect_same(view.source, other.source, bytes);
    expect_same(view.key, other.key, bytes);
    expect_same(view.content_type, other.content_type, bytes);
    expect_same(view.payload, other.payload, bytes);
    expect_same(view.trace_id, other.trace_id, bytes);
    EXPECT_EQ(view.time, other.time);
    EXPECT_EQ(view.priority, other.priority);
    return !testing::Test::HasFailure();
}

std::vector<EventView> usual_events() {
    std::vector<EventView> events;
    // Every field that may be absent, present and absent.
    for (unsigned which = 0; which < 32; ++which) {
        EventView event = samples::event();
        if ((which & 1U) != 0) event.key = {};
        if ((which & 2U) != 0) event.time = {};
        if ((which & 4U) != 0) event.priority = 1;
        if ((which & 8U) != 0) event.trace_id = {};
        if ((which & 16U) != 0) event.content_type = "text/plain";
        events.push_back(event);
    }
    return events;
}

TEST(EventReader, TakesWhatBuildersMake) {
    std::uint64_t taken = 0;
    for (const EventView& event : usual_events()) {
        ASSERT_TRUE(agree(built(event), taken));
        // At any place in a slab.
        const auto bytes = built(event);
        std::vector<std::byte> moved(3);
        moved.insert(moved.end(), bytes.begin(), bytes.end());
        ASSERT_TRUE(agree(ConstBytes(moved).subspan(3), taken));
    }
    EXPECT_EQ(taken, 2 * usual_events().size());
}

TEST(EventReader, LeavesTheUnusualToTheLibrary) {
    const auto is_taken = [](const EventView& event) {
        EventView view;
        const auto bytes = built(event);
        EXPECT_EQ(verify_event(bytes, view), Reason::none);
        return read_usual_event(bytes, view);
    };
    EventView event = samples::event();
    event.payload = {};
    EXPECT_FALSE(is_taken(event));
    const std::string large(64U << 10, 'x');
    event.payload = large;
    EXPECT_FALSE(is_taken(event));
    event.payload = "{}";
    EXPECT_TRUE(is_taken(event));
}

TEST(EventReader, TakesNoMoreThanTheGateWhereItsLimitsAre) {
    const auto texts = {&EventView::id,           &EventView::type,     &EventView::source, &EventView::key,
                        &EventView::content_type, &EventView::trace_id, &EventView::payload};
    std::uint64_t taken = 0, asked = 0;
    for (const auto field : texts) {
        for (const std::size_t bytes : {0U, 1U, 15U, 16U, 17U, 127U, 128U, 129U, 255U, 256U, 257U, 40'000U}) {
            EventView event = samples::event();
            const std::string text(bytes, 'x');
            event.*field = text;
            ++asked;
            ASSERT_TRUE(agree(built(event), taken)) << bytes;
        }
    }
    for (const unsigned priority : {0U, 1U, 3U, 4U, 255U}) {
        EventView event = samples::event();
        event.priority = static_cast<std::uint8_t>(priority);
        ++asked;
        ASSERT_TRUE(agree(built(event), taken));
    }
    EXPECT_GT(taken, asked / 2);
    EXPECT_LT(taken, asked);
}

TEST(EventReader, AgreesOnAnEventCutAnywhere) {
    std::uint64_t taken = 0;
    for (const EventView& event : usual_events()) {
        const auto bytes = built(event);
        for (std::size_t count = 0; count <= bytes.size(); ++count) {
            // A heap block of the exact size: AddressSanitizer sees a read beyond it.
            const std::vector<std::byte> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
            ASSERT_TRUE(agree(cut, taken)) << count;
        }
    }
    EXPECT_GE(taken, usual_events().size());
}

// Each word that may be an offset, a length or a vtable's entry, with every value that leads to any byte of the event, and to those
// just beyond its ends.
TEST(EventReader, AgreesWhateverOneWordIs) {
    EventView sample = samples::event();
    sample.key = "k";
    const auto good = built(sample);
    const auto bytes_count = static_cast<std::uint32_t>(good.size());
    std::uint64_t taken = 0;
    for (std::size_t at = 0; at + 4 <= good.size(); at += 2) {
        for (std::uint32_t value = 0; value < bytes_count + 24; ++value) {
            std::vector<std::byte> bytes = good;
            store(Bytes(bytes).subspan(at), static_cast<std::uint16_t>(value));
            ASSERT_TRUE(agree(bytes, taken)) << at << " u16 " << value;
            for (const std::uint32_t word : {value, 0U - value, 0x7fffffffU - value, 0x80000000U + value}) {
                bytes = good;
                store(Bytes(bytes).subspan(at), word);
                ASSERT_TRUE(agree(bytes, taken)) << at << " u32 " << word;
            }
        }
    }
    EXPECT_GT(taken, 10'000U);
}

TEST(EventReader, AgreesOnManySmallDamages) {
    std::mt19937_64 random(7);
    std::uint64_t taken = 0;
    std::vector<std::vector<std::byte>> events;
    for (const EventView& event : usual_events()) events.push_back(built(event));
    for (int i = 0; i < 200'000; ++i) {
        std::vector<std::byte> bytes = events[random() % events.size()];
        for (std::uint64_t damage = 1 + random() % 3; damage > 0; --damage) {
            // Most of an event's structure is in its front, most of what may be there is small.
            const std::size_t at = random() % 2 == 0 ? random() % 72 : random() % bytes.size();
            bytes[at] = static_cast<std::byte>(random() % 3 == 0 ? random() : random() % 24);
        }
        if (random() % 4 == 0) bytes.resize(bytes.size() - random() % 16);
        ASSERT_TRUE(agree(bytes, taken)) << i;
    }
    EXPECT_GT(taken, 20'000U);
}

}  // namespace
}  // namespace weir::wire
