// Oracle: lanes that may lose something: only what they may, all of it named, and the account closes.
#include <algorithm>

#include "tests/simulation/oracle.hpp"

namespace weir::sim {
namespace {

using Key = LaneWatch::Key;

std::string name(const Key& key) {
    return key.first + "#" + std::to_string(key.second);
}

const edge::LaneConfig* find_lane(const EdgeNode& edge, std::string_view name) {
    const auto& lanes = edge.config.lanes;
    const auto found = std::find_if(lanes.begin(), lanes.end(), [&](const auto& lane) { return lane.name == name; });
    return found == lanes.end() ? nullptr : &*found;
}

std::string differs(const std::string& where, const char* what, std::uint64_t said, std::uint64_t is) {
    return "P6: " + where + " says that " + std::to_string(said) + " were " + what + ", and it was " +
           std::to_string(is);
}

}  // namespace

const EdgeNode& Oracle::edge_of(const SimProducer& producer) const {
    const auto is_its = [&](const auto& edge) { return edge->address() == producer.options().to; };
    return **std::find_if(edges_.begin(), edges_.end(), is_its);
}

LaneLosses Oracle::losses_of_event(const SimProducer& producer, const Sent& event) const {
    return event.is_valid ? losses_of(edge_of(producer).lane_of(event.type)) : LaneLosses{};
}

const EdgeNode* Oracle::edge_of(const wire::BatchHeader& header) const {
    for (const auto& edge : edges_) {
        if (edge->config.edge_id == wire::name_of(header.edge_id)) return edge.get();
    }
    return nullptr;
}

LaneLosses Oracle::losses_of_lane(const EdgeNode& edge, const wire::BatchHeader& header) {
    const edge::LaneConfig* lane = find_lane(edge, wire::name_of(header.lane_name));
    return lane == nullptr ? LaneLosses{} : losses_of(*lane);
}

bool Oracle::has_two_parts(const EdgeNode& edge, const wire::BatchHeader& header) {
    const edge::LaneConfig* lane = find_lane(edge, wire::name_of(header.lane_name));
    return lane != nullptr && lane->drain == edge::Drain::live_first;
}

// Of the lanes whose gaps are their own doing: what was given up, by event and by lane.
std::string Oracle::take_given_up(const std::vector<StoredBatch>& batches) {
    for (const auto& batch : batches) {
        const wire::BatchHeader& header = batch.header;
        const EdgeNode* edge = edge_of(header);
        if (header.kind != wire::BatchKind::gap || edge == nullptr || !edge->watch) continue;
        const edge::LaneConfig* lane = find_lane(*edge, wire::name_of(header.lane_name));
        if (lane == nullptr) continue;
        named_of_lane_[{edge->config.edge_id, lane->name}] += header.count;
        if (lane->is_in_memory()) continue;
        const auto* written = edge->watch->written({header.lane, header.part});
        for (Sequence at = header.first_sequence; at <= header.last_sequence(); ++at) {
            const bool is_known = written != nullptr && written->contains(at);
            if (!is_known) {
                return "P7: " + edge->config.edge_id + " lane " + lane->name + " names sequence " + std::to_string(at) +
                       ", which was never written";
            }
            given_up_[written->at(at)] = header.flags;
        }
    }
    return {};
}

std::string Oracle::check_policy_gap(const wire::BatchHeader& header) const {
    const EdgeNode* edge = edge_of(header);
    const edge::LaneConfig* lane = edge == nullptr ? nullptr : find_lane(*edge, wire::name_of(header.lane_name));
    const LaneLosses losses = lane == nullptr ? LaneLosses{} : losses_of(*lane);
    const bool is_its_own = (header.flags == wire::gap_shed && losses.for_room) ||
                            (header.flags == wire::gap_expired && losses.by_age) ||
                            (header.flags == wire::gap_not_kept && losses.by_crash && edge->lives > 0);
    if (is_its_own) return {};
    return "P7: lane " + std::string(wire::name_of(header.lane_name)) + " gave up for reason " +
           std::to_string(header.flags) + " what it may not, from sequence " + std::to_string(header.first_sequence);
}

std::string Oracle::check_lossy_event(const SimProducer& producer, std::uint64_t number, std::uint32_t count) {
    const Key key{producer.options().name, number};
    const EdgeNode& edge = edge_of(producer);
    const Sent& event = producer.events[number - 1];
    const edge::LaneConfig& lane = edge.lane_of(event.type);
    const LaneLosses losses = losses_of(lane);
    // What a crash took from intake's memory and not from central may come again.
    const std::uint64_t count_max = losses.by_crash ? 1 + edge.lives : 1;
    if (count > count_max) return "P3: " + name(key) + " is stored " + std::to_string(count) + " times";
    const auto given_up = given_up_.find(key);
    const bool is_given_up = given_up != given_up_.end();
    const bool is_told_shed = event.fate == Sent::Fate::shed;
    if (count > 0) {
        if (is_given_up) return "P7: " + name(key) + " was given up and is stored as well";
        const bool may_be_in_doubt = losses.for_room || losses.by_crash;
        if (is_told_shed && !may_be_in_doubt) return "P7: " + name(key) + " was answered as shed and is stored";
        return {};
    }
    const bool is_promised = event.was_taken && producer.options().level == wire::AckLevel::delivered;
    if (is_given_up) {
        const bool was_shed = given_up->second == wire::gap_shed;
        return is_promised && was_shed ? "P2: " + name(key) + " was answered as delivered, and given up" : "";
    }
    if (is_told_shed) return {};
    const bool is_unnumbered = !producer.options().is_numbered;
    const bool is_received = producer.options().level == wire::AckLevel::received;
    // Its number was taken, and the answer that it was shed did not arrive.
    if (losses.at_intake && !event.was_taken && !is_unnumbered) return {};
    if (is_received && is_unnumbered && edge.lives > 0) return {};
    if (!losses.by_crash) return "P3: " + name(key) + " is lost";
    // There is no disk before central's: `spooled` is said when it is there.
    if (!is_received && event.was_taken && !losses.by_age) {
        return "P2: " + name(key) + " of a lane in memory was answered and is not at central";
    }
    ++missing_of_lane_[{edge.config.edge_id, lane.name}];
    return {};
}

std::string Oracle::check_missing() const {
    for (const auto& [lane, missing] : missing_of_lane_) {
        const auto named = named_of_lane_.find(lane);
        const std::uint64_t count = named == named_of_lane_.end() ? 0 : named->second;
        if (missing > count) {
            return "P7: " + lane.first + " lane " + lane.second + " misses " + std::to_string(missing) +
                   " events and names " + std::to_string(count);
        }
    }
    return {};
}

bool Oracle::is_all_named(const EdgeNode& edge) {
    central::PositionTable& positions = central_.shared().positions;
    for (std::size_t index = 0; index < edge.streams().size(); ++index) {
        const edge::LaneState& stream = edge.streams()[index];
        Sequence at_central = 0;
        for (std::uint32_t i = 0; i < positions.row_count(); ++i) {
            const central::PositionRow& row = positions.row(i);
            const bool is_its = wire::name_of(row.key.edge) == edge.config.edge_id && row.key.lane == stream.id &&
                                row.key.part == stream.part;
            if (is_its) at_central = row.last_sequence.get();
        }
        if (at_central < edge.counters().spool.lanes[index].spooled.get()) return false;
    }
    return true;
}

// What the edge says of each stream is what lies at central.
std::string Oracle::check_accounts(const std::vector<StoredBatch>& batches) const {
    struct Stored {
        std::uint64_t events = 0, shed = 0, expired = 0, not_kept = 0;
    };
    std::map<std::tuple<std::string, LaneId, wire::Part>, Stored> all;
    for (const auto& batch : batches) {
        const wire::BatchHeader& header = batch.header;
        Stored& stored = all[{std::string(wire::name_of(header.edge_id)), header.lane, header.part}];
        const bool is_gap = header.kind == wire::BatchKind::gap;
        std::uint64_t& kind = !is_gap                             ? stored.events
                              : header.flags == wire::gap_shed    ? stored.shed
                              : header.flags == wire::gap_expired ? stored.expired
                                                                  : stored.not_kept;
        kind += header.count;
    }
    for (const auto& edge : edges_) {
        if (!edge->watch) continue;
        const edge::IntakeCounters& intake = edge->counters().intake;
        std::uint64_t accepted = 0;
        for (std::size_t index = 0; index < edge->streams().size(); ++index) {
            const edge::LaneState& stream = edge->streams()[index];
            const edge::LaneCounters& lane = edge->counters().spool.lanes[index];
            const Stored& stored = all[{edge->config.edge_id, stream.id, stream.part}];
            const std::string where = edge->config.edge_id + " lane " + stream.name +
                                      (stream.part == wire::Part::backlog ? " (backlog)" : "");
            accepted += lane.spooled.get() + intake.shed[index].unsequenced.get();
            if (lane.delivered.get() != stored.events)
                return differs(where, "delivered", lane.delivered.get(), stored.events);
            if (lane.shed.get() != stored.shed) return differs(where, "shed", lane.shed.get(), stored.shed);
            if (lane.expired.get() != stored.expired)
                return differs(where, "expired", lane.expired.get(), stored.expired);
            if (lane.gap.get() != stored.not_kept) return differs(where, "lost", lane.gap.get(), stored.not_kept);
            if (intake.shed[index].sequences.get() != stored.shed)
                return differs(where + " at intake", "shed", intake.shed[index].sequences.get(), stored.shed);
            const std::uint64_t sum = stored.events + stored.shed + stored.expired + stored.not_kept;
            if (lane.spooled.get() != sum) return differs(where, "accepted", lane.spooled.get(), sum);
        }
        if (intake.accepted.get() != accepted)
            return differs(edge->config.edge_id, "accepted", intake.accepted.get(), accepted);
    }
    return {};
}

}  // namespace weir::sim
