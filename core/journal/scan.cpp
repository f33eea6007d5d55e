#include "core/journal/scan.hpp"

#include <algorithm>
#include <cstring>

#include "core/journal/at_rest.hpp"
#include "core/journal/posix_file.hpp"
#include "core/wire/frame.hpp"

namespace weir::journal {
namespace {

constexpr std::size_t read_bytes = 1U << 20;
constexpr std::uint64_t batch_bytes_max = wire::frame_body_bytes_max;
// Looking again at an end that was clean goes this far, not through the whole rest: a tool that follows stays cheap.
constexpr std::uint64_t search_again_bytes = 16U << 20;
constexpr std::size_t fault_bytes_max = 2048;

// Empty if it is a whole segment, else why not.
std::string check_segment(const std::string& path, std::uint64_t index, SegmentHeader& header, bool& is_opened) {
    const PosixFile file(path, O_RDONLY);
    is_opened = file.is_open() || errno == EIO;
    if (!file.is_open()) return error_from_errno(errno, "open").what;
    const auto count = file.read(std::as_writable_bytes(std::span(&header, 1)), 0);
    if (count < 0) return error_from_errno(static_cast<int>(-count), "read").what;
    if (count != sizeof header) return "shorter than a segment header";
    if (header.magic != segment_magic) return "no segment magic";
    if (header.crc != segment_crc(header)) return "segment header's checksum does not match";
    if (header.version != journal_version && header.version != sealed_version) {
        return "unknown version " + std::to_string(header.version);
    }
    if ((header.version == sealed_version) != (header.key_id != 0)) return "its version and key do not agree";
    if (header.segment_index != index) return "its header says index " + std::to_string(header.segment_index);
    if (header.segment_bytes < 2 * block_bytes || header.segment_bytes % block_bytes != 0) return "impossible length";
    if (index > UINT64_MAX / header.segment_bytes - 2) return "impossible index";  // positions in it would wrap
    if (file.file_bytes() < header.segment_bytes) return "shorter than its header says";
    return {};
}

}  // namespace

Result<SegmentList> list_segments(const std::string& directory) {
    std::vector<std::string> names;
    if (io::files().list(directory, names) != 0) return error_from_errno(errno, "open " + directory);
    std::vector<std::uint64_t> indexes;
    for (const std::string& name : names) {
        if (const auto index = segment_index_of(name)) indexes.push_back(*index);
    }
    std::sort(indexes.begin(), indexes.end());

    SegmentList list;
    for (const std::uint64_t index : indexes) {
        SegmentInfo info{.path = directory + "/" + segment_file_name(index), .header = {}};
        bool is_opened = false;
        std::string why = check_segment(info.path, index, info.header, is_opened);
        if (why.empty() && !list.segments.empty()) {
            const SegmentHeader& first = list.segments.front().header;
            if (info.header.journal_id != first.journal_id) why = "belongs to another journal";
            if (info.header.segment_bytes != first.segment_bytes) why = "has another length than the first segment";
        }
        info.is_locked = info.header.key_id != 0 && !keyring().holds(info.header.key_id);
        if (why.empty()) {
            list.segments.push_back(std::move(info));
        } else if (io::files().exists(info.path)) {  // else it was trimmed while we looked
            list.bad.push_back(info.path + ": " + why);
            if (is_opened) list.damaged.push_back(index);
        }
    }
    return list;
}

struct Scanner::State {
    enum class Found : std::uint8_t { nothing, broken_body, whole };

    struct Candidate {
        Position position{};
        bool is_proof = false;
    };

    std::string directory;
    SegmentList list;
    std::uint64_t segment_bytes = 0;  // 0: no segment seen yet
    PosixFile file;
    std::uint64_t file_index = UINT64_MAX;
    std::uint64_t at = 0;  // where the next record is looked for
    bool is_chained = false;
    std::uint32_t previous_crc = 0;
    std::uint64_t good_end = 0;
    bool has_read_error = false;
    std::uint64_t searched_at = UINT64_MAX;
    std::uint64_t proven_until =
        0;  // a whole record further on says that all before this was durable when it was written
    std::string fault;
    std::uint64_t damaged = 0;
    std::vector<std::uint64_t> damaged_segments;
    std::vector<std::uint64_t> locked_segments;
    std::optional<RecordCipher> cipher;
    std::vector<std::byte> opened;  // the record that was decrypted last
    std::function<void(std::uint64_t)> on_segment;

