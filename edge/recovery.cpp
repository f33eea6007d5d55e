#include "edge/recovery.hpp"

#include <algorithm>
#include <cerrno>

#include "core/base/planted.hpp"
#include "core/io/files.hpp"
#include "core/journal/checkpoint.hpp"
#include "core/journal/scan.hpp"
#include "core/journal/start_guard.hpp"
#include "core/wire/control.hpp"
#include "edge/memory_lanes.hpp"
#include "edge/spool/spool_checkpoint.hpp"

namespace weir::edge {
namespace {

// Without its checkpoint an edge knows the epochs of its records, not one in which nothing was written: it leaps over those.
constexpr std::uint64_t epoch_leap = 1U << 20;
// The number of a lane that is not known yet.
constexpr LaneId no_lane = 0xfffe;

Result<std::uint64_t> random_lineage() {
    std::uint64_t lineage = 0;
    while (lineage == 0) {
        if (io::files().random(std::as_writable_bytes(std::span(&lineage, 1))) != 0)
            return error_from_errno(errno, "getrandom");
    }
    return lineage;
}

// The streams that are known, found or made by name and part.
class StreamFinder {
  public:
    explicit StreamFinder(std::vector<SpoolLane>& streams) : streams_(streams) {}
    SpoolLane* find(std::string_view name, wire::Part part) {
        for (SpoolLane& stream : streams_) {
            if (stream.state.name == name && stream.state.part == part) return &stream;
        }
        return nullptr;
    }
    // Both parts of a lane have its number.
    std::optional<LaneId> id_of(std::string_view name) const {
        if (name == dead_letter_lane_name) return dead_letter_lane;
        for (const SpoolLane& stream : streams_) {
            if (stream.state.name == name) return stream.state.id;
        }
        return std::nullopt;
    }
    SpoolLane& find_or_add(std::string_view name, wire::Part part) {
        if (SpoolLane* found = find(name, part)) return *found;
        LaneId next = 0;
        for (const SpoolLane& stream : streams_) {
            const LaneId id = stream.state.id;
            if (id != dead_letter_lane) next = std::max<LaneId>(next, static_cast<LaneId>(id + 1));
        }
        return add(id_of(name).value_or(next), name, part);
    }
    SpoolLane& add(LaneId id, std::string_view name, wire::Part part) {
        SpoolLane stream;
        stream.state.id = id;
        stream.state.part = part;
        stream.state.name = name;
        streams_.push_back(std::move(stream));
        return streams_.back();
    }

