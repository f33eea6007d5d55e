// Runner: one pinned thread that goes round its stages (duty_loop.hpp) with an Io of its own.
//
// Thread    Made on any thread; start() makes the thread, on which `build` makes the Io and the stages.
// Idle      spin_then_park (default): looks again for idle_spin_ns, rests for rest_ns where it has just worked, then parks. spin: never.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/base/result.hpp"
#include "core/base/types.hpp"
#include "core/io/io.hpp"
#include "core/pipeline/duty_loop.hpp"
#include "core/pipeline/stage.hpp"

namespace weir {

using MakeIo = std::function<Result<std::unique_ptr<io::Io>>(io::IoChoice, const io::IoOptions&)>;

struct RunnerOptions {
    std::string name = "runner";  // thread name, up to 15 bytes
    int core = -1;                // to pin to; -1 = leave to the kernel
    IdlePolicy idle = IdlePolicy::spin_then_park;
    std::uint64_t idle_spin_ns = 2 * ns_per_us;
    std::uint64_t rest_ns = 0;  // DutyLoop
    io::IoChoice io = io::IoChoice::automatic;
    io::IoOptions io_options;
    // Called on the runner's thread.
    MakeIo make_io = &io::make_io;
};

class Runner {
  public:
    // Called on the runner's thread with its Io; makes the stages in the order in which they run. A stage's completions
    // come to it by Token::owner == its index in this list.
    using Build = std::function<Result<std::vector<std::unique_ptr<Stage>>>(io::Io&)>;

    explicit Runner(RunnerOptions options);
    ~Runner();  // halts
    Runner(const Runner&) = delete;
    Runner& operator=(const Runner&) = delete;

    // Before start().
    void set_make_io(MakeIo make_io) { options_.make_io = std::move(make_io); }
    // Starts the thread and waits until `build` is done; its error is returned.
    [[nodiscard]] Status start(Build build);
    [[nodiscard]] Doorbell& doorbell() { return loop_.doorbell(); }
    // Asks every stage to finish what it holds; the thread ends when all are drained. Any thread.
    void request_drain() noexcept { loop_.request_drain(); }
    // The thread ends after this duty cycle. Any thread.
    void request_halt() noexcept { loop_.request_halt(); }
    void join();
    [[nodiscard]] bool is_finished() const noexcept { return finished_.load(std::memory_order_acquire); }
    // Grows with every duty cycle; a watchdog reads it.
    [[nodiscard]] std::uint64_t heartbeat() const noexcept { return loop_.heartbeat(); }
    // How its time went, since its start. Any thread.
    struct Load {
        std::uint64_t cycles = 0;
        std::uint64_t worked_ns = 0;
        std::uint64_t idle_ns = 0;
    };
    [[nodiscard]] Load load() const noexcept { return {loop_.heartbeat(), loop_.worked_ns(), loop_.idle_ns()}; }
    [[nodiscard]] std::string io_name() const { return io_name_; }

  private:
    RunnerOptions options_;
    std::thread thread_;
    std::unique_ptr<io::Io> io_;  // stays until the Runner goes: others may still ring the doorbell
    DutyLoop<StdSync> loop_;
    std::string io_name_;
    std::atomic<bool> finished_{false};
};

}  // namespace weir
