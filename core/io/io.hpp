// Io: all waiting and all input/output of one runner: sockets, files, time and being woken.
//
// Completion based. A call queues an operation; wait() submits what is queued and hands back what has completed. UringIo
// and EpollIo are the real ones; a simulator implements the same contract. One virtual call per operation, none per event.
//
// Thread    One runner owns it and makes every call, except wake(), which any thread may make.
// Ownership Bytes given to send/write/read stay the caller's and must not move or change until their completion.
//           Received bytes lie in a slot of the Io's slabs, leased to the caller until release(slot).
// Pressure  While no slot is free nothing is received (the peers' windows fill); nothing is dropped.
// Order     Sends on one socket complete in order; one send per socket may be in flight. Accepts and receives arrive in
//           order. Writes may complete out of order.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.hpp"
#include "core/base/types.hpp"

namespace weir::io {

// Chosen by the caller, handed back with each completion. `owner` is the IoClient that Runner dispatches to.
struct Token {
    std::uint8_t owner = 0;
    std::uint8_t kind = 0;
    std::uint16_t generation = 0;
    std::uint32_t index = 0;
    bool operator==(const Token&) const = default;
};
static_assert(sizeof(Token) == 8);

enum class Op : std::uint8_t { accept, connect, receive, send, read, write, sync };

// Names of open things inside one Io; reused after close, never while an operation on them is unfinished.
struct Socket {
    std::int32_t handle = -1;
    [[nodiscard]] bool is_valid() const { return handle >= 0; }
    bool operator==(const Socket&) const = default;
};
struct File {
    std::int32_t handle = -1;
    [[nodiscard]] bool is_valid() const { return handle >= 0; }
    bool operator==(const File&) const = default;
};

inline constexpr std::uint64_t quiesce_ns_max = 10 * ns_per_second;  // a disk that hangs may not hold an end for ever
inline constexpr std::uint32_t no_slot = UINT32_MAX;
// Of one listener: however many come, what is open has its turn between them.
inline constexpr std::uint32_t accepts_per_wait_max = 4;
inline constexpr std::size_t write_parts_max = 16;  // of one gathered write

struct Completion {
    Token token;
    Op op = Op::accept;
    std::int32_t result = 0;       // >= 0: bytes moved (receive: 0 = the peer has finished); < 0: -errno
    Socket socket;                 // accept: the new connection. Otherwise the socket of the operation.
    std::uint32_t slot = no_slot;  // receive with result > 0: leased to the handler of this completion
    std::byte* bytes = nullptr;    // receive: where they lie (result many)
};

// "127.0.0.1:7401", "[::1]:7401" or "unix:/run/weir.sock".
struct Address {
    std::string text;
};
[[nodiscard]] Status check_address(std::string_view text);

// Who has a Unix socket's other end: as the kernel says, of the time of its connect.
struct PeerCredentials {
    static constexpr std::size_t groups_max = 64;
    std::uint32_t user = 0;
    std::uint32_t group_count = 0;
    std::array<std::uint32_t, groups_max> groups{};  // the first is the primary one; what is beyond is left out
};

struct FileOptions {
    bool create = false;
    bool direct = false;   // O_DIRECT where the file system has it, silently buffered elsewhere
    bool durable = false;  // O_DSYNC: a completed write is on the disk
    bool read_only = false;
};

struct IoOptions {
    std::uint32_t slots = 64;
    std::uint32_t slot_bytes = 64U << 10;
    std::uint32_t sockets_max = 1024;  // accepted above this are closed at once and counted
    std::uint32_t operations_max = 4096;
    std::uint32_t unix_mode = 0600;  // of the Unix sockets that are listened on
    bool restrict_ring = true;       // an io_uring may do what UringIo does, and nothing else
    bool touch = false;              // all its memory has its pages from the start on (core/base/touch.hpp)
};

struct IoCounters {  // written by the owner, read by anyone (relaxed)
    std::uint64_t waits = 0, completions = 0, submits = 0, slots_exhausted = 0, accepts_refused = 0;
};

class Io {
  public:
    virtual ~Io() = default;

