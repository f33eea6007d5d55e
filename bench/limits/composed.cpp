#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <memory>
#include <thread>

#include "bench/event_mix.hpp"
#include "bench/limits/limits.hpp"
#include "core/wire/event.hpp"

namespace weir::limits {
namespace {

constexpr std::size_t corpus_events = 65'536;  // each with a key of its own in the table: nothing stays in L2
constexpr std::size_t table_slots = 2 * corpus_events;
constexpr std::size_t group = 32;  // looked up together
constexpr std::size_t batch_bytes = 64U << 10;
constexpr std::size_t receive_bytes = 256U << 10;
constexpr std::size_t huge_page_bytes = 2U << 20;
constexpr std::size_t frame_head_bytes = 8;

std::uint64_t hash_of(std::string_view id) {
    std::uint64_t tail = 0;
    std::memcpy(&tail, id.data() + id.size() - sizeof tail, sizeof tail);
    return (tail ^ (tail >> 29U)) * 0x9e3779b97f4a7c15U | 1U;  // 0 is an empty slot
}

// Open addressing, 32-byte slots, on huge pages.
class Table {
  public:
    struct Slot {
        std::uint64_t hash, count, last, spare;
    };
    Table() {
        const std::size_t bytes = table_slots * sizeof(Slot);
        slots_ = static_cast<Slot*>(std::aligned_alloc(huge_page_bytes, bytes));
        ::madvise(slots_, bytes, MADV_HUGEPAGE);
        std::memset(static_cast<void*>(slots_), 0, bytes);
    }
    ~Table() { std::free(slots_); }
    Table(const Table&) = delete;
    Table& operator=(const Table&) = delete;
    void prefetch(std::uint64_t hash) const { __builtin_prefetch(&slots_[place_of(hash)], 1); }
    Slot& find(std::uint64_t hash) {
        std::size_t at = place_of(hash);
        while (slots_[at].hash != hash && slots_[at].hash != 0) at = (at + 1) % table_slots;
        slots_[at].hash = hash;
        return slots_[at];
    }

  private:
    // By the upper bits: a product's lower ones say little.
    [[nodiscard]] static std::size_t place_of(std::uint64_t hash) { return (hash >> 32U) % table_slots; }

    Slot* slots_;
};

std::vector<char> make_corpus() {
    auto mix = bench::EventMix::make({.payload_bytes = "30"});
    std::vector<char> corpus;
    for (std::uint64_t i = 0; i < corpus_events; ++i) {
        const ConstBytes event = mix.value().event(i, WallNs{i + 1});
        const std::uint64_t bytes = event.size();
        corpus.insert(corpus.end(), reinterpret_cast<const char*>(&bytes),
                      reinterpret_cast<const char*>(&bytes) + sizeof bytes);
        const auto* first = reinterpret_cast<const char*>(event.data());
        corpus.insert(corpus.end(), first, first + bytes);
        corpus.resize((corpus.size() + 7) / 8 * 8);
    }
    return corpus;
}

class EdgeWork {
  public:
    // `out`: -1 to append only.
    explicit EdgeWork(int out) : out_(out), batch_(batch_bytes) {}
    // Takes whole frames from the front; returns how many bytes.
    std::size_t take(const char* at, std::size_t bytes) {
        std::size_t taken = 0;
        while (bytes - taken >= frame_head_bytes) {
            std::uint64_t body = 0;
            std::memcpy(&body, at + taken, sizeof body);
            const std::size_t whole = (frame_head_bytes + body + 7) / 8 * 8;
            if (bytes - taken < whole) break;
            admit(at + taken + frame_head_bytes, body);
            taken += whole;
        }
        settle();
        return taken;
    }
    [[nodiscard]] std::uint64_t count() const { return count_; }

