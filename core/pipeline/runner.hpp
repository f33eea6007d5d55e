// Runner: one pinned thread that goes round its stages: completions first, then each stage in order (a duty cycle), and
// sleeps in its Io when a whole round found nothing to do.
//
// Thread    Made on any thread; start() makes the thread, on which `build` makes the Io and the stages.
// Idle      spin_then_park (default): looks again for idle_spin_ns, then parks. spin: never parks.
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
#include "core/pipeline/doorbell.hpp"

namespace weir {

// A step of the pipeline, given time by a Runner. Never waits, locks, logs, allocates or reads a clock.
class Stage : public io::IoClient {
  public:
    // One duty cycle: returns how many things were handled (0 = nothing to do).
    [[nodiscard]] virtual std::size_t do_work(MonotonicNs now) = 0;
    // True if an inlet that another thread writes holds something (the second look before sleep).
    [[nodiscard]] virtual bool has_input() const = 0;
    // When it next wants do_work() without input; `never` if not at all.
    [[nodiscard]] virtual MonotonicNs next_deadline() const = 0;
    // True when it holds nothing any more after drain() was asked for.
    virtual void drain(MonotonicNs now) = 0;
    [[nodiscard]] virtual bool is_drained() const = 0;
};

enum class IdlePolicy : std::uint8_t { spin, spin_then_yield, spin_then_park };

struct RunnerOptions {
    std::string name = "runner";  // thread name, up to 15 bytes
    int core = -1;                // to pin to; -1 = leave to the kernel
    IdlePolicy idle = IdlePolicy::spin_then_park;
    std::uint64_t idle_spin_ns = 2 * ns_per_us;
    io::IoChoice io = io::IoChoice::automatic;
    io::IoOptions io_options;
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

    // Starts the thread and waits until `build` is done; its error is returned.
    [[nodiscard]] Status start(Build build);
    [[nodiscard]] Doorbell& doorbell() { return doorbell_; }
    // Asks every stage to finish what it holds; the thread ends when all are drained. Any thread.
    void request_drain() noexcept;
    // The thread ends after this duty cycle. Any thread.
    void request_halt() noexcept;
    void join();
    [[nodiscard]] bool is_finished() const noexcept { return finished_.load(std::memory_order_acquire); }
    // Grows with every duty cycle; a watchdog reads it.
    [[nodiscard]] std::uint64_t heartbeat() const noexcept { return heartbeat_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::string io_name() const { return io_name_; }

  private:
    void run();
    [[nodiscard]] std::size_t duty_cycle(MonotonicNs until);
    void idle(MonotonicNs now);

    RunnerOptions options_;
    Doorbell doorbell_;
    std::thread thread_;
    std::unique_ptr<io::Io> io_;
    std::vector<std::unique_ptr<Stage>> stages_;
    std::string io_name_;
    MonotonicNs idle_since_{};
    std::atomic<int> wish_{0};  // 0 run, 1 drain, 2 halt
    std::atomic<bool> finished_{false};
    std::atomic<std::uint64_t> heartbeat_{0};
};

}  // namespace weir
