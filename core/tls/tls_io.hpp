// TlsIo: an Io whose TCP sockets speak TLS 1.3, over another Io. Files, time, waking and Unix sockets pass through.
//
// The contract is io.hpp's. An accept completes when the handshake is done, so that its owner never meets a peer that has not
// shown who it is; a connect likewise. A peer's end counts as an end (0) only with close_notify; without, it is -ECONNRESET.
//
//   inner slot (ciphertext) ─▶ Session ─▶ own slot (plaintext) ─▶ owner          owner's bytes ─▶ Session's output ─▶ inner send
//
// Thread    One runner owns it, with the Io beneath.
// Ownership Slots are numbered as the inner ones, 0 to slots - 1: each names a cell of this Io's own slab, or, on a plain socket, an
//           inner slot that is handed on as it came.
// Pressure  While no slot is free, ciphertext stays in its inner slots and the socket's receiving is paused. Nothing is dropped.
// Bounds    TlsIoOptions: handshakes not agreed at once, their time and bytes; one output buffer for each connection.
//           Over handshakes_max the oldest makes room: idle connections keep nobody out for long.
//           One step of one handshake in a wait(), and a share of the runner's time for all of them: agreed connections go first. What
//           a stranger has said waits in memory of its own, 16 KiB, and keeps no slot.
#pragma once

#include <memory>
#include <vector>

#include "core/io/io.hpp"
#include "core/io/starved.hpp"
#include "core/tls/endpoint.hpp"
#include "core/tls/session.hpp"
#include "core/tls/stranger_time.hpp"

namespace weir::tls {

struct TlsIoOptions {
    Endpoint* listen = nullptr;          // of sockets that are listened on; null: those stay plain
    Endpoint* connect = nullptr;         // of sockets that are connected; null: those stay plain
    std::uint32_t handshakes_max = 256;  // not yet agreed, or on their way out
    // Of the runner's time, for those who come: their accepts and handshakes. A handshake takes 0.3 to 1 ms of it.
    std::uint32_t stranger_share_percent = 10;
    std::uint64_t stranger_ns_at_once = ns_per_ms;
    std::uint64_t handshake_ns_max = 5 * ns_per_second;
    std::uint64_t farewell_ns_max = ns_per_second;  // for an alert, or the last word, to leave
    std::uint32_t listen_output_bytes = output_bytes_min;
    std::uint32_t connect_output_bytes = 4 * (record_plain_bytes_max + record_overhead_bytes) + output_reserve_bytes;
};

// What the Io beneath needs: the same, and room for handshakes.
[[nodiscard]] io::IoOptions inner_io_options(io::IoOptions options, const TlsIoOptions& tls);

class TlsIo final : public io::Io {
  public:
    // `inner` was made with inner_io_options(options, tls).
    TlsIo(std::unique_ptr<io::Io> inner, const io::IoOptions& options, const TlsIoOptions& tls);
    ~TlsIo() override;

    [[nodiscard]] Result<io::Socket> listen(const io::Address& address, io::Token token) override;
    [[nodiscard]] std::string local_address(io::Socket socket) const override;
    [[nodiscard]] std::string peer_address(io::Socket socket) const override;
    [[nodiscard]] std::optional<io::PeerCredentials> peer_credentials(io::Socket socket) const override;
    [[nodiscard]] std::string_view peer_identity(io::Socket socket) const override;
    [[nodiscard]] bool may_claim(io::Socket socket, std::string_view role, std::string_view name) override;
    [[nodiscard]] Result<io::Socket> connect(const io::Address& address, io::Token token) override;
    void pause_accept(io::Socket listener, bool paused) override;
    void receive(io::Socket socket, io::Token token) override;
    void pause_receive(io::Socket socket, bool paused) override;
    void send(io::Socket socket, ConstBytes bytes, io::Token token) override;
    void close(io::Socket socket) override;
    void release(std::uint32_t slot) override;

