#include "central/audit/reader.hpp"

#include <algorithm>
#include <cerrno>
#include <optional>

#include "central/audit/tail.hpp"
#include "central/recovery/recovery.hpp"
#include "core/io/files.hpp"
#include "core/journal/checkpoint.hpp"
#include "core/journal/scan.hpp"

namespace weir::central::audit {
namespace {

// Behind a lane's name, its backlog part's directory.
constexpr std::string_view backlog_suffix = ".backlog";

std::uint32_t frames_of(const journal::RecordView& record) {
    const wire::BatchHeader& batch = record.batch_header;
    if (batch.codec != wire::Codec::none || batch.key_id != 0) return batch.count;  // not to be read in place
    std::uint32_t frames = 0;
    wire::for_each_frame(record.body(), [&](const wire::FrameView&, std::uint32_t) { ++frames; });
    return frames;
}

// One journal, read to its end and later on from there.
class JournalReading {
  public:
    [[nodiscard]] static Result<JournalReading> open(Audit& audit, const std::string& directory, bool is_spool) {
        auto list = journal::list_segments(directory);
        if (!list) return list.error();
        auto scanner = journal::Scanner::open(directory, {});
        if (!scanner) return scanner.error();
        const auto& segments = list.value().segments;
        const std::uint64_t journal_id = segments.empty() ? 0 : segments.front().header.journal_id;
        const std::size_t index = audit.add_journal(directory, is_spool);
        if (!segments.empty()) audit.journal(index).segment_bytes = segments.front().header.segment_bytes;
        return JournalReading(index, journal_id, std::move(scanner.value()));
    }
    // Ends when it has caught up with the writer, if there is one.
    void read(Audit& audit) {
        while (const auto record = scanner_.next()) {
            audit.take(index_, record->batch_header, frames_of(*record), record->position);
            audit.journal(index_).end = record->end;
            if (edge_.empty()) edge_ = wire::name_of(record->batch_header.edge_id);
        }
        JournalSeen& seen = audit.journal(index_);
        seen.fault = scanner_.fault();
        // Segments may have been made, or released at the front, meanwhile.
        const auto list = journal::list_segments(seen.directory);
        if (!list || list.value().segments.empty()) return;
        const journal::SegmentHeader& first = list.value().segments.front().header;
        seen.segment_bytes = first.segment_bytes;
        seen.kept_from = {first.segment_index * first.segment_bytes};
    }
    // Once, behind the last read().
    void finish(Audit& audit) const {
        JournalSeen& seen = audit.journal(index_);
        TailFindings tail = look_behind(seen.directory, seen.end,
                                        [&](const wire::BatchHeader& batch) { audit.once_held(index_, batch); });
        if (!tail.fault.empty()) seen.fault += (seen.fault.empty() ? "" : "; ") + tail.fault;
        if (!tail.note.empty()) audit.note(std::move(tail.note));
    }
    [[nodiscard]] std::size_t index() const { return index_; }
    [[nodiscard]] std::uint64_t journal_id() const { return journal_id_; }
    [[nodiscard]] const std::string& edge() const { return edge_; }

  private:
    JournalReading(std::size_t index, std::uint64_t journal_id, journal::Scanner scanner)
        : index_(index), journal_id_(journal_id), scanner_(std::move(scanner)) {}
    std::size_t index_;
    std::uint64_t journal_id_;  // 0: no segment
    std::string edge_;          // of its first record
    journal::Scanner scanner_;
};

// The content that counts, or nothing; what is damaged is noted: both sides can do without it.
std::optional<std::vector<std::byte>> load_checkpoint(Audit& audit, const std::string& path) {
    auto loaded = journal::CheckpointFile::load(path);
    if (!loaded) {
        audit.note(loaded.error().what);
        return std::nullopt;
    }
    for (const auto& fault : loaded.value().faults) audit.note(fault + "; a checkpoint only saves time");
    if (!loaded.value().exists) {
        audit.note(path + ": none that can be read; what it would know of is not compared");
        return std::nullopt;
    }
    return std::move(loaded.value().content);
}

void take_central_checkpoint(Audit& audit, const std::string& path, ConstBytes content, const JournalReading& journal,
                             const JournalReading& letters) {
    const auto is_whole = [&] {
        if (content.size() < sizeof(CheckpointHead)) return false;
        const auto head = wire::load<CheckpointHead>(content);
        return head.magic == CheckpointHead{}.magic && head.version == CheckpointHead{}.version &&
               content.size() == checkpoint_bytes(head);
    };
    if (!is_whole()) return audit.note(path + ": not of a form that this version knows; not compared");
    const auto head = wire::load<CheckpointHead>(content);
    const auto is_of = [](const JournalReading& one, std::uint64_t id) {
        return one.journal_id() == 0 || one.journal_id() == id;
    };
    if (!is_of(journal, head.journal_id) || !is_of(letters, head.dead_letters_id)) {
        return audit.note(path + ": belongs to another journal; not compared");
    }
    audit.journal(journal.index()).checkpoint_record = {head.journal_position};
    audit.journal(letters.index()).checkpoint_record = {head.dead_letters_position};
    for (std::uint32_t i = 0; i < head.rows; ++i) {
        const auto row = wire::load<CheckpointRow>(content.subspan(sizeof head + i * sizeof(CheckpointRow)));
        audit.central_knows({std::string(wire::name_of(row.edge)), row.lineage, row.lane, row.part},
                            wire::name_of(row.lane_name), row.last_sequence, row.previous_crc);
    }
}

// One edge's spool: a journal for each of its streams.
struct EdgeReading {
    std::optional<EdgeCheckpoint> checkpoint;
    std::vector<JournalReading> spool;