    // Listens and accepts for ever, accepts_per_wait_max in one wait(): one accept completion per connection (result 0, `socket` set). The bound address is in
    // local_address(). A Unix path is replaced if no one listens there; IoOptions::unix_mode.
    [[nodiscard]] virtual Result<Socket> listen(const Address& address, Token token) = 0;
    [[nodiscard]] virtual std::string local_address(Socket socket) const = 0;
    [[nodiscard]] virtual std::string peer_address(Socket socket) const = 0;
    // nullopt: no Unix socket. Valid until close().
    [[nodiscard]] virtual std::optional<PeerCredentials> peer_credentials(Socket socket) const {
        static_cast<void>(socket);
        return std::nullopt;
    }
    // Who the peer has proved to be, as ROLE/NAME ("edge/north"); empty where nothing was proved: plain sockets, and peers that need
    // no certificate. Valid until close().
    [[nodiscard]] virtual std::string_view peer_identity(Socket socket) const {
        static_cast<void>(socket);
        return {};
    }
    // Whether the peer may call itself so: true where it has proved that, or nothing was proved. False is noted for the audit.
    [[nodiscard]] virtual bool may_claim(Socket socket, std::string_view role, std::string_view name) {
        static_cast<void>(socket), static_cast<void>(role), static_cast<void>(name);
        return true;
    }
    // Stops (true) or goes on (false) accepting; a few connections that were under way may still come. Meanwhile the kernel keeps those
    // who come in the listener's queue, listen_backlog many. An Io without such a queue does not stop.
    virtual void pause_accept(Socket listener, bool paused) { static_cast<void>(listener), static_cast<void>(paused); }
    // Begins to connect; completes with result 0 or -errno (the socket must be closed then too).
    [[nodiscard]] virtual Result<Socket> connect(const Address& address, Token token) = 0;
    // Receives until the peer ends, an error, or close. Each completion leases a slot. A result <= 0 is the last one.
    virtual void receive(Socket socket, Token token) = 0;
    // Stops (true) or goes on (false) receiving; a few completions under way may still arrive after pausing.
    virtual void pause_receive(Socket socket, bool paused) = 0;
    // Sends all of `bytes` (at least one): completes once, with the full count or -errno.
    virtual void send(Socket socket, ConstBytes bytes, Token token) = 0;
    // Ends everything on it. Completions that are under way still arrive (-ECANCELED or their result) before the handle
    // is reused; their handlers must tell them by generation.
    virtual void close(Socket socket) = 0;
    virtual void release(std::uint32_t slot) = 0;

    [[nodiscard]] virtual Result<File> open(const std::string& path, FileOptions options) = 0;
    // Operations under way go on and complete.
    virtual void close(File file) = 0;
    // All of `bytes` at `offset`: completes once, with the full count or -errno. With FileOptions::direct both address,
    // length and offset must be multiples of 4096.
    virtual void write(File file, ConstBytes bytes, std::uint64_t offset, Token token) = 0;
    // The same of 1 to write_parts_max parts that lie one behind the other in the file, as one write (pwritev(2)). With
    // FileOptions::direct each part is as above. What names the parts stays the caller's until the completion too.
    virtual void write_gathered(File file, std::span<const iovec> parts, std::uint64_t offset, Token token) = 0;
    // Up to bytes.size(): completes with the count read (0 at the end).
    virtual void read(File file, Bytes bytes, std::uint64_t offset, Token token) = 0;
    virtual void sync(File file, Token token) = 0;  // fdatasync

    // Submits what is queued, then returns what has completed; blocks until something has, wake() was called, or `until`;
    // now and then it returns nothing early. `until` in the past = do not block. The span is valid until the next call.
    [[nodiscard]] virtual std::span<const Completion> wait(MonotonicNs until) = 0;
    virtual void wake() noexcept = 0;
    // Before the end: returns when nothing under way uses the callers' bytes any more, or quiesce_ns_max later with false.
    // Sockets are closed, completions dropped. Afterwards only quiesce(), wake() and destruction are allowed.
    [[nodiscard]] virtual bool quiesce() { return true; }

    [[nodiscard]] virtual MonotonicNs now() const noexcept = 0;
    [[nodiscard]] virtual WallNs wall() const noexcept = 0;
    [[nodiscard]] virtual std::string_view name() const noexcept = 0;  // "uring", "epoll", "sim"
    [[nodiscard]] virtual IoCounters counters() const noexcept = 0;
};

enum class IoChoice : std::uint8_t { automatic, uring, epoll };
[[nodiscard]] Result<IoChoice> parse_io_choice(std::string_view text);  // "auto", "uring", "epoll"
// `automatic`: UringIo where the kernel allows it, else EpollIo. `uring` fails where it is refused, and says why.
// Must be called on the thread that will own it (io_uring's SINGLE_ISSUER).
[[nodiscard]] Result<std::unique_ptr<Io>> make_io(IoChoice choice, const IoOptions& options);

// Something that queues operations on an Io and is handed their completions.
class IoClient {
  public:
    virtual ~IoClient() = default;
    virtual void on_completion(const Completion& completion, MonotonicNs now) = 0;
};

}  // namespace weir::io
