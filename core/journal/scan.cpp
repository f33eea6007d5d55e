#include "core/journal/scan.hpp"

#include <algorithm>
#include <utility>

#include "core/journal/posix_file.hpp"
#include "core/wire/frame.hpp"

namespace weir::journal {
namespace {

using Found = RecordReader::Found;

// Looking again at an end that was clean goes this far, not through the whole rest: a tool that follows stays cheap.
constexpr std::uint64_t search_again_bytes = 16U << 20;
constexpr std::size_t fault_bytes_max = 2048;

}  // namespace

struct Scanner::State {
    struct Candidate {
        Position position{};
        bool is_proof = false;
    };

    explicit State(const std::string& directory) : reader(directory) {}

    RecordReader reader;
    std::uint64_t at = 0;  // where the next record is looked for
    bool is_chained = false;
    std::uint32_t previous_crc = 0;
    std::uint64_t good_end = 0;
    std::uint64_t expected = UINT64_MAX;  // UINT64_MAX: nobody says
    bool has_ended = false;               // nothing more was found while so much was expected
    bool has_met_end = false;
    bool is_after_trim = false;  // the next record is
    std::uint64_t searched_at = UINT64_MAX;
    // A whole record further on says that all before this was durable when it was written.
    std::uint64_t proven_until = 0;
    std::string fault;
    std::uint64_t damaged = 0;
    std::vector<std::uint64_t> damaged_segments;
    std::vector<std::uint64_t> locked_segments;