    std::vector<std::byte> buffer;
    std::uint64_t buffer_position = 0;
    std::size_t buffer_bytes = 0;

    bool refresh();
    void begin(Position from);
    std::optional<RecordView> step();
    std::optional<RecordView> try_step(bool& again);
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

    Found examine(std::uint64_t place, bool wants_chain, RecordView& view);
    ConstBytes read(std::uint64_t place, std::size_t bytes);
    bool select(std::uint64_t index);
    void forget() { buffer_bytes = 0; }
    bool unseal(std::uint64_t index, RecordView& view);
    [[nodiscard]] const SegmentInfo* listed(std::uint64_t index) const;
    // nullptr: not there, or locked.
    [[nodiscard]] const SegmentInfo* segment(std::uint64_t index) const;
    [[nodiscard]] std::uint64_t first_place(std::uint64_t index) const {
        return index * segment_bytes + segment_header_bytes;
    }
    [[nodiscard]] std::uint64_t end_place(std::uint64_t index) const { return (index + 1) * segment_bytes; }
    [[nodiscard]] std::string place_text(std::uint64_t place) const;
};

bool Scanner::State::refresh() {
    auto listed = list_segments(directory);
    if (!listed) {
        note(listed.error().what);
        return false;
    }
    list = std::move(listed.value());
    if (segment_bytes == 0 && !list.segments.empty()) segment_bytes = list.segments.front().header.segment_bytes;
    note_locked();
    return true;
}

// Each once; one line for all that are first met together.
void Scanner::State::note_locked() {
    std::string found;
    for (const SegmentInfo& info : list.segments) {
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
    if (list.segments.empty()) return;
    const std::uint64_t first = list.segments.front().header.segment_index;
    if (at <= first_place(first)) {
        at = first_place(first);
        is_chained = first == 0;  // the first record of a trimmed journal has a predecessor that is gone
    } else if (at % segment_bytes < segment_header_bytes) {
        at = first_place(at / segment_bytes);
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
    if (segment_bytes == 0) {
        if (!refresh() || list.segments.empty()) return std::nullopt;
        begin({at});
    }
    if (at % segment_bytes == 0) at += segment_header_bytes;  // the segment before was filled to its last byte
    const std::uint64_t index = at / segment_bytes;
    RecordView view;
    if (examine(at, true, view) == Found::whole) return take(view);
    const std::uint64_t next_block = round_up(at, block_bytes);
    if (next_block != at && next_block < end_place(index) && examine(next_block, true, view) == Found::whole) {
        return take(view);
    }
    if (segment(index + 1) == nullptr && !refresh()) return std::nullopt;
    // Without a chain, only an end of this segment in which no record lies lets the next segment follow on.
    const bool may_roll = is_chained || (segment(index) != nullptr && !search(at, end_place(index), at).has_value());
    if (may_roll && examine(first_place(index + 1), true, view) == Found::whole) return take(view);
    if (auto behind = over_locked()) return behind;
    return at_failure(again);
}

// The first record of the first segment that can be read behind locked ones, if nothing but those lies between here and there.
// What they hold is missing, and known to be: its chain is taken on trust.
std::optional<RecordView> Scanner::State::over_locked() {
    const std::uint64_t index = at / segment_bytes;
    const SegmentInfo* here = listed(index);
    const auto next = std::find_if(list.segments.begin(), list.segments.end(), [&](const SegmentInfo& info) {
        return !info.is_locked && info.header.segment_index > index;
    });
    if (next == list.segments.end()) return std::nullopt;
    const bool is_here_readable = here != nullptr && !here->is_locked;
    const std::uint64_t first_between = is_here_readable ? index + 1 : index;
    if (first_between == next->header.segment_index) return std::nullopt;
    for (std::uint64_t between = first_between; between < next->header.segment_index; ++between) {
        const SegmentInfo* info = listed(between);
        if (info == nullptr || !info->is_locked) return std::nullopt;
    }
    RecordView view;
    // Something of this segment is still to come: it is damaged, not at its end.
    if (is_here_readable && (examine(at, false, view) != Found::nothing || search(at, end_place(index), at))) {
        return std::nullopt;
    }
    if (examine(first_place(next->header.segment_index), false, view) != Found::whole) return std::nullopt;
    return take(view);
}

std::optional<RecordView> Scanner::State::take(const RecordView& view) {
    at = view.end.value;
    good_end = at;
    is_chained = true;
    previous_crc = view.header.crc;
    searched_at = UINT64_MAX;
    return view;
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
    if (proven_until > unproven_end_of(failed_at) && examine(failed_at, true, broken) == Found::broken_body) {
        skip_broken(broken);
        return go_on();
    }
    const std::uint64_t limit = searched_at == failed_at ? failed_at + search_again_bytes : UINT64_MAX;
    searched_at = failed_at;
    const auto candidate = search(failed_at, limit, failed_at);
    // A writer beside us may have filled the place since we read it: look once more at what the disk holds now.
    forget();
    RecordView view;
    const std::uint64_t next_block = round_up(failed_at, block_bytes);
    const std::uint64_t index = failed_at / segment_bytes;
    if (examine(failed_at, true, view) == Found::whole) return take(view);
    if (next_block < end_place(index) && examine(next_block, true, view) == Found::whole) return take(view);
    if (is_chained && examine(first_place(index + 1), true, view) == Found::whole) return take(view);
    if (!candidate || !candidate->is_proof) return std::nullopt;
    if (was_trimmed()) return go_on();

    if (examine(failed_at, true, view) == Found::broken_body) {
        skip_broken(view);
    } else {
        count_damaged(has_locked(failed_at, candidate->position.value) ? candidate->position.value : failed_at);
        note(place_text(failed_at) + ": no whole record up to position " + std::to_string(candidate->position.value) +
             "; reading goes on there");
        at = candidate->position.value;
        is_chained = false;
    }
    searched_at = UINT64_MAX;
    return go_on();
}

void Scanner::State::skip_broken(const RecordView& view) {
    count_damaged(at);
    note(place_text(at) + ": a record's body does not match its checksum; it is skipped");
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
    if (examine(failed_at, true, view) == Found::broken_body) return failed_at;
    const std::uint64_t end = round_up(failed_at, block_bytes);
    // Where a writer started in the segment that begins there.
    return end % segment_bytes == 0 ? end + segment_header_bytes : end;
}

// The first whole record at or behind `from`, and whether it or one behind it proves that `failed_at` was durable.
std::optional<Scanner::State::Candidate> Scanner::State::search(std::uint64_t from, std::uint64_t limit,
                                                                std::uint64_t failed_at) {
    const std::uint64_t unproven_end = unproven_end_of(failed_at);
    std::optional<Candidate> candidate;
    RecordView view;
    for (const SegmentInfo& info : list.segments) {
        const std::uint64_t index = info.header.segment_index;
        if (info.is_locked || end_place(index) <= from) continue;
        const std::uint32_t magic = info.header.key_id == 0 ? record_magic : sealed_magic;
        const std::uint64_t end = std::min(end_place(index), limit);
        for (std::uint64_t place = std::max(from, first_place(index)); place + sizeof(RecordHeader) < end;) {
            const ConstBytes bytes = read(place, sizeof(RecordHeader));
            if (bytes.empty()) {
                place = round_up(place + 1, block_bytes);  // unreadable: a bad sector must not hide what follows
                continue;
            }
            if (wire::load<std::uint32_t>(bytes) != magic || examine(place, false, view) != Found::whole) {
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

// True, and stands at the first segment kept, if the segment that we stand in was released beside us.
bool Scanner::State::was_trimmed() {
    if (!refresh() || list.segments.empty()) return false;
    const std::uint64_t index = at / segment_bytes;
    const std::uint64_t first = list.segments.front().header.segment_index;
    if (first <= index) return false;
    const std::string own = segment_file_name(index);
    for (const auto& bad : list.bad) {
        if (bad.find(own) != std::string::npos) return false;
    }
    at = first_place(first);
    good_end = at;
    is_chained = false;
    forget();
    return true;
}

// What is damaged between the two is then not known to be of the first one's segment.
bool Scanner::State::has_locked(std::uint64_t from, std::uint64_t to) const {
    return std::any_of(list.segments.begin(), list.segments.end(), [&](const SegmentInfo& info) {
        const std::uint64_t index = info.header.segment_index;
        return info.is_locked && index >= from / segment_bytes && index < to / segment_bytes;
    });
}

void Scanner::State::count_damaged(std::uint64_t place) {
    ++damaged;
    const std::uint64_t index = place / segment_bytes;
    const bool is_known = std::find(damaged_segments.begin(), damaged_segments.end(), index) != damaged_segments.end();
    if (!is_known && damaged_segments.size() < damaged_segments_max) damaged_segments.push_back(index);
}

void Scanner::State::note(const std::string& what) {
    if (fault.size() + what.size() > fault_bytes_max) return;
    if (!fault.empty()) fault += "; ";
    fault += what;
}

// `view.batch` points into the buffer. With `wants_chain`, a record that does not follow on is nothing.
Scanner::State::Found Scanner::State::examine(std::uint64_t place, bool wants_chain, RecordView& view) {
    constexpr std::size_t heads_bytes = sizeof(RecordHeader) + sizeof(wire::BatchHeader);
    const std::uint64_t index = place / segment_bytes;
    const SegmentInfo* const info = segment(index);
    if (info == nullptr || place + heads_bytes > end_place(index)) return Found::nothing;
    const bool is_sealed = info->header.key_id != 0;
    const ConstBytes heads = read(place, heads_bytes);
    if (heads.empty()) return Found::nothing;
    view.header = wire::load<RecordHeader>(heads);
    if (view.header.magic != (is_sealed ? sealed_magic : record_magic) || view.header.position != place) {
        return Found::nothing;
    }
    if (view.header.batch_bytes < sizeof(wire::BatchHeader) || view.header.batch_bytes > batch_bytes_max) {
        return Found::nothing;
    }
    view.batch_header = wire::load<wire::BatchHeader>(heads.subspan(sizeof(RecordHeader)));
    if (view.header.crc != record_crc(view.header, view.batch_header)) return Found::nothing;
    if (wants_chain && is_chained && view.header.previous_crc != previous_crc) return Found::nothing;
    view.position = {place};
    view.end = {place + stored_bytes(view.header.batch_bytes, is_sealed)};
    if (view.end.value > end_place(index)) return Found::nothing;
    if (is_sealed) {
        if (!unseal(index, view)) return Found::broken_body;
    } else {
        const ConstBytes all = read(place, sizeof(RecordHeader) + view.header.batch_bytes);
        if (all.empty()) return Found::broken_body;
        view.batch = all.subspan(sizeof(RecordHeader));
    }
    wire::BatchHeader checked;
    if (wire::check_batch(view.batch, checked) != wire::BatchFault::none) return Found::broken_body;
    return Found::whole;
}

// False: what lies there is not what was written under its key.
bool Scanner::State::unseal(std::uint64_t index, RecordView& view) {
    const SegmentHeader& segment_header = segment(index)->header;
    const ConstBytes all = read(view.position.value, view.end.value - view.position.value);
    if (all.empty()) return false;
    const auto seal = wire::load<RecordSeal>(all.subspan(all.size() - sizeof(RecordSeal)));
    if (seal.key_id != segment_header.key_id) return false;
    if (!cipher) cipher.emplace(segment_header.journal_id);
    if (opened.size() < view.header.batch_bytes) opened.resize(view.header.batch_bytes);
    const ConstBytes sealed = all.subspan(sizeof(RecordHeader), view.header.batch_bytes);
    if (cipher->open(index, view.header, seal, sealed, opened.data()) != RecordCipher::Opened::whole) return false;
    view.batch = ConstBytes(opened).first(view.header.batch_bytes);
    view.batch_header = wire::load<wire::BatchHeader>(view.batch);
    return true;
}

// Exactly `bytes` at `place`, or nothing. Must lie in one segment.
ConstBytes Scanner::State::read(std::uint64_t place, std::size_t bytes) {
    if (place < buffer_position || place + bytes > buffer_position + buffer_bytes) {
        const std::uint64_t index = place / segment_bytes;
        if (!select(index)) return {};
        const std::uint64_t wish = std::min<std::uint64_t>(std::max(bytes, read_bytes), end_place(index) - place);
        if (buffer.size() < wish) buffer.resize(wish);
        buffer_position = place;
        buffer_bytes = 0;
        auto count = file.read(Bytes(buffer).first(wish), place - index * segment_bytes);
        if (count < 0) count = file.read(Bytes(buffer).first(bytes), place - index * segment_bytes);
        if (count < 0) {
            has_read_error = true;
            return {};
        }
        buffer_bytes = static_cast<std::size_t>(count);
        if (bytes > buffer_bytes) return {};
    }
    return ConstBytes(buffer).subspan(place - buffer_position, bytes);
}

bool Scanner::State::select(std::uint64_t index) {
    if (file_index == index && file.is_open()) return true;
    const SegmentInfo* info = segment(index);
    if (info == nullptr) return false;
    if (on_segment) on_segment(index);
    file = PosixFile(info->path, O_RDONLY);
    file_index = index;
    return file.is_open();
}

const SegmentInfo* Scanner::State::segment(std::uint64_t index) const {
    const SegmentInfo* found = listed(index);
    return found != nullptr && !found->is_locked ? found : nullptr;
}

const SegmentInfo* Scanner::State::listed(std::uint64_t index) const {
    const auto found = std::lower_bound(
        list.segments.begin(), list.segments.end(), index,
        [](const SegmentInfo& info, std::uint64_t wanted) { return info.header.segment_index < wanted; });
    return found != list.segments.end() && found->header.segment_index == index ? &*found : nullptr;
}

std::string Scanner::State::place_text(std::uint64_t place) const {
    return directory + "/" + segment_file_name(place / segment_bytes) + ":" + std::to_string(place % segment_bytes);
}

Scanner::Scanner(std::unique_ptr<State> state) : state_(std::move(state)) {}
Scanner::Scanner(Scanner&&) noexcept = default;
Scanner& Scanner::operator=(Scanner&&) noexcept = default;
Scanner::~Scanner() = default;

Result<Scanner> Scanner::open(const std::string& directory, Position from, std::optional<std::uint32_t> previous_crc) {
    auto state = std::make_unique<State>();
    state->directory = directory;
    auto listed = list_segments(directory);
    if (!listed) return listed.error();
    state->list = std::move(listed.value());
    if (!state->list.segments.empty()) state->segment_bytes = state->list.segments.front().header.segment_bytes;
    for (const auto& bad : state->list.bad) state->note(bad);
    state->note_locked();
    state->begin(from);
    if (previous_crc) {
        state->is_chained = true;
        state->previous_crc = *previous_crc;
    }
    return Scanner(std::move(state));
}

std::optional<RecordView> Scanner::next() {
    auto record = state_->step();
    if (!record) state_->forget();  // the next look must see the disk, not what was read before
    return record;
}

Tail Scanner::tail() const {
    Tail tail{.end = {round_up(state_->good_end, block_bytes)}, .previous_crc = state_->previous_crc};
    // A segment that could not be read is never written over: the journal goes on behind it.
    std::uint64_t segment_bytes = state_->segment_bytes;
    std::uint64_t beyond = 0;
    for (const SegmentInfo& info : state_->list.segments) {
        if (info.is_locked) beyond = info.header.segment_index + 1;
    }
    for (const auto& bad : state_->list.bad) {
        const std::string path = bad.substr(0, bad.find(": ", state_->directory.size()));
        const auto index = segment_index_of(std::string_view(path).substr(path.find_last_of('/') + 1));
        if (!index) continue;
        if (segment_bytes == 0) segment_bytes = PosixFile(path, O_RDONLY).file_bytes();
        beyond = std::max(beyond, *index + 1);
    }
    if (state_->has_read_error && segment_bytes != 0) {
        beyond = std::max(beyond, state_->good_end / segment_bytes + 1);
    }
    if (segment_bytes != 0) tail.end.value = std::max(tail.end.value, beyond * round_up(segment_bytes, block_bytes));
    return tail;
}

const std::string& Scanner::fault() const {
    return state_->fault;
}
void Scanner::on_segment(std::function<void(std::uint64_t)> told) {
    state_->on_segment = std::move(told);
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
