// SimIo: Io over a simulated disk, network and clock: the seam at which production state machines run in a simulated world.
//
// Nothing blocks: the world asks next_event_ns(), moves the clock, and has the owner call wait().
//
// Thread    One.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "core/io/io.hpp"
#include "tests/simulation/disk.hpp"
#include "tests/simulation/network.hpp"

namespace weir::sim {

struct Clock {
    std::uint64_t now_ns = ns_per_second;
};

// What a machine lends to the Ios of its processes.
struct Machine {
    int number = 0;
    Disk disk;
    std::int64_t wall_skew_ns = 0;
    std::uint64_t disk_latency_ns_min = 20 * ns_per_us;
    std::uint64_t disk_latency_ns_max = 300 * ns_per_us;
    std::uint64_t stalled_until_ns = 0;  // the disk answers nothing before
};

// Sees what a process asks for, as it asks.
class IoWatch {
  public:
    virtual ~IoWatch() = default;
    virtual void connects() = 0;
    virtual void sends(ConstBytes bytes) = 0;
    virtual void writes(ConstBytes bytes) = 0;
};

class SimIo final : public io::Io {
  public:
    SimIo(Clock& clock, Network& network, Machine& machine, Random random, io::IoOptions options);
    ~SimIo() override;

    // When wait() would have something to give; UINT64_MAX: nothing under way.
    [[nodiscard]] std::uint64_t next_event_ns() const;
    // Outlives this.
    void show_to(IoWatch& watch) { watch_ = &watch; }
    // The process is gone: writes under way land whole, torn or not at all.
    void abandon();
    [[nodiscard]] std::uint64_t file_operations() const { return file_operations_; }

    Result<io::Socket> listen(const io::Address& address, io::Token token) override;
    std::string local_address(io::Socket socket) const override { return entry(socket).address; }
    std::string peer_address(io::Socket) const override { return "sim"; }
    Result<io::Socket> connect(const io::Address& address, io::Token token) override;
    void receive(io::Socket socket, io::Token token) override;
    void pause_receive(io::Socket socket, bool paused) override { entry(socket).is_paused = paused; }
    void send(io::Socket socket, ConstBytes bytes, io::Token token) override;
    void close(io::Socket socket) override;
    void release(std::uint32_t slot) override;
    Result<io::File> open(const std::string& path, io::FileOptions options) override;
    void close(io::File file) override;
    void write(io::File file, ConstBytes bytes, std::uint64_t offset, io::Token token) override;
    void write_gathered(io::File file, std::span<const iovec> parts, std::uint64_t offset, io::Token token) override;
    void read(io::File file, Bytes bytes, std::uint64_t offset, io::Token token) override;
    void sync(io::File file, io::Token token) override;
    std::span<const io::Completion> wait(MonotonicNs until) override;
    void wake() noexcept override { is_woken_ = true; }
    MonotonicNs now() const noexcept override { return {clock_.now_ns}; }
    WallNs wall() const noexcept override;
    std::string_view name() const noexcept override { return "sim"; }
    io::IoCounters counters() const noexcept override { return {}; }

  private:
    enum class State : std::uint8_t { free, listening, connecting, connected };
    struct Entry {
        State state = State::free;
        std::shared_ptr<Link> link;
        int side = 0;
        std::string address;
        io::Token token, send_token;
        ConstBytes unsent;
        std::size_t send_bytes = 0;
        bool is_sending = false, is_receiving = false, is_paused = false, was_accepted = false;
        std::uint64_t connect_due_ns = 0;
    };
    struct FileOperation {
        std::uint64_t due_ns = 0;
        io::Token token;
        io::Op op = io::Op::write;
        Disk::InodePtr inode;
        bool is_durable = false;
        std::vector<ConstBytes> parts;
        Bytes room;
        std::uint64_t offset = 0;
    };
    struct Arrival {
        std::uint64_t due_ns = 0;
        std::int32_t listener = -1;
        std::shared_ptr<Link> link;
    };
    [[nodiscard]] Entry& entry(io::Socket socket) { return entries_[static_cast<std::size_t>(socket.handle)]; }
    [[nodiscard]] const Entry& entry(io::Socket socket) const {
        return entries_[static_cast<std::size_t>(socket.handle)];
    }
    void add_write(io::File file, std::vector<ConstBytes> parts, std::uint64_t offset, io::Token token);
    [[nodiscard]] io::Socket add(State state);
    void complete(io::Token token, io::Op op, std::int32_t result, io::Socket socket);
    void add_file_operation(FileOperation operation);
    void poll_files();
    void poll_accepts();
    void poll_connect(io::Socket socket);
    void poll_send(io::Socket socket);
    void poll_receive(io::Socket socket);
    [[nodiscard]] std::uint64_t receive_due_ns(const Entry& one) const;

    Clock& clock_;
    Network& network_;
    Machine& machine_;
    Random random_;
    io::IoOptions options_;
    std::vector<Entry> entries_;
    std::vector<std::vector<std::byte>> slots_;
    std::vector<std::uint32_t> free_slots_;
    std::vector<bool> is_leased_;
    std::vector<FileOperation> operations_;
    std::deque<Arrival> arrivals_;
    std::vector<io::Completion> queued_;
    std::vector<io::Completion> returned_;
    std::uint64_t file_operations_ = 0;
    bool is_woken_ = false;
    IoWatch* watch_ = nullptr;
};

}  // namespace weir::sim