  private:
    std::vector<SpoolLane>& streams_;
};

struct StreamName {
    std::string lane;
    wire::Part part = wire::Part::live;
};

// What a directory in DIR/spool is called after; nullopt for any other name.
std::optional<StreamName> stream_of(std::string_view directory_name) {
    StreamName found;
    if (directory_name.ends_with(backlog_suffix)) {
        directory_name.remove_suffix(backlog_suffix.size());
        found.part = wire::Part::backlog;
    }
    if (!wire::is_name(directory_name, wire::lane_name_bytes_max)) return std::nullopt;
    found.lane = directory_name;
    return found;
}

void take_record(const journal::RecordView& record, SpoolLane& stream) {
    const wire::BatchHeader& batch = record.batch_header;
    LaneState& state = stream.state;
    // Nothing is trimmed before it is delivered: what precedes the oldest record was.
    if (state.last_sequence == 0) state.last_sequence = state.delivered_sequence = batch.first_sequence - 1;
    if (batch.last_sequence() < state.last_sequence) return;
    state.last_sequence = WEIR_PLANTED(sequence_reuse) ? batch.first_sequence : batch.last_sequence();
    state.previous_crc = batch.header_crc;
    state.totals = batch.totals;
}

// Configured lanes first and in their order, a backlog behind its live part, then those that only the spool knows, the dead
// letters' last.
std::vector<SpoolLane> arrange(const EdgeConfig& config, std::vector<SpoolLane> known) {
    StreamFinder finder(known);
    for (const LaneConfig& lane : config.lanes) {
        finder.find_or_add(lane.name, wire::Part::live).state.is_configured = true;
        if (lane.drain == Drain::live_first) {
            finder.find_or_add(lane.name, wire::Part::backlog).state.is_configured = true;
        }
    }
    finder.find_or_add(dead_letter_lane_name, wire::Part::live).state.is_configured = true;
    // A part is never without its lane's live part before it.
    for (std::size_t index = 0; index < known.size(); ++index) {
        const std::string name = known[index].state.name;
        (void)finder.find_or_add(name, wire::Part::live);
    }
    const auto rank = [&](const SpoolLane& stream) {
        std::size_t lane = config.lanes.size() + stream.state.id;
        if (stream.state.id == dead_letter_lane) lane = config.lanes.size() + stream.state.id + 1;
        for (std::size_t index = 0; index < config.lanes.size(); ++index) {
            if (config.lanes[index].name == stream.state.name) lane = index;
        }
        return lane * 2 + (stream.state.part == wire::Part::backlog ? 1 : 0);
    };
    std::stable_sort(known.begin(), known.end(),
                     [&](const SpoolLane& a, const SpoolLane& b) { return rank(a) < rank(b); });
    // Only when there are too many: an old stream that is delivered may go, and with it the memory of its number. A backlog goes
    // before its live part, so from the end.
    for (std::size_t index = known.size(); index-- > 0 && known.size() > wire::hello_lanes_max;) {
        const LaneState& state = known[index].state;
        const bool is_done = state.delivered_sequence == state.last_sequence;
        const bool has_backlog = index + 1 < known.size() && known[index + 1].state.id == state.id;
        if (!state.is_configured && is_done && !has_backlog)
            known.erase(known.begin() + static_cast<std::ptrdiff_t>(index));
    }
    return known;
}

// One stream's directory, while a start looks at it.
struct StreamFiles {
    StreamName name;
    std::string directory;
    journal::SegmentList list;
};

// Everything in DIR/spool that is a stream's. Fails where segments lie in DIR/spool itself, as before streams had journals.
Result<std::vector<StreamFiles>> list_streams(const std::string& data_dir) {
    const std::string spool = spool_directory(data_dir);
    std::vector<std::string> names;
    if (io::files().list(spool, names) != 0) return error_from_errno(errno, "open " + spool);
    std::sort(names.begin(), names.end());
    std::vector<StreamFiles> streams;
    for (const std::string& name : names) {
        if (journal::segment_index_of(name)) {
            return Error{
                0, spool + "/" + name +
                       ": a spool of an older version, with one journal for all lanes; drain it with that version, "
                       "then remove " +
                       spool};
        }
        const std::string directory = spool + "/" + name;
        const auto stream = stream_of(name);
        if (!stream || name == "quarantine" || !io::files().is_directory(directory)) continue;
        auto list = journal::list_segments(directory);
        if (!list) return list.error();
        streams.push_back({*stream, directory, std::move(list.value())});
    }
    return streams;
}

bool has_segments(const std::vector<StreamFiles>& streams) {
    return std::any_of(streams.begin(), streams.end(), [](const auto& one) { return !one.list.segments.empty(); });
}

// The checkpoint, or nullopt where there is none that can be used.
std::optional<SpoolCheckpoint> usable_checkpoint(const journal::LoadedCheckpoint& loaded,
                                                 const std::vector<StreamFiles>& streams,
                                                 std::vector<std::string>& faults) {
    if (!loaded.exists || loaded.content.empty()) return std::nullopt;
    auto checkpoint = decode_spool_checkpoint(loaded.content);
    if (!checkpoint) {
        faults.push_back("spool-checkpoint: not of a form this version knows; the whole spool is read instead");
        return std::nullopt;
    }
    const bool knows_records = std::any_of(checkpoint->lanes.begin(), checkpoint->lanes.end(),
                                           [](const auto& lane) { return lane.journal.durable_end.value > 0; });
    if (!has_segments(streams)) {
        if (!knows_records) return checkpoint;
        faults.push_back("spool: its segments are gone; a new lineage begins, what they held is lost");
        return std::nullopt;
    }
    const bool is_of_these = std::any_of(streams.begin(), streams.end(), [&](const auto& one) {
        return !one.list.segments.empty() && one.list.segments.front().header.journal_id == checkpoint->lineage;
    });
    if (!is_of_these) {
        faults.push_back("spool-checkpoint: of another lineage than the segments; the whole spool is read instead");
        return std::nullopt;
    }
    return checkpoint;
}

// Records of a lane that lives in memory now would never be sent: its journal has to be another lane's, which drains.
Status refuse_journals_of_memory_lanes(const EdgeConfig& config, const std::vector<StreamFiles>& streams) {
    for (const StreamFiles& one : streams) {
        if (one.list.segments.empty() || !lives_in_memory(config, one.name.lane)) continue;
        return Error{0, "lanes[" + one.name.lane + "].spool = \"memory\": " + one.directory +
                            " holds a journal of this lane; give the lane in memory another name, and the journal is "
                            "drained as that of "
                            "a lane that was removed"};
    }
    return Done{};
}

// A journal of another lineage was put here by somebody: it is not this spool's, and is not deleted either.
Status set_foreign_aside(std::vector<StreamFiles>& streams, const std::string& spool, std::uint64_t lineage,
                         std::vector<std::string>& faults) {
    for (StreamFiles& one : streams) {
        if (one.list.segments.empty() || one.list.segments.front().header.journal_id == lineage) continue;
        const std::string to =
            one.directory + ".foreign-" + std::to_string(one.list.segments.front().header.journal_id);
        if (io::files().rename(one.directory, to) != 0) return error_from_errno(errno, "rename " + one.directory);
        faults.push_back(one.directory + ": of another lineage; it is now " + to);
        one.list = {};
    }
    return journal::sync_directory(spool);
}

// What a start does with a segment's records, on state of its own, to find out whether it dies of them.
class Trial {
  public:
    explicit Trial(const EdgeConfig& config) : config_(config) {}
    void use(const journal::RecordView& record) {
        if (!memory_) {
            auto loaded = IntakeMemory::load(config_, config_.data_dir);
            if (!loaded) return;
            memory_.emplace(std::move(loaded.value()));
        }
        const wire::BatchHeader& batch = record.batch_header;
        if (record.position >= memory_->covered(batch.lane, batch.part)) memory_->replay(batch, record.body());
        take_record(record, stream_);
    }