  private:
    struct Held {
        const char* at;
        std::size_t bytes;
        std::uint64_t hash;
    };
    void admit(const char* at, std::size_t bytes) {
        wire::EventView view;
        if (wire::verify_event({reinterpret_cast<const std::byte*>(at), bytes}, view) != wire::Reason::none)
            die("verify");
        const std::uint64_t hash = hash_of(view.id);
        table_.prefetch(hash);
        held_[held_count_++] = {at, bytes, hash};
        if (held_count_ == group) settle();
    }
    void settle() {
        for (std::size_t i = 0; i < held_count_; ++i) {
            Table::Slot& slot = table_.find(held_[i].hash);
            ++slot.count;
            slot.last = count_++;
            if (fill_ + held_[i].bytes + sizeof(std::uint64_t) > batch_.size()) close_batch();
            std::memcpy(batch_.data() + fill_, &held_[i].bytes, sizeof(std::uint64_t));
            std::memcpy(batch_.data() + fill_ + sizeof(std::uint64_t), held_[i].at, held_[i].bytes);
            fill_ += sizeof(std::uint64_t) + held_[i].bytes;
        }
        held_count_ = 0;
    }
    void close_batch() {
        for (std::size_t sent = 0; out_ >= 0 && sent < fill_;) {
            const ssize_t count = ::send(out_, batch_.data() + sent, fill_ - sent, MSG_NOSIGNAL);
            if (count < 0) die("forward");
            sent += static_cast<std::size_t>(count);
        }
        fill_ = 0;
    }

    int out_;
    Table table_;
    std::array<Held, group> held_{};
    std::size_t held_count_ = 0;
    std::vector<char> batch_;
    std::size_t fill_ = 0;
    std::uint64_t count_ = 0;
};

void send_corpus(int fd, const std::vector<char>& corpus, double seconds) {
    const std::uint64_t end = now_ns() + static_cast<std::uint64_t>(seconds * 1e9);
    for (std::size_t at = 0; now_ns() < end || at != 0;) {
        const ssize_t count = ::send(fd, corpus.data() + at, std::min(batch_bytes, corpus.size() - at), MSG_NOSIGNAL);
        if (count < 0) die("send");
        at = (at + static_cast<std::size_t>(count)) % corpus.size();
    }
    ::shutdown(fd, SHUT_WR);
}

struct Run {
    double events_per_second = 0;
    double cpu_ns = 0;  // of the working thread, an event
    double own_ns = 0;  // outside of receiving
};

Run run(const std::vector<char>& corpus, bool is_forwarded, double seconds) {
    const SocketPair in = tcp_pair();
    const SocketPair out = is_forwarded ? tcp_pair() : SocketPair{};
    std::thread sink([&] {
        pin(0);
        std::vector<char> room(receive_bytes);
        while (is_forwarded && ::recv(out.far, room.data(), room.size(), MSG_TRUNC) > 0) {
        }
    });
    Run result;
    std::thread work([&] {
        pin(1);
        EdgeWork edge(out.near);
        std::vector<char> room(2 * receive_bytes);
        std::size_t held = 0;
        std::uint64_t own_ns = 0;
        const std::uint64_t begun = now_ns();
        const std::uint64_t cpu_begun = thread_cpu_ns();
        for (;;) {
            const ssize_t count = ::recv(in.far, room.data() + held, receive_bytes, 0);
            if (count <= 0) break;
            const std::uint64_t then = now_ns();
            held += static_cast<std::size_t>(count);
            const std::size_t taken = edge.take(room.data(), held);
            std::memmove(room.data(), room.data() + taken, held - taken);
            held -= taken;
            own_ns += now_ns() - then;
        }
        const auto events = static_cast<double>(edge.count());
        result.events_per_second = events * 1e9 / static_cast<double>(now_ns() - begun);
        result.cpu_ns = static_cast<double>(thread_cpu_ns() - cpu_begun) / events;
        result.own_ns = static_cast<double>(own_ns) / events;
        if (is_forwarded) ::shutdown(out.near, SHUT_WR);
    });
    pin(0);
    send_corpus(in.near, corpus, seconds);
    work.join();
    sink.join();
    for (const int fd : {in.near, in.far, out.near, out.far}) {
        if (fd >= 0) ::close(fd);
    }
    return result;
}

}  // namespace

Measured measure_composed(const LimitsOptions& options) {
    const std::vector<char> corpus = make_corpus();
    static_cast<void>(run(corpus, false, options.seconds / 4));  // warm
    const Run append = run(corpus, false, options.seconds);
    const Run forward = run(corpus, true, options.seconds);
    return {{"event_bytes", static_cast<double>(corpus.size()) / static_cast<double>(corpus_events)},
            {"composed_append_per_second", append.events_per_second},
            {"composed_own_ns", append.own_ns},
            {"composed_cpu_ns", append.cpu_ns},
            {"composed_forward_per_second", forward.events_per_second},
            {"composed_forward_cpu_ns", forward.cpu_ns}};
}

}  // namespace weir::limits