    [[nodiscard]] Result<io::File> open(const std::string& path, io::FileOptions options) override {
        return inner_->open(path, options);
    }
    void close(io::File file) override { inner_->close(file); }
    void write(io::File file, ConstBytes bytes, std::uint64_t offset, io::Token token) override {
        inner_->write(file, bytes, offset, token);
    }
    void write_gathered(io::File file, std::span<const iovec> parts, std::uint64_t offset, io::Token token) override {
        inner_->write_gathered(file, parts, offset, token);
    }
    void read(io::File file, Bytes bytes, std::uint64_t offset, io::Token token) override {
        inner_->read(file, bytes, offset, token);
    }
    void sync(io::File file, io::Token token) override { inner_->sync(file, token); }

    [[nodiscard]] std::span<const io::Completion> wait(MonotonicNs until) override;
    void wake() noexcept override { inner_->wake(); }
    [[nodiscard]] bool quiesce() override;
    [[nodiscard]] MonotonicNs now() const noexcept override { return inner_->now(); }
    [[nodiscard]] WallNs wall() const noexcept override { return inner_->wall(); }
    [[nodiscard]] std::string_view name() const noexcept override { return inner_->name(); }
    [[nodiscard]] io::IoCounters counters() const noexcept override;

  private:
    enum class State : std::uint8_t {
        free,
        listening,
        connecting,   // the inner connect is under way
        handshaking,  // an accepted one is its owner's only afterwards
        open,
        broken,   // by its TLS or the deny list; its owner has been told, or will be, and closes it
        leaving,  // its owner's no more: an alert or the last word is on its way
        closed,   // what the inner Io still has under way comes back
    };
    struct Entry {
        State state = State::free;
        bool was_accepted = false;
        bool is_receiving = false;  // the owner wants bytes
        bool is_paused = false;     // by the owner
        bool is_sending = false;    // a send of the owner is not completed
        bool is_starved = false;    // in starved_
        bool has_inner_receive = false;
        bool has_inner_send = false;
        bool is_inner_paused = false;
        bool has_end = false;         // the inner receiving is over, with `end`
        bool lingers = false;         // leaving: until the peer has gone, so that it gets the alert
        bool is_front_fed = false;    // the session reads from held_head
        bool waits_for_room = false;  // the session cannot read before it has sent
        bool is_nobodys = false;      // in timed_, and counted in timed_handshakes_
        bool is_waiting = false;      // in waiting_: for its handshake's next step
        std::int32_t end = 0;
        std::uint16_t generation = 0;
        io::Socket inner;
        std::uint32_t listener = 0;  // accepted: whose, and of which generation
        std::uint16_t listener_generation = 0;
        io::Token token;
        io::Token send_token;
        ConstBytes unsent;
        std::size_t send_bytes = 0;
        std::uint32_t held_head =
            io::no_slot;  // inner slots with ciphertext, or on a plain socket what cannot be handed on yet
        std::uint32_t held_tail = io::no_slot;
        std::uint32_t held_count = 0;
        std::uint32_t timed_at = UINT32_MAX;  // in timed_
        MonotonicNs timed_since{};
        MonotonicNs deadline{};
        MonotonicNs peer_until = never;    // open: the peer's certificate runs out
        std::vector<std::byte> early;      // accepted: received before its handshake's turn came; before what is held
        Endpoint* endpoint = nullptr;      // null: plain
        const TlsState* using_ = nullptr;  // of the endpoint, during the handshake
        std::unique_ptr<Session> session;
    };
    struct Held {
        std::uint32_t next = io::no_slot;
        ConstBytes bytes;
    };

    [[nodiscard]] Entry& entry(io::Socket socket) { return entries_[static_cast<std::size_t>(socket.handle)]; }
    [[nodiscard]] const Entry& entry(io::Socket socket) const {
        return entries_[static_cast<std::size_t>(socket.handle)];
    }
    [[nodiscard]] std::uint32_t add(State state, io::Token token, Endpoint* endpoint);
    [[nodiscard]] io::Token inner_token(std::uint32_t index) const;
    void complete(io::Token token, io::Op op, std::int32_t result, std::uint32_t index);
    void free_if_done(std::uint32_t index);

    void on_inner(const io::Completion& completion, MonotonicNs now);
    void on_accept(std::uint32_t index, const io::Completion& completion, MonotonicNs now);
    void on_connect(std::uint32_t index, std::int32_t result, MonotonicNs now);
    void on_receive(std::uint32_t index, const io::Completion& completion, MonotonicNs now);
    void on_send(std::uint32_t index, std::int32_t result, MonotonicNs now);

