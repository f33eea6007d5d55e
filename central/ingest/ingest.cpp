#include "central/ingest/ingest.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/planted.hpp"
#include "core/base/touch.hpp"
#include "core/wire/unverified.hpp"

namespace weir::central {
namespace {

GroupJournal::Options group_options(const CentralConfig& config, journal::Role role, const RecoveredJournal& found,
                                    io::Token token, journal::RecentBytes* recent = nullptr) {
    GroupJournal::Options options;
    options.groups = config.journal.groups;
    options.group_bytes = config.journal.group_bytes;
    options.journal.role = role;
    options.journal.directory =
        role == journal::Role::central ? journal_directory(config) : dead_letters_directory(config);
    options.journal.journal_id = found.id;
    options.journal.segment_bytes = config.journal.segment_bytes;
    options.journal.key_id = config.at_rest.key;
    options.journal.recent = recent;
    options.journal.group_bytes_max =
        std::max<std::uint32_t>(config.journal.group_bytes,
                                static_cast<std::uint32_t>(round_up(
                                    journal::stored_bytes(wire::frame_body_bytes_max, true), journal::block_bytes)));
    options.tail = found.tail;
    options.last_group = found.last_group;
    options.token = token;
    return options;
}

template <class T>
std::size_t put_frame(Bytes out, wire::FrameKind kind, const T& body, std::uint64_t number = 0) {
    wire::store(out, wire::FrameHeader{.body_bytes = sizeof(T), .kind = kind, .number = number});
    wire::store(out.subspan(sizeof(wire::FrameHeader)), body);
    return sizeof(wire::FrameHeader) + sizeof(T);
}

std::size_t put_empty(Bytes out, wire::FrameKind kind, std::uint64_t number = 0, std::uint16_t tag = 0) {
    wire::store(out, wire::FrameHeader{.body_bytes = 0, .tag = tag, .kind = kind, .number = number});
    return sizeof(wire::FrameHeader);
}

// Of an edge's batch with its frame's header, as edge/handover.hpp has it; a larger frame waits for its pages.
constexpr std::size_t edge_batch_bytes_max = 66 * journal::block_bytes;

}  // namespace

IngestStage::IngestStage(io::Io& io, const CentralConfig& config, const Recovered& recovered, Stores stores,
                         IngestShared& shared)
    : io_(io),
      config_(config),
      shared_(shared),
      positions_(shared.positions),
      journal_id_(recovered.journal.id),
      dead_letters_id_(recovered.dead_letters.id),
      journal_(io, stores.journal,
               group_options(config, journal::Role::central, recovered.journal, token(Kind::journal), stores.recent)),
      dead_letters_(
          io, stores.dead_letters,
          group_options(config, journal::Role::dead_letters, recovered.dead_letters, token(Kind::dead_letters))),
      checkpoint_file_(checkpoint_path(config), recovered.checkpoint_serial),
      tables_(config.listen.connections_max, shared.tables, shared.table_counters,
              config.tables.empty() ? 0 : TableSender::row_buffers_max),
      carries_(config.limits.carries_max, wire::frame_body_bytes_max,
               {.count = config.listen.connections_max, .bytes = config.runtime.receive_slot_bytes}),
      share_({.total = config.limits.credit_bytes_total,
              .floor = std::min(credit_floor_bytes, config.listen.credit_bytes),
              .connection_max = config.listen.credit_bytes,
              .connections_max = config.listen.connections_max}),
      hello_pace_(config.limits.hellos_per_second),
      held_slots_max_(std::max(1U, config.runtime.receive_slots / 4)) {
    const std::uint32_t count = config.listen.connections_max;
    sessions_.reserve(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        sessions_.push_back(std::make_unique<Session>(carries_));
        sessions_.back()->index = i;
    }
    for (std::uint32_t i = count; i > 0; --i) unused_.push_back(i - 1);
    ready_.reserve(count);
    working_.reserve(count);
    carry_waiting_.reserve(count);
    outgoing_.reserve(count);
    speaking_.reserve(count);
    held_.resize(config.runtime.receive_slots);
    packed_.reserve(journal::checkpoint_content_bytes_max);
    shared.quota.restore(shared.positions);
}

IngestStage::~IngestStage() = default;

void IngestStage::touch() const {
    journal_.touch();
    dead_letters_.touch();
    carries_.touch(edge_batch_bytes_max);
    weir::touch(packed_);
}

io::Token IngestStage::token(Kind kind, std::uint32_t index, std::uint16_t generation) const {
    return {.owner = owner_, .kind = static_cast<std::uint8_t>(kind), .generation = generation, .index = index};
}

Status IngestStage::open(std::uint8_t owner) {
    WEIR_ASSERT(owner == 0);  // the journals' tokens were made with it
    owner_ = owner;
    if (auto done = journal_.open(); !done) return done;
    if (auto done = dead_letters_.open(); !done) return done;
    if (auto done = checkpoint_file_.open(io_, token(Kind::checkpoint)); !done) return done;
    shared_.durable_position.store(journal_.writer().durable_position().value, std::memory_order_release);
    for (const auto& address : config_.listen.edges) {
        auto listener = io_.listen({address}, token(Kind::listen));
        if (!listener) return listener.error();
        listeners_.push_back(listener.value());
        shared_.addresses.push_back(io_.local_address(listener.value()));
    }
    const MonotonicNs now = io_.now();
    last_append_ = now;
    next_sweep_ = now.plus_ns(sweep_ns);
    next_checkpoint_ = now.plus_ns(config_.journal.checkpoint_ms * ns_per_ms);
    return Done{};
}

std::size_t IngestStage::do_work(MonotonicNs now) {
    clock_ = now;
    std::size_t count = serve_carry_waits(now);
    working_.swap(ready_);
    for (const std::uint32_t index : working_) {
        sessions_[index]->is_ready = false;
        count += take_frames(index, now);
    }
    working_.clear();
    free_slots_of_waiters();
    count += commit(now);
    look_at_gates(now);
    if (now >= next_sweep_) sweep(now);
    tick(now);
    checkpoint(now);
    const bool has_new_book = tables_.take_book();
    if (has_new_book) ++count;
    if (has_new_book || tables_.has_room_again()) {
        for (const auto& session : sessions_) {
            if (session->state == State::live) speak(*session);
        }
    }
    speaking_.swap(outgoing_);
    for (const std::uint32_t index : speaking_) {
        sessions_[index]->is_listed = false;
        send_pending(index);
    }
    speaking_.clear();
    return count;
}

MonotonicNs IngestStage::next_deadline() const {
    MonotonicNs next = last_append_.plus_ns(config_.journal.tick_ms * ns_per_ms);
    if (live_sessions_ > 0 || is_draining_) next = std::min(next, next_sweep_);
    if (!ready_.empty()) next = std::min(next, io_.now().plus_ns(retry_ns));
    if (is_any_poisoned()) return next;  // nothing, or not all, is written any more
    // While a checkpoint is being written its completion wakes us, and so does the group that a packed one waits for.
    if (!is_packed_ && !checkpoint_file_.is_busy()) next = std::min(next, next_checkpoint_);
    if (journal_.is_waiting_for_segment() || dead_letters_.is_waiting_for_segment())
        next = std::min(next, io_.now().plus_ns(retry_ns));
    return next;
}

void IngestStage::on_completion(const io::Completion& completion, MonotonicNs now) {
    switch (static_cast<Kind>(completion.token.kind)) {
        case Kind::listen:
            return on_accept(completion, now);
        case Kind::receive:
            return on_receive(completion, now);
        case Kind::send:
            return on_send(completion);
        case Kind::journal:
            return journal_.on_completion(completion);
        case Kind::dead_letters:
            return dead_letters_.on_completion(completion);
        case Kind::checkpoint:
            if (checkpoint_file_.on_completion(completion)) {
                shared_.checkpoints.add(1);
                if (is_draining_) is_final_stored_ = true;
            } else if (is_draining_ && !checkpoint_file_.is_busy()) {
                is_final_stored_ = true;  // it failed: the copy before it stays good
            }
            shared_.checkpoint_errno.set(static_cast<std::uint64_t>(checkpoint_file_.last_errno()));
            return;
    }
}

void IngestStage::on_receive(const io::Completion& completion, MonotonicNs now) {
    const std::uint32_t index = completion.token.index;
    Session& session = *sessions_[index];
    const bool is_ours = session.generation == completion.token.generation &&
                         (session.state == State::hello || session.state == State::live) && !is_draining_;
    if (completion.result <= 0) {
        if (session.generation != completion.token.generation || session.state == State::unused) return;
        // What came before the end is still taken if it can be at once; the rest comes again with the next connection.
        if (session.state == State::live) static_cast<void>(take_frames(index, now));
        if (session.state != State::unused) close_session(session);
        return;
    }
    if (!is_ours) return io_.release(completion.slot);
    session.heard = now;
    WEIR_ASSERT(completion.slot < held_.size());
    held_[completion.slot] = {io::no_slot, {completion.bytes, static_cast<std::size_t>(completion.result)}, now};
    ++session.held_count;
    ++held_slots_;
    if (session.held_head == io::no_slot) {
        session.held_head = completion.slot;
    } else {
        held_[session.held_tail].next = completion.slot;
    }
    session.held_tail = completion.slot;
    make_ready(index);
}

void IngestStage::on_send(const io::Completion& completion) {
    Session& session = *sessions_[completion.token.index];
    WEIR_ASSERT(session.generation == completion.token.generation && session.is_sending);
    session.is_sending = false;
    tables_.sent(completion.token.index);
    if (session.state == State::closing) return free_session(session);
    if (completion.result < 0) return close_session(session);
    speak(session);  // what has come up meanwhile
}

void IngestStage::speak(Session& session) {
    if (std::exchange(session.is_listed, true)) return;
    outgoing_.push_back(session.index);
}

void IngestStage::make_ready(std::uint32_t index) {
    if (std::exchange(sessions_[index]->is_ready, true)) return;
    ready_.push_back(index);
}

// One turn: until nothing whole is left, a write group or a carry buffer is wanting, or others have waited for limits.turn_bytes.
std::size_t IngestStage::take_frames(std::uint32_t index, MonotonicNs now) {
    constexpr std::uint32_t frames_max = 1024;
    Session& session = *sessions_[index];
    std::size_t total = 0;
    std::uint64_t turn_bytes = 0;
    bool is_turn_over = false;
    session.is_blocked = false;
    const auto is_open = [&] { return session.state == State::hello || session.state == State::live; };
    while (is_open() && !session.is_blocked && !session.needs_carry && !is_turn_over) {
        const std::uint32_t slot = session.held_head;
        if (slot == io::no_slot && session.splitter.carried_bytes() == 0) break;
        const ConstBytes bytes = slot == io::no_slot ? ConstBytes{} : held_[slot].rest;
        if (slot != io::no_slot) session.received_at = held_[slot].received_at;
        std::size_t taken = 0;
        auto fault = wire::SplitFault::none;
        const std::size_t used = session.splitter.split(
            bytes, frames_max,
            [&](const wire::FrameHeader& header, ConstBytes frame) {
                is_turn_over = turn_bytes >= config_.limits.turn_bytes;
                if (is_turn_over || !is_open() || !take_frame(index, header, frame, now)) return false;
                ++taken;
                turn_bytes += frame.size();
                return true;
            },
            fault);
        total += taken;
        if (!is_open()) break;
        if (slot != io::no_slot) {
            held_[slot].rest = bytes.subspan(used);
            if (held_[slot].rest.empty()) release_slot(session);
        }
        if (fault != wire::SplitFault::none) {
            refuse(
                session,
                fault == wire::SplitFault::too_large ? wire::RefusalReason::too_large : wire::RefusalReason::protocol,
                text(fault));
        } else if (session.splitter.needs_carry()) {
            session.needs_carry = true;
            carry_waiting_.push_back(index);
            shared_.carry_waits.add(1);
        } else if (used == 0 && taken == 0) {
            break;
        }
    }
    if (total > 0) session.half_sent_since = now;
    if (is_open()) {
        session.splitter.release_taken();
        if (is_turn_over) shared_.turns.add(1);
        if (session.is_blocked || is_turn_over) make_ready(index);
        settle_receiving(session, is_turn_over);
    }
    return total;
}

void IngestStage::release_slot(Session& session) {
    const std::uint32_t slot = session.held_head;
    session.held_head = held_[slot].next;
    WEIR_ASSERT(session.held_count > 0 && held_slots_ > 0);
    --session.held_count;
    --held_slots_;
    io_.release(slot);
}

// Who cannot go on is not received from, and neither is who has much left for its next turn: the slots are everyone's.
void IngestStage::settle_receiving(Session& session, bool is_turn_over) {
    const bool has_much = is_turn_over && session.held_count >= held_slots_max_;
    const bool is_to_pause = session.is_blocked || session.needs_carry || has_much;
    if (is_to_pause == session.is_paused) return;
    session.is_paused = is_to_pause;
    if (session.is_blocked) shared_.paused.add(1);
    io_.pause_receive(session.socket, is_to_pause);
}

// Carry buffers that have come back go to who has waited longest, before anyone else takes a frame.
std::size_t IngestStage::serve_carry_waits(MonotonicNs now) {
    std::size_t count = 0;
    for (std::size_t left = std::min(carries_.free_count(), carry_waiting_.size()); left > 0; --left) {
        const std::uint32_t index = carry_waiting_.front();
        carry_waiting_.erase(carry_waiting_.begin());
        sessions_[index]->needs_carry = false;
        sessions_[index]->half_sent_since = now;
        count += take_frames(index, now);
    }
    return count;
}

// Every slot is held by sessions that wait for a carry buffer, so that those which have one get no bytes: nobody would ever move.
// The one with the most slots is sent away, and comes back later.
void IngestStage::free_slots_of_waiters() {
    if (held_slots_ < held_.size() || carry_waiting_.empty()) return;
    std::uint32_t sum = 0, most = carry_waiting_.front();
    for (const std::uint32_t index : carry_waiting_) {
        sum += sessions_[index]->held_count;
        if (sessions_[index]->held_count > sessions_[most]->held_count) most = index;
    }
    if (sum == held_slots_) refuse(*sessions_[most], wire::RefusalReason::limit, "limits.carries_max are in use");
}

bool IngestStage::take_frame(std::uint32_t index, const wire::FrameHeader& header, ConstBytes frame, MonotonicNs now) {
    Session& session = *sessions_[index];
    const ConstBytes body = frame.subspan(sizeof(wire::FrameHeader), header.body_bytes);
    if (session.state == State::hello) {
        if (header.kind == wire::FrameKind::ping) {
            // An edge that is elsewhere asks whether it could come back here.
            if (shared_.poison_errno.get() != 0) {
                refuse(session, wire::RefusalReason::storage, "the journal cannot be written");
            } else {
                // 1 to 65,535. Two processes draw the same once in so many times; an edge then trusts the newer as if it had stayed.
                if (life_ == 0) life_ = static_cast<std::uint16_t>(1 + now.value % UINT16_MAX);
                session.wants_pong = true;
                session.pong_number = header.number;
                speak(session);
            }
        } else if (header.kind != wire::FrameKind::edge_hello) {
            refuse(session, wire::RefusalReason::protocol, "the first frame must be a hello");
        } else {
            take_hello(index, body, now);
        }
        return true;
    }
    if (header.kind == wire::FrameKind::batch) return take_batch(index, body);
    if (header.kind == wire::FrameKind::ping) {
        session.wants_pong = true;
        session.pong_number = header.number;
        speak(session);
        return true;
    }
    if (header.kind == wire::FrameKind::pong || header.kind == wire::FrameKind::goodbye) return true;
    const bool is_of_tables = (header.kind == wire::FrameKind::table_pull && tables_.take_pull(index, body)) ||
                              (header.kind == wire::FrameKind::row_ask && tables_.take_row_ask(index, body));
    if (is_of_tables) {
        speak(session);
        return true;
    }
    if (header.kind == wire::FrameKind::edge_status) {
        take_status(session, body);
        return true;
    }
    refuse(session, wire::RefusalReason::protocol, "a frame of this kind, or made like this, is not for central");
    return true;
}

IngestStage::SessionLane* IngestStage::lane_of(Session& session, LaneId lane, wire::Part part) {
    for (std::uint32_t i = 0; i < session.lane_count; ++i) {
        if (session.lanes[i].lane == lane && session.lanes[i].part == part) return &session.lanes[i];
    }
    return nullptr;
}

// False: no room now, the same frame comes again.
bool IngestStage::take_batch(std::uint32_t index, ConstBytes body) {
    Session& session = *sessions_[index];
    const auto refused = [&](wire::RefusalReason reason, std::string_view why) {
        refuse(session, reason, why);
        return true;
    };
    if (shared_.poison_errno.get() != 0) return refused(wire::RefusalReason::storage, "the journal cannot be written");
    if (body.size() > std::min(journal_.batch_bytes_max(), dead_letters_.batch_bytes_max())) {
        return refused(wire::RefusalReason::too_large, "the batch does not fit journal.segment_bytes");
    }
    if (body.size() < sizeof(wire::BatchHeader)) return refused(wire::RefusalReason::protocol, "the batch is cut");
    // Room is asked for first: a batch that must wait is judged once.
    const LaneId lane_id = wire::load<wire::BatchHeader>(body).lane;
    GroupJournal& target = journal_of(lane_id);
    const Gate& gate = gates_[lane_id == dead_letter_lane ? Target::letters : Target::events];
    const bool has_room = !target.writer().is_poisoned() && target.has_room(body.size());
    if (target.writer().is_poisoned() && !session.has_both_journals) {
        return refused(wire::RefusalReason::storage, "dead letters cannot be written");
    }
    if (!has_room && !(gate.is_stuck && session.has_both_journals)) {
        session.is_blocked = true;
        return false;
    }
    const std::uint64_t frame_bytes = wire::frame_bytes(static_cast<std::uint32_t>(body.size()));
    if (!CreditShare::use(session.credit, frame_bytes)) {
        return refused(wire::RefusalReason::protocol, "more was sent than the credit granted");
    }
    wire::BatchHeader header;
    if (const auto fault = wire::check_batch(body, header); fault != wire::BatchFault::none) {
        const bool is_crc = fault == wire::BatchFault::header_crc || fault == wire::BatchFault::body_crc;
        return refused(is_crc ? wire::RefusalReason::checksum : wire::RefusalReason::protocol, text(fault));
    }
    // A batch keeps the epoch of the process that closed it: after the edge's restart older ones are sent again.
    if (header.edge_id != session.hello.edge_id || header.lineage != session.hello.lineage ||
        header.epoch > session.hello.epoch || header.kind == wire::BatchKind::tick) {
        return refused(wire::RefusalReason::protocol, "the batch is not of this session's edge, lineage and epoch");
    }
    SessionLane* lane = lane_of(session, header.lane, header.part);
    if (lane == nullptr) {
        if (session.lane_count == lanes_max) return refused(wire::RefusalReason::limit, "more lanes than 64");
        lane = &add_lane(session, header.lane, header.part, header.lane_name);
        judge_lanes(session);
    }
    LaneCredit& lane_credit = session.lane_credits[lane->credit];
    if (!lane_credit.use(frame_bytes)) {
        return refused(wire::RefusalReason::protocol, "more was sent than the lane's credit granted");
    }
    if (!has_room) {
        set_aside(session, lane_credit, frame_bytes);
        return true;
    }
    if (lane->row == no_row) {
        claim_row(session, *lane, header.lane_name);
        if (lane->row == no_row) return refused(wire::RefusalReason::limit, "limits.positions_max are known");
    }
    PositionRow& row = positions_.row(lane->row);
    ++changes_;
    switch (PositionTable::judge(row, header)) {
        case Judgement::duplicate:
            if (header.kind == wire::BatchKind::events) {
                row.received.add(header.count);
                row.duplicates.add(header.count);
            }
            give_back(session, lane->credit, frame_bytes);
            // Acked again only if it is durable; otherwise its original's ack is still to come.
            if (header.last_sequence() <= row.hot.durable_sequence) {
                lane->wants_ack = true;
                session.wants_ack = true;
            }
            return true;
        case Judgement::gap:
            return refused(wire::RefusalReason::sequence_gap, "a batch before this one is missing");
        case Judgement::diverged:
            return refused(wire::RefusalReason::diverged, "sequence or chain contradicts what is stored");
        case Judgement::append:
            break;
    }
    const MonotonicNs now = io_.now();
    if (shared_.quota.is_far_over(session.quota, header.lane, now)) {
        return refused(wire::RefusalReason::limit, header.lane == dead_letter_lane
                                                       ? "quota: limits.edge_letters_bytes_max"
                                                       : "quota: limits.edge_journal_bytes_max");
    }
    // An edge may be stolen or broken: what is no event stays where it is, set aside, and the rest of the batch goes on.
    const std::uint32_t unverified = wire::count_unverified(header, body.subspan(sizeof header));
    const bool is_put = target.put(body, {.row = lane->row,
                                          .session = index,
                                          .generation = session.generation,
                                          .lane_credit = lane->credit,
                                          .frame_bytes = static_cast<std::uint32_t>(frame_bytes),
                                          .last_sequence = header.last_sequence(),
                                          .events = header.kind == wire::BatchKind::events ? header.count : 0,
                                          .received_at = session.received_at,
                                          .appended_at = now});
    WEIR_ASSERT(is_put);
    clock_ = now;
    if (header.kind == wire::BatchKind::events) {
        shared_.hops.appended.record(now.since(session.received_at), header.count);
    }
    if (WEIR_PLANTED(central_ack_early)) {
        lane->wants_ack = session.wants_ack = true;
        speak(session);
    }
    PositionTable::take(row, header, unverified);
    if (session.quota != no_row) shared_.quota.took(session.quota, header.lane, body.size(), now);
    look_at_quota(session, now);
    WEIR_ASSERT(row.received.get() == row.appended.get() + row.duplicates.get() + row.rejected.get());
    shared_.batches.add(1);
    shared_.batch_bytes.add(body.size());
    return true;
}

std::size_t IngestStage::commit(MonotonicNs now) {
    std::size_t count = 0;
    const auto tell = [this, now](const Touch& touch, MonotonicNs written_at) { note_durable(touch, written_at, now); };
    const std::size_t durable = journal_.collect_durable(tell);
    if (durable > 0 ||
        shared_.durable_position.load(std::memory_order_relaxed) < journal_.writer().durable_position().value) {
        // Pairs with the reader's acquire.
        shared_.durable_position.store(journal_.writer().durable_position().value, std::memory_order_release);
    }
    count += durable + dead_letters_.collect_durable(tell);
    release_letters();
    const std::size_t groups = journal_.flush(io_.wall(), clock_) + dead_letters_.flush(io_.wall(), clock_);
    if (groups > 0) last_append_ = now;
    shared_.groups.add(groups);
    shared_.written_bytes.set(journal_.writer().written_bytes() + dead_letters_.writer().written_bytes());
    int full_errno = 0;
    for (const GroupJournal* one : {&journal_, &dead_letters_}) {
        if (one->is_waiting_for_segment()) full_errno = std::max(full_errno, one->writer().prepare_errno());
    }
    shared_.full_errno.set(static_cast<std::uint64_t>(full_errno));
    const auto errno_of = [](const GroupJournal& one) {
        return one.writer().is_poisoned() ? static_cast<std::uint64_t>(std::max(1, one.writer().poison_errno())) : 0;
    };
    shared_.letters_errno.set(errno_of(dead_letters_));
    if (journal_.writer().is_poisoned() && shared_.poison_errno.get() == 0) {
        // A central without its journal of events is none: edges go elsewhere, with all their lanes.
        shared_.poison_errno.set(errno_of(journal_));
        for (const auto& session : sessions_) {
            if (session->state == State::live) {
                refuse(*session, wire::RefusalReason::storage, "the journal cannot be written");
            }
        }
    }
    return count + groups;
}

// What the retention has written down as expired goes; and it learns how far the letters are.
void IngestStage::release_letters() {
    const std::uint64_t durable = dead_letters_.writer().durable_position().value;
    if (shared_.letters_durable.load(std::memory_order_relaxed) != durable) {
        shared_.letters_durable.store(durable, std::memory_order_release);  // pairs with the retention's acquire
    }
    const std::uint64_t kept_from = shared_.letters_kept_from.load(std::memory_order_acquire);  // and with its release
    if (kept_from == letters_released_) return;
    letters_released_ = kept_from;
    dead_letters_.release_before({kept_from});
}

void IngestStage::note_durable(const Touch& touch, MonotonicNs written_at, MonotonicNs now) {
    if (touch.row == no_row) return;  // a tick
    PositionRow& row = positions_.row(touch.row);
    WEIR_ASSERT(touch.last_sequence > row.hot.durable_sequence);
    row.hot.durable_sequence = touch.last_sequence;
    row.last_sequence.set(touch.last_sequence);
    if (touch.events > 0) {
        shared_.hops.written.record(written_at.since(touch.appended_at), touch.events);
        shared_.hops.durable.record(now.since(written_at), touch.events);
    }
    Session& sender = *sessions_[touch.session];
    const bool leaks = WEIR_PLANTED(credit_leak);
    if (sender.generation == touch.generation && sender.state == State::live && !leaks) {
        give_back(sender, touch.lane_credit, touch.frame_bytes);
    }
    if (row.hot.session == no_session) return;
    // The edge may have connected again since: its present session gets the ack.
    Session& session = *sessions_[row.hot.session];
    if (session.state != State::live) return;
    session.lanes[row.hot.session_lane].wants_ack = true;
    session.wants_ack = true;
    if (touch.events > 0) {
        session.received.add(touch.received_at, touch.events);
        session.durable.add(now, touch.events);
    }
    speak(session);
}

void IngestStage::note_acked(Session& session) {
    if (session.durable.count() == 0) return;
    const MonotonicNs now = io_.now();
    session.durable.record(shared_.hops.acked, now);
    session.received.record(shared_.hops.ack, now);
    session.received = session.durable = {};
}

void IngestStage::send_pending(std::uint32_t index) {
    Session& session = *sessions_[index];
    if (session.is_sending || session.state == State::unused || session.state == State::closing) return;
    if (session.wants_welcome && !may_welcome(session)) return;
    ConstBytes frames = ConstBytes(session.out).first(fill_out(session));
    // Tables only when there is nothing else to say.
    if (frames.empty() && session.state == State::live) frames = tables_.next(index);
    if (frames.empty()) return;
    session.is_sending = true;
    session.sent = io_.now();
    io_.send(session.socket, frames, token(Kind::send, index, session.generation));
}

wire::LanePosition IngestStage::position_of(const SessionLane& lane) const {
    wire::LanePosition position{.lane = lane.lane, .part = lane.part};
    if (lane.row == no_row) return position;
    const PositionRow::Hot& hot = positions_.row(lane.row).hot;
    position.last_sequence = hot.durable_sequence;
    if (hot.durable_sequence != hot.last_sequence) position.flags = wire::position_unsettled;
    return position;
}

// Everything the session has to say, in one send.
std::size_t IngestStage::fill_out(Session& session) {
    constexpr std::size_t head = sizeof(wire::FrameHeader);
    static_assert(out_bytes_max >= lanes_max * (head + sizeof(wire::EdgeAck)) +
                                       (1 + lanes_max) * (head + sizeof(wire::Credit)) + 3 * head + head +
                                       sizeof(wire::Refusal));
    static_assert(out_bytes_max >= head + sizeof(wire::EdgeWelcome) + lanes_max * sizeof(wire::LanePosition) +
                                       lanes_max * (head + sizeof(wire::Credit)) + head + sizeof(wire::StatusAsk));
    std::size_t at = 0;
    const Bytes out(session.out);
    using wire::FrameKind;
    if (std::exchange(session.wants_welcome, false)) {
        const std::uint32_t body_bytes =
            static_cast<std::uint32_t>(sizeof(wire::EdgeWelcome) + session.lane_count * sizeof(wire::LanePosition));
        wire::store(out, wire::FrameHeader{.body_bytes = body_bytes, .kind = FrameKind::edge_welcome});
        at = sizeof(wire::FrameHeader);
        wire::store(out.subspan(at), wire::EdgeWelcome{.credit_bytes = session.credit.granted,
                                                       .lanes = session.lane_count,
                                                       .identity = wire::central_identity(journal_id_)});
        at += sizeof(wire::EdgeWelcome);
        for (std::uint32_t i = 0; i < session.lane_count; ++i) {
            const SessionLane& lane = session.lanes[i];
            wire::store(out.subspan(at), position_of(lane));
            at += sizeof(wire::LanePosition);
        }
        // With it, so that an edge that reads both before it sends is bound from its first batch on.
        at += put_lane_credits(session, out.subspan(at));
        if (session.may_say_status) {
            at += put_frame(
                out.subspan(at), FrameKind::status_ask,
                wire::StatusAsk{.interval_ms = static_cast<std::uint32_t>(config_.listen.status_interval_ms)});
        }
        return at;
    }
    if (std::exchange(session.wants_ack, false)) {
        note_acked(session);
        for (std::uint32_t i = 0; i < session.lane_count; ++i) {
            SessionLane& lane = session.lanes[i];
            if (!std::exchange(lane.wants_ack, false)) continue;
            const PositionRow::Hot& hot = positions_.row(lane.row).hot;
            const Sequence durable = WEIR_PLANTED(central_ack_early) ? hot.last_sequence : hot.durable_sequence;
            at += put_frame(out.subspan(at), FrameKind::edge_ack,
                            wire::EdgeAck{.lane = lane.lane, .part = lane.part, .last_sequence = durable});
        }
    }
    if (std::exchange(session.wants_credit, false)) {
        const bool has_more = std::exchange(session.has_more_credit, false);
        if (share_.grant(session.credit) > 0 || has_more) {
            at += put_frame(out.subspan(at), FrameKind::credit, wire::Credit{.credit_bytes = session.credit.granted});
        }
        at += put_lane_credits(session, out.subspan(at));
    }
    if (std::exchange(session.wants_pong, false)) {
        const std::uint16_t life = session.state == State::hello ? life_ : std::uint16_t{0};
        at += put_empty(out.subspan(at), FrameKind::pong, session.pong_number, life);
    }
    if (std::exchange(session.wants_ping, false)) at += put_empty(out.subspan(at), FrameKind::ping);
    if (std::exchange(session.wants_goodbye, false)) at += put_empty(out.subspan(at), FrameKind::goodbye);
    if (std::exchange(session.wants_refusal, false)) {
        at += put_frame(out.subspan(at), FrameKind::refusal, session.refusal);
    }
    return at;
}

// Lets time pass in the journal while no edge has anything to say.
void IngestStage::tick(MonotonicNs now) {
    if (is_draining_ || now < last_append_.plus_ns(config_.journal.tick_ms * ns_per_ms)) return;
    last_append_ = now;
    if (shared_.poison_errno.get() != 0 || !journal_.is_empty()) return;
    wire::BatchHeader batch;
    batch.kind = wire::BatchKind::tick;
    batch.edge_id = wire::name_field<wire::edge_id_bytes_max>("central");
    batch.lane_name = wire::name_field<wire::lane_name_bytes_max>("tick");
    batch.lineage = journal_id_;
    batch.first_sequence = ++tick_count_;
    batch.config_digest = config_.digest;
    batch.closed_wall_ns = io_.wall().value;
    wire::seal(batch, {});
    const bool is_put = journal_.put(std::as_bytes(std::span(&batch, 1)), {.row = no_row});
    WEIR_ASSERT(is_put);
    shared_.groups.add(journal_.flush(io_.wall(), now));
    shared_.ticks.add(1);
}

void IngestStage::checkpoint(MonotonicNs now) {
    store_checkpoint(now);
    const bool is_due = now >= next_checkpoint_ || (is_draining_ && !is_final_stored_);
    if (!is_due || is_packed_ || checkpoint_file_.is_busy()) return;
    if (now >= next_checkpoint_) next_checkpoint_ = now.plus_ns(config_.journal.checkpoint_ms * ns_per_ms);
    if (changes_ == packed_changes_) {
        if (is_draining_) is_final_stored_ = true;
        return;
    }
    // The table must say no more than what has been handed to the disk, so that a place in the journal describes it.
    if (!journal_.is_submitted() || !dead_letters_.is_submitted() || is_any_poisoned()) {
        next_checkpoint_ = std::min(next_checkpoint_, now.plus_ns(retry_ns));
        return;
    }
    CheckpointHead head;
    head.journal_id = journal_id_;
    head.dead_letters_id = dead_letters_id_;
    head.journal_position = journal_.last_group().value;
    head.dead_letters_position = dead_letters_.last_group().value;
    packed_changes_ = changes_;
    if (!pack_checkpoint(positions_, head, packed_)) {
        shared_.checkpoints_skipped.add(1);
        return;
    }
    packed_journal_ = journal_.writer().end_position();
    packed_dead_letters_ = dead_letters_.writer().end_position();
    is_packed_ = true;
    store_checkpoint(now);
}

// Once all that the packed table counts is durable, it may be stored.
void IngestStage::store_checkpoint(MonotonicNs) {
    const bool is_durable = journal_.writer().durable_position() >= packed_journal_ &&
                            dead_letters_.writer().durable_position() >= packed_dead_letters_;
    if (!is_packed_ || (!is_durable && !WEIR_PLANTED(position_ahead_of_data))) return;
    if (checkpoint_file_.begin_store(packed_)) is_packed_ = false;
}

void IngestStage::drain(MonotonicNs now) {
    if (is_draining_) return;
    is_draining_ = true;
    drain_deadline_ = now.plus_ns(drain_ns_max);
    for (const io::Socket listener : listeners_) io_.close(listener);
    listeners_.clear();
    for (const auto& session : sessions_) {
        if (session->state == State::live) {
            session->wants_goodbye = true;
            speak(*session);
        } else if (session->state == State::hello) {
            refuse(*session, wire::RefusalReason::draining, "going down");
        }
    }
}

bool IngestStage::is_drained() const {
    if (!is_draining_) return false;
    if (io_.now() > drain_deadline_) return true;
    const bool is_kept = shared_.poison_errno.get() != 0 ||
                         (journal_.is_empty() && (dead_letters_.is_empty() || shared_.letters_errno.get() != 0));
    if (!is_kept) return false;
    for (const auto& session : sessions_) {
        if (session->state == State::unused || session->state == State::closing) continue;
        if (session->is_sending || session->wants_ack || session->wants_goodbye || session->is_blocked) return false;
    }
    if (checkpoint_file_.is_busy()) return false;
    return is_final_stored_ || is_any_poisoned();
}

}  // namespace weir::central
