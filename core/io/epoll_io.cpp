#include "core/io/epoll_io.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/touch.hpp"
#include "core/io/address.hpp"
#include "core/io/file_table.hpp"
#include "core/io/file_thread.hpp"
#include "core/io/gathered.hpp"
#include "core/io/starved.hpp"

namespace weir::io {
namespace {

constexpr std::uint32_t own_sockets = 64;  // listeners and connections we begin, beside those accepted
constexpr std::size_t events_per_wait = 256;
constexpr std::uint64_t wake_key = UINT64_MAX;

enum class State : std::uint8_t { free, listening, connecting, connected };

struct Entry {
    State state = State::free;
    int fd = -1;
    std::uint32_t mask = 0;  // what epoll watches
    Token token;             // listen, connect, then receive
    Token send_token;
    ConstBytes unsent;
    std::size_t send_bytes = 0;
    bool is_sending = false;
    bool is_receiving = false;
    bool is_paused = false;
    bool is_starved = false;  // readable, but no slot was free: in starved_, and not watched for more
    bool was_accepted = false;
};

class EpollIo final : public Io {
  public:
    static Result<std::unique_ptr<Io>> make(const IoOptions& options);
    explicit EpollIo(const IoOptions& options)
        : options_(options), entries_(options.sockets_max + own_sockets), starved_(options.sockets_max + own_sockets) {}
    ~EpollIo() override;

    Result<Socket> listen(const Address& address, Token token) override;
    std::string local_address(Socket socket) const override { return local_address_of(entry(socket).fd); }
    std::string peer_address(Socket socket) const override { return peer_address_of(entry(socket).fd); }
    std::optional<PeerCredentials> peer_credentials(Socket socket) const override {
        return peer_credentials_of(entry(socket).fd);
    }
    Result<Socket> connect(const Address& address, Token token) override;
    void pause_accept(Socket listener, bool paused) override;
    void receive(Socket socket, Token token) override;
    void pause_receive(Socket socket, bool paused) override;
    void send(Socket socket, ConstBytes bytes, Token token) override;
    void close(Socket socket) override;
    void release(std::uint32_t slot) override;
    Result<File> open(const std::string& path, FileOptions options) override;
    void close(File file) override;
    void write(File file, ConstBytes bytes, std::uint64_t offset, Token token) override;
    void write_gathered(File file, std::span<const iovec> parts, std::uint64_t offset, Token token) override;
    void read(File file, Bytes bytes, std::uint64_t offset, Token token) override;
    void sync(File file, Token token) override;
    std::span<const Completion> wait(MonotonicNs until) override;
    void wake() noexcept override;
    bool quiesce() override;
    MonotonicNs now() const noexcept override { return monotonic_now(); }
    WallNs wall() const noexcept override { return wall_now(); }
    std::string_view name() const noexcept override { return "epoll"; }
    IoCounters counters() const noexcept override { return counters_; }

  private:
    [[nodiscard]] Entry& entry(Socket socket) { return entries_[static_cast<std::size_t>(socket.handle)]; }
    [[nodiscard]] const Entry& entry(Socket socket) const { return entries_[static_cast<std::size_t>(socket.handle)]; }
    [[nodiscard]] Socket add(int fd, State state, Token token);
    void watch(Socket socket);
    void complete(Token token, Op op, std::int32_t result, Socket socket);
    void on_event(Socket socket, std::uint32_t events);
    void accept_some(Socket socket);
    void finish_connect(Socket socket);
    void receive_some(Socket socket);
    void feed_starved();
    void send_some(Socket socket);
    void submit(const FileOperation& operation);
    void collect(MonotonicNs until);
    [[nodiscard]] int timeout_ms(MonotonicNs until) const;

