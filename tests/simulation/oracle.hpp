// Oracle: judges a world from outside: what producers were told against what lies on the disks.
//
// It reads the files by itself, from FORMAT.md: of the product's code it uses checksums and the layout of headers alone.
//
// Thread    One.
#pragma once

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "tests/simulation/nodes.hpp"
#include "tests/simulation/producer.hpp"

namespace weir::sim {

struct StoredBatch {
    wire::BatchHeader header;
    std::uint64_t position = 0;
    std::string directory{};
    std::vector<std::pair<std::string, std::uint64_t>> events;  // producer, number
};
// Every whole record in the segments of `directory`, in order.
[[nodiscard]] std::vector<StoredBatch> read_batches(const Disk& disk, const std::string& directory,
                                                    const std::vector<std::unique_ptr<SimProducer>>& producers);
// The same of all the streams of an edge's spool.
[[nodiscard]] std::vector<StoredBatch> read_spool(const Disk& disk, const edge::EdgeConfig& config,
                                                  const std::vector<std::unique_ptr<SimProducer>>& producers);

class Oracle {
  public:
    Oracle(const std::vector<std::unique_ptr<SimProducer>>& producers,
           const std::vector<std::unique_ptr<EdgeNode>>& edges, CentralNode& central)
        : producers_(producers), edges_(edges), central_(central) {}

    // P1, P5: what was answered `spooled` by this edge is in its spool or at central. After a crash, once it is back.
    [[nodiscard]] std::string check_spooled(const EdgeNode& edge) const;
    // P2: what was answered `delivered` is in central's journal. After a crash of central, once it is back.
    [[nodiscard]] std::string check_delivered() const;
    // P3 to P6, when everything has drained.
    [[nodiscard]] std::string check_all();

    // Central's disk is about to be replaced by a backup: what is in its journals now may come again, or be declared lost.
    void central_is_restored();

    // Central has each of the edge's sequences, or a name for what became of it.
    [[nodiscard]] bool is_all_named(const EdgeNode& edge);

    // Where an event lies, for a trace.
    [[nodiscard]] std::string find(const std::string& producer, std::uint64_t number) const;

    std::uint64_t judged_events = 0;

  private:
    using Stream = std::tuple<std::string, std::uint64_t, LaneId, wire::Part>;  // edge, lineage, lane, part
    [[nodiscard]] static Stream stream_of(const wire::BatchHeader& header) {
        return {std::string(wire::name_of(header.edge_id)), header.lineage, header.lane, header.part};
    }
    struct Place {
        Stream stream;
        Sequence first = 0;  // of its batch
        Sequence last = 0;
    };
    using Counts = std::map<std::pair<std::string, std::uint64_t>, std::uint32_t>;
    [[nodiscard]] std::vector<StoredBatch> central_batches() const;
    // A gap stands only for what a backup took from central and what the edge's spool does not hold any more.
    [[nodiscard]] std::string check_gap(const wire::BatchHeader& header) const;
    [[nodiscard]] std::string check_order(const std::vector<StoredBatch>& batches) const;
    [[nodiscard]] std::string check_ledger(const std::vector<StoredBatch>& batches);

    // lanes_oracle.cpp: lanes that may lose something
    [[nodiscard]] const EdgeNode& edge_of(const SimProducer& producer) const;
    [[nodiscard]] const EdgeNode* edge_of(const wire::BatchHeader& header) const;
    [[nodiscard]] static LaneLosses losses_of_lane(const EdgeNode& edge, const wire::BatchHeader& header);
    [[nodiscard]] static bool has_two_parts(const EdgeNode& edge, const wire::BatchHeader& header);
    [[nodiscard]] LaneLosses losses_of_event(const SimProducer& producer, const Sent& event) const;
    [[nodiscard]] std::string take_given_up(const std::vector<StoredBatch>& batches);
    [[nodiscard]] std::string check_policy_gap(const wire::BatchHeader& header) const;
    [[nodiscard]] std::string check_lossy_event(const SimProducer& producer, std::uint64_t number, std::uint32_t count);
    [[nodiscard]] std::string check_missing() const;
    [[nodiscard]] std::string check_accounts(const std::vector<StoredBatch>& batches) const;

    const std::vector<std::unique_ptr<SimProducer>>& producers_;
    const std::vector<std::unique_ptr<EdgeNode>>& edges_;
    CentralNode& central_;
    // What central had on a disk that a backup replaced: events by name, and the sequences that they were in.
    std::map<std::pair<std::string, std::uint64_t>, Place> discarded_;
    std::set<std::pair<Stream, Sequence>> discarded_sequences_;
    // Of lanes that may lose something, when all has drained: events by the reason for which they were given up; and by edge and lane
    // what was named to central, and what is not there and was no single event's fate.
    std::map<std::pair<std::string, std::uint64_t>, std::uint8_t> given_up_;
    std::map<std::pair<std::string, std::string>, std::uint64_t> named_of_lane_, missing_of_lane_;
};

}  // namespace weir::sim