    [[nodiscard]] bool begin_session(Entry& one);
    void end_use(Entry& one);
    void step_handshake(std::uint32_t index, MonotonicNs now);
    void await_turn(std::uint32_t index, MonotonicNs now);
    void serve_strangers();
    void pause_listeners();
    [[nodiscard]] MonotonicNs next_stranger() const;
    void handshake_done(std::uint32_t index, MonotonicNs now);
    void handshake_failed(std::uint32_t index, const std::string& why, std::int32_t error, MonotonicNs now);
    void hand_over_accept(std::uint32_t index, MonotonicNs now);

    void hold(std::uint32_t index, const io::Completion& completion);
    [[nodiscard]] bool keep_early(Entry& one, ConstBytes bytes);
    [[nodiscard]] static bool has_input(const Entry& one) { return !one.early.empty() || one.held_head != io::no_slot; }
    [[nodiscard]] std::uint32_t pop_front(Entry& one);
    static void drop_early(Entry& one);
    void drop_held(Entry& one);
    void feed_front(Entry& one);
    void drop_read(Entry& one);
    void lease(std::uint32_t index, std::uint32_t inner_slot, ConstBytes bytes);
    void pump_receive(std::uint32_t index);
    void pump_plain(std::uint32_t index);
    [[nodiscard]] Outcome fill_slot(std::uint32_t index, std::uint32_t slot, std::size_t& count);
    void end_receive(std::uint32_t index, std::int32_t result);
    void update_pause(Entry& one);
    void starve(std::uint32_t index);
    void feed_starved();

    void pump_send(std::uint32_t index);
    void flush(std::uint32_t index);
    void break_session(std::uint32_t index, NoteKind kind, const std::string& why, std::int32_t error);
    void leave(std::uint32_t index, MonotonicNs now);
    void leave_if_said(std::uint32_t index);
    void end_inner(std::uint32_t index);

    void time(std::uint32_t index, MonotonicNs now, std::uint64_t ns);
    void untime(std::uint32_t index);
    void look_at_timed(MonotonicNs now);
    void push_out_oldest();
    void look_at_endpoints();
    void note_expiry(Entry& one, MonotonicNs now);
    void look_at_expiries(MonotonicNs now);
    void deny(const Endpoint& endpoint);
    void recycle();
    void note(std::uint32_t index, NoteKind kind, std::string_view what);

    std::unique_ptr<io::Io> inner_;
    io::IoOptions options_;
    TlsIoOptions tls_;
    std::vector<Entry> entries_;
    std::vector<std::uint32_t> free_entries_;
    std::vector<std::uint32_t> freed_;         // their last completions are handed out by the next wait()
    std::vector<std::uint32_t> freed_before_;  // and those were by the last
    std::uint32_t accepted_count_ = 0;         // its owner's
    std::byte* slab_ = nullptr;
    std::vector<std::uint32_t> free_slots_;
    std::vector<std::uint32_t> slot_inner_;  // of a leased slot: the inner one it stands for, or own_cell
    std::vector<Held> held_;                 // by inner slot
    std::vector<std::uint32_t> starved_;
    std::vector<std::uint32_t> feeding_;
    std::vector<std::uint32_t> timed_;
    MonotonicNs next_deadline_ = never;
    MonotonicNs next_expiry_ = never;
    std::uint32_t timed_handshakes_ = 0;  // those in timed_ that are nobody's
    StrangerTime stranger_time_;
    io::Starved waiting_;                   // entries whose handshake has input, the longest first
    std::vector<std::uint32_t> listeners_;  // with an endpoint
    bool are_listeners_paused_ = false;
    std::vector<io::Completion> queued_;
    std::vector<io::Completion> returned_;
    std::uint64_t completions_ = 0;
    std::uint64_t slots_exhausted_ = 0;
    std::uint64_t accepts_refused_ = 0;
};

// A runner's way to an Io of this kind (RunnerOptions::make_io).
[[nodiscard]] Result<std::unique_ptr<io::Io>> make_tls_io(io::IoChoice choice, const io::IoOptions& options,
                                                          const TlsIoOptions& tls);

}  // namespace weir::tls
