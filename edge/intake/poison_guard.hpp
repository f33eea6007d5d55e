// PoisonGuard: knows which event the process was judging when it died, so that no event kills it for ever.
//
//   1st death while a vector was judged: nobody knows which event it was. The next process is careful: it names each event before it
//   looks at it. An event that is named by `named_deaths_max` deaths is set aside unread from then on, as a dead letter (poison).
//
// So the third death by one event is its last. One that comes through a careful judgement is no longer suspected: whatever killed
// the process beside it (a kill, a lack of memory) is not held against it. What is set aside stays so until the file is removed,
// by an operator who has mended the defect: DATA_DIR/poison, while the edge is down.
//
// What this cannot see: a death elsewhere than in judging; one by power loss (nothing is noted then, and nothing needs to be).
//
// Files     DATA_DIR/poison: one page, mapped. It outlives the process, not the machine; after a power loss it says what it may.
// Thread    open: control thread, at start; blocking. The rest: intake's runner.
// Bounds    suspects_max events are remembered; careful_events are judged carefully after a death.
// Cost      Two stores a vector; while careful a hash of each event's bytes.
//
// The mapped page is not written while all goes well: each time the kernel brings a written page to the disk, the next store into it is a
// fault on intake's thread. That a vector is judged is said in the thread's list of robust futexes, which is its own memory; when the
// thread dies, of whatever signal, the kernel reads the list and notes the death in the futex word, which lies in the page.
//
// Source    Linux, Documentation/locking/robust-futex-ABI.rst: list_op_pending
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "core/base/result.hpp"
#include "core/base/types.hpp"

namespace weir::edge {

inline constexpr std::uint32_t named_deaths_max = 2;
inline constexpr std::uint32_t suspects_max = 64;
inline constexpr std::uint64_t careful_events = 1U << 20;

[[nodiscard]] inline std::string poison_path(const std::string& data_dir) {
    return data_dir + "/poison";
}

class PoisonGuard {
  public:
    // Maps the file, makes it where there is none, and judges how the process before this one ended.
    [[nodiscard]] static Result<PoisonGuard> open(const std::string& data_dir);
    PoisonGuard(PoisonGuard&& other) noexcept;
    PoisonGuard& operator=(PoisonGuard&&) = delete;
    ~PoisonGuard();  // an orderly end: nothing was being judged

    [[nodiscard]] bool is_careful() const { return careful_left_ > 0; }
    // A vector is judged from here on, unnamed, up to end().
    void begin_vector() noexcept;
    // This event is judged from here on, up to the next one or end().
    void begin_event(ConstBytes body) noexcept;
    // The event begun last came through.
    void end_event() noexcept;
    void end() noexcept;
    // It killed the process too often to be looked at again.
    [[nodiscard]] bool is_poison(ConstBytes body) const noexcept { return poisons_ > 0 && is_named(body); }

    // Deaths while judging that this start knew of: the last process's (0 or 1); and events that are set aside.
    [[nodiscard]] std::uint32_t last_deaths() const { return last_deaths_; }
    [[nodiscard]] std::uint32_t poisons() const { return poisons_; }

  private:
    struct Suspect {
        std::uint64_t hash = 0;
        std::uint32_t body_bytes = 0;
        std::uint32_t deaths = 0;  // 0: free
    };
    enum class Judging : std::uint32_t { nothing = 0, vector = 1, event = 2 };
    struct Page {
        std::uint64_t magic = 0;
        Judging judging = Judging::nothing;
        std::uint32_t body_bytes = 0;  // of the event
        std::uint64_t hash = 0;
        std::array<Suspect, suspects_max> suspects{};
        std::uint32_t judge = 0;  // the futex word: the thread that judges; the kernel adds that it died while pending
    };
    static constexpr std::uint64_t page_magic = 0x314e4f5349504557;  // "WEPISON1", read as bytes
    static constexpr std::size_t page_bytes = 4096;
    static_assert(sizeof(Page) <= page_bytes);

    explicit PoisonGuard(Page* page) : page_(page) {}
    void become_judge() noexcept;
    void judge_last_end() noexcept;
    void note_death(std::uint64_t hash, std::uint32_t body_bytes) noexcept;
    [[nodiscard]] bool is_named(ConstBytes body) const noexcept;
    void set(Judging judging) noexcept;

    Page* page_;
    bool is_judge_known_ = false;
    bool is_pending_told_ = false;  // the kernel knows this thread's list; else the page is written for each vector
    std::uint64_t careful_left_ = 0;
    std::uint32_t last_deaths_ = 0;
    std::uint32_t poisons_ = 0;  // grows only from one start to the next
};

}  // namespace weir::edge
