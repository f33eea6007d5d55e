// TlsIo's outside: what its owner calls, and wait(). What happens on a connection is in connections.cpp.
#include "core/tls/tls_io.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace weir::tls {
namespace {

constexpr std::uint32_t own_sockets = 64;    // listeners and connections we begin, beside those accepted
constexpr std::uint32_t spare_entries = 64;  // closed ones whose last completions are on their way
constexpr std::uint64_t quiesce_farewell_ns = 100 * ns_per_ms;
constexpr std::uint32_t own_cell = io::no_slot - 1;

}  // namespace

io::IoOptions inner_io_options(io::IoOptions options, const TlsIoOptions& tls) {
    options.sockets_max += tls.handshakes_max;
    return options;
}

TlsIo::TlsIo(std::unique_ptr<io::Io> inner, const io::IoOptions& options, const TlsIoOptions& tls)
    : inner_(std::move(inner)),
      options_(options),
      tls_(tls),
      entries_(std::size_t{options.sockets_max} + tls.handshakes_max + own_sockets + spare_entries),
      slot_inner_(options.slots, io::no_slot),
      held_(options.slots),
      stranger_time_(tls.stranger_share_percent, tls.stranger_ns_at_once),
      waiting_(entries_.size()) {
    WEIR_ASSERT(tls.handshakes_max > 0);
    void* memory = ::mmap(nullptr, std::size_t{options.slots} * options.slot_bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    WEIR_ASSERT(memory != MAP_FAILED);
    slab_ = static_cast<std::byte*>(memory);
    for (std::uint32_t slot = options.slots; slot > 0; --slot) free_slots_.push_back(slot - 1);
    for (std::size_t index = entries_.size(); index > 0; --index) {
        free_entries_.push_back(static_cast<std::uint32_t>(index - 1));
    }
    for (auto* list : {&freed_, &freed_before_, &starved_, &feeding_, &timed_}) list->reserve(entries_.size());
    // As the inner Io hands them on, and up to four of each connection's own.
    const std::size_t completions_max = 20'000 + entries_.size() * 4 + options.operations_max;
    queued_.reserve(completions_max);
    returned_.reserve(completions_max);
}

TlsIo::~TlsIo() {
    for (Entry& one : entries_) {
        if (one.using_ != nullptr) end_use(one);
    }
    inner_.reset();  // before what it may still send from
    ::munmap(slab_, std::size_t{options_.slots} * options_.slot_bytes);
}

std::uint32_t TlsIo::add(State state, io::Token token, Endpoint* endpoint) {
    if (free_entries_.empty()) return io::no_slot;
    const std::uint32_t index = free_entries_.back();
    free_entries_.pop_back();
    Entry& one = entries_[index];
    one.state = state;
    one.token = token;
    one.endpoint = endpoint;
    return index;
}

io::Token TlsIo::inner_token(std::uint32_t index) const {
    return {.owner = 0, .kind = 0, .generation = entries_[index].generation, .index = index};
}

void TlsIo::complete(io::Token token, io::Op op, std::int32_t result, std::uint32_t index) {
    queued_.push_back({token, op, result, io::Socket{static_cast<std::int32_t>(index)}, io::no_slot, nullptr});
}

void TlsIo::free_if_done(std::uint32_t index) {
    Entry& one = entries_[index];
    if (one.state != State::closed || one.has_inner_receive || one.has_inner_send) return;
    const auto generation = static_cast<std::uint16_t>(one.generation + 1);
    one = Entry{};
    one.generation = generation;
    freed_.push_back(index);
}

// A handle serves again when what was completed on it has been handed out and seen.
void TlsIo::recycle() {
    free_entries_.insert(free_entries_.end(), freed_before_.begin(), freed_before_.end());
    freed_before_.clear();
    std::swap(freed_before_, freed_);
}

Result<io::Socket> TlsIo::listen(const io::Address& address, io::Token token) {
    Endpoint* endpoint = address.text.starts_with("unix:") ? nullptr : tls_.listen;
    const std::uint32_t index = add(State::listening, token, endpoint);
    if (index == io::no_slot) return Error{EMFILE, "listen: no socket entry is free"};
    auto inner = inner_->listen(address, inner_token(index));
    if (!inner) {
        entries_[index].state = State::closed;
        free_if_done(index);
        return inner.error();
    }
    entries_[index].inner = inner.value();
    if (endpoint != nullptr) listeners_.push_back(index);
    return io::Socket{static_cast<std::int32_t>(index)};
}

Result<io::Socket> TlsIo::connect(const io::Address& address, io::Token token) {
    Endpoint* endpoint = address.text.starts_with("unix:") ? nullptr : tls_.connect;
    const std::uint32_t index = add(State::connecting, token, endpoint);
    if (index == io::no_slot) return Error{EMFILE, "connect: no socket entry is free"};
    auto inner = inner_->connect(address, inner_token(index));
    if (!inner) {
        entries_[index].state = State::closed;
        free_if_done(index);
        return inner.error();
    }
    entries_[index].inner = inner.value();
    return io::Socket{static_cast<std::int32_t>(index)};
}

std::string TlsIo::local_address(io::Socket socket) const {
    return inner_->local_address(entry(socket).inner);
}

std::string TlsIo::peer_address(io::Socket socket) const {
    return inner_->peer_address(entry(socket).inner);
}

std::optional<io::PeerCredentials> TlsIo::peer_credentials(io::Socket socket) const {
    return inner_->peer_credentials(entry(socket).inner);
}

std::string_view TlsIo::peer_identity(io::Socket socket) const {
    const Entry& one = entry(socket);
    return one.session ? one.session->identity() : std::string_view{};
}

bool TlsIo::may_claim(io::Socket socket, std::string_view role, std::string_view name) {
    const std::string_view shown = peer_identity(socket);
    if (shown.empty()) return true;
    const bool is_it = shown.size() == role.size() + 1 + name.size() && shown.starts_with(role) &&
                       shown[role.size()] == '/' && shown.ends_with(name);
    if (!is_it) {
        const auto index = static_cast<std::uint32_t>(socket.handle);
        entries_[index].endpoint->counters.false_claims.add(1);
        note(index, NoteKind::false_claim, std::string(role) + '/' + std::string(name));
    }
    return is_it;
}

void TlsIo::pause_accept(io::Socket listener, bool paused) {
    Entry& one = entry(listener);
    WEIR_ASSERT(one.state == State::listening);
    one.is_paused = paused;
    inner_->pause_accept(one.inner, paused || (one.endpoint != nullptr && are_listeners_paused_));
}

void TlsIo::receive(io::Socket socket, io::Token token) {
    Entry& one = entry(socket);
    const auto index = static_cast<std::uint32_t>(socket.handle);
    WEIR_ASSERT((one.state == State::open || one.state == State::broken) && !one.is_receiving);
    one.token = token;
    one.is_receiving = true;
    if (one.state == State::broken) return end_receive(index, one.end);
    if (one.endpoint == nullptr) {
        one.has_inner_receive = true;
        return inner_->receive(one.inner, inner_token(index));
    }
    pump_receive(index);
}

void TlsIo::pause_receive(io::Socket socket, bool paused) {
    Entry& one = entry(socket);
    if (one.is_paused == paused) return;
    one.is_paused = paused;
    if (one.state == State::broken && !paused && one.is_receiving) {
        return end_receive(static_cast<std::uint32_t>(socket.handle), one.end);
    }
    if (one.state != State::open) return;
    if (!paused) pump_receive(static_cast<std::uint32_t>(socket.handle));
    update_pause(one);
}

void TlsIo::send(io::Socket socket, ConstBytes bytes, io::Token token) {
    Entry& one = entry(socket);
    const auto index = static_cast<std::uint32_t>(socket.handle);
    WEIR_ASSERT((one.state == State::open || one.state == State::broken) && !one.is_sending && !bytes.empty());
    if (one.state == State::broken) return complete(token, io::Op::send, -EPIPE, index);
    one.send_token = token;
    one.is_sending = true;
    if (one.endpoint == nullptr) {
        one.has_inner_send = true;
        return inner_->send(one.inner, bytes, inner_token(index));
    }
    one.unsent = bytes;
    one.send_bytes = bytes.size();
    pump_send(index);
}

void TlsIo::close(io::Socket socket) {
    Entry& one = entry(socket);
    const auto index = static_cast<std::uint32_t>(socket.handle);
    if (one.was_accepted) --accepted_count_;
    if (one.is_receiving) end_receive(index, -ECANCELED);
    switch (one.state) {
        case State::connecting:
        case State::handshaking:
            WEIR_ASSERT(!one.was_accepted);
            complete(one.token, io::Op::connect, -ECANCELED, index);
            return end_inner(index);
        case State::open:
            if (one.endpoint == nullptr) return end_inner(index);  // what it sends is completed by the inner Io
            if (!std::exchange(one.is_sending, false)) return leave(index, inner_->now());
            // What was cut in its middle has no clean end: the peer must see that.
            complete(one.send_token, io::Op::send, -ECANCELED, index);
            return end_inner(index);
        case State::broken:
            return leave(index, inner_->now());
        case State::listening:
            std::erase(listeners_, index);
            return end_inner(index);
        case State::free:
        case State::leaving:
        case State::closed:
            WEIR_ASSERT(!"a socket is closed once");
    }
}

void TlsIo::release(std::uint32_t slot) {
    WEIR_ASSERT(slot < slot_inner_.size() && slot_inner_[slot] != io::no_slot);
    const std::uint32_t inner_slot = std::exchange(slot_inner_[slot], io::no_slot);
    if (inner_slot != own_cell) inner_->release(inner_slot);
    free_slots_.push_back(slot);
}

// `inner_slot`: no_slot where the bytes lie in this Io's own cell, that of the slot on top of free_slots_.
void TlsIo::lease(std::uint32_t index, std::uint32_t inner_slot, ConstBytes bytes) {
    const std::uint32_t slot = free_slots_.back();
    free_slots_.pop_back();
    slot_inner_[slot] = inner_slot == io::no_slot ? own_cell : inner_slot;
    queued_.push_back({entries_[index].token, io::Op::receive, static_cast<std::int32_t>(bytes.size()),
                       io::Socket{static_cast<std::int32_t>(index)}, slot, const_cast<std::byte*>(bytes.data())});
}

std::span<const io::Completion> TlsIo::wait(MonotonicNs until) {
    recycle();
    feed_starved();
    look_at_endpoints();
    if (next_deadline_ != never) {
        if (const MonotonicNs now = inner_->now(); now >= next_deadline_) look_at_timed(now);
    }
    serve_strangers();
    const MonotonicNs next = std::min({until, next_deadline_, next_expiry_, next_stranger()});
    const auto completions = inner_->wait(queued_.empty() ? next : MonotonicNs{0});
    if (!completions.empty()) {
        const MonotonicNs now = inner_->now();
        for (const io::Completion& completion : completions) on_inner(completion, now);
        if (now >= next_expiry_) look_at_expiries(now);
    } else if (next_expiry_ != never) {
        if (const MonotonicNs now = inner_->now(); now >= next_expiry_) look_at_expiries(now);
    }
    returned_.clear();
    std::swap(returned_, queued_);
    completions_ += returned_.size();
    return returned_;
}

// Peers are told that nothing more will come, where that takes no waiting for them.
bool TlsIo::quiesce() {
    const MonotonicNs until = inner_->now().plus_ns(quiesce_farewell_ns);
    listeners_.clear();
    for (std::uint32_t index = 0; index < entries_.size(); ++index) {
        const Entry& one = entries_[index];
        if (one.state == State::free || one.state == State::closed || one.state == State::leaving) continue;
        if (one.state == State::open && one.session && !one.is_sending) {
            leave(index, inner_->now());
        } else {
            end_inner(index);
        }
    }
    const auto is_saying = [this] {
        return std::any_of(timed_.begin(), timed_.end(), [this](std::uint32_t index) {
            return entries_[index].state == State::leaving && entries_[index].has_inner_send;
        });
    };
    while (is_saying() && inner_->now() < until) static_cast<void>(wait(until));
    return inner_->quiesce();
}

io::IoCounters TlsIo::counters() const noexcept {
    io::IoCounters all = inner_->counters();
    all.completions = completions_;
    all.slots_exhausted += slots_exhausted_;
    all.accepts_refused += accepts_refused_;
    return all;
}

Result<std::unique_ptr<io::Io>> make_tls_io(io::IoChoice choice, const io::IoOptions& options,
                                            const TlsIoOptions& tls) {
    auto inner = io::make_io(choice, inner_io_options(options, tls));
    if (!inner) return inner;
    return std::unique_ptr<io::Io>(std::make_unique<TlsIo>(std::move(inner.value()), options, tls));
}

}  // namespace weir::tls
