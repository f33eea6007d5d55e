// Events, batches and frames that the wire's tests share.
#pragma once

#include <cstring>
#include <string_view>
#include <vector>

#include "core/wire/batch.hpp"
#include "core/wire/event.hpp"

namespace weir::wire::samples {

inline void append(std::vector<std::byte>& out, ConstBytes bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}
template <class T>
void append_struct(std::vector<std::byte>& out, const T& value) {
    append(out, std::as_bytes(std::span(&value, 1)));
}

inline void append_frame(std::vector<std::byte>& out, FrameKind kind, ConstBytes body, std::uint64_t number = 0,
                         std::uint16_t tag = 0) {
    append_struct(out, FrameHeader{static_cast<std::uint32_t>(body.size()), tag, kind, 0, number});
    append(out, body);
    out.resize(round_up(out.size(), frame_alignment));  // all our streams begin at 0
}

inline EventView event() {
    EventView event;
    event.id = "phl-701234567";
    event.type = "violation.parking";
    event.source = "philadelphia/ppa";
    event.key = "19104";
    event.time = {1'512'086'407'000'000'000};
    event.priority = 2;
    event.trace_id = "0123456789abcdef";
    event.content_type = "application/json";
    event.payload = R"({"fine":51.0,"where":"3400 WALNUT ST"})";
    return event;
}

inline BatchHeader batch_header() {
    BatchHeader header;
    header.lane = 1;
    header.edge_id = name_field<edge_id_bytes_max>("north");
    header.lane_name = name_field<lane_name_bytes_max>("main");
    header.lineage = 0x0102030405060708;
    header.epoch = 3;
    header.first_sequence = 41;
    header.count = 2;
    header.config_digest = 0x1112131415161718;
    header.closed_wall_ns = 1'512'086'408'000'000'000;
    header.totals = {50, 5, 2, 42, 1, 0, 0, 0};
    header.previous_crc = 0xdeadbeef;
    return header;
}

inline std::vector<std::byte> sealed(BatchHeader header, ConstBytes body) {
    seal(header, body);
    std::vector<std::byte> batch;
    append_struct(batch, header);
    append(batch, body);
    return batch;
}

inline std::vector<std::byte> two_event_body() {
    EventBuilder builder;
    std::vector<std::byte> body;
    append_frame(body, FrameKind::event, builder.build(event()), 7, 1);
    EventView second = event();
    second.id = "phl-701234568";
    second.payload = "{}";
    append_frame(body, FrameKind::event, builder.build(second));
    return body;
}

inline std::vector<std::byte> two_event_batch() {
    return sealed(batch_header(), two_event_body());
}

}  // namespace weir::wire::samples