    bool refresh();
    void begin(Position from);
    std::optional<RecordView> step();
    std::optional<RecordView> try_step(bool& again);
    std::optional<RecordView> look(RecordView& view);
    std::optional<RecordView> take(const RecordView& view);
    std::optional<RecordView> at_failure(bool& again);
    std::optional<RecordView> over_locked();
    void note_locked();
    [[nodiscard]] bool has_locked(std::uint64_t from, std::uint64_t to) const;
    [[nodiscard]] std::uint64_t unproven_end_of(std::uint64_t failed_at);
    std::optional<Candidate> search(std::uint64_t from, std::uint64_t limit, std::uint64_t failed_at);
    void skip_broken(const RecordView& view);
    bool was_trimmed();
    void count_damaged(std::uint64_t place);
    void note(const std::string& what);
    // What lies there, and whether it follows on what was taken last, where that is known.
    Found examine(std::uint64_t place, RecordView& view) {
        return reader.examine(place, is_chained ? std::optional(previous_crc) : std::nullopt, view);
    }
    [[nodiscard]] const std::vector<SegmentInfo>& segments() const { return reader.list().segments; }
};

bool Scanner::State::refresh() {
    if (const Status listed = reader.refresh(); !listed) {
        note(listed.error().what);
        return false;
    }
    note_locked();
    return true;
}

// Each once; one line for all that are first met together.
void Scanner::State::note_locked() {
    std::string found;
    for (const SegmentInfo& info : segments()) {
        const std::uint64_t index = info.header.segment_index;
        if (!info.is_locked || (!locked_segments.empty() && locked_segments.back() >= index)) continue;
        if (locked_segments.size() >= damaged_segments_max) break;
        locked_segments.push_back(index);
        if (found.empty()) found = info.path + ": key " + std::to_string(info.header.key_id) + " is not here";
    }
    if (!found.empty()) note(found + "; it and others are left as they are: unreadable, not damaged");
}

void Scanner::State::begin(Position from) {
    at = from.value;
    good_end = at;
    if (segments().empty()) return;
    const std::uint64_t first = segments().front().header.segment_index;
    if (at <= reader.first_place(first)) {
        at = reader.first_place(first);
        is_chained = first == 0;  // the first record of a trimmed journal has a predecessor that is gone
    } else if (at % reader.segment_bytes() < segment_header_bytes) {
        at = reader.first_place(reader.index_of(at));
    }
    good_end = at;
}

std::optional<RecordView> Scanner::State::step() {
    for (;;) {
        bool again = false;
        auto found = try_step(again);
        if (!again) return found;
    }
}

std::optional<RecordView> Scanner::State::try_step(bool& again) {
    if (reader.segment_bytes() == 0) {
        if (!refresh() || segments().empty()) return std::nullopt;
        begin({at});
    }
    if (at % reader.segment_bytes() == 0) at += segment_header_bytes;  // the segment before was filled to its last byte
    const std::uint64_t index = reader.index_of(at);
    RecordView view;
    if (auto record = look(view)) return record;
    // What was read ahead may be older than what a writer beside us has put there since.
    reader.forget();
    if (auto record = look(view)) return record;
    if (reader.segment(index + 1) == nullptr && !refresh()) return std::nullopt;
    // Without a chain, only an end of this segment in which no record lies lets the next segment follow on.
    const bool may_roll =
        is_chained || (reader.segment(index) != nullptr && !search(at, reader.end_place(index), at).has_value());
    if (may_roll && examine(reader.first_place(index + 1), view) == Found::whole) return take(view);
    if (auto behind = over_locked()) return behind;
    return at_failure(again);
}

// What follows on here or at the next block.
std::optional<RecordView> Scanner::State::look(RecordView& view) {
    if (examine(at, view) == Found::whole) return take(view);
    const std::uint64_t next_block = round_up(at, block_bytes);
    if (next_block == at || next_block >= reader.end_place(reader.index_of(at))) return std::nullopt;
    if (examine(next_block, view) == Found::whole) return take(view);
    return std::nullopt;
}

// The first record of the first segment that can be read behind locked ones, if nothing but those lies between here and there.
// What they hold is missing, and known to be: its chain is taken on trust.
std::optional<RecordView> Scanner::State::over_locked() {
    const std::uint64_t index = reader.index_of(at);
    const SegmentInfo* here = reader.listed(index);
    const auto next = std::find_if(segments().begin(), segments().end(), [&](const SegmentInfo& info) {
        return !info.is_locked && info.header.segment_index > index;
    });
    if (next == segments().end()) return std::nullopt;
    const bool is_here_readable = here != nullptr && !here->is_locked;
    const std::uint64_t first_between = is_here_readable ? index + 1 : index;
    if (first_between == next->header.segment_index) return std::nullopt;
    for (std::uint64_t between = first_between; between < next->header.segment_index; ++between) {
        const SegmentInfo* info = reader.listed(between);
        if (info == nullptr || !info->is_locked) return std::nullopt;
    }
    RecordView view;
    // Something of this segment is still to come: it is damaged, not at its end.
    if (is_here_readable &&
        (reader.examine(at, std::nullopt, view) != Found::nothing || search(at, reader.end_place(index), at))) {
        return std::nullopt;
    }
    if (reader.examine(reader.first_place(next->header.segment_index), std::nullopt, view) != Found::whole)
        return std::nullopt;
    return take(view);
}

std::optional<RecordView> Scanner::State::take(const RecordView& view) {
    at = view.end.value;
    good_end = at;
    is_chained = true;
    previous_crc = view.header.crc;
    searched_at = UINT64_MAX;
    RecordView taken = view;
    taken.is_after_trim = std::exchange(is_after_trim, false);
    return taken;
}

// Nothing that follows on lies at `at`. Either the journal ends here, or what was here is damaged: a later record that
// was written when this place was already durable proves it. Without a proof it is the tail, torn or not.
std::optional<RecordView> Scanner::State::at_failure(bool& again) {
    const std::uint64_t failed_at = at;
    const auto go_on = [&again] {
        again = true;
        return std::nullopt;
    };
    if (was_trimmed()) return go_on();
    // Known already to have been durable: no search, so that many damaged records in a row cost one each.
    RecordView broken;
    if (proven_until > unproven_end_of(failed_at) && examine(failed_at, broken) == Found::broken_body) {
        skip_broken(broken);
        return go_on();
    }
    const std::uint64_t limit = searched_at == failed_at ? failed_at + search_again_bytes : UINT64_MAX;
    searched_at = failed_at;
    const auto candidate = search(failed_at, limit, failed_at);
    has_met_end = has_met_end || !candidate;
    // A writer beside us may have filled the place since we read it: look once more at what the disk holds now.
    reader.forget();
    RecordView view;
    const std::uint64_t next_block = round_up(failed_at, block_bytes);
    const std::uint64_t index = reader.index_of(failed_at);
    if (examine(failed_at, view) == Found::whole) return take(view);
    if (next_block < reader.end_place(index) && examine(next_block, view) == Found::whole) return take(view);
    if (is_chained && examine(reader.first_place(index + 1), view) == Found::whole) return take(view);
    if (!candidate || !candidate->is_proof) return std::nullopt;
    if (was_trimmed()) return go_on();

    if (examine(failed_at, view) == Found::broken_body) {
        skip_broken(view);
    } else {
        count_damaged(has_locked(failed_at, candidate->position.value) ? candidate->position.value : failed_at);
        note(reader.place_text(failed_at) + ": no whole record up to position " +
             std::to_string(candidate->position.value) + "; reading goes on there");
        at = candidate->position.value;
        is_chained = false;
    }
    searched_at = UINT64_MAX;
    return go_on();
}

void Scanner::State::skip_broken(const RecordView& view) {
    count_damaged(at);
    note(reader.place_text(at) + ": a record's body does not match its checksum; it is skipped");
    at = view.end.value;
    good_end = at;
    is_chained = true;
    previous_crc = view.header.crc;
    searched_at = UINT64_MAX;
}

// The rest of the block that `failed_at` lies in became durable with the record before it: only what is durable beyond that
// block proves anything. But where a record's head stands whole, being durable beyond it is being durable with it.
std::uint64_t Scanner::State::unproven_end_of(std::uint64_t failed_at) {
    RecordView view;
    if (examine(failed_at, view) == Found::broken_body) return failed_at;
    const std::uint64_t end = round_up(failed_at, block_bytes);
    // Where a writer started in the segment that begins there.
    return end % reader.segment_bytes() == 0 ? end + segment_header_bytes : end;
}

// The first whole record at or behind `from`, and whether it or one behind it proves that `failed_at` was durable.
std::optional<Scanner::State::Candidate> Scanner::State::search(std::uint64_t from, std::uint64_t limit,
                                                                std::uint64_t failed_at) {
    const std::uint64_t unproven_end = unproven_end_of(failed_at);
    std::optional<Candidate> candidate;
    RecordView view;
    for (const SegmentInfo& info : segments()) {
        const std::uint64_t index = info.header.segment_index;
        if (info.is_locked || reader.end_place(index) <= from) continue;
        const std::uint32_t magic = info.header.key_id == 0 ? record_magic : sealed_magic;
        const std::uint64_t end = std::min(reader.end_place(index), limit);
        for (std::uint64_t place = std::max(from, reader.first_place(index)); place + sizeof(RecordHeader) < end;) {
            const ConstBytes bytes = reader.read(place, sizeof(RecordHeader));
            if (bytes.empty()) {
                place = round_up(place + 1, block_bytes);  // unreadable: a bad sector must not hide what follows
                continue;
            }
            if (wire::load<std::uint32_t>(bytes) != magic ||
                reader.examine(place, std::nullopt, view) != Found::whole) {
                place += wire::frame_alignment;
                continue;
            }
            if (place != failed_at || !is_chained) {
                if (!candidate) candidate = Candidate{{place}, false};
                if (view.header.durable_before > unproven_end) {
                    candidate->is_proof = true;
                    proven_until = std::max(proven_until, view.header.durable_before);
                    return candidate;
                }
            }
            place = view.end.value;
        }
    }
    return candidate;
}

// True, and stands at the first segment kept behind it, if the segment that we stand in was released beside us. Before it some may lie that
// nobody may delete: their key is not here.
bool Scanner::State::was_trimmed() {
    if (!refresh()) return false;
    const std::uint64_t index = reader.index_of(at);
    if (reader.listed(index) != nullptr) return false;
    const bool is_kept_before = std::any_of(segments().begin(), segments().end(), [&](const SegmentInfo& info) {
        return info.header.segment_index < index && !info.is_locked;
    });
    if (is_kept_before) return false;  // one that is missing between others
    const auto kept = std::find_if(segments().begin(), segments().end(),
                                   [&](const SegmentInfo& info) { return info.header.segment_index > index; });
    if (kept == segments().end()) return false;
    const std::uint64_t first = kept->header.segment_index;
    const std::string own = segment_file_name(index);
    for (const auto& bad : reader.list().bad) {
        if (bad.find(own) != std::string::npos) return false;
    }
    at = reader.first_place(first);
    good_end = at;
    is_chained = false;
    is_after_trim = true;
    reader.forget();
    return true;
}

// What is damaged between the two is then not known to be of the first one's segment.
bool Scanner::State::has_locked(std::uint64_t from, std::uint64_t to) const {
    return std::any_of(segments().begin(), segments().end(), [&](const SegmentInfo& info) {
        const std::uint64_t index = info.header.segment_index;
        return info.is_locked && index >= reader.index_of(from) && index < reader.index_of(to);
    });
}

void Scanner::State::count_damaged(std::uint64_t place) {
    ++damaged;
    const std::uint64_t index = reader.index_of(place);
    const bool is_known = std::find(damaged_segments.begin(), damaged_segments.end(), index) != damaged_segments.end();
    if (!is_known && damaged_segments.size() < damaged_segments_max) damaged_segments.push_back(index);
}

void Scanner::State::note(const std::string& what) {
    if (fault.size() + what.size() > fault_bytes_max) return;
    if (!fault.empty()) fault += "; ";
    fault += what;
}

Scanner::Scanner(std::unique_ptr<State> state) : state_(std::move(state)) {}
Scanner::Scanner(Scanner&&) noexcept = default;
Scanner& Scanner::operator=(Scanner&&) noexcept = default;
Scanner::~Scanner() = default;

Result<Scanner> Scanner::open(const std::string& directory, Position from, std::optional<std::uint32_t> previous_crc) {
    auto state = std::make_unique<State>(directory);
    if (const Status listed = state->reader.refresh(); !listed) return listed.error();
    for (const auto& bad : state->reader.list().bad) state->note(bad);
    state->note_locked();
    state->begin(from);
    if (previous_crc) {
        state->is_chained = true;
        state->previous_crc = *previous_crc;
    }
    return Scanner(std::move(state));
}

std::optional<RecordView> Scanner::next() {
    if (state_->has_ended || state_->reader.is_beyond_expected(state_->at)) {
        state_->reader.forget();
        return std::nullopt;
    }
    auto record = state_->step();
    state_->has_ended = !record && state_->expected != UINT64_MAX;
    if (!record) state_->reader.forget();  // the next look must see the disk, not what was read before
    return record;
}

Tail Scanner::tail() const {
    Tail tail{.end = {round_up(state_->good_end, block_bytes)}, .previous_crc = state_->previous_crc};
    // A segment that could not be read is never written over: the journal goes on behind it.
    std::uint64_t segment_bytes = state_->reader.segment_bytes();
    std::uint64_t beyond = 0;
    for (const SegmentInfo& info : state_->segments()) {
        if (info.is_locked) beyond = info.header.segment_index + 1;
    }
    for (const auto& bad : state_->reader.list().bad) {
        const std::string path = bad.substr(0, bad.find(": ", state_->reader.directory().size()));
        const auto index = segment_index_of(std::string_view(path).substr(path.find_last_of('/') + 1));
        if (!index) continue;
        if (segment_bytes == 0) segment_bytes = PosixFile(path, O_RDONLY).file_bytes();
        beyond = std::max(beyond, *index + 1);
    }
    if (state_->reader.has_read_error() && segment_bytes != 0) {
        beyond = std::max(beyond, state_->good_end / segment_bytes + 1);
    }
    if (segment_bytes != 0) tail.end.value = std::max(tail.end.value, beyond * round_up(segment_bytes, block_bytes));
    return tail;
}

void Scanner::expect(Position written) {
    if (state_->expected != written.value) state_->has_ended = false;
    state_->expected = written.value;
    state_->reader.expect(written);
}
void Scanner::read_recent_from(const RecentBytes& recent) {
    state_->reader.read_recent_from(recent);
}
std::uint64_t Scanner::bytes_from_memory() const {
    return state_->reader.bytes_from_memory();
}
std::uint64_t Scanner::bytes_from_disk() const {
    return state_->reader.bytes_from_disk();
}
const std::string& Scanner::fault() const {
    return state_->fault;
}
void Scanner::on_segment(std::function<void(std::uint64_t)> told) {
    state_->reader.on_segment(std::move(told));
}
void Scanner::read_in_pieces(std::uint64_t bytes, std::function<void(std::uint64_t)> told) {
    state_->reader.read_in_pieces(bytes, std::move(told));
}
bool Scanner::has_met_end() const {
    return state_->has_met_end;
}
const std::vector<std::uint64_t>& Scanner::damaged_segments() const {
    return state_->damaged_segments;
}
const std::vector<std::uint64_t>& Scanner::locked_segments() const {
    return state_->locked_segments;
}
std::uint64_t Scanner::damaged_records() const {
    return state_->damaged;
}

}  // namespace weir::journal
