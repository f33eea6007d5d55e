#include "tests/simulation/sim_io.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/assert.hpp"
#include "core/io/gathered.hpp"

namespace weir::sim {
namespace {
constexpr std::uint64_t wall_base_ns = 1'700'000'000ULL * ns_per_second;
constexpr std::size_t chunk_bytes_small = 64;
}  // namespace

SimIo::SimIo(Clock& clock, Network& network, Machine& machine, Random random, io::IoOptions options)
    : clock_(clock), network_(network), machine_(machine), random_(random), options_(options) {
    slots_.resize(options_.slots);
    is_leased_.resize(options_.slots);
    for (std::uint32_t slot = 0; slot < options_.slots; ++slot) free_slots_.push_back(slot);
}

SimIo::~SimIo() {
    std::erase_if(network_.listeners, [this](const auto& one) { return one.second.io == this; });
    for (const Arrival& arrival : arrivals_) {
        arrival.link->is_reset = true;
        arrival.link->reset_due_ns = clock_.now_ns;
    }
}

void SimIo::abandon() {
    for (const FileOperation& one : operations_) {
        std::uint64_t at = one.offset;
        for (const ConstBytes part : one.parts) {
            machine_.disk.land_torn(*one.inode, part, at);
            at += part.size();
        }
    }
    operations_.clear();
}

WallNs SimIo::wall() const noexcept {
    return {wall_base_ns + clock_.now_ns + static_cast<std::uint64_t>(machine_.wall_skew_ns)};
}

io::Socket SimIo::add(State state) {
    for (std::size_t index = 0; index < entries_.size(); ++index) {
        if (entries_[index].state != State::free) continue;
        entries_[index] = Entry{};
        entries_[index].state = state;
        return {static_cast<std::int32_t>(index)};
    }
    entries_.emplace_back().state = state;
    return {static_cast<std::int32_t>(entries_.size() - 1)};
}

void SimIo::complete(io::Token token, io::Op op, std::int32_t result, io::Socket socket) {
    queued_.push_back({token, op, result, socket, io::no_slot, nullptr});
}

Result<io::Socket> SimIo::listen(const io::Address& address, io::Token token) {
    if (network_.listeners.contains(address.text)) return error_from_errno(EADDRINUSE, "listen " + address.text);
    const io::Socket socket = add(State::listening);
    entry(socket).token = token;
    entry(socket).address = address.text;
    network_.listeners[address.text] = {this, socket.handle};
    return socket;
}

Result<io::Socket> SimIo::connect(const io::Address& address, io::Token token) {
    if (watch_ != nullptr) watch_->connects();
    const io::Socket socket = add(State::connecting);
    Entry& one = entry(socket);
    one.token = token;
    one.address = address.text;
    one.connect_due_ns = clock_.now_ns + 2 * network_.latency_ns();
    return socket;
}

void SimIo::receive(io::Socket socket, io::Token token) {
    Entry& one = entry(socket);
    WEIR_ASSERT(one.state == State::connected && !one.is_receiving);
    one.token = token;
    one.is_receiving = true;
}

void SimIo::send(io::Socket socket, ConstBytes bytes, io::Token token) {
    Entry& one = entry(socket);
    WEIR_ASSERT(one.state == State::connected && !one.is_sending && !bytes.empty());
    if (watch_ != nullptr) watch_->sends(bytes);
    one.send_token = token;
    one.unsent = bytes;
    one.send_bytes = bytes.size();
    one.is_sending = true;
    if (one.side != 0) return;
    Link& link = *one.link;
    link.last_send.assign(bytes.begin(), bytes.end());
    const Link::Theft theft = std::exchange(link.theft, Link::Theft::none);
    if (theft == Link::Theft::none) return;
    link.was_tampered = true;
    if (theft == Link::Theft::hold) link.held = link.last_send;
    one.unsent = {};
}

void SimIo::close(io::Socket socket) {
    Entry& one = entry(socket);
    WEIR_ASSERT(one.state != State::free);
    if (one.state == State::listening) network_.listeners.erase(one.address);
    if (one.is_sending) complete(one.send_token, io::Op::send, -ECANCELED, socket);
    if (one.is_receiving) complete(one.token, io::Op::receive, -ECANCELED, socket);
    if (one.link) {
        const auto side = static_cast<std::size_t>(one.side);
        one.link->is_open[side] = false;
        Pipe& out = one.link->from[side];
        if (one.link->from[side ^ 1U].unread > 0) {  // as TCP: unread bytes at close reset the connection
            one.link->is_reset = true;
            one.link->reset_due_ns = clock_.now_ns + network_.latency_ns();
        } else {
            out.has_ended = true;
            out.end_due_ns = std::max(out.last_due_ns, clock_.now_ns + network_.latency_ns());
        }
    }
    one = Entry{};
}

void SimIo::release(std::uint32_t slot) {
    WEIR_ASSERT(slot < options_.slots && is_leased_[slot]);
    is_leased_[slot] = false;
    free_slots_.push_back(slot);
}

Result<io::File> SimIo::open(const std::string& path, io::FileOptions options) {
    int flags = options.read_only ? O_RDONLY : O_RDWR;
    if (options.create) flags |= O_CREAT;
    if (options.durable) flags |= O_DSYNC;
    const int handle = machine_.disk.open(path, flags);
    if (handle < 0) return error_from_errno(errno, "open " + path);
    return io::File{handle};
}

void SimIo::close(io::File file) {
    machine_.disk.close(file.handle);
}

void SimIo::add_file_operation(FileOperation operation) {
    // Counted when it is asked for and once more when it is done: a crash can come at either.
    static_cast<void>(machine_.disk.enter());
    ++file_operations_;
    operation.due_ns = clock_.now_ns + random_.within(machine_.disk_latency_ns_min, machine_.disk_latency_ns_max);
    operations_.push_back(std::move(operation));
}

void SimIo::write(io::File file, ConstBytes bytes, std::uint64_t offset, io::Token token) {
    add_write(file, {bytes}, offset, token);
}

void SimIo::write_gathered(io::File file, std::span<const iovec> parts, std::uint64_t offset, io::Token token) {
    std::vector<ConstBytes> all;
    for (const iovec& part : parts) all.push_back(io::bytes_of(part));
    add_write(file, std::move(all), offset, token);
}

void SimIo::add_write(io::File file, std::vector<ConstBytes> parts, std::uint64_t offset, io::Token token) {
    for (const ConstBytes part : parts) {
        if (watch_ != nullptr) watch_->writes(part);
    }
    add_file_operation({.token = token,
                        .op = io::Op::write,
                        .inode = machine_.disk.inode_of(file.handle),
                        .is_durable = machine_.disk.is_durable_handle(file.handle),
                        .parts = std::move(parts),
                        .room = {},
                        .offset = offset});
}

void SimIo::read(io::File file, Bytes bytes, std::uint64_t offset, io::Token token) {
    add_file_operation({.token = token,
                        .op = io::Op::read,
                        .inode = machine_.disk.inode_of(file.handle),
                        .is_durable = false,
                        .parts = {},
                        .room = bytes,
                        .offset = offset});
}

void SimIo::sync(io::File file, io::Token token) {
    add_file_operation({.token = token,
                        .op = io::Op::sync,
                        .inode = machine_.disk.inode_of(file.handle),
                        .is_durable = false,
                        .parts = {},
                        .room = {},
                        .offset = 0});
}

void SimIo::poll_files() {
    for (std::size_t index = 0; index < operations_.size();) {
        if (std::max(operations_[index].due_ns, machine_.stalled_until_ns) > clock_.now_ns) {
            ++index;
            continue;
        }
        if (machine_.disk.is_down()) return;
        const FileOperation one = operations_[index];
        int code = machine_.disk.enter();
        if (machine_.disk.is_down()) return;  // still under way when the machine went down
        operations_.erase(operations_.begin() + static_cast<std::ptrdiff_t>(index));
        std::int32_t count = 0;
        if (code == 0 && one.op == io::Op::write) {
            for (const ConstBytes part : one.parts) {
                const std::uint64_t at = one.offset + static_cast<std::uint64_t>(count);
                code = machine_.disk.land(*one.inode, part, at, one.is_durable);
                if (code != 0) break;
                count += static_cast<std::int32_t>(part.size());
            }
        } else if (code == 0 && one.op == io::Op::sync) {
            code = machine_.disk.sync_inode(*one.inode);
        } else if (code == 0) {
            const auto& content = one.inode->visible;
            const std::uint64_t begin = std::min<std::uint64_t>(one.offset, content.size());
            const std::size_t some = std::min<std::size_t>(one.room.size(), content.size() - begin);
            if (some > 0) std::memcpy(one.room.data(), content.data() + begin, some);
            count = static_cast<std::int32_t>(some);
        }
        complete(one.token, one.op, code == 0 ? count : -code, io::Socket{});
    }
}

void SimIo::poll_accepts() {
    while (!arrivals_.empty() && arrivals_.front().due_ns <= clock_.now_ns) {
        const Arrival arrival = arrivals_.front();
        arrivals_.pop_front();
        const io::Socket listener{arrival.listener};
        if (entry(listener).state != State::listening) {
            arrival.link->is_reset = true;
            arrival.link->reset_due_ns = clock_.now_ns;
            continue;
        }
        const io::Token token = entry(listener).token;
        const io::Socket socket = add(State::connected);
        Entry& one = entry(socket);
        one.link = arrival.link;
        one.side = 1;
        one.was_accepted = true;
        complete(token, io::Op::accept, 0, socket);
    }
}

void SimIo::poll_connect(io::Socket socket) {
    Entry& one = entry(socket);
    if (one.connect_due_ns > clock_.now_ns) return;
    const auto found = network_.listeners.find(one.address);
    if (found == network_.listeners.end()) {
        one.state = State::connected;
        complete(one.token, io::Op::connect, -ECONNREFUSED, socket);
        return;
    }
    SimIo& acceptor = *found->second.io;
    const int here = machine_.number;
    const int there = acceptor.machine_.number;
    const std::uint64_t held = std::max(network_.held_until(here, there), network_.held_until(there, here));
    if (held > clock_.now_ns) {
        one.connect_due_ns = held + network_.latency_ns();
        return;
    }
    one.state = State::connected;
    one.link = network_.make_link(here, there);
    one.link->is_accepted = true;
    one.side = 0;
    acceptor.arrivals_.push_back({clock_.now_ns, found->second.handle, one.link});
    complete(one.token, io::Op::connect, 0, socket);
}

void SimIo::poll_send(io::Socket socket) {
    Entry& one = entry(socket);
    if (!one.is_sending) return;
    Link& link = *one.link;
    const auto side = static_cast<std::size_t>(one.side);
    if ((link.is_reset && link.reset_due_ns <= clock_.now_ns) || !link.is_open[side ^ 1U]) {
        one.is_sending = false;
        complete(one.send_token, io::Op::send, -EPIPE, socket);
        return;
    }
    one.unsent = one.unsent.subspan(network_.push(link, one.side, one.unsent, clock_.now_ns));
    if (!one.unsent.empty()) return;
    if (one.side == 0 && !link.held.empty() && link.held != link.last_send) {
        static_cast<void>(network_.push(link, 0, link.held, clock_.now_ns));
        link.held.clear();
    }
    one.is_sending = false;
    complete(one.send_token, io::Op::send, static_cast<std::int32_t>(one.send_bytes), socket);
}

std::uint64_t SimIo::receive_due_ns(const Entry& one) const {
    if (!one.is_receiving) return UINT64_MAX;
    const Link& link = *one.link;
    const auto peer = static_cast<std::size_t>(one.side) ^ 1U;
    const Pipe& pipe = link.from[peer];
    std::uint64_t due = UINT64_MAX;
    if (!pipe.chunks.empty() && !link.is_reset) {
        if (!one.is_paused && !free_slots_.empty()) due = pipe.chunks.front().due_ns;
    } else if (pipe.has_ended && !link.is_reset) {
        if (!one.is_paused) due = pipe.end_due_ns;
    }
    if (due != UINT64_MAX) due = std::max(due, network_.held_until(link.machine[peer], link.machine[peer ^ 1U]));
    if (link.is_reset) due = link.reset_due_ns;
    return due;
}

void SimIo::poll_receive(io::Socket socket) {
    Entry& one = entry(socket);
    for (int times = 0; times < 4; ++times) {
        if (receive_due_ns(one) > clock_.now_ns) return;
        Link& link = *one.link;
        Pipe& pipe = link.from[static_cast<std::size_t>(one.side) ^ 1U];
        if (link.is_reset || pipe.chunks.empty()) {
            one.is_receiving = false;
            complete(one.token, io::Op::receive, link.is_reset ? -ECONNRESET : 0, socket);
            return;
        }
        const std::uint32_t slot = free_slots_.back();
        free_slots_.pop_back();
        is_leased_[slot] = true;
        Pipe::Chunk& chunk = pipe.chunks.front();
        const std::size_t left = chunk.bytes.size() - chunk.taken;
        std::size_t most = std::min<std::size_t>(left, options_.slot_bytes);
        if (random_.chance(100)) most = std::min(most, static_cast<std::size_t>(random_.within(1, chunk_bytes_small)));
        // A slot of its own length each time: a read beyond what came is seen by a sanitizer.
        slots_[slot].assign(chunk.bytes.begin() + static_cast<std::ptrdiff_t>(chunk.taken),
                            chunk.bytes.begin() + static_cast<std::ptrdiff_t>(chunk.taken + most));
        chunk.taken += most;
        pipe.unread -= most;
        if (chunk.taken == chunk.bytes.size()) pipe.chunks.pop_front();
        queued_.push_back(
            {one.token, io::Op::receive, static_cast<std::int32_t>(most), socket, slot, slots_[slot].data()});
    }
}

std::uint64_t SimIo::next_event_ns() const {
    if (!queued_.empty() || is_woken_) return clock_.now_ns;
    std::uint64_t next = UINT64_MAX;
    for (const FileOperation& one : operations_) next = std::min(next, std::max(one.due_ns, machine_.stalled_until_ns));
    if (!arrivals_.empty()) next = std::min(next, arrivals_.front().due_ns);
    for (const Entry& one : entries_) {
        if (one.state == State::connecting) next = std::min(next, one.connect_due_ns);
        if (one.state != State::connected) continue;
        next = std::min(next, receive_due_ns(one));
        if (!one.is_sending) continue;
        const auto side = static_cast<std::size_t>(one.side);
        const Link& link = *one.link;
        const bool is_broken = !link.is_open[side ^ 1U];
        if (is_broken || (!link.is_reset && link.from[side].unread < network_.window_bytes)) next = clock_.now_ns;
        if (link.is_reset) next = std::min(next, link.reset_due_ns);
    }
    return std::max(next, clock_.now_ns);
}

std::span<const io::Completion> SimIo::wait(MonotonicNs) {
    is_woken_ = false;
    poll_files();
    poll_accepts();
    for (std::size_t index = 0; index < entries_.size(); ++index) {
        const io::Socket socket{static_cast<std::int32_t>(index)};
        if (entries_[index].state == State::connecting) poll_connect(socket);
        if (entries_[index].state != State::connected || !entries_[index].link) continue;
        poll_send(socket);
        poll_receive(socket);
    }
    returned_.clear();
    std::swap(returned_, queued_);
    return returned_;
}

}  // namespace weir::sim
