#include "core/io/uring_io.hpp"

#include <fcntl.h>
#include <liburing.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/touch.hpp"
#include "core/io/address.hpp"
#include "core/io/file_table.hpp"
#include "core/io/gathered.hpp"
#include "core/io/ring_restrictions.hpp"
#include "core/io/starved.hpp"

namespace weir::io {
namespace {

constexpr std::uint32_t own_sockets = 64;  // listeners and connections we begin, beside those accepted
constexpr unsigned submission_entries = 512;
constexpr unsigned completion_entries = 8192;
constexpr int receive_group = 0;

enum class Kind : std::uint8_t { accept = 1, connect, receive, send, file, wake, ignored };

[[nodiscard]] std::uint64_t pack(Kind kind, std::uint32_t index) {
    return (static_cast<std::uint64_t>(kind) << 32) | index;
}

struct Entry {
    bool is_open = false;
    bool is_closing = false;  // closed by the owner; the handle is free when nothing is outstanding
    bool is_receiving = false;
    bool is_armed = false;  // a multishot receive is in the kernel
    bool is_paused = false;
    bool is_starved = false;  // the kernel found no slot: in starved_, and not armed
    bool is_sending = false;
    bool was_accepted = false;
    int fd = -1;
    std::uint32_t accepts_armed = 0;  // of a listener
    std::uint32_t outstanding = 0;    // operations in the kernel
    Token token;
    Token send_token;
    ConstBytes unsent;
    std::size_t send_bytes = 0;
    SocketAddress address;  // of a connect: must live until it completes
};

struct FileOperation {
    Token token;
    Op op = Op::write;
    int fd = -1;
    std::byte* bytes = nullptr;
    std::size_t count = 0;
    std::size_t moved = 0;
    std::uint64_t offset = 0;
    std::span<const iovec> parts;  // of a gathered write, instead of `bytes`
};

class UringIo final : public Io {
  public:
    static Result<std::unique_ptr<Io>> make(const IoOptions& options);
    explicit UringIo(const IoOptions& options)
        : options_(options), entries_(options.sockets_max + own_sockets), starved_(options.sockets_max + own_sockets) {}
    ~UringIo() override;

    Result<Socket> listen(const Address& address, Token token) override;
    std::string local_address(Socket socket) const override { return local_address_of(entry(socket).fd); }
    std::string peer_address(Socket socket) const override { return peer_address_of(entry(socket).fd); }
    std::optional<PeerCredentials> peer_credentials(Socket socket) const override {
        return peer_credentials_of(entry(socket).fd);
    }
    Result<Socket> connect(const Address& address, Token token) override;
    void pause_accept(Socket listener, bool paused) override { entry(listener).is_paused = paused; }
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
    std::string_view name() const noexcept override { return "uring"; }
    IoCounters counters() const noexcept override { return counters_; }

  private:
    [[nodiscard]] Status setup();
    [[nodiscard]] Entry& entry(Socket socket) { return entries_[static_cast<std::size_t>(socket.handle)]; }
    [[nodiscard]] const Entry& entry(Socket socket) const { return entries_[static_cast<std::size_t>(socket.handle)]; }
    [[nodiscard]] io_uring_sqe* next_sqe(Kind kind, std::uint32_t index);
    [[nodiscard]] Socket add(int fd, Token token);
    void arm_accepts();
    void arm_receive(Socket socket);
    void cancel_receive(Socket socket);
    void feed_starved();
    void submit_send(Socket socket);
    void submit_file(std::uint32_t index);
    void add_file_operation(const FileOperation& operation);
    void arm_wake();
    void give_slot(std::uint32_t slot);
    void complete(Token token, Op op, std::int32_t result, Socket socket);
    void enter(MonotonicNs until);
    void on_cqe(const io_uring_cqe& cqe);
    void on_accept(Socket socket, const io_uring_cqe& cqe);
    void on_connect(Socket socket, std::int32_t result);
    void on_receive(Socket socket, const io_uring_cqe& cqe);
    void on_send(Socket socket, std::int32_t result);
    void on_file(std::uint32_t index, std::int32_t result);
    void finish_close_if_quiet(Socket socket);

