#include "central/audit/reader.hpp"

#include <optional>

#include "central/audit/tail.hpp"
#include "central/recovery/recovery.hpp"
#include "core/journal/checkpoint.hpp"
#include "core/journal/scan.hpp"

namespace weir::central::audit {
namespace {

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
               content.size() == sizeof head + head.rows * sizeof(CheckpointRow);
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

struct EdgeReading {
    std::string directory;
    std::optional<EdgeCheckpoint> checkpoint;
    JournalReading spool;
};

Result<EdgeReading> open_edge(Audit& audit, const std::string& directory) {
    const std::string path = directory + "/spool-checkpoint";
    std::optional<EdgeCheckpoint> checkpoint;
    if (const auto content = load_checkpoint(audit, path)) {
        checkpoint = decode_edge_checkpoint(*content);
        if (!checkpoint) audit.note(path + ": not of a form that this version knows; not compared");
    }
    auto spool = JournalReading::open(audit, directory + "/spool", true);
    if (!spool) return spool.error();
    if (checkpoint && spool.value().journal_id() != 0 && spool.value().journal_id() != checkpoint->lineage) {
        audit.note(path + ": of another lineage than the spool; not compared");
        checkpoint.reset();
    }
    return EdgeReading{directory, std::move(checkpoint), std::move(spool.value())};
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
        edge.spool.read(audit);
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
    for (EdgeReading& edge : edges) edge.spool.read(audit);
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
    for (const EdgeReading& edge : edges) edge.spool.finish(audit);
    journal.value().finish(audit);
    letters.value().finish(audit);
    for (const EdgeReading& edge : edges) {
        if (!edge.checkpoint) continue;
        audit.journal(edge.spool.index()).checkpoint_end = edge.checkpoint->durable;
        // A spool-checkpoint does not name its edge: its records do; one without records is found by its lineage.
        for (const EdgeLane& lane : edge.checkpoint->lanes) {
            const std::string name =
                edge.spool.edge().empty() ? audit.edge_of(edge.checkpoint->lineage) : edge.spool.edge();
            audit.edge_knows(edge.spool.index(), {name, edge.checkpoint->lineage, lane.lane, wire::Part::live}, lane);
        }
    }
    return audit.close();
}

}  // namespace weir::central::audit
