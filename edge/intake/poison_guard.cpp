#include "edge/intake/poison_guard.hpp"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <utility>

namespace weir::edge {
namespace {

std::uint64_t hash_of(ConstBytes body) noexcept {
    return XXH3_64bits(body.data(), body.size());
}

// In place of the C library's own, which is for mutexes that are robust: a thread that judges has none. It must be there until the thread
// has ended, as that is.
thread_local robust_list_head judging_list{};

void set_pending(robust_list* entry) noexcept {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    std::atomic_ref(judging_list.list_op_pending).store(entry, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

}  // namespace

Result<PoisonGuard> PoisonGuard::open(const std::string& data_dir) {
    const std::string path = poison_path(data_dir);
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) return error_from_errno(errno, "open " + path);
    void* memory = MAP_FAILED;
    if (::ftruncate(file, page_bytes) == 0) {
        memory = ::mmap(nullptr, page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
    }
    const int code = errno;
    ::close(file);
    if (memory == MAP_FAILED) return error_from_errno(code, "map " + path);
    PoisonGuard guard(static_cast<Page*>(memory));
    if (guard.page_->magic != page_magic) *guard.page_ = Page{.magic = page_magic};
    guard.judge_last_end();
    return guard;
}

PoisonGuard::PoisonGuard(PoisonGuard&& other) noexcept
    : page_(std::exchange(other.page_, nullptr)),
      is_judge_known_(other.is_judge_known_),
      is_pending_told_(other.is_pending_told_),
      careful_left_(other.careful_left_),
      last_deaths_(other.last_deaths_),
      poisons_(other.poisons_) {}

PoisonGuard::~PoisonGuard() {
    if (page_ == nullptr) return;
    end();
    ::munmap(page_, page_bytes);
}

void PoisonGuard::judge_last_end() noexcept {
    if ((std::exchange(page_->judge, 0) & FUTEX_OWNER_DIED) != 0 && page_->judging == Judging::nothing) {
        page_->judging = Judging::vector;
    }
    switch (page_->judging) {
        case Judging::event:
            note_death(page_->hash, page_->body_bytes);
            [[fallthrough]];
        case Judging::vector:
            last_deaths_ = 1;
            careful_left_ = careful_events;
            break;
        case Judging::nothing:
            break;
    }
    end();
    const auto is_poison = [](const Suspect& one) { return one.deaths >= named_deaths_max; };
    poisons_ = static_cast<std::uint32_t>(std::count_if(page_->suspects.begin(), page_->suspects.end(), is_poison));
}

// With all places taken the one with the fewest deaths makes room: the one that is least like a poison.
void PoisonGuard::note_death(std::uint64_t hash, std::uint32_t body_bytes) noexcept {
    auto& suspects = page_->suspects;
    auto place = std::find_if(suspects.begin(), suspects.end(), [&](const Suspect& one) {
        return one.deaths > 0 && one.hash == hash && one.body_bytes == body_bytes;
    });
    if (place == suspects.end()) {
        place = std::min_element(suspects.begin(), suspects.end(),
                                 [](const Suspect& a, const Suspect& b) { return a.deaths < b.deaths; });
        *place = {.hash = hash, .body_bytes = body_bytes, .deaths = 0};
    }
    place->deaths = std::min(place->deaths + 1, named_deaths_max);
}

// The process may end at the very next instruction: what was stored before it must not be stored after it.
void PoisonGuard::set(Judging judging) noexcept {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    std::atomic_ref(page_->judging).store(judging, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

// The entry that is pending is the futex word itself: no list leads to it, the kernel only looks whose it is.
void PoisonGuard::become_judge() noexcept {
    is_judge_known_ = true;
    judging_list = {.list = {&judging_list.list}, .futex_offset = 0, .list_op_pending = nullptr};
    is_pending_told_ = ::syscall(SYS_set_robust_list, &judging_list, sizeof judging_list) == 0;
    page_->judge = static_cast<std::uint32_t>(::syscall(SYS_gettid));
}

void PoisonGuard::begin_vector() noexcept {
    if (!is_judge_known_) become_judge();
    if (!is_pending_told_) return set(Judging::vector);
    set_pending(reinterpret_cast<robust_list*>(&page_->judge));
}

void PoisonGuard::begin_event(ConstBytes body) noexcept {
    // Between the two an event would have another's name.
    set(Judging::vector);
    page_->hash = hash_of(body);
    page_->body_bytes = static_cast<std::uint32_t>(body.size());
    set(Judging::event);
}

void PoisonGuard::end_event() noexcept {
    set(Judging::vector);
    if (careful_left_ > 0) --careful_left_;
    for (Suspect& one : page_->suspects) {
        if (one.deaths > 0 && one.hash == page_->hash && one.body_bytes == page_->body_bytes) one = Suspect{};
    }
}

void PoisonGuard::end() noexcept {
    if (is_pending_told_) set_pending(nullptr);
    if (page_->judging != Judging::nothing) set(Judging::nothing);
}

bool PoisonGuard::is_named(ConstBytes body) const noexcept {
    std::uint64_t hash = 0;
    bool is_hashed = false;
    for (const Suspect& one : page_->suspects) {
        // Most events differ in length already.
        if (one.deaths < named_deaths_max || one.body_bytes != body.size()) continue;
        if (!std::exchange(is_hashed, true)) hash = hash_of(body);
        if (one.hash == hash) return true;
    }
    return false;
}

}  // namespace weir::edge
