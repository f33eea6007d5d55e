#include "central/audit/audit.hpp"

#include <algorithm>

#include "core/journal/record.hpp"
#include "core/wire/control.hpp"

namespace weir::central::audit {
namespace {

std::string number(std::uint64_t value) {
    return std::to_string(value);
}

// Of what lies in the spool, that which is not given up: its bytes may still be there.
std::vector<Range> held_of(const std::vector<Range>& kept, const StreamReport& report) {
    RangeSet given_up;
    for (const Range& one : report.shed) given_up.add(one);
    for (const Range& one : report.expired) given_up.add(one);
    for (const Range& one : report.gaps) given_up.add(one);
    std::vector<Range> held;
    for (const Range& one : kept) {
        for (const Range& part : given_up.missing(one)) held.push_back(part);
    }
    return held;
}

std::string range_text(Range range) {
    return number(range.first) + ".." + number(range.last);
}

struct PlaceFault {
    std::string place;
    std::string what;
};

// The scan names the end of the record before; what was written next, if it was another group, began at the next block.
void add_group_place(PlaceFault& fault) {
    const auto digits = fault.place.find_last_not_of("0123456789") + 1;
    if (digits == fault.place.size() || digits == 0 || fault.place[digits - 1] != ':') return;
    const std::uint64_t offset = std::stoull(fault.place.substr(digits));
    const std::uint64_t group = round_up(offset, std::uint64_t{journal::block_bytes});
    if (group != offset) fault.what += " (the next write group's place is offset " + number(group) + ")";
}

// The scan's "FILE:OFFSET: what; FILE:OFFSET: what" one by one.
std::vector<PlaceFault> split_faults(std::string_view all, const std::string& directory) {
    std::vector<PlaceFault> faults;
    while (!all.empty()) {
        const auto next = all.find("; " + directory + "/");
        const std::string_view one = all.substr(0, next);
        const auto colon = one.find(": ");
        const bool has_place = one.starts_with(directory) && colon != std::string_view::npos;
        faults.push_back({std::string(has_place ? one.substr(0, colon) : std::string_view(directory)),
                          std::string(has_place ? one.substr(colon + 2) : one)});
        add_group_place(faults.back());
        all = next == std::string_view::npos ? std::string_view() : all.substr(next + 2);
    }
    return faults;
}

// The edge-wide counts only grow while one process runs; a crash may take back what no batch had carried yet. (What was shed or
// expired of sequences may shrink: events that central turned out to have were not.)
bool has_shrunk(const wire::BatchHeader& older, const wire::BatchHeader& newer) {
    const wire::LedgerTotals& from = older.totals;
    const wire::LedgerTotals& to = newer.totals;
    if (to.shed_unsequenced(newer.last_sequence()) < from.shed_unsequenced(older.last_sequence())) return true;
    return to.offered < from.offered || to.duplicates < from.duplicates || to.rejected < from.rejected ||
           to.dead_lettered < from.dead_lettered || to.gap < from.gap;
}

}  // namespace

std::string_view text(FaultKind kind) noexcept {
    switch (kind) {
        case FaultKind::missing_at_central:
            return "missing-at-central";
        case FaultKind::lost:
            return "lost";
        case FaultKind::missing_in_spool:
            return "missing-in-spool";
        case FaultKind::duplicate:
            return "duplicate";
        case FaultKind::order:
            return "order";
        case FaultKind::chain:
            return "chain";
        case FaultKind::totals:
            return "totals";
        case FaultKind::frames:
            return "frames";
        case FaultKind::diverged:
            return "diverged";
        case FaultKind::damaged:
            return "damaged";
        case FaultKind::checkpoint:
            return "checkpoint";
    }
    return "?";
}

StreamKey key_of(const wire::BatchHeader& batch) {
    return {std::string(wire::name_of(batch.edge_id)), batch.lineage, batch.lane, batch.part};
}

std::size_t Audit::add_journal(std::string directory, bool is_spool) {
    JournalSeen& seen = journals_.emplace_back();
    seen.directory = std::move(directory);
    seen.is_spool = is_spool;
    return journals_.size() - 1;
}

void Audit::take(std::size_t journal, const wire::BatchHeader& batch, const FramesSeen& frames, Position position) {
    JournalSeen& seen = journals_[journal];
    ++seen.records;
    seen.last_record = position;
    if (batch.kind == wire::BatchKind::tick || batch.count == 0) return;  // central's own record of time

    const StreamKey key = key_of(batch);
    Stream& stream = streams_[key];
    stream.lane_name = wire::name_of(batch.lane_name);
    if (seen.is_spool) stream.spool_journal = journal;
    Log& log = seen.is_spool ? stream.spool : stream.central;
    const Mark mark{.first = batch.first_sequence,
                    .count = batch.count,
                    .header_crc = batch.header_crc,
                    .position = position,
                    .journal = static_cast<std::uint32_t>(journal),
                    .kind = batch.kind};
    const Range range{mark.first, mark.last()};
    if (range.first == 0 || range.last < range.first) {
        return fault(FaultKind::order, key, stream, range, place_of(mark), "no sequence is like that");
    }
    if (batch.kind == wire::BatchKind::events && frames.count != batch.count) {
        fault(FaultKind::frames, key, stream, range, place_of(mark),
              "its body holds " + number(frames.count) + " events, its header says " + number(batch.count));
    }
    follow(key, stream, log, mark, batch);
    check_totals(key, stream, log, mark, batch);
    log.marks.push_back(mark);
    if (batch.kind == wire::BatchKind::events) {
        log.events.add(range);
        for (const std::uint32_t index : frames.unverified)
            log.set_aside.add({range.first + index, range.first + index});
        log.newest = batch;
        ++log.batches;
    } else {
        RangeSet& of_reason = batch.flags == wire::gap_elsewhere ? log.elsewhere
                              : batch.flags == wire::gap_shed    ? log.shed
                              : batch.flags == wire::gap_expired ? log.expired
                                                                 : log.gaps;
        of_reason.add(range);
    }
}

// Duplicates, order and chain: what the record before it in the same stream says of this one.
void Audit::follow(const StreamKey& key, Stream& stream, Log& log, const Mark& mark, const wire::BatchHeader& batch) {
    const Sequence last = log.all.last();
    const auto again = log.all.add({mark.first, mark.last()});
    log.duplicates += count_of(again);
    for (const Range& range : again) {
        fault(FaultKind::duplicate, key, stream, range, place_of(mark), "these were in the same journal before");
    }
    if (mark.first <= last && again.empty()) {
        fault(FaultKind::order, key, stream, {mark.first, mark.last()}, place_of(mark),
              "they come behind sequence " + number(last));
    }
    // Only what follows on directly can be checked: a hole or a gap stands for batches that nobody can show.
    if (mark.kind != wire::BatchKind::events || !again.empty() || mark.first != last + 1) return;
    const std::uint32_t expected = log.marks.empty() ? 0 : log.marks.back().header_crc;
    const bool is_after_gap = !log.marks.empty() && log.marks.back().kind == wire::BatchKind::gap;
    if (!is_after_gap && batch.previous_crc != expected) {
        fault(FaultKind::chain, key, stream, {mark.first, mark.last()}, place_of(mark),
              "the batch does not follow on the one before it");
    }
}

void Audit::check_totals(const StreamKey& key, Stream& stream, const Log& log, const Mark& mark,
                         const wire::BatchHeader& batch) {
    if (batch.kind != wire::BatchKind::events) return;  // a gap carries the totals of what the spool last had
    const Range range{mark.first, mark.last()};
    // What was accepted and has no sequence was shed (core/wire/FORMAT.md).
    const std::uint64_t unsequenced = batch.totals.shed_unsequenced(batch.last_sequence());
    if (batch.totals.accepted < batch.last_sequence() || unsequenced > batch.totals.shed) {
        fault(FaultKind::totals, key, stream, range, place_of(mark),
              "the edge had accepted " + number(batch.totals.accepted) + " with this batch, its sequences say " +
                  number(batch.last_sequence()) + " and " + number(batch.totals.shed) + " were shed");
    }
    if (log.batches == 0 || batch.first_sequence < log.newest.first_sequence) return;
    if (batch.epoch < log.newest.epoch) {
        fault(FaultKind::order, key, stream, range, place_of(mark),
              "of epoch " + number(batch.epoch) + ", behind epoch " + number(log.newest.epoch));
    } else if (batch.epoch == log.newest.epoch && has_shrunk(log.newest, batch)) {
        fault(FaultKind::totals, key, stream, range, place_of(mark),
              "the edge's totals are less than in the batch before");
    }
}

void Audit::central_knows(const StreamKey& key, std::string_view lane_name, Sequence last_sequence,
                          std::uint32_t header_crc) {
    if (last_sequence == 0) return;
    Stream& stream = streams_[key];
    stream.lane_name = lane_name;
    stream.checkpoint_last = last_sequence;
    stream.checkpoint_crc = header_crc;
}

void Audit::central_released(const StreamKey& key, std::string_view lane_name, Sequence last_sequence) {
    if (last_sequence == 0) return;
    Stream& stream = streams_[key];
    stream.lane_name = lane_name;
    stream.released_last = std::max(stream.released_last, last_sequence);
}

void Audit::edge_knows(std::optional<std::size_t> journal, const StreamKey& key, const EdgeLane& lane) {
    if (lane.last_sequence == 0) return;
    Stream& stream = streams_[key];
    stream.lane_name = lane.lane_name;
    if (journal) stream.spool_journal = journal;
    stream.edge = lane;
}

void Audit::once_held(std::size_t journal, const wire::BatchHeader& batch) {
    if (batch.kind == wire::BatchKind::tick || batch.count == 0) return;
    Stream& stream = streams_[key_of(batch)];
    stream.lane_name = wire::name_of(batch.lane_name);
    if (journals_[journal].is_spool) stream.spool_journal = journal;
    Sequence& had = journals_[journal].is_spool ? stream.spool_had : stream.central_had;
    had = std::max(had, batch.last_sequence());
}

void Audit::central_was_read() {
    was_central_read_ = true;
    for (auto& [key, stream] : streams_) stream.central_read_last = stream.central.all.last();
}

std::string Audit::edge_of(std::uint64_t lineage) const {
    for (const auto& [key, stream] : streams_) {
        if (key.lineage == lineage) return key.edge;
    }
    return "?";
}

Report Audit::close() {
    if (!was_central_read_) central_was_read();
    Report report;
    for (auto& [key, stream] : streams_) {
        StreamReport& one = report.streams.emplace_back();
        one.key = key;
        one.lane_name = stream.lane_name;
        judge(key, stream, one);
        judge_spool(key, stream);
        judge_identity(key, stream);
        judge_checkpoints(key, stream);
    }
    for (std::size_t index = 0; index < journals_.size(); ++index) {
        report.records += journals_[index].records;
        judge_journal(index);
    }
    report.faults = std::move(faults_);
    report.notes = std::move(notes_);
    return report;
}

// A central that is not among those that the edge remembers is taken for the one that it had before it remembered any.
Audit::Acked Audit::acked(const Stream& stream) const {
    if (!stream.edge) return {};
    Acked acked;
    const std::uint32_t identity = central_id_ == 0 ? 0 : wire::central_identity(central_id_);
    const auto is_here = [&](const CentralAck& one) { return one.identity == identity; };
    if (std::any_of(stream.edge->acks.begin(), stream.edge->acks.end(), is_here)) {
        for (const CentralAck& one : stream.edge->acks) {
            Sequence& last = is_here(one) ? acked.here : acked.elsewhere;
            last = std::max(last, one.last_sequence);
        }
    }
    if (stream.edge->delivered_sequence > acked.elsewhere) {
        acked.here = std::max(acked.here, stream.edge->delivered_sequence);
    }
    return acked;
}

// The account: every number that is known of is an event at central, in a gap, held, or missing.
void Audit::judge(const StreamKey& key, Stream& stream, StreamReport& report) {
    const Log& central = stream.central;
    const auto [delivered, elsewhere] = acked(stream);
    const Sequence at_central =
        std::max({central.all.last(), stream.checkpoint_last, delivered, stream.central_had, stream.released_last});
    const Sequence settled = std::max(at_central, elsewhere);
    const Sequence known =
        std::max({settled, stream.spool.all.last(), stream.spool_had, stream.edge ? stream.edge->last_sequence : 0});
    if (stream.released_last > 0) report.expired = central.all.missing({1, stream.released_last});
    for (const Range& hole : central.all.missing({stream.released_last + 1, at_central})) {
        const bool is_end = hole.first > central.all.last();
        const char* what = "a hole between what came before and behind";
        if (is_end && hole.last <= stream.central_had) {
            what = "the journal ends before; records that were cut loose behind its end are not read";
        } else if (is_end && hole.last <= stream.checkpoint_last) {
            what = "the journal ends before; central's checkpoint had them";
        } else if (is_end) {
            what = "the journal ends before; central had acked them to the edge";
        }
        for (const Range& range : stream.spool.all.common(hole)) {
            fault(FaultKind::missing_at_central, key, stream, range, place_before(central, range.first),
                  std::string(what) + "; the edge's spool still holds them");
        }
        for (const Range& range : stream.spool.all.missing(hole)) {
            fault(FaultKind::missing_at_central, key, stream, range, place_before(central, range.first), what);
        }
        report.missing.push_back(hole);
    }
    // What the edge has given up and not named yet.
    RangeSet accounted = stream.spool.all;
    for (const GivenUpRange& one : stream.edge ? stream.edge->given_up : std::vector<GivenUpRange>()) {
        const Range range{std::max(one.first_sequence, settled + 1), one.first_sequence + one.count - 1};
        if (range.last < range.first) continue;
        accounted.add(range);
        std::vector<Range>& of_reason = one.reason == wire::gap_expired ? report.expired
                                        : one.reason == wire::gap_shed  ? report.shed
                                                                        : report.gaps;
        of_reason.push_back(range);
    }
    // The next start names what is not in the memory of a lane that lives there.
    if (stream.edge && stream.edge->in_memory) {
        report.promised = accounted.missing({settled + 1, stream.edge->last_sequence});
        for (const Range& one : report.promised) accounted.add(one);
    }
    for (const Range& hole : accounted.missing({settled + 1, known})) {
        fault(FaultKind::lost, key, stream, hole, place_before(stream.spool, hole.first),
              "neither at central nor in the spool");
        report.missing.push_back(hole);
    }
    report.held = held_of(stream.spool.all.common({settled + 1, known}), report);
    report.batches = central.batches;
    report.set_aside = central.set_aside.all();
    report.events = central.events.count() - central.set_aside.count();
    report.duplicates = central.duplicates;
    const auto gaps = central.gaps.all();
    report.gaps.insert(report.gaps.begin(), gaps.begin(), gaps.end());
    const auto shed = central.shed.all(), expired = central.expired.all();
    report.shed.insert(report.shed.begin(), shed.begin(), shed.end());
    report.expired.insert(report.expired.begin(), expired.begin(), expired.end());
    report.elsewhere = central.elsewhere.all();
    if (settled > at_central) report.elsewhere.push_back({at_central + 1, settled});
    report.last_sequence = central.all.last();
    report.known_sequence = known;
    report.has_spool = stream.spool_journal.has_value();
    report.spool_first_sequence = stream.spool.all.first();
    report.spool_last_sequence = stream.spool.all.last();
    const bool is_spool_newer = stream.spool.newest.totals.accepted > central.newest.totals.accepted;
    report.totals = is_spool_newer ? stream.spool.newest.totals : central.newest.totals;
}

// What central has and the spool should still keep. Whole segments are released at the front, single records never.
void Audit::judge_spool(const StreamKey& key, Stream& stream) {
    if (!stream.spool_journal) return;
    SpoolState& state = spools_[*stream.spool_journal];
    const RangeSet& kept = stream.spool.all;
    Sequence first = 1;
    if (const Position kept_from = journals_[*stream.spool_journal].kept_from; kept_from.value > 0) {
        const auto found = std::find_if(stream.spool.marks.begin(), stream.spool.marks.end(),
                                        [&](const Mark& mark) { return mark.position >= kept_from; });
        if (found == stream.spool.marks.end()) return;  // all that it had of this lane may have been released
        first = found->first;
    }
    const Sequence last = std::max(
        {kept.last(), stream.central_read_last, stream.spool_had, stream.edge ? stream.edge->last_sequence : 0});
    for (const Range& hole : kept.missing({first, last})) {
        for (const Range& range : stream.central.events.common(hole)) {
            fault(FaultKind::missing_in_spool, key, stream, range, place_before(stream.spool, range.first),
                  "central has them; the spool, which must still keep them, has not");
        }
        // What a gap at central stands for is accounted: the edge itself has said that it is gone.
        std::uint64_t named = 0;
        for (const RangeSet* of_reason :
             {&stream.central.gaps, &stream.central.shed, &stream.central.expired, &stream.central.elsewhere}) {
            named += count_of(of_reason->common(hole));
        }
        if (named > 0) state.has_gap = true;
        if (named != hole.count()) state.has_fault = true;
    }
}

// Where both sides have a batch it must be the same one.
void Audit::judge_identity(const StreamKey& key, Stream& stream) {
    std::vector<Mark>& there = stream.central.marks;
    if (stream.spool.marks.empty() || there.empty()) return;
    std::stable_sort(there.begin(), there.end(), [](const Mark& a, const Mark& b) { return a.first < b.first; });
    for (const Mark& mark : stream.spool.marks) {
        const auto shared = stream.central.events.common({mark.first, mark.last()});
        if (shared.empty()) continue;
        const auto found = std::lower_bound(there.begin(), there.end(), mark.first,
                                            [](const Mark& one, Sequence first) { return one.first < first; });
        const bool is_same = found != there.end() && found->first == mark.first && found->count == mark.count &&
                             found->header_crc == mark.header_crc;
        if (is_same) continue;
        fault(FaultKind::diverged, key, stream, {shared.front().first, shared.back().last}, place_of(mark),
              "the spool's batch " + range_text({mark.first, mark.last()}) + " is not the one that central has");
    }
}

void Audit::judge_checkpoints(const StreamKey& key, Stream& stream) {
    const auto contradicts = [](const Log& log, Sequence last_sequence, std::uint32_t header_crc) {
        return std::any_of(log.marks.begin(), log.marks.end(), [&](const Mark& mark) {
            return mark.last() == last_sequence && mark.header_crc != header_crc;
        });
    };
    if (contradicts(stream.central, stream.checkpoint_last, stream.checkpoint_crc)) {
        fault(FaultKind::checkpoint, key, stream, {stream.checkpoint_last, stream.checkpoint_last}, "",
              "central's checkpoint knows another batch that ends there than its journal has");
    }
    if (stream.edge && contradicts(stream.spool, stream.edge->last_sequence, stream.edge->header_crc)) {
        fault(FaultKind::checkpoint, key, stream, {stream.edge->last_sequence, stream.edge->last_sequence}, "",
              "the spool-checkpoint knows another batch that ends there than the spool has");
    }
}

// Damage, and records that a checkpoint says were durable behind the end of what can be read.
void Audit::judge_journal(std::size_t index) {
    const JournalSeen& seen = journals_[index];
    std::vector<Fault> found;
    const auto add = [&](FaultKind kind, std::string place, std::string what) {
        found.push_back({kind, std::nullopt, {}, {}, std::move(place), std::move(what)});
    };
    for (const auto& one : split_faults(seen.fault, seen.directory)) add(FaultKind::damaged, one.place, one.what);
    const Position end = std::max(seen.end, seen.kept_from);
    if (seen.checkpoint_end > end) {
        add(FaultKind::checkpoint, place_of(index, end),
            "nothing whole lies here or behind, but a checkpoint knows records up to position " +
                number(seen.checkpoint_end.value));
    }
    if (seen.checkpoint_record.value > 0 && (seen.records == 0 || seen.checkpoint_record > seen.last_record)) {
        add(FaultKind::checkpoint, place_of(index, end),
            "nothing whole lies here or behind, but a checkpoint knows a record at position " +
                number(seen.checkpoint_record.value));
    }
    // An edge's damage is accounted when central has a gap for all that it took.
    const SpoolState state = spools_[index];
    if (seen.is_spool && state.has_gap && !state.has_fault) {
        for (const Fault& one : found) notes_.push_back(one.place + ": " + one.what + " (central has a gap for it)");
        return;
    }
    faults_.insert(faults_.end(), found.begin(), found.end());
}

void Audit::fault(FaultKind kind, const StreamKey& key, const Stream& stream, Range range, std::string place,
                  std::string what) {
    faults_.push_back({kind, key, stream.lane_name, range, std::move(place), std::move(what)});
}

std::string Audit::place_of(std::size_t journal, Position position) const {
    const JournalSeen& seen = journals_[journal];
    if (seen.segment_bytes == 0) return seen.directory;
    return seen.directory + "/" + journal::segment_file_name(position.value / seen.segment_bytes) + ":" +
           number(position.value % seen.segment_bytes);
}

std::string Audit::place_before(const Log& log, Sequence sequence) const {
    const Mark* before = nullptr;
    for (const Mark& mark : log.marks) {
        if (mark.last() < sequence && (before == nullptr || mark.last() > before->last())) before = &mark;
    }
    return before == nullptr ? std::string() : "behind the record at " + place_of(*before);
}

}  // namespace weir::central::audit