    IoOptions options_;
    int epoll_fd_ = -1;
    int event_fd_ = -1;
    std::byte* slots_ = nullptr;
    std::vector<std::uint32_t> free_slots_;
    std::vector<bool> slot_leased_;
    std::vector<Entry> entries_;
    Starved starved_;
    std::vector<std::int32_t> free_handles_;
    std::uint32_t accepted_count_ = 0;
    FileTable files_;
    std::unique_ptr<FileThread> file_thread_;
    std::uint32_t file_operations_ = 0;
    std::vector<Completion> queued_;    // for the next wait()
    std::vector<Completion> returned_;  // given out by the last one
    IoCounters counters_;
};

Result<std::unique_ptr<Io>> EpollIo::make(const IoOptions& options) {
    auto made = std::make_unique<EpollIo>(options);
    EpollIo& io = *made;
    io.epoll_fd_ = ::epoll_create1(EPOLL_CLOEXEC);
    if (io.epoll_fd_ < 0) return error_from_errno(errno, "epoll_create1");
    io.event_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (io.event_fd_ < 0) return error_from_errno(errno, "eventfd");
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = wake_key;
    if (::epoll_ctl(io.epoll_fd_, EPOLL_CTL_ADD, io.event_fd_, &event) != 0)
        return error_from_errno(errno, "epoll_ctl");
    const std::size_t bytes = std::size_t{options.slots} * options.slot_bytes;
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return error_from_errno(errno, "mmap of receive slots");
    io.slots_ = static_cast<std::byte*>(memory);
    for (std::uint32_t slot = options.slots; slot > 0; --slot) io.free_slots_.push_back(slot - 1);
    io.slot_leased_.resize(options.slots);
    for (std::size_t handle = io.entries_.size(); handle > 0; --handle)
        io.free_handles_.push_back(static_cast<std::int32_t>(handle - 1));
    const std::size_t completions_max = options.operations_max + io.entries_.size() * 3;
    io.queued_.reserve(completions_max);
    io.returned_.reserve(completions_max);
    if (options.touch) {
        weir::touch(io.slots_, std::size_t{options.slots} * options.slot_bytes);
        weir::touch(io.queued_);
        weir::touch(io.returned_);
    }
    io.file_thread_ = std::make_unique<FileThread>(options.operations_max, io.event_fd_);
    return std::unique_ptr<Io>(std::move(made));
}

EpollIo::~EpollIo() {
    file_thread_.reset();
    for (Entry& one : entries_)
        if (one.fd >= 0) ::close(one.fd);
    if (slots_ != nullptr) ::munmap(slots_, std::size_t{options_.slots} * options_.slot_bytes);
    if (event_fd_ >= 0) ::close(event_fd_);
    if (epoll_fd_ >= 0) ::close(epoll_fd_);
}

Socket EpollIo::add(int fd, State state, Token token) {
    if (free_handles_.empty()) return Socket{};
    const Socket socket{free_handles_.back()};
    free_handles_.pop_back();
    Entry& one = entry(socket);
    one = Entry{};
    one.state = state;
    one.fd = fd;
    one.token = token;
    watch(socket);
    return socket;
}

// Keeps epoll's interest equal to what the entry waits for.
void EpollIo::watch(Socket socket) {
    Entry& one = entry(socket);
    std::uint32_t mask = 0;
    if (one.state == State::listening && !one.is_paused) mask |= EPOLLIN;
    if (one.state == State::connecting) mask |= EPOLLOUT;
    if (one.is_receiving && !one.is_paused && !one.is_starved) mask |= EPOLLIN;
    if (one.is_sending) mask |= EPOLLOUT;
    if (mask == one.mask) return;
    epoll_event event{};
    event.events = mask;
    event.data.u64 = static_cast<std::uint64_t>(socket.handle);
    // Not watched at all while nothing is wanted: epoll would report a hang-up over and over.
    const int operation = one.mask == 0 ? EPOLL_CTL_ADD : (mask == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD);
    WEIR_ASSERT(::epoll_ctl(epoll_fd_, operation, one.fd, &event) == 0);
    one.mask = mask;
}

void EpollIo::complete(Token token, Op op, std::int32_t result, Socket socket) {
    queued_.push_back(Completion{token, op, result, socket, no_slot, nullptr});
}

Result<Socket> EpollIo::listen(const Address& address, Token token) {
    auto opened = open_listener(address.text, options_.unix_mode);
    if (!opened) return opened.error();
    const Socket socket = add(opened.value(), State::listening, token);
    if (socket.is_valid()) return socket;
    ::close(opened.value());
    return Error{EMFILE, "listen: no socket entry is free"};
}

Result<Socket> EpollIo::connect(const Address& address, Token token) {
    const auto parsed = parse_address(address.text);
    if (!parsed) return parsed.error();
    auto opened = open_socket(parsed.value());
    if (!opened) return opened.error();
    const int fd = opened.value();
    const int outcome = ::connect(fd, parsed.value().get(), parsed.value().bytes) == 0 ? 0 : errno;
    const bool is_pending = outcome == EINPROGRESS;
    const Socket socket = add(fd, is_pending ? State::connecting : State::connected, token);
    if (!socket.is_valid()) {
        ::close(fd);
        return Error{EMFILE, "connect: no socket entry is free"};
    }
    if (!is_pending) complete(token, Op::connect, -outcome, socket);
    return socket;
}

void EpollIo::receive(Socket socket, Token token) {
    Entry& one = entry(socket);
    WEIR_ASSERT(one.state == State::connected && !one.is_receiving);
    one.token = token;
    one.is_receiving = true;
    watch(socket);
}

void EpollIo::pause_receive(Socket socket, bool paused) {
    entry(socket).is_paused = paused;
    watch(socket);
}

void EpollIo::pause_accept(Socket listener, bool paused) {
    WEIR_ASSERT(entry(listener).state == State::listening);
    entry(listener).is_paused = paused;
    watch(listener);
}

void EpollIo::send(Socket socket, ConstBytes bytes, Token token) {
    Entry& one = entry(socket);
    WEIR_ASSERT(one.state == State::connected && !one.is_sending);
    one.send_token = token;
    one.unsent = bytes;
    one.send_bytes = bytes.size();
    one.is_sending = true;
    send_some(socket);
}

void EpollIo::close(Socket socket) {
    Entry& one = entry(socket);
    WEIR_ASSERT(one.state != State::free);
    if (one.is_sending) complete(one.send_token, Op::send, -ECANCELED, socket);
    if (one.is_receiving) complete(one.token, Op::receive, -ECANCELED, socket);
    if (one.was_accepted) --accepted_count_;
    if (one.is_starved) starved_.remove(socket.handle);
    ::close(one.fd);  // leaves epoll by itself
    one = Entry{};
    free_handles_.push_back(socket.handle);
}

void EpollIo::release(std::uint32_t slot) {
    WEIR_ASSERT(slot < options_.slots && slot_leased_[slot]);
    slot_leased_[slot] = false;
    free_slots_.push_back(slot);
}

Result<File> EpollIo::open(const std::string& path, FileOptions options) {
    return files_.open(path, options);
}

void EpollIo::close(File file) {
    files_.close(file);
}

void EpollIo::submit(const FileOperation& operation) {
    WEIR_ASSERT(++file_operations_ <= options_.operations_max);
    file_thread_->submit(operation);
}

void EpollIo::write(File file, ConstBytes bytes, std::uint64_t offset, Token token) {
    // The thread only reads them: FileOperation serves both directions.
    submit(
        {token, Op::write, files_.descriptor(file), const_cast<std::byte*>(bytes.data()), bytes.size(), offset, {}, 0});
}

void EpollIo::write_gathered(File file, std::span<const iovec> parts, std::uint64_t offset, Token token) {
    WEIR_ASSERT(!parts.empty() && parts.size() <= write_parts_max);
    submit({token, Op::write, files_.descriptor(file), nullptr, gathered_bytes(parts), offset, parts, 0});
}

void EpollIo::read(File file, Bytes bytes, std::uint64_t offset, Token token) {
    submit({token, Op::read, files_.descriptor(file), bytes.data(), bytes.size(), offset, {}, 0});
}

void EpollIo::sync(File file, Token token) {
    submit({token, Op::sync, files_.descriptor(file), nullptr, 0, 0, {}, 0});
}

int EpollIo::timeout_ms(MonotonicNs until) const {
    if (!queued_.empty()) return 0;
    if (until == never) return -1;
    const std::uint64_t ns = until.since(monotonic_now());
    return static_cast<int>(std::min<std::uint64_t>((ns + ns_per_ms - 1) / ns_per_ms, 60'000));
}

std::span<const Completion> EpollIo::wait(MonotonicNs until) {
    collect(until);
    returned_.clear();
    std::swap(returned_, queued_);
    counters_.completions += returned_.size();
    return returned_;
}

void EpollIo::collect(MonotonicNs until) {
    epoll_event events[events_per_wait];
    ++counters_.waits;
    feed_starved();
    const int count = ::epoll_wait(epoll_fd_, events, static_cast<int>(events_per_wait), timeout_ms(until));
    for (int i = 0; i < count; ++i) {
        if (events[i].data.u64 == wake_key) {
            std::uint64_t times = 0;
            [[maybe_unused]] const auto ignored = ::read(event_fd_, &times, sizeof times);
            continue;
        }
        on_event(Socket{static_cast<std::int32_t>(events[i].data.u64)}, events[i].events);
    }
    file_operations_ -= static_cast<std::uint32_t>(file_thread_->take_finished(
        [this](const FileOperation& done) { complete(done.token, done.op, done.result, Socket{}); }));
}

void EpollIo::wake() noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto ignored = ::write(event_fd_, &one, sizeof one);
}

// Sends end with the call that made them: only the file thread may still hold callers' bytes.
bool EpollIo::quiesce() {
    const MonotonicNs until = monotonic_now().plus_ns(quiesce_ns_max);
    for (Entry& one : entries_) one.is_sending = false;
    while (file_operations_ > 0) {
        if (monotonic_now() >= until) return false;
        static_cast<void>(wait(until));
    }
    return true;
}

void EpollIo::on_event(Socket socket, std::uint32_t events) {
    switch (entry(socket).state) {
        case State::free:
            return;
        case State::listening:
            accept_some(socket);
            return;
        case State::connecting:
            finish_connect(socket);
            return;
        case State::connected:
            break;
    }
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0 && entry(socket).is_sending) send_some(socket);
    if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0 && entry(socket).is_receiving) receive_some(socket);
}

void EpollIo::accept_some(Socket socket) {
    for (std::uint32_t i = 0; i < accepts_per_wait_max; ++i) {
        const int fd = ::accept4(entry(socket).fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        if (accepted_count_ >= options_.sockets_max) {
            ++counters_.accepts_refused;
            ::close(fd);
            continue;
        }
        tune_connection(fd);
        const Socket accepted = add(fd, State::connected, Token{});
        WEIR_ASSERT(accepted.is_valid());
        entry(accepted).was_accepted = true;
        ++accepted_count_;
        complete(entry(socket).token, Op::accept, 0, accepted);
    }
}

void EpollIo::finish_connect(Socket socket) {
    Entry& one = entry(socket);
    int fault = 0;
    socklen_t bytes = sizeof fault;
    ::getsockopt(one.fd, SOL_SOCKET, SO_ERROR, &fault, &bytes);
    one.state = State::connected;
    watch(socket);
    complete(one.token, Op::connect, -fault, socket);
}

void EpollIo::receive_some(Socket socket) {
    Entry& one = entry(socket);
    if (one.is_paused) return;
    if (free_slots_.empty()) {
        ++counters_.slots_exhausted;
        one.is_starved = true;
        starved_.add(socket.handle);
        watch(socket);
        return;
    }
    const std::uint32_t slot = free_slots_.back();
    std::byte* bytes = slots_ + std::size_t{slot} * options_.slot_bytes;
    const ssize_t count = ::recv(one.fd, bytes, options_.slot_bytes, 0);
    if (count > 0) {
        free_slots_.pop_back();
        slot_leased_[slot] = true;
        queued_.push_back(Completion{one.token, Op::receive, static_cast<std::int32_t>(count), socket, slot, bytes});
        return;
    }
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    one.is_receiving = false;
    const std::int32_t result = count == 0 ? 0 : -errno;
    watch(socket);
    complete(one.token, Op::receive, result, socket);
}

// Slots that have come back go round among those who wait for one. Who has received stays among them, behind the others, while
// there are others: so epoll is told of a socket when it begins to starve and when it ends, and not for each receive.
void EpollIo::feed_starved() {
    for (std::size_t left = starved_.count(); left > 0 && !free_slots_.empty(); --left) {
        const Socket socket{starved_.take()};
        Entry& one = entry(socket);
        one.is_starved = false;
        const std::size_t slots_before = free_slots_.size();
        if (one.is_receiving) receive_some(socket);
        const bool has_received = free_slots_.size() < slots_before;
        if (has_received && !starved_.is_empty()) {
            one.is_starved = true;
            starved_.add(socket.handle);
        } else {
            watch(socket);
        }
    }
}

void EpollIo::send_some(Socket socket) {
    Entry& one = entry(socket);
    while (!one.unsent.empty()) {
        const ssize_t count = ::send(one.fd, one.unsent.data(), one.unsent.size(), MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && errno == EAGAIN) break;
        if (count < 0) {
            one.is_sending = false;
            const std::int32_t result = -errno;
            watch(socket);
            complete(one.send_token, Op::send, result, socket);
            return;
        }
        one.unsent = one.unsent.subspan(static_cast<std::size_t>(count));
    }
    if (one.unsent.empty()) {
        one.is_sending = false;
        complete(one.send_token, Op::send, static_cast<std::int32_t>(one.send_bytes), socket);
    }
    watch(socket);
}

}  // namespace

Result<std::unique_ptr<Io>> make_epoll_io(const IoOptions& options) {
    return EpollIo::make(options);
}

}  // namespace weir::io
