// What events say of themselves, as central's API prints it: every answer is JSON, whatever the bytes of a type.
//
// Input     Types: 1 byte length, bytes; again and again. The rest of the last is a target to be asked for.
#include "central/daemon/api.hpp"
#include "core/base/json_scan.hpp"
#include "core/wire/event.hpp"
#include "tests/fuzz/input.hpp"

namespace {
using namespace weir;

void apply(central::ReadModel& model, std::string_view type, std::uint64_t index) {
    wire::EventView event;
    event.id = event.source = "x";
    event.type = type;
    event.time = {(index + 1) * 40 * ns_per_second};
    wire::EventBuilder builder;
    const ConstBytes bytes = builder.build(event);
    if (wire::verify_event(bytes, event) != wire::Reason::none) return;
    std::vector<std::byte> body(wire::frame_bytes(static_cast<std::uint32_t>(bytes.size())));
    wire::store(body, wire::FrameHeader{.body_bytes = static_cast<std::uint32_t>(bytes.size())});
    std::copy(bytes.begin(), bytes.end(), body.begin() + sizeof(wire::FrameHeader));
    wire::BatchHeader header;
    header.edge_id = wire::name_field<wire::edge_id_bytes_max>("north");
    header.count = 1;
    model.apply(header, body, {1}, {index + 1});
}

void must_be_json(const control::AdminResponse& answer) {
    if (answer.content_type != "application/json") return;
    JsonFault fault;
    WEIR_ASSERT(json_parse(answer.body, fault).has_value());
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    static const central::CentralConfig config;
    static central::IngestShared shared(config);
    if (shared.positions.edge_count() == 0) {
        static_cast<void>(
            shared.positions.claim_edge({wire::name_field<wire::edge_id_bytes_max>("north"), /*lineage=*/1}));
    }
    static std::atomic<std::uint64_t> durable{0};
    static const std::atomic<bool> is_draining{true};
    static const std::atomic<bool> is_alive{true};
    fuzz::Input input(data, bytes);
    central::ReadModel model(4, 4);
    const central::Reader reader("/nowhere", durable, model);
    std::string_view last;
    for (std::uint64_t index = 0; index < 16 && !input.is_empty(); ++index) {
        last = fuzz::text_of(input.take_bytes(input.take<std::uint8_t>()));
        apply(model, last, index);
    }
    const journal::ScrubCounters scrub;
    const central::ApiSources sources{shared, model, reader, is_draining, is_alive, scrub, "test", nullptr, nullptr};
    for (const std::string_view target : {std::string_view("/api/v1/types"), std::string_view("/api/v1/edges?x=1"),
                                          std::string_view("/api/v1/ledger"), std::string_view("/readyz"), last}) {
        must_be_json(answer(sources, target));
    }
    return 0;
}
