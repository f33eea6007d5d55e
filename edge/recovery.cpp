#include "edge/recovery.hpp"

#include <algorithm>
#include <cerrno>

#include "core/base/planted.hpp"
#include "core/io/files.hpp"
#include "core/journal/checkpoint.hpp"
#include "core/journal/scan.hpp"
#include "core/journal/start_guard.hpp"
#include "core/wire/control.hpp"
#include "edge/spool/spool_checkpoint.hpp"

namespace weir::edge {
namespace {

// Without its checkpoint an edge knows the epochs of its records, not one in which nothing was written: it leaps over those.
constexpr std::uint64_t epoch_leap = 1U << 20;

Result<std::uint64_t> random_lineage() {
    std::uint64_t lineage = 0;
    while (lineage == 0) {
        if (io::files().random(std::as_writable_bytes(std::span(&lineage, 1))) != 0)
            return error_from_errno(errno, "getrandom");
    }
    return lineage;
}

// The lanes that are known, found or made by name or number.
class LaneFinder {
  public:
    explicit LaneFinder(std::vector<SpoolLane>& lanes) : lanes_(lanes) {}
    SpoolLane* by_id(LaneId id) {
        for (SpoolLane& lane : lanes_) {
            if (lane.state.id == id) return &lane;
        }
        return nullptr;
    }
    SpoolLane& by_name(std::string_view name) {
        for (SpoolLane& lane : lanes_) {
            if (lane.state.name == name) return lane;
        }
        LaneId id = 0;
        for (const SpoolLane& lane : lanes_) {
            if (lane.state.id != dead_letter_lane) id = std::max<LaneId>(id, static_cast<LaneId>(lane.state.id + 1));
        }
        return add(name == dead_letter_lane_name ? dead_letter_lane : id, name);
    }
    SpoolLane& add(LaneId id, std::string_view name) {
        SpoolLane lane;
        lane.state.id = id;
        lane.state.name = name;
        lanes_.push_back(std::move(lane));
        return lanes_.back();
    }

