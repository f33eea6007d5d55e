// Batches of events and of dead letters as an edge closes them, for tests of the tools.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/wire/event.hpp"
#include "core/wire/verdict.hpp"
#include "tests/journal/journal_bench.hpp"

namespace weir::journal {

inline void add_frame(std::vector<std::byte>& body, wire::FrameKind kind, ConstBytes content) {
    wire::FrameHeader frame;
    frame.kind = kind;
    frame.body_bytes = static_cast<std::uint32_t>(content.size());
    const std::size_t at = body.size();
    body.resize(at + wire::frame_bytes(frame.body_bytes));
    wire::store(Bytes(body).subspan(at), frame);
    std::copy(content.begin(), content.end(), body.begin() + static_cast<std::ptrdiff_t>(at + sizeof frame));
}

inline std::vector<std::byte> sealed(const std::vector<std::byte>& body, std::uint32_t count, Sequence first,
                                     LaneId lane, std::string_view lane_name, std::string_view edge = "north",
                                     std::uint64_t lineage = 7) {
    wire::BatchHeader header;
    header.edge_id = wire::name_field<wire::edge_id_bytes_max>(edge);
    header.lane_name = wire::name_field<wire::lane_name_bytes_max>(lane_name);
    header.lane = lane;
    header.lineage = lineage;
    header.epoch = 1;
    header.first_sequence = first;
    header.count = count;
    wire::seal(header, body);
    std::vector<std::byte> batch(sizeof header + body.size());
    wire::store(Bytes(batch), header);
    std::copy(body.begin(), body.end(), batch.begin() + sizeof header);
    return batch;
}

inline std::vector<std::byte> event_batch(Sequence first, std::uint32_t count) {
    wire::EventBuilder builder;
    std::vector<std::byte> body;
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::string id = "id-" + std::to_string(first + i);
        wire::EventView event;
        event.id = id;
        event.type = "speeding";
        event.source = "camera-1";
        event.payload = R"({"fine":51.0})";
        add_frame(body, wire::FrameKind::event, builder.build(event));
    }
    return sealed(body, count, first, 0, "default");
}

inline constexpr std::uint64_t letter_wall_ns = 1'512'086'407'000'000'000;  // 2017-12-01T00:00:07Z

struct LetterSample {
    std::string original = {};
    wire::Reason reason = wire::Reason::out_of_range;
    wire::StageId stage = wire::StageId::validate;
    std::uint64_t after_s = 0;  // received so long after letter_wall_ns
};

// The bytes of an event, as a letter's original.
inline std::string event_bytes(std::string_view type, std::string_view source, std::string_view id) {
    wire::EventBuilder builder;
    wire::EventView event;
    event.id = id;
    event.type = type;
    event.source = source;
    event.payload = R"({"fine":5000})";
    const ConstBytes built = builder.build(event);
    return {reinterpret_cast<const char*>(built.data()), built.size()};
}

inline std::vector<std::byte> letter_batch(Sequence first, const std::vector<LetterSample>& letters,
                                           std::string_view edge = "north", std::uint64_t lineage = 7) {
    std::vector<std::byte> body;
    for (const LetterSample& letter : letters) {
        wire::DeadLetterHead head;
        head.reason = letter.reason;
        head.stage = letter.stage;
        head.rule = 3;
        head.original_bytes = static_cast<std::uint32_t>(letter.original.size());
        head.received_wall_ns = letter_wall_ns + letter.after_s * ns_per_second;
        head.producer = wire::name_field<64>("gate-1");
        std::vector<std::byte> content(sizeof head + letter.original.size());
        wire::store(Bytes(content), head);
        std::memcpy(content.data() + sizeof head, letter.original.data(), letter.original.size());
        add_frame(body, wire::FrameKind::dead_letter, content);
    }
    return sealed(body, static_cast<std::uint32_t>(letters.size()), first, dead_letter_lane, dead_letter_lane_name,
                  edge, lineage);
}

}  // namespace weir::journal
