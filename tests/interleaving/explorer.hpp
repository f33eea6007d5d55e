// Explorer: runs a small scenario of threads under every interleaving of their accesses to atomics.
//
// The threads are fibers of one thread. Before each access a fiber hands over to the explorer, which goes on with any thread that
// can go on, or lets a store leave its thread's buffer. Every choice is tried, depth first, by running the scenario again from
// its beginning. A state that was met before is not gone on from: a thread's own state is a function of what its accesses
// returned, so the cells, the buffers and a digest of each thread's returns are the whole state. A load of what no other thread
// writes is no choice; who writes what is learnt on the way, and what was learnt late begins the exploration anew.
//
// Law       Between two accesses a thread's code is a function of what its accesses and observe() returned: no clock, no addresses,
//           no randomness. A fiber's stack owns no heap: a run may be left in the middle.
#pragma once

#include <ucontext.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/pipeline/sync.hpp"

namespace weir::interleaving {

// How stores reach the other threads.
enum class Memory : std::uint8_t {
    sequential,  // at once
    store_buffers,  // x86: each thread's in their order, at any time later; a fence or a read-modify-write waits for its thread's
    reordered_stores,  // also out of order, except to one cell and past a release store
};
[[nodiscard]] const char* name_of(Memory memory);

// One run's threads and what they share. Made anew for each run.
class Scenario {
  public:
    virtual ~Scenario() = default;
    virtual void run_thread(std::size_t thread) = 0;
    // When no thread can go on any more: what is wrong; empty if nothing is.
    [[nodiscard]] virtual std::string judge() = 0;
    // Of state that is neither in atomics nor a function of one thread's returns.
    [[nodiscard]] virtual std::uint64_t digest() const { return 0; }
};

struct Exploration {
    Memory memory = Memory::sequential;
    ParkBug bug = ParkBug::none;
    std::size_t threads = 2;
    std::uint32_t early_wakes = 0;  // so often in a run a blocking wait may return for no reason
    std::uint64_t runs_max = 20'000'000;
};

struct Outcome {
    std::string wrong;            // of the first run with something wrong, with its steps; empty: none
    std::uint64_t runs = 0;       // until the end or a state that was met before
    std::uint64_t states = 0;     // in which more than one thing could happen next
    double interleavings = 0;     // that these runs stand for
    std::uint32_t steps_max = 0;  // of the longest run
    bool is_complete = false;     // every interleaving was tried
};

class Explorer {
  public:
    using Make = std::function<std::unique_ptr<Scenario>()>;
    [[nodiscard]] static Outcome explore(const Exploration& exploration, const Make& make);

    // The running one; nullptr outside of explore().
    [[nodiscard]] static Explorer* current();

    // From atomics and from scenarios' threads. Outside of a thread (the scenario is being made or judged) an access is at once.
    [[nodiscard]] std::uint32_t new_cell(std::uint64_t value, bool is_address);
    [[nodiscard]] std::uint64_t load(std::uint32_t cell);
    void store(std::uint32_t cell, std::uint64_t value, std::memory_order order);
    // Returns the value before; stores `desired` if that was `expected`, or in any case.
    std::uint64_t compare_exchange(std::uint32_t cell, std::uint64_t expected, std::uint64_t desired,
                                   std::memory_order order);
    std::uint64_t exchange(std::uint32_t cell, std::uint64_t value, std::memory_order order);
    std::uint64_t add(std::uint32_t cell, std::uint64_t value, std::memory_order order);
    void fence_seq_cst();
    // Sleeps until the cell is not 0 and takes it; false: woken for no reason.
    [[nodiscard]] bool take_when_set(std::uint32_t cell);
    // Any other thread may go on here.
    void step();
    // What the thread read elsewhere than in an atomic.
    void observe(std::uint64_t value);
    [[nodiscard]] ParkBug bug() const { return exploration_.bug; }
    // Of the thread: it is in take_when_set().
    [[nodiscard]] bool is_asleep(std::size_t thread) const;
    [[nodiscard]] bool is_done(std::size_t thread) const { return threads_[thread].is_done; }

  private:
    enum class Kind : std::uint8_t { load, store, modify, fence, take, step };
    struct Cell {
        std::uint64_t value = 0;
        bool is_address = false;  // differs from run to run: only whether it is 0 counts
    };
    struct Access {
        Kind kind = Kind::step;
        std::uint32_t cell = 0;
        bool is_release = false;
    };
    struct Stored {
        std::uint32_t cell = 0;
        std::uint64_t value = 0;
        bool is_release = false;
    };
    struct Thread {
        ucontext_t context{};
        std::vector<char> stack;
        Access next;
        std::vector<Stored> buffer;  // oldest first
        std::uint64_t returns = 0;   // digest
        bool is_done = false;
        bool is_woken_early = false;
    };
    struct Transition {
        enum class What : std::uint8_t { go_on, wake_early, flush } what = What::go_on;
        std::uint8_t thread = 0;
        std::uint8_t index = 0;  // flush: of the buffer
    };
    struct Node {
        std::uint64_t state = 0;
        std::uint32_t taken = 0;
        std::uint32_t count = 0;
        double interleavings = 0;
    };

    Explorer(const Exploration& exploration, const Make& make);
    [[nodiscard]] Outcome explore();
    // True when the run came to its end and not to a state met before.
    [[nodiscard]] bool run_once(bool is_traced);
    void begin_threads();
    void go_on(std::size_t thread);
    void collect(std::vector<Transition>& transitions) const;
    [[nodiscard]] bool can_go_on(const Thread& thread) const;
    [[nodiscard]] static bool may_leave(const std::vector<Stored>& buffer, std::size_t index, Memory memory);
    void take(const Transition& transition, bool is_traced);
    [[nodiscard]] std::uint64_t state() const;
    [[nodiscard]] std::uint64_t plain(const Cell& cell, std::uint64_t value) const;
    void hand_over(Access access);
    void writes(std::uint32_t cell);
    [[nodiscard]] bool is_own(std::uint32_t cell) const;
    std::uint64_t modify(std::uint32_t cell, std::memory_order order,
                         const std::function<std::uint64_t(std::uint64_t)>& change);
    void returned(Kind kind, std::uint32_t cell, std::uint64_t value);
    [[nodiscard]] bool is_in_thread() const { return running_ != no_thread; }
    static void enter(unsigned thread);

    static constexpr std::size_t no_thread = SIZE_MAX;

    Exploration exploration_;
    const Make& make_;
    std::unique_ptr<Scenario> scenario_;
    std::vector<Cell> cells_;
    std::vector<Thread> threads_;
    ucontext_t main_{};
    std::size_t running_ = no_thread;
    std::uint32_t early_wakes_left_ = 0;
    std::uint32_t steps_ = 0;

    std::vector<Node> path_;
    std::unordered_map<std::uint64_t, double> known_;  // state: interleavings from there on
    std::vector<std::uint32_t> writers_;               // of each cell, a bit for each thread
    bool has_learnt_ = false;                          // of a writer, in this run
    std::string trace_;
    Outcome outcome_;
};

}  // namespace weir::interleaving