  private:
    std::vector<SpoolLane>& lanes_;
};

void take_record(const journal::RecordView& record, std::vector<SpoolLane>& lanes) {
    const wire::BatchHeader& batch = record.batch_header;
    LaneFinder finder(lanes);
    SpoolLane* lane = finder.by_id(batch.lane);
    if (lane == nullptr) {
        lane = &finder.add(batch.lane, wire::name_of(batch.lane_name));
        // Nothing is trimmed before it is delivered: what precedes the oldest record was.
        lane->state.last_sequence = lane->state.delivered_sequence = batch.first_sequence - 1;
    }
    if (batch.last_sequence() < lane->state.last_sequence) return;
    lane->state.last_sequence = WEIR_PLANTED(sequence_reuse) ? batch.first_sequence : batch.last_sequence();
    lane->state.previous_crc = batch.header_crc;
    lane->state.totals = batch.totals;
}

// Configured lanes first and in their order, then those that only the spool knows, the dead-letter lane last.
std::vector<SpoolLane> arrange(const EdgeConfig& config, std::vector<SpoolLane> known) {
    LaneFinder finder(known);
    for (const LaneConfig& lane : config.lanes) finder.by_name(lane.name).state.is_configured = true;
    finder.by_name(dead_letter_lane_name).state.is_configured = true;
    const auto rank = [&](const SpoolLane& lane) {
        if (lane.state.id == dead_letter_lane) return config.lanes.size() + 1;
        for (std::size_t index = 0; index < config.lanes.size(); ++index) {
            if (config.lanes[index].name == lane.state.name) return index;
        }
        return config.lanes.size();
    };
    std::stable_sort(known.begin(), known.end(),
                     [&](const SpoolLane& a, const SpoolLane& b) { return rank(a) < rank(b); });
    // Only when there are too many: an old lane that is delivered may go, and with it the memory of its number.
    for (auto lane = known.begin(); lane != known.end() && known.size() > wire::hello_lanes_max;) {
        const bool is_done = lane->state.delivered_sequence == lane->state.last_sequence;
        lane = !lane->state.is_configured && is_done ? known.erase(lane) : lane + 1;
    }
    return known;
}

// The checkpoint, or nullopt where there is none that can be used.
std::optional<SpoolCheckpoint> usable_checkpoint(const journal::LoadedCheckpoint& loaded,
                                                 const journal::SegmentList& list, std::vector<std::string>& faults) {
    if (!loaded.exists || loaded.content.empty()) return std::nullopt;
    auto checkpoint = decode_spool_checkpoint(loaded.content);
    if (!checkpoint) {
        faults.push_back("spool-checkpoint: not of a form this version knows; the whole spool is read instead");
        return std::nullopt;
    }
    if (list.segments.empty()) {
        if (checkpoint->durable.value == 0) return checkpoint;
        faults.push_back("spool: its segments are gone; a new lineage begins, what they held is lost");
        return std::nullopt;
    }
    if (list.segments.front().header.journal_id != checkpoint->lineage) {
        faults.push_back("spool-checkpoint: of another lineage than the segments; the whole spool is read instead");
        return std::nullopt;
    }
    return checkpoint;
}

}  // namespace

DirectoryLock::~DirectoryLock() {
    if (descriptor_ >= 0) io::files().close(descriptor_);
}

Result<Recovered> recover(const EdgeConfig& config) {
    const std::string spool = spool_directory(config.data_dir);
    if (auto made = journal::make_directory(config.data_dir); !made) return made.error();
    auto locked = journal::lock_directory(config.data_dir);
    if (!locked) return locked.error();
    DirectoryLock lock(locked.value());
    if (auto made = journal::make_directory(spool); !made) return made.error();

    auto loaded = journal::CheckpointFile::load(spool_checkpoint_path(config.data_dir));
    if (!loaded) return loaded.error();
    std::optional<IntakeMemory> trial_memory;
    std::vector<SpoolLane> trial_lanes;
    auto guard = journal::StartGuard::begin(spool, [&](const journal::RecordView& record) {
        if (!trial_memory) {
            auto loaded_memory = IntakeMemory::load(config, config.data_dir);
            if (!loaded_memory) return;
            trial_memory.emplace(std::move(loaded_memory.value()));
        }
        if (record.position >= trial_memory->covered()) trial_memory->replay(record.batch_header, record.body());
        take_record(record, trial_lanes);
    });
    if (!guard) return guard.error();
    auto list = journal::list_segments(spool);
    if (!list) return list.error();
    const auto& segments = list.value().segments;
    std::vector<std::string> faults = loaded.value().faults;
    if (!guard.value().fault().empty()) faults.push_back(guard.value().fault());
    const auto checkpoint = usable_checkpoint(loaded.value(), list.value(), faults);
    // With a new lineage nothing that intake knew is in the spool: a retry of it would be taken for a duplicate, and lost.
    if (!checkpoint && segments.empty()) {
        auto is_removed = IntakeMemory::remove(config.data_dir);
        if (!is_removed) return is_removed.error();
        if (is_removed.value())
            faults.push_back("intake: what it knew went with the spool; duplicates of that are new");
    }
    auto memory = IntakeMemory::load(config, config.data_dir);
    if (!memory) return memory.error();

    Recovered found{.lock = std::move(lock),
                    .spool = {},
                    .memory = std::move(memory.value()),
                    .records = 0,
                    .faults = {},
                    .is_new = false};
    SpoolStart& start = found.spool;
    found.faults = std::move(faults);
    found.faults.insert(found.faults.end(), found.memory.faults().begin(), found.memory.faults().end());
    start.identity.edge_id = config.edge_id;
    start.identity.config_digest = config.digest;
    start.segment_bytes = segments.empty() ? config.spool.segment_bytes : segments.front().header.segment_bytes;
    if (start.segment_bytes != config.spool.segment_bytes) {
        found.faults.push_back("spool.segment_bytes: the spool was made with " + std::to_string(start.segment_bytes) +
                               " and keeps it");
    }

    std::vector<SpoolLane> lanes;
    Position known_until{};  // the lanes are as of here
    if (checkpoint) {
        start.identity.lineage = checkpoint->lineage;
        start.identity.epoch = checkpoint->epoch;
        lanes = checkpoint->lanes;
        start.centrals = checkpoint->centrals;
        known_until = checkpoint->durable;
    } else if (!segments.empty()) {
        start.identity.lineage = segments.front().header.journal_id;
        start.identity.epoch = epoch_leap;
    } else {
        auto lineage = random_lineage();
        if (!lineage) return lineage.error();
        start.identity.lineage = lineage.value();
        found.is_new = true;
    }

    const Position covered = found.is_new ? Position{} : found.memory.covered();
    // Where the scan begins at the checkpoint's end, the checkpoint knows what the next record is chained to.
    std::optional<std::uint32_t> chained_to;
    if (checkpoint && known_until <= covered && !WEIR_PLANTED(hole_taken_for_end)) chained_to = checkpoint->durable_crc;
    auto opened = journal::Scanner::open(spool, std::min(known_until, covered), chained_to);
    if (!opened) return opened.error();
    journal::Scanner& scanner = opened.value();
    scanner.on_segment([&guard](std::uint64_t index) { guard.value().reading(index); });
    Position end = known_until;
    std::uint32_t end_crc = checkpoint ? checkpoint->durable_crc : 0;
    std::uint64_t epoch_seen = 0;
    Position read_until{};
    while (auto record = scanner.next()) {
        ++found.records;
        read_until = record->end;
        epoch_seen = std::max(epoch_seen, record->batch_header.epoch);
        if (record->position >= covered && !WEIR_PLANTED(forget_duplicates))
            found.memory.replay(record->batch_header, record->body());
        if (record->position < known_until) continue;
        take_record(*record, lanes);
        end = record->end;
        end_crc = record->header.crc;
    }
    if (!scanner.fault().empty()) found.faults.push_back(scanner.fault());
    start.tail = scanner.tail();
    if (found.records == 0 || read_until < known_until) start.tail.previous_crc = end_crc;
    if (start.tail.end < known_until) {
        // Records that were durable cannot be read any more. Their places and sequences are never used again.
        found.faults.push_back("spool: nothing readable from position " + std::to_string(start.tail.end.value) +
                               " to " + std::to_string(known_until.value) + ", where the checkpoint was taken");
        start.tail.end.value = round_up(known_until.value, start.segment_bytes);
    }
    start.durable_end = std::max(end, known_until);
    start.durable_crc = end_crc;
    start.covered = std::min(covered, start.durable_end);
    start.identity.epoch = std::max(start.identity.epoch, epoch_seen) + 1;

    const std::uint64_t first_index =
        segments.empty() ? start.tail.end.value / start.segment_bytes : segments.front().header.segment_index;
    start.kept_from.value = first_index * start.segment_bytes;
    start.delivered = std::max(checkpoint ? checkpoint->delivered : Position{}, start.kept_from);
    start.delivered = std::min(start.delivered, std::max(start.durable_end, start.kept_from));

    start.lanes = arrange(config, std::move(lanes));
    if (start.lanes.size() > wire::hello_lanes_max) {
        return Error{0, "lanes: " + std::to_string(start.lanes.size()) +
                            " with those that are still being drained; at most " +
                            std::to_string(wire::hello_lanes_max)};
    }

    SpoolCheckpoint begun;
    begun.lineage = start.identity.lineage;
    begun.epoch = start.identity.epoch;
    begun.durable = start.durable_end;
    begun.durable_crc = start.durable_crc;
    begun.delivered = start.delivered;
    begun.trimmed = start.kept_from;
    begun.lanes = start.lanes;
    begun.centrals = start.centrals;
    journal::CheckpointFile file(spool_checkpoint_path(config.data_dir), loaded.value().serial);
    if (auto stored = file.store_now(encode(begun)); !stored) return stored.error();
    guard.value().end();
    start.checkpoint_serial = loaded.value().serial + 1;
    start.stored_start = start.durable_end;
    return found;
}

}  // namespace weir::edge