    void read(Audit& audit) {
        for (JournalReading& one : spool) one.read(audit);
    }
    // Of its records; empty without any.
    [[nodiscard]] std::string edge() const {
        for (const JournalReading& one : spool) {
            if (!one.edge().empty()) return one.edge();
        }
        return {};
    }
    // The journal in DIR/spool/`name`; null if there is none.
    [[nodiscard]] const JournalReading* journal_of(Audit& audit, const std::string& name) const {
        for (const JournalReading& one : spool) {
            if (audit.journal(one.index()).directory.ends_with("/" + name)) return &one;
        }
        return nullptr;
    }
};

// Every directory of DIR/spool that is a stream's; DIR/spool itself where an older version left segments in it.
Result<std::vector<std::string>> spool_directories(const std::string& spool) {
    std::vector<std::string> names, directories;
    if (io::files().list(spool, names) != 0) return error_from_errno(errno, "open " + spool);
    std::sort(names.begin(), names.end());
    bool is_flat = false;
    for (const std::string& name : names) {
        is_flat = is_flat || journal::segment_index_of(name).has_value();
        const std::string_view lane = name.ends_with(backlog_suffix)
                                          ? std::string_view(name).substr(0, name.size() - backlog_suffix.size())
                                          : std::string_view(name);
        if (!wire::is_name(lane, wire::lane_name_bytes_max) || name == "quarantine") continue;
        if (io::files().is_directory(spool + "/" + name)) directories.push_back(spool + "/" + name);
    }
    if (is_flat) directories.push_back(spool);
    return directories;
}

Result<EdgeReading> open_edge(Audit& audit, const std::string& directory) {
    const std::string path = directory + "/spool-checkpoint";
    std::optional<EdgeCheckpoint> checkpoint;
    if (const auto content = load_checkpoint(audit, path)) {
        checkpoint = decode_edge_checkpoint(*content);
        if (!checkpoint) audit.note(path + ": not of a form that this version knows; not compared");
    }
    auto directories = spool_directories(directory + "/spool");
    if (!directories) return directories.error();
    EdgeReading edge;
    for (const std::string& one : directories.value()) {
        auto spool = JournalReading::open(audit, one, true);
        if (!spool) return spool.error();
        const std::uint64_t id = spool.value().journal_id();
        if (checkpoint && id != 0 && id != checkpoint->lineage) {
            audit.note(path + ": of another lineage than the spool; not compared");
            checkpoint.reset();
        }
        edge.spool.push_back(std::move(spool.value()));
    }
    edge.checkpoint = std::move(checkpoint);
    return edge;
}

// What an edge's checkpoint says of each of its streams.
void take_edge_checkpoint(Audit& audit, const EdgeReading& edge) {
    if (!edge.checkpoint) return;
    // A spool-checkpoint does not name its edge: its records do; one without records is found by its lineage.
    const std::string name = edge.edge().empty() ? audit.edge_of(edge.checkpoint->lineage) : edge.edge();
    for (const EdgeLane& lane : edge.checkpoint->lanes) {
        const std::string suffix(lane.part == wire::Part::backlog ? backlog_suffix : std::string_view());
        const JournalReading* journal = edge.journal_of(audit, lane.lane_name + suffix);
        if (journal != nullptr) audit.journal(journal->index()).checkpoint_end = lane.durable;
        std::optional<std::size_t> index;
        if (journal != nullptr) index = journal->index();
        audit.edge_knows(index, {name, edge.checkpoint->lineage, lane.lane, lane.part}, lane);
    }
}

}  // namespace

Result<Report> read_and_audit(const CentralConfig& config, const std::vector<std::string>& edge_dirs) {
    Audit audit;
    std::vector<EdgeReading> edges;
    for (const auto& directory : edge_dirs) {
        auto edge = open_edge(audit, directory);
        if (!edge) return edge.error();
        edges.push_back(std::move(edge.value()));
    }
    const auto content = load_checkpoint(audit, checkpoint_path(config));
    for (EdgeReading& edge : edges) {
        edge.read(audit);
    }
    auto journal = JournalReading::open(audit, journal_directory(config), false);
    if (!journal) return journal.error();
    audit.central_is(journal.value().journal_id());
    auto letters = JournalReading::open(audit, dead_letters_directory(config), false);
    if (!letters) return letters.error();
    if (content) {
        take_central_checkpoint(audit, checkpoint_path(config), *content, journal.value(), letters.value());
    }
    journal.value().read(audit);
    letters.value().read(audit);
    audit.central_was_read();
    for (EdgeReading& edge : edges) edge.read(audit);
    journal.value().read(audit);
    letters.value().read(audit);
    // Read behind the letters: what was released meanwhile is in it.
    if (auto expired = load_expired_letters(config); expired && expired.value().head.dead_letters_id != 0) {
        const bool is_ours =
            letters.value().journal_id() == 0 || letters.value().journal_id() == expired.value().head.dead_letters_id;
        if (!is_ours) audit.note(expired_letters_path(config) + ": belongs to another journal; not used");
        for (const CheckpointRow& row : expired.value().rows) {
            if (!is_ours) break;
            audit.central_released({std::string(wire::name_of(row.edge)), row.lineage, row.lane, row.part},
                                   wire::name_of(row.lane_name), row.last_sequence);
        }
    }
    for (const EdgeReading& edge : edges) {
        for (const JournalReading& one : edge.spool) one.finish(audit);
    }
    journal.value().finish(audit);
    letters.value().finish(audit);
    for (const EdgeReading& edge : edges) take_edge_checkpoint(audit, edge);
    return audit.close();
}

}  // namespace weir::central::audit
