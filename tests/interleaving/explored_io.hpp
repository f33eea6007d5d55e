// ExploredIo: an Io that can only sleep and be woken, as the kernel's eventfd does it: wake() adds one, a sleeper takes all.
//
// Its time stands still: a sleep ends by a wake or never, so that a lost wake-up is an end and not a pause of park_ns_max.
#pragma once

#include "core/base/assert.hpp"
#include "core/io/io.hpp"
#include "tests/interleaving/atomic.hpp"

namespace weir::interleaving {

class ExploredIo final : public io::Io {
  public:
    std::span<const io::Completion> wait(MonotonicNs until) override {
        if (until > now()) {
            if (Explorer::current()->take_when_set(wakes_.cell())) ++sleeps_ended_;
        } else if (wakes_.load(std::memory_order_acquire) != 0) {
            wakes_.exchange(0, std::memory_order_acquire);
        }
        return {};
    }
    void wake() noexcept override {
        wakes_.fetch_add(1, std::memory_order_acq_rel);
        ++wakes_all_;
    }
    [[nodiscard]] MonotonicNs now() const noexcept override { return {1}; }
    [[nodiscard]] WallNs wall() const noexcept override { return {1}; }
    [[nodiscard]] std::string_view name() const noexcept override { return "explored"; }
    [[nodiscard]] io::IoCounters counters() const noexcept override { return {}; }

    // Sleeps that a wake ended, and calls of wake().
    [[nodiscard]] std::uint32_t sleeps_ended() const { return sleeps_ended_; }
    [[nodiscard]] std::uint32_t wakes_all() const { return wakes_all_; }

    Result<io::Socket> listen(const io::Address&, io::Token) override { return refused(); }
    std::string local_address(io::Socket) const override { return {}; }
    std::string peer_address(io::Socket) const override { return {}; }
    Result<io::Socket> connect(const io::Address&, io::Token) override { return refused(); }
    void receive(io::Socket, io::Token) override { WEIR_ASSERT(false); }
    void pause_receive(io::Socket, bool) override { WEIR_ASSERT(false); }
    void send(io::Socket, ConstBytes, io::Token) override { WEIR_ASSERT(false); }
    void close(io::Socket) override { WEIR_ASSERT(false); }
    void release(std::uint32_t) override { WEIR_ASSERT(false); }
    Result<io::File> open(const std::string&, io::FileOptions) override { return refused(); }
    void close(io::File) override { WEIR_ASSERT(false); }
    void write(io::File, ConstBytes, std::uint64_t, io::Token) override { WEIR_ASSERT(false); }
    void write_gathered(io::File, std::span<const iovec>, std::uint64_t, io::Token) override { WEIR_ASSERT(false); }
    void read(io::File, Bytes, std::uint64_t, io::Token) override { WEIR_ASSERT(false); }
    void sync(io::File, io::Token) override { WEIR_ASSERT(false); }

  private:
    static Error refused() { return error_from_errno(ENOTSUP, "ExploredIo only sleeps"); }
    atomic<std::uint32_t> wakes_{0};
    std::uint32_t sleeps_ended_ = 0;
    std::uint32_t wakes_all_ = 0;
};

}  // namespace weir::interleaving
