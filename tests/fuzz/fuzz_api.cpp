// What events say of themselves, as central's API prints it: every answer is JSON, whatever the bytes of a type.
//
// And what is asked of results: any question is answered with JSON, and none changes them.
//
// Input     Types: 1 byte length, bytes; again and again. The rest of the last is a target to be asked for.
#include "central/daemon/api.hpp"
#include "central/readmodel/result_questions.hpp"
#include "core/base/json_scan.hpp"
#include "core/wire/event.hpp"
#include "tests/fuzz/files.hpp"
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

// One result of each kind, in a file of the process's own.
const std::string& results() {
    static const fuzz::ScratchDirectory directory;
    static const std::string path = [] {
        auto store = central::ResultStore::open(central::results_path(directory.path()));
        WEIR_ASSERT(store.ok());
        WEIR_ASSERT(store.value()
                        ->database()
                        .run("INSERT INTO windows VALUES (1, 8, 9, 'n', 'k', 1, 2, 1, 1, 0, 3, '{}');"
                             "INSERT INTO patterns VALUES (1, 8, 9, 'n', 'k', 1, 2, 0, '{}');"
                             "INSERT INTO anomalies VALUES (1, 8, 9, 'n', 'k', 2, 0.5, 0.5, 0, '{}');"
                             "INSERT INTO alerts VALUES (1, 8, 9, 'n', 'k', 2, 1, 'fired', 'told', 'info', 1, '{}');")
                        .ok());
        return central::results_path(directory.path());
    }();
    return path;
}

void must_be_json(const control::AdminResponse& answer) {
    if (answer.content_type != "application/json" && answer.content_type != "application/problem+json") return;
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
    static central::ResultQuestions questions(results(), 1000);
    const central::ApiSources sources{.config = config,
                                      .shared = shared,
                                      .model = model,
                                      .reader = reader,
                                      .is_draining = is_draining,
                                      .is_alive = is_alive,
                                      .scrub = scrub,
                                      .io_name = "test",
                                      .results = &questions};
    std::string questions_text[] = {"/api/v1/windows?", "/api/v1/patterns?", "/api/v1/anomalies?", "/api/v1/alerts?"};
    for (std::string& question : questions_text) {
        question += last;
        const auto said = answer(sources, question);
        WEIR_ASSERT(said.status == 200 || said.status == 400 || said.status == 503);
        must_be_json(said);
    }
    for (const std::string_view target : {std::string_view("/api/v1/types"), std::string_view("/api/v1/edges"),
                                          std::string_view("/api/v1/ledger"), std::string_view("/readyz"), last}) {
        must_be_json(answer(sources, target));
    }
    return 0;
}
