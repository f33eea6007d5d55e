#include "central/recovery/recovery.hpp"

#include <algorithm>
#include <cerrno>
#include <memory>

#include "core/io/files.hpp"
#include "core/journal/checkpoint.hpp"
#include "core/journal/scan.hpp"
#include "core/journal/start_guard.hpp"
#include "core/wire/unverified.hpp"

namespace weir::central {
namespace {

Result<std::uint64_t> random_id() {
    std::uint64_t id = 0;
    if (io::files().random(std::as_writable_bytes(std::span(&id, 1))) != 0) return error_from_errno(errno, "getrandom");
    return id | 1U;
}

// The id of what is there, else a new one.
Result<std::uint64_t> journal_id_in(const std::string& directory) {
    auto list = journal::list_segments(directory);
    if (!list) return list.error();
    if (list.value().segments.empty()) return random_id();
    return list.value().segments.front().header.journal_id;
}

// Of a version of CheckpointHead; 0: not known.
std::size_t entry_bytes(std::uint16_t version) {
    if (version == 2) return sizeof(CheckpointRow);
    return version == CheckpointHead{}.version ? sizeof(CheckpointEntry) : 0;
}

void fill(PositionRow& row, const CheckpointRow& packed) {
    row.hot.last_sequence = packed.last_sequence;
    row.hot.durable_sequence = packed.last_sequence;
    row.hot.epoch = packed.epoch;
    row.hot.previous_crc = packed.previous_crc;
    row.hot.is_after_gap = packed.is_after_gap != 0;
    row.last_sequence.set(packed.last_sequence);
    row.appended.set(packed.appended);
    row.duplicates.set(packed.duplicates);
    row.rejected.set(packed.rejected);
    row.received.set(packed.appended + packed.duplicates + packed.rejected);
    row.gap.set(packed.gap);
    row.elsewhere.set(packed.elsewhere);
    if (packed.lane == dead_letter_lane) row.dead_lettered.set(packed.appended);
}

// What ingest has set aside of a batch that is kept.
std::uint32_t unverified_in(const journal::RecordView& record) {
    const wire::BatchHeader& batch = record.batch_header;
    if (batch.codec != wire::Codec::none || batch.key_id != 0) return 0;
    return wire::count_unverified(batch, record.body());
}

// Letters that are gone were received all the same: where the checkpoint does not know them, this does. False when the table is full.
bool take_expired(const ExpiredLetters& expired, PositionTable& table) {
    for (const CheckpointRow& gone : expired.rows) {
        const std::uint32_t index = table.claim({gone.edge, gone.lineage, gone.lane, gone.part}, gone.lane_name);
        const std::uint32_t edge = table.claim_edge({gone.edge, gone.lineage});
        if (index == no_row || edge == no_row) return false;
        PositionRow& row = table.row(index);
        if (row.hot.last_sequence >= gone.last_sequence) continue;
        CheckpointRow known = gone;
        known.duplicates = row.duplicates.get();
        known.rejected = row.rejected.get();
        fill(row, known);
        table.edge(edge).epoch.set(std::max(table.edge(edge).epoch.get(), gone.epoch));
    }
    return true;
}

// False when the table is full.
bool unpack(ConstBytes content, const CheckpointHead& head, PositionTable& table) {
    for (std::uint32_t i = 0; i < head.rows; ++i) {
        const auto [packed, dead_lettered, stored_bytes] = checkpoint_entry(content, head, i);
        const std::uint32_t index =
            table.claim({packed.edge, packed.lineage, packed.lane, packed.part}, packed.lane_name);
        const std::uint32_t edge = table.claim_edge({packed.edge, packed.lineage});
        if (index == no_row || edge == no_row) return false;
        fill(table.row(index), packed);
        if (packed.lane != dead_letter_lane) table.row(index).dead_lettered.set(dead_lettered);
        table.row(index).stored_bytes.set(stored_bytes);
        table.edge(edge).epoch.set(std::max(table.edge(edge).epoch.get(), packed.epoch));
    }
    return true;
}

Status scan(const std::string& directory, Position from, PositionTable& table, journal::StartGuard& guard,
            RecoveredJournal& found) {
    for (;;) {
        auto opened = journal::Scanner::open(directory, from);
        if (!opened) return opened.error();
        journal::Scanner& scanner = opened.value();
        scanner.on_segment([&guard](std::uint64_t index) { guard.reading(index); });
        found.records = 0;
        while (const auto record = scanner.next()) {
            ++found.records;
            found.last_group = record->position;
            if (!table.restore(record->batch_header, unverified_in(*record))) {
                return Error{0, directory + ": more edges or positions than limits.edges_max, limits.positions_max"};
            }
        }
        found.tail = scanner.tail();
        found.damaged = scanner.damaged_records();
        found.fault = scanner.fault();
        // Where the checkpoint points a record must be; without it the chain is unknown, and only a whole scan tells it.
        if (found.records > 0 || from.value == 0) return Done{};
        from = {};
    }
}

}  // namespace

std::string journal_directory(const CentralConfig& config) {
    return config.data_dir + "/journal";
}
std::string dead_letters_directory(const CentralConfig& config) {
    return config.data_dir + "/dead-letters";
}
std::string checkpoint_path(const CentralConfig& config) {
    return config.data_dir + "/central-checkpoint";
}
std::string expired_letters_path(const CentralConfig& config) {
    return config.data_dir + "/letters-expired";
}

Result<ExpiredLetters> load_expired_letters(const CentralConfig& config) {
    auto loaded = journal::CheckpointFile::load(expired_letters_path(config));
    if (!loaded) return loaded.error();
    ExpiredLetters expired;
    expired.serial = loaded.value().serial;
    expired.faults = std::move(loaded.value().faults);
    ConstBytes content(loaded.value().content);
    if (!loaded.value().exists) return expired;
    const auto is_known = [&] {
        if (content.size() < sizeof(ExpiredHead)) return false;
        const auto head = wire::load<ExpiredHead>(content);
        return head.magic == ExpiredHead{}.magic && head.version == ExpiredHead{}.version &&
               content.size() ==
                   sizeof head + head.rows * sizeof(CheckpointRow) + head.segments * sizeof(ClosedSegment);
    };
    if (!is_known()) {
        expired.faults.push_back(expired_letters_path(config) + ": not of a form that this version knows; not used");
        return expired;
    }
    expired.head = wire::load<ExpiredHead>(content);
    content = content.subspan(sizeof(ExpiredHead));
    for (std::uint32_t i = 0; i < expired.head.rows; ++i, content = content.subspan(sizeof(CheckpointRow))) {
        expired.rows.push_back(wire::load<CheckpointRow>(content));
    }
    for (std::uint32_t i = 0; i < expired.head.segments; ++i, content = content.subspan(sizeof(ClosedSegment))) {
        expired.segments.push_back(wire::load<ClosedSegment>(content));
    }
    return expired;
}

Result<Recovered> recover(const CentralConfig& config, PositionTable& table) {
    Recovered recovered;
    for (const auto& directory : {journal_directory(config), dead_letters_directory(config)}) {
        if (auto made = journal::make_directory(directory); !made) return made.error();
    }
    std::unique_ptr<PositionTable> trial_table;
    const auto use = [&](const journal::RecordView& record) {
        if (!trial_table) {
            trial_table = std::make_unique<PositionTable>(config.limits.positions_max, config.limits.edges_max);
        }
        static_cast<void>(trial_table->restore(record.batch_header));
    };
    auto journal_guard = journal::StartGuard::begin(journal_directory(config), use);
    if (!journal_guard) return journal_guard.error();
    auto letters_guard = journal::StartGuard::begin(dead_letters_directory(config), use);
    if (!letters_guard) return letters_guard.error();
    for (const auto* guard : {&journal_guard.value(), &letters_guard.value()}) {
        if (!guard->fault().empty()) recovered.notes.push_back(guard->fault());
    }
    auto journal_id = journal_id_in(journal_directory(config));
    if (!journal_id) return journal_id.error();
    auto dead_letters_id = journal_id_in(dead_letters_directory(config));
    if (!dead_letters_id) return dead_letters_id.error();
    recovered.journal.id = journal_id.value();
    recovered.dead_letters.id = dead_letters_id.value();

    auto loaded = journal::CheckpointFile::load(checkpoint_path(config));
    if (!loaded) return loaded.error();
    recovered.checkpoint_serial = loaded.value().serial;
    recovered.notes.insert(recovered.notes.end(), loaded.value().faults.begin(), loaded.value().faults.end());
    CheckpointHead head;
    const ConstBytes content(loaded.value().content);
    if (loaded.value().exists) {
        const auto known = checkpoint_head(content);
        head = known.value_or(head);
        if (!known) {
            recovered.notes.push_back(checkpoint_path(config) + ": no checkpoint of this version; not used");
        } else if (head.journal_id != journal_id.value() || head.dead_letters_id != dead_letters_id.value()) {
            recovered.notes.push_back(checkpoint_path(config) + ": belongs to another journal; not used");
        } else if (!journal_guard.value().fault().empty() || !letters_guard.value().fault().empty()) {
            // Its positions may be ahead of what is left: the edges are to be asked for what they still keep.
            recovered.notes.push_back(checkpoint_path(config) + ": a segment was set aside; not used");
        } else if (!unpack(content, head, table)) {
            return Error{0, checkpoint_path(config) + ": does not fit limits.edges_max and limits.positions_max"};
        } else {
            recovered.from_checkpoint = true;
        }
    }
    auto expired = load_expired_letters(config);
    if (!expired) return expired.error();
    recovered.expired = std::move(expired.value());
    for (auto& fault : recovered.expired.faults) recovered.notes.push_back(std::move(fault));
    const std::uint64_t expired_of = recovered.expired.head.dead_letters_id;
    if (expired_of != 0 && expired_of != dead_letters_id.value()) {
        recovered.notes.push_back(expired_letters_path(config) + ": belongs to another journal; not used");
    } else if (!take_expired(recovered.expired, table)) {
        return Error{0, expired_letters_path(config) + ": does not fit limits.edges_max and limits.positions_max"};
    }
    const Position journal_from{recovered.from_checkpoint ? head.journal_position : 0};
    const Position letters_from{recovered.from_checkpoint ? head.dead_letters_position : 0};
    if (auto done = scan(journal_directory(config), journal_from, table, journal_guard.value(), recovered.journal);
        !done)
        return done.error();
    if (auto done =
            scan(dead_letters_directory(config), letters_from, table, letters_guard.value(), recovered.dead_letters);
        !done) {
        return done.error();
    }
    journal_guard.value().end();
    letters_guard.value().end();
    for (const auto* one : {&recovered.journal, &recovered.dead_letters}) {
        if (!one->fault.empty()) recovered.notes.push_back(one->fault);
    }
    return recovered;
}

std::optional<CheckpointHead> checkpoint_head(ConstBytes content) {
    if (content.size() < sizeof(CheckpointHead)) return std::nullopt;
    const auto head = wire::load<CheckpointHead>(content);
    const std::size_t bytes = entry_bytes(head.version);
    if (head.magic != CheckpointHead{}.magic || bytes == 0) return std::nullopt;
    if (content.size() != sizeof head + head.rows * bytes) return std::nullopt;
    for (std::uint32_t i = 0; i < head.rows; ++i) {
        const auto [row, dead_lettered, stored_bytes] = checkpoint_entry(content, head, i);
        static_cast<void>(stored_bytes);  // any number
        if (row.part > wire::Part::backlog || row.is_after_gap > 1) return std::nullopt;
        const bool are_letters = row.lane == dead_letter_lane;
        if (are_letters ? dead_lettered != row.appended : dead_lettered > row.appended) return std::nullopt;
    }
    return head;
}

CheckpointEntry checkpoint_entry(ConstBytes content, const CheckpointHead& head, std::uint32_t index) {
    const std::size_t bytes = entry_bytes(head.version);
    const ConstBytes at = content.subspan(sizeof head + index * bytes, bytes);
    if (head.version == CheckpointHead{}.version) return wire::load<CheckpointEntry>(at);
    CheckpointEntry entry{.row = wire::load<CheckpointRow>(at)};
    if (entry.row.lane == dead_letter_lane) entry.dead_lettered = entry.row.appended;
    return entry;
}

bool pack_checkpoint(const PositionTable& table, CheckpointHead head, std::vector<std::byte>& content) {
    head.rows = table.row_count();
    const std::size_t bytes = sizeof head + head.rows * sizeof(CheckpointEntry);
    if (bytes > journal::checkpoint_content_bytes_max) return false;
    content.resize(bytes);  // within what the owner reserved
    const Bytes out(content);
    wire::store(out, head);
    for (std::uint32_t i = 0; i < head.rows; ++i) {
        const PositionRow& row = table.row(i);
        CheckpointRow packed;
        packed.edge = row.key.edge;
        packed.lane_name = row.lane_name;
        packed.lineage = row.key.lineage;
        packed.epoch = row.hot.epoch;
        packed.last_sequence = row.hot.last_sequence;
        packed.appended = row.appended.get();
        packed.duplicates = row.duplicates.get();
        packed.rejected = row.rejected.get();
        packed.gap = row.gap.get();
        packed.elsewhere = row.elsewhere.get();
        packed.previous_crc = row.hot.previous_crc;
        packed.lane = row.key.lane;
        packed.part = row.key.part;
        packed.is_after_gap = row.hot.is_after_gap ? 1 : 0;
        wire::store(
            out.subspan(sizeof head + i * sizeof(CheckpointEntry)),
            CheckpointEntry{
                .row = packed, .dead_lettered = row.dead_lettered.get(), .stored_bytes = row.stored_bytes.get()});
    }
    return true;
}

}  // namespace weir::central