    IoOptions options_;
    io_uring ring_{};
    bool has_ring_ = false;
    int event_fd_ = -1;
    std::uint64_t event_value_ = 0;
    io_uring_buf_ring* buffers_ = nullptr;
    std::uint32_t buffer_entries_ = 0;
    std::byte* slots_ = nullptr;
    std::vector<bool> slot_leased_;
    std::uint32_t leased_count_ = 0;
    std::vector<Entry> entries_;
    Starved starved_;
    std::vector<std::int32_t> free_handles_;
    std::vector<std::int32_t> listeners_;
    std::uint32_t accepted_count_ = 0;
    FileTable files_;
    std::vector<FileOperation> operations_;
    std::vector<std::uint32_t> free_operations_;
    std::vector<Completion> queued_;    // for the next wait()
    std::vector<Completion> returned_;  // given out by the last one
    IoCounters counters_;
};

Result<std::unique_ptr<Io>> UringIo::make(const IoOptions& options) {
    auto made = std::make_unique<UringIo>(options);
    const Status status = made->setup();
    if (!status) return status.error();
    return std::unique_ptr<Io>(std::move(made));
}

Status UringIo::setup() {
    io_uring_params params{};
    // TASKRUN_FLAG: the kernel says when there is work to collect, so that looking costs no system call.
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
                   IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    if (options_.restrict_ring) params.flags |= IORING_SETUP_R_DISABLED;
    params.cq_entries = completion_entries;
    int fault = io_uring_queue_init_params(submission_entries, &ring_, &params);
    if (fault != 0) return error_from_errno(-fault, "io_uring_setup");
    has_ring_ = true;
    static_cast<void>(io_uring_register_ring_fd(&ring_));  // saves a look-up per call where the kernel has it

    buffer_entries_ = std::bit_ceil(options_.slots);
    void* ring_memory = ::mmap(nullptr, buffer_entries_ * sizeof(io_uring_buf), PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ring_memory == MAP_FAILED) return error_from_errno(errno, "mmap of the buffer ring");
    buffers_ = static_cast<io_uring_buf_ring*>(ring_memory);
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<std::uint64_t>(buffers_);
    registration.ring_entries = buffer_entries_;
    registration.bgid = receive_group;
    fault = io_uring_register_buf_ring(&ring_, &registration, 0);
    if (fault != 0) return error_from_errno(-fault, "io_uring_register_buf_ring");
    io_uring_buf_ring_init(buffers_);
    void* memory = ::mmap(nullptr, std::size_t{options_.slots} * options_.slot_bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return error_from_errno(errno, "mmap of receive slots");
    slots_ = static_cast<std::byte*>(memory);
    slot_leased_.resize(options_.slots);
    for (std::uint32_t slot = 0; slot < options_.slots; ++slot) give_slot(slot);

    if (options_.restrict_ring) {
        // A kernel without restrictions has a ring without them.
        static_cast<void>(restrict_ring(ring_.ring_fd));
        fault = enable_ring(ring_.ring_fd);
        if (fault != 0) return error_from_errno(-fault, "enable the io_uring");
    }

    event_fd_ = ::eventfd(0, EFD_CLOEXEC);
    if (event_fd_ < 0) return error_from_errno(errno, "eventfd");
    for (std::size_t handle = entries_.size(); handle > 0; --handle)
        free_handles_.push_back(static_cast<std::int32_t>(handle - 1));
    operations_.resize(options_.operations_max);
    for (std::uint32_t index = options_.operations_max; index > 0; --index) free_operations_.push_back(index - 1);
    const std::size_t completions_max =
        std::size_t{completion_entries} * 2 + entries_.size() * 3 + options_.operations_max;
    queued_.reserve(completions_max);
    returned_.reserve(completions_max);
    if (options_.touch) {
        weir::touch(slots_, std::size_t{options_.slots} * options_.slot_bytes);
        weir::touch(queued_);
        weir::touch(returned_);
    }
    arm_wake();
    return Done{};
}

UringIo::~UringIo() {
    if (has_ring_) io_uring_queue_exit(&ring_);
    for (const Entry& one : entries_)
        if (one.fd >= 0) ::close(one.fd);
    if (slots_ != nullptr) ::munmap(slots_, std::size_t{options_.slots} * options_.slot_bytes);
    if (buffers_ != nullptr) ::munmap(buffers_, buffer_entries_ * sizeof(io_uring_buf));
    if (event_fd_ >= 0) ::close(event_fd_);
}

io_uring_sqe* UringIo::next_sqe(Kind kind, std::uint32_t index) {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr) {  // full: hand over what is queued
        ++counters_.submits;
        WEIR_ASSERT(io_uring_submit(&ring_) >= 0);
        sqe = io_uring_get_sqe(&ring_);
        WEIR_ASSERT(sqe != nullptr);
    }
    sqe->flags = 0;
    io_uring_sqe_set_data64(sqe, pack(kind, index));
    return sqe;
}

// io_uring_prep_* clears user_data in some versions of liburing: it is set again after each of them.
void UringIo::arm_wake() {
    io_uring_sqe* sqe = next_sqe(Kind::wake, 0);
    io_uring_prep_read(sqe, event_fd_, &event_value_, sizeof event_value_, 0);
    io_uring_sqe_set_data64(sqe, pack(Kind::wake, 0));
}

void UringIo::wake() noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto ignored = ::write(event_fd_, &one, sizeof one);
}

// The kernel reads what is being sent or written, and writes what is being read, until it says that it is done.
bool UringIo::quiesce() {
    for (std::size_t handle = 0; handle < entries_.size(); ++handle) {
        if (entries_[handle].is_open && !entries_[handle].is_closing) close(Socket{static_cast<std::int32_t>(handle)});
    }
    const MonotonicNs until = monotonic_now().plus_ns(quiesce_ns_max);
    const auto is_busy = [this] {
        return free_operations_.size() < operations_.size() ||
               std::any_of(entries_.begin(), entries_.end(), [](const Entry& one) { return one.is_sending; });
    };
    while (is_busy()) {
        if (monotonic_now() >= until) return false;
        static_cast<void>(wait(until));
    }
    return true;
}

void UringIo::give_slot(std::uint32_t slot) {
    io_uring_buf_ring_add(buffers_, slots_ + std::size_t{slot} * options_.slot_bytes, options_.slot_bytes,
                          static_cast<unsigned short>(slot), io_uring_buf_ring_mask(buffer_entries_), 0);
    io_uring_buf_ring_advance(buffers_, 1);
}

void UringIo::complete(Token token, Op op, std::int32_t result, Socket socket) {
    queued_.push_back(Completion{token, op, result, socket, no_slot, nullptr});
}

Socket UringIo::add(int fd, Token token) {
    if (free_handles_.empty()) return Socket{};
    const Socket socket{free_handles_.back()};
    free_handles_.pop_back();
    entry(socket) = Entry{};
    entry(socket).is_open = true;
    entry(socket).fd = fd;
    entry(socket).token = token;
    return socket;
}

Result<Socket> UringIo::listen(const Address& address, Token token) {
    auto opened = open_listener(address.text, options_.unix_mode);
    if (!opened) return opened.error();
    const Socket socket = add(opened.value(), token);
    if (!socket.is_valid()) {
        ::close(opened.value());
        return Error{EMFILE, "listen: no socket entry is free"};
    }
    listeners_.push_back(socket.handle);
    return socket;
}

// So many single ones and no multishot accept: that would take all who stand in the queue at once, and could not be paused in time.
void UringIo::arm_accepts() {
    for (const std::int32_t handle : listeners_) {
        Entry& one = entry(Socket{handle});
        const auto index = static_cast<std::uint32_t>(handle);
        while (!one.is_paused && one.accepts_armed < accepts_per_wait_max) {
            io_uring_sqe* sqe = next_sqe(Kind::accept, index);
            io_uring_prep_accept(sqe, one.fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
            io_uring_sqe_set_data64(sqe, pack(Kind::accept, index));
            ++one.accepts_armed;
            ++one.outstanding;
        }
    }
}

Result<Socket> UringIo::connect(const Address& address, Token token) {
    const auto parsed = parse_address(address.text);
    if (!parsed) return parsed.error();
    auto opened = open_socket(parsed.value());
    if (!opened) return opened.error();
    const Socket socket = add(opened.value(), token);
    if (!socket.is_valid()) {
        ::close(opened.value());
        return Error{EMFILE, "connect: no socket entry is free"};
    }
    Entry& one = entry(socket);
    one.address = parsed.value();
    const auto index = static_cast<std::uint32_t>(socket.handle);
    io_uring_sqe* sqe = next_sqe(Kind::connect, index);
    io_uring_prep_connect(sqe, one.fd, one.address.get(), one.address.bytes);
    io_uring_sqe_set_data64(sqe, pack(Kind::connect, index));
    ++one.outstanding;
    return socket;
}

void UringIo::receive(Socket socket, Token token) {
    Entry& one = entry(socket);
    WEIR_ASSERT(one.is_open && !one.is_closing && !one.is_receiving);
    one.token = token;
    one.is_receiving = true;
    if (!one.is_paused) arm_receive(socket);
}

void UringIo::arm_receive(Socket socket) {
    Entry& one = entry(socket);
    const auto index = static_cast<std::uint32_t>(socket.handle);
    io_uring_sqe* sqe = next_sqe(Kind::receive, index);
    io_uring_prep_recv_multishot(sqe, one.fd, nullptr, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = receive_group;
    io_uring_sqe_set_data64(sqe, pack(Kind::receive, index));
    one.is_armed = true;
    ++one.outstanding;
}

void UringIo::cancel_receive(Socket socket) {
    io_uring_sqe* sqe = next_sqe(Kind::ignored, 0);
    io_uring_prep_cancel64(sqe, pack(Kind::receive, static_cast<std::uint32_t>(socket.handle)), 0);
    io_uring_sqe_set_data64(sqe, pack(Kind::ignored, 0));
}

void UringIo::pause_receive(Socket socket, bool paused) {
    Entry& one = entry(socket);
    if (one.is_paused == paused) return;
    one.is_paused = paused;
    if (!one.is_receiving) return;
    if (paused && one.is_armed) cancel_receive(socket);
    // Going on while the cancel is still under way: its completion arms anew.
    if (!paused && !one.is_armed && !one.is_starved) arm_receive(socket);
}

void UringIo::send(Socket socket, ConstBytes bytes, Token token) {
    Entry& one = entry(socket);
    WEIR_ASSERT(one.is_open && !one.is_closing && !one.is_sending && !bytes.empty());
    one.send_token = token;
    one.unsent = bytes;
    one.send_bytes = bytes.size();
    one.is_sending = true;
    submit_send(socket);
}

void UringIo::submit_send(Socket socket) {
    Entry& one = entry(socket);
    const auto index = static_cast<std::uint32_t>(socket.handle);
    io_uring_sqe* sqe = next_sqe(Kind::send, index);
    io_uring_prep_send(sqe, one.fd, one.unsent.data(), one.unsent.size(), MSG_NOSIGNAL | MSG_WAITALL);
    io_uring_sqe_set_data64(sqe, pack(Kind::send, index));
    ++one.outstanding;
}

void UringIo::close(Socket socket) {
    Entry& one = entry(socket);
    WEIR_ASSERT(one.is_open && !one.is_closing);
    one.is_closing = true;
    std::erase(listeners_, socket.handle);
    if (one.was_accepted) --accepted_count_;
    if (std::exchange(one.is_starved, false)) starved_.remove(socket.handle);
    if (one.is_receiving && !one.is_armed) {  // paused or starved: nothing in the kernel will say so
        one.is_receiving = false;
        complete(one.token, Op::receive, -ECANCELED, socket);
    }
    if (one.outstanding > 0) {
        io_uring_sqe* sqe = next_sqe(Kind::ignored, 0);
        io_uring_prep_cancel_fd(sqe, one.fd, IORING_ASYNC_CANCEL_ALL);
        io_uring_sqe_set_data64(sqe, pack(Kind::ignored, 0));
    }
    finish_close_if_quiet(socket);
}

void UringIo::finish_close_if_quiet(Socket socket) {
    Entry& one = entry(socket);
    if (!one.is_closing || one.outstanding > 0) return;
    ::close(one.fd);
    one = Entry{};
    free_handles_.push_back(socket.handle);
}

void UringIo::release(std::uint32_t slot) {
    WEIR_ASSERT(slot < options_.slots && slot_leased_[slot]);
    slot_leased_[slot] = false;
    --leased_count_;
    give_slot(slot);
}

// As many as slots are free, the longest first; more would only find none.
void UringIo::feed_starved() {
    std::size_t count = options_.slots - leased_count_;
    for (; count > 0 && !starved_.is_empty(); --count) {
        const Socket socket{starved_.take()};
        Entry& one = entry(socket);
        one.is_starved = false;
        if (one.is_receiving && !one.is_paused && !one.is_closing && !one.is_armed) arm_receive(socket);
    }
}

Result<File> UringIo::open(const std::string& path, FileOptions options) {
    return files_.open(path, options);
}

void UringIo::close(File file) {
    files_.close(file);
}

void UringIo::add_file_operation(const FileOperation& operation) {
    WEIR_ASSERT(!free_operations_.empty());
    const std::uint32_t index = free_operations_.back();
    free_operations_.pop_back();
    operations_[index] = operation;
    submit_file(index);
}

void UringIo::submit_file(std::uint32_t index) {
    const FileOperation& one = operations_[index];
    io_uring_sqe* sqe = next_sqe(Kind::file, index);
    const auto left = static_cast<unsigned>(one.count - one.moved);
    if (!one.parts.empty() && one.moved == 0)
        io_uring_prep_writev(sqe, one.fd, one.parts.data(), static_cast<unsigned>(one.parts.size()), one.offset);
    else if (!one.parts.empty()) {
        const ConstBytes rest = rest_of_part(one.parts, one.moved);
        io_uring_prep_write(sqe, one.fd, rest.data(), static_cast<unsigned>(rest.size()), one.offset + one.moved);
    } else if (one.op == Op::write)
        io_uring_prep_write(sqe, one.fd, one.bytes + one.moved, left, one.offset + one.moved);
    else if (one.op == Op::read)
        io_uring_prep_read(sqe, one.fd, one.bytes, left, one.offset);
    else
        io_uring_prep_fsync(sqe, one.fd, IORING_FSYNC_DATASYNC);
    io_uring_sqe_set_data64(sqe, pack(Kind::file, index));
}

void UringIo::write(File file, ConstBytes bytes, std::uint64_t offset, Token token) {
    // The kernel only reads them: FileOperation serves both directions.
    add_file_operation(
        {token, Op::write, files_.descriptor(file), const_cast<std::byte*>(bytes.data()), bytes.size(), 0, offset, {}});
}

void UringIo::write_gathered(File file, std::span<const iovec> parts, std::uint64_t offset, Token token) {
    WEIR_ASSERT(!parts.empty() && parts.size() <= write_parts_max);
    add_file_operation({token, Op::write, files_.descriptor(file), nullptr, gathered_bytes(parts), 0, offset, parts});
}

void UringIo::read(File file, Bytes bytes, std::uint64_t offset, Token token) {
    add_file_operation({token, Op::read, files_.descriptor(file), bytes.data(), bytes.size(), 0, offset, {}});
}

void UringIo::sync(File file, Token token) {
    add_file_operation({token, Op::sync, files_.descriptor(file), nullptr, 0, 0, 0, {}});
}

std::span<const Completion> UringIo::wait(MonotonicNs until) {
    ++counters_.waits;
    feed_starved();
    arm_accepts();
    enter(until);
    unsigned head = 0;
    unsigned count = 0;
    io_uring_cqe* cqe = nullptr;
    io_uring_for_each_cqe(&ring_, head, cqe) {
        on_cqe(*cqe);
        ++count;
    }
    io_uring_cq_advance(&ring_, count);
    returned_.clear();
    std::swap(returned_, queued_);
    counters_.completions += returned_.size();
    return returned_;
}

// Submits what is queued and waits as told, with no system call when there is neither work to hand over nor to collect.
void UringIo::enter(MonotonicNs until) {
    const MonotonicNs now = monotonic_now();
    const bool may_block = until > now && queued_.empty() && io_uring_cq_ready(&ring_) == 0;
    if (io_uring_sq_ready(&ring_) > 0) ++counters_.submits;
    int outcome = 0;
    if (may_block) {
        io_uring_cqe* cqe = nullptr;
        const std::uint64_t ns = until.since(now);
        __kernel_timespec timeout{static_cast<std::int64_t>(ns / ns_per_second),
                                  static_cast<long long>(ns % ns_per_second)};
        outcome = io_uring_submit_and_wait_timeout(&ring_, &cqe, 1, until == never ? nullptr : &timeout, nullptr);
    } else if (io_uring_sq_ready(&ring_) > 0) {
        outcome = io_uring_submit_and_get_events(&ring_);
    } else if ((IO_URING_READ_ONCE(*ring_.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0) {
        outcome = io_uring_get_events(&ring_);
    }
    // EBUSY: completions must be collected first, which happens next; the queued operations go with the next call.
    WEIR_ASSERT(outcome >= 0 || outcome == -ETIME || outcome == -EINTR || outcome == -EBUSY || outcome == -EAGAIN);
}

void UringIo::on_cqe(const io_uring_cqe& cqe) {
    const auto kind = static_cast<Kind>(cqe.user_data >> 32);
    const auto index = static_cast<std::uint32_t>(cqe.user_data);
    const Socket socket{static_cast<std::int32_t>(index)};
    switch (kind) {
        case Kind::accept:
            return on_accept(socket, cqe);
        case Kind::connect:
            return on_connect(socket, cqe.res);
        case Kind::receive:
            return on_receive(socket, cqe);
        case Kind::send:
            return on_send(socket, cqe.res);
        case Kind::file:
            return on_file(index, cqe.res);
        case Kind::wake:
            return arm_wake();
        case Kind::ignored:
            return;
    }
}

void UringIo::on_accept(Socket socket, const io_uring_cqe& cqe) {
    Entry& listener = entry(socket);
    --listener.accepts_armed;
    --listener.outstanding;
    if (cqe.res >= 0) {
        if (listener.is_closing || accepted_count_ >= options_.sockets_max) {
            ++counters_.accepts_refused;
            ::close(cqe.res);
        } else {
            tune_connection(cqe.res);
            const Socket accepted = add(cqe.res, Token{});
            if (accepted.is_valid()) {
                entry(accepted).was_accepted = true;
                ++accepted_count_;
                complete(listener.token, Op::accept, 0, accepted);
            } else {  // handles of closed sockets are still in the kernel
                ++counters_.accepts_refused;
                ::close(cqe.res);
            }
        }
    }
    finish_close_if_quiet(socket);
}

void UringIo::on_connect(Socket socket, std::int32_t result) {
    --entry(socket).outstanding;
    complete(entry(socket).token, Op::connect, result, socket);
    finish_close_if_quiet(socket);
}

void UringIo::on_receive(Socket socket, const io_uring_cqe& cqe) {
    Entry& one = entry(socket);
    const bool is_last = (cqe.flags & IORING_CQE_F_MORE) == 0;
    if (is_last) {
        --one.outstanding;
        one.is_armed = false;
    }
    if (cqe.res > 0) {
        const auto slot = static_cast<std::uint32_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
        WEIR_ASSERT((cqe.flags & IORING_CQE_F_BUFFER) != 0 && slot < options_.slots && !slot_leased_[slot]);
        if (one.is_closing) {
            give_slot(slot);
        } else {
            slot_leased_[slot] = true;
            ++leased_count_;
            queued_.push_back(Completion{one.token, Op::receive, cqe.res, socket, slot,
                                         slots_ + std::size_t{slot} * options_.slot_bytes});
        }
        if (is_last && !one.is_closing && !one.is_paused) arm_receive(socket);
    } else if (!one.is_closing && cqe.res == -ENOBUFS) {
        ++counters_.slots_exhausted;
        if (!one.is_paused) {
            one.is_starved = true;
            starved_.add(socket.handle);
        }
    } else if (!one.is_closing && cqe.res == -ECANCELED) {
        if (!one.is_paused) arm_receive(socket);  // paused and gone on again meanwhile
    } else if (is_last && one.is_receiving) {
        one.is_receiving = false;
        complete(one.token, Op::receive, one.is_closing ? -ECANCELED : cqe.res, socket);
    }
    if (one.is_closing && one.is_receiving && !one.is_armed) {
        one.is_receiving = false;
        complete(one.token, Op::receive, -ECANCELED, socket);
    }
    finish_close_if_quiet(socket);
}

void UringIo::on_send(Socket socket, std::int32_t result) {
    Entry& one = entry(socket);
    --one.outstanding;
    if (result > 0) one.unsent = one.unsent.subspan(static_cast<std::size_t>(result));
    const bool goes_on =
        !one.is_closing && !one.unsent.empty() && (result > 0 || result == -EINTR || result == -EAGAIN);
    if (goes_on) return submit_send(socket);
    one.is_sending = false;
    const bool is_whole = one.unsent.empty();
    complete(one.send_token, Op::send,
             is_whole ? static_cast<std::int32_t>(one.send_bytes) : (result < 0 ? result : -ECANCELED), socket);
    finish_close_if_quiet(socket);
}

void UringIo::on_file(std::uint32_t index, std::int32_t result) {
    FileOperation& one = operations_[index];
    if (result == -EINTR || result == -EAGAIN) return submit_file(index);
    if (one.op == Op::write && result > 0) {
        one.moved += static_cast<std::size_t>(result);
        if (one.moved < one.count) return submit_file(index);
        result = static_cast<std::int32_t>(one.moved);
    } else if (one.op == Op::write && result == 0) {
        result = -EIO;
    }
    complete(one.token, one.op, result, Socket{});
    free_operations_.push_back(index);
}

}  // namespace

Result<std::unique_ptr<Io>> make_uring_io(const IoOptions& options) {
    return UringIo::make(options);
}

}  // namespace weir::io