  private:
    const EdgeConfig& config_;
    std::optional<IntakeMemory> memory_;
    SpoolLane stream_;
};

// Reads one stream's journal from where its checkpoint and intake's end.
class StreamReading {
  public:
    StreamReading(Recovered& found, const StreamFiles& files, journal::StartGuard& guard)
        : found_(found), files_(files), guard_(guard) {}
    [[nodiscard]] Status read(SpoolLane& stream, bool is_known);
    [[nodiscard]] std::uint64_t epoch_seen() const { return epoch_seen_; }

  private:
    void take(const journal::RecordView& record, SpoolLane& stream, Position known_until);
    [[nodiscard]] bool is_of_this_stream(const journal::RecordView& record, SpoolLane& stream);

    Recovered& found_;
    const StreamFiles& files_;
    journal::StartGuard& guard_;
    std::uint64_t records_ = 0;
    std::uint64_t epoch_seen_ = 0;
    Position covered_{};
    Position end_{};
    Position read_until_{};
    std::uint32_t end_crc_ = 0;
    bool has_foreign_ = false;
};

bool StreamReading::is_of_this_stream(const journal::RecordView& record, SpoolLane& stream) {
    const wire::BatchHeader& batch = record.batch_header;
    const bool is_same = wire::name_of(batch.lane_name) == files_.name.lane && batch.part == files_.name.part;
    if (is_same) {
        stream.state.id = batch.lane;
        return true;
    }
    if (!has_foreign_)
        found_.faults.push_back(files_.directory + ": holds records of another lane; they are passed over");
    has_foreign_ = true;
    return false;
}

void StreamReading::take(const journal::RecordView& record, SpoolLane& stream, Position known_until) {
    ++records_;
    read_until_ = record.end;
    epoch_seen_ = std::max(epoch_seen_, record.batch_header.epoch);
    if (is_of_this_stream(record, stream)) {
        if (record.position >= covered_ && !WEIR_PLANTED(forget_duplicates))
            found_.memory.replay(record.batch_header, record.body());
        if (record.position >= known_until) take_record(record, stream);
    }
    if (record.position < known_until) return;
    end_ = record.end;
    end_crc_ = record.header.crc;
}

Status StreamReading::read(SpoolLane& stream, bool is_known) {
    StreamJournal& start = stream.journal;
    const auto& segments = files_.list.segments;
    const Position known_until = is_known ? start.durable_end : Position{};
    end_ = known_until;
    end_crc_ = is_known ? start.durable_crc : 0;
    start.exists = !segments.empty();
    if (start.exists) start.segment_bytes = segments.front().header.segment_bytes;
    // The number may only be known once a record says it: then all is read.
    covered_ = is_known ? found_.memory.covered(stream.state.id, stream.state.part) : Position{};
    // Where the scan begins at the checkpoint's end, the checkpoint knows what the next record is chained to.
    std::optional<std::uint32_t> chained_to;
    if (is_known && known_until <= covered_ && !WEIR_PLANTED(hole_taken_for_end)) chained_to = start.durable_crc;
    auto opened = journal::Scanner::open(files_.directory, std::min(known_until, covered_), chained_to);
    if (!opened) return opened.error();
    journal::Scanner& scanner = opened.value();
    scanner.on_segment([this](std::uint64_t index) { guard_.reading(index); });
    while (auto record = scanner.next()) take(*record, stream, known_until);
    if (!scanner.fault().empty()) found_.faults.push_back(scanner.fault());
    start.tail = scanner.tail();
    if (records_ == 0 || read_until_ < known_until) start.tail.previous_crc = end_crc_;
    if (start.tail.end < known_until) {
        // Records that were durable cannot be read any more. Their places and sequences are never used again.
        found_.faults.push_back(files_.directory + ": nothing readable from position " +
                                std::to_string(start.tail.end.value) + " to " + std::to_string(known_until.value) +
                                ", where the checkpoint was taken");
        start.tail.end.value = round_up(known_until.value, start.segment_bytes);
    }
    start.durable_end = std::max(end_, known_until);
    start.durable_crc = end_crc_;
    start.covered = std::min(covered_, start.durable_end);
    start.stored_start = start.durable_end;
    const std::uint64_t first_index =
        segments.empty() ? start.tail.end.value / start.segment_bytes : segments.front().header.segment_index;
    start.kept_from.value = first_index * start.segment_bytes;
    start.delivered = std::max(is_known ? start.delivered : Position{}, start.kept_from);
    start.delivered = std::min(start.delivered, std::max(start.durable_end, start.kept_from));
    found_.records += records_;
    return Done{};
}

Status store_begun(const EdgeConfig& config, SpoolStart& start) {
    SpoolCheckpoint begun;
    begun.lineage = start.identity.lineage;
    begun.epoch = start.identity.epoch;
    begun.lanes = start.lanes;
    begun.centrals = start.centrals;
    begun.running_ms = start.running_ms;
    journal::CheckpointFile file(spool_checkpoint_path(config.data_dir), start.checkpoint_serial);
    if (auto stored = file.store_now(encode(begun)); !stored) return stored;
    ++start.checkpoint_serial;
    return Done{};
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
    std::vector<std::string> faults = loaded.value().faults;
    Trial trial(config);
    // Before the segments are listed: one that starts die of is set aside.
    auto listed = list_streams(config.data_dir);
    if (!listed) return listed.error();
    std::vector<StreamFiles>& files = listed.value();
    if (auto may_start = refuse_journals_of_memory_lanes(config, files); !may_start) return may_start.error();
    std::vector<journal::StartGuard> guards;
    for (StreamFiles& one : files) {
        auto guard =
            journal::StartGuard::begin(one.directory, [&](const journal::RecordView& record) { trial.use(record); });
        if (!guard) return guard.error();
        if (!guard.value().fault().empty()) {
            faults.push_back(guard.value().fault());
            auto list = journal::list_segments(one.directory);
            if (!list) return list.error();
            one.list = std::move(list.value());
        }
        guards.push_back(std::move(guard.value()));
    }
    auto checkpoint = usable_checkpoint(loaded.value(), files, faults);
    // With a new lineage nothing that intake knew is in the spool: a retry of it would be taken for a duplicate, and lost.
    const bool is_new = !checkpoint && !has_segments(files);
    if (is_new) {
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
                    .is_new = is_new};
    SpoolStart& start = found.spool;
    found.faults = std::move(faults);
    found.faults.insert(found.faults.end(), found.memory.faults().begin(), found.memory.faults().end());
    start.identity.edge_id = config.edge_id;
    start.identity.config_digest = config.digest;
    start.checkpoint_serial = loaded.value().serial;

    std::vector<SpoolLane> streams;
    if (checkpoint) {
        start.identity.lineage = checkpoint->lineage;
        start.identity.epoch = checkpoint->epoch;
        streams = checkpoint->lanes;
        start.centrals = checkpoint->centrals;
        start.running_ms = checkpoint->running_ms;
    } else if (is_new) {
        auto lineage = random_lineage();
        if (!lineage) return lineage.error();
        start.identity.lineage = lineage.value();
    } else {
        const auto first =
            std::find_if(files.begin(), files.end(), [](const auto& one) { return !one.list.segments.empty(); });
        start.identity.lineage = first->list.segments.front().header.journal_id;
        start.identity.epoch = epoch_leap;
    }
    if (auto aside = set_foreign_aside(files, spool, start.identity.lineage, found.faults); !aside)
        return aside.error();

    std::uint64_t epoch_seen = 0;
    StreamFinder finder(streams);
    std::vector<SpoolLane> unknown;  // their numbers are in their records
    const auto read = [&](std::size_t at, SpoolLane& stream, bool is_known) -> Status {
        stream.journal.segment_bytes = stream_segment_bytes(config, stream.state.name);
        StreamReading reading(found, files[at], guards[at]);
        auto status = reading.read(stream, is_known);
        epoch_seen = std::max(epoch_seen, reading.epoch_seen());
        return status;
    };
    std::vector<bool> was_read(streams.size());
    for (std::size_t at = 0; at < files.size(); ++at) {
        const StreamName& name = files[at].name;
        SpoolLane* stream = finder.find(name.lane, name.part);
        if (stream != nullptr) {
            if (auto status = read(at, *stream, true); !status) return status.error();
            was_read[static_cast<std::size_t>(stream - streams.data())] = true;
            continue;
        }
        SpoolLane& made = unknown.emplace_back();
        made.state.name = name.lane;
        made.state.part = name.part;
        made.state.id = finder.id_of(name.lane).value_or(no_lane);
        if (auto status = read(at, made, false); !status) return status.error();
    }
    for (std::size_t index = 0; index < was_read.size(); ++index) {
        StreamJournal& lost = streams[index].journal;
        if (was_read[index]) continue;
        lost.segment_bytes = stream_segment_bytes(config, streams[index].state.name);
        if (lost.durable_end.value == 0 || streams[index].state.in_memory) continue;
        // Its directory is gone: its places and sequences are never used again, and what was not delivered becomes a gap.
        found.faults.push_back("spool: the journal of lane " + streams[index].state.name + " is gone");
        lost.tail.end.value = round_up(lost.durable_end.value, lost.segment_bytes);
        lost.kept_from = lost.delivered = lost.covered = lost.stored_start = lost.durable_end = lost.tail.end;
    }
    for (SpoolLane& stream : unknown) {
        if (stream.state.id == no_lane && stream.state.last_sequence == 0) continue;
        streams.push_back(std::move(stream));
        stream.state.name.clear();
    }
    for (SpoolLane& stream : unknown) {
        if (stream.state.name.empty()) continue;
        const LaneId id = StreamFinder(streams).find_or_add(stream.state.name, stream.state.part).state.id;
        SpoolLane& place = *StreamFinder(streams).find(stream.state.name, stream.state.part);
        place = std::move(stream);
        place.state.id = id;
    }
    start.identity.epoch = std::max(start.identity.epoch, epoch_seen) + 1;

    start.lanes = arrange(config, std::move(streams));
    const CheckpointFound promised{
        .is_usable = checkpoint.has_value(), .has_lost_copy = !loaded.value().faults.empty(), .is_new_spool = is_new};
    if (auto begun = begin_memory_lanes(config, promised, start.lanes, found.faults); !begun) return begun.error();
    for (SpoolLane& lane : start.lanes) {
        const std::uint64_t wanted = stream_segment_bytes(config, lane.state.name);
        if (lane.journal.segment_bytes == 0) lane.journal.segment_bytes = wanted;
        lane.given_up_stored = lane.state.last_sequence;
        // The last batch's header says what was given up as of its close; the checkpoint what of it stands.
        if (checkpoint) {
            wire::LedgerTotals& totals = lane.state.totals;
            totals.shed = totals.shed_unsequenced(lane.state.last_sequence) + lane.shed_events;
        }
        if (lane.journal.segment_bytes == wanted || !lane.state.is_configured) continue;
        found.faults.push_back("spool.segment_bytes: the journal of lane " + lane.state.name + " was made with " +
                               std::to_string(lane.journal.segment_bytes) + " and keeps it");
    }
    if (start.lanes.size() > wire::hello_lanes_max) {
        return Error{0, "lanes: " + std::to_string(start.lanes.size()) +
                            " streams with those that are still being drained; at most " +
                            std::to_string(wire::hello_lanes_max)};
    }
    if (auto stored = store_begun(config, start); !stored) return stored.error();
    for (journal::StartGuard& guard : guards) guard.end();
    return found;
}

}  // namespace weir::edge
