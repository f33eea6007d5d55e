// Network: byte streams between simulated machines, with delay, held directions, resets and peers that fall silent.
//
// What TCP promises holds: bytes come in order or not at all. A cut holds bytes until it heals; a reset loses those under way.
//
// Thread    One.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/types.hpp"
#include "tests/simulation/random.hpp"

namespace weir::sim {

class SimIo;

struct Pipe {  // one direction
    struct Chunk {
        std::uint64_t due_ns = 0;
        std::vector<std::byte> bytes;
        std::size_t taken = 0;
    };
    std::deque<Chunk> chunks;
    std::size_t unread = 0;
    std::uint64_t last_due_ns = 0;
    bool has_ended = false;  // the writer closed; seen by the reader behind the last chunk
    std::uint64_t end_due_ns = 0;
};

struct Link {
    std::array<int, 2> machine{};  // [0] connected, [1] accepted
    std::array<Pipe, 2> from;      // from[i]: written by side i
    std::array<bool, 2> is_open{true, true};
    bool is_reset = false;
    std::uint64_t reset_due_ns = 0;
    bool is_accepted = false;
    std::vector<std::byte> last_send;  // of side 0: what a replay repeats
    // Someone between the two takes a whole send of side 0 away, for ever or until after the next one.
    enum class Theft : std::uint8_t { none, drop, hold } theft = Theft::none;
    std::vector<std::byte> held;
    bool was_tampered = false;
};

class Network {
  public:
    explicit Network(Random random) : random_(random) {}

    std::uint64_t latency_ns_min = 20 * ns_per_us;
    std::uint64_t latency_ns_max = 200 * ns_per_us;
    std::size_t window_bytes = 64U << 10;  // unread bytes that a direction holds at most

    struct Listener {
        SimIo* io = nullptr;
        std::int32_t handle = -1;
    };
    std::map<std::string, Listener> listeners;
    std::vector<std::weak_ptr<Link>> links;

    // Bytes from one machine to another wait until then.
    void cut(int from, int to, std::uint64_t until_ns) { cuts_[{from, to}] = until_ns; }
    void heal() { cuts_.clear(); }
    [[nodiscard]] std::uint64_t held_until(int from, int to) const {
        const auto found = cuts_.find({from, to});
        return found == cuts_.end() ? 0 : found->second;
    }
    [[nodiscard]] std::uint64_t latency_ns() { return random_.within(latency_ns_min, latency_ns_max); }
    [[nodiscard]] std::shared_ptr<Link> make_link(int from, int to);
    // Puts up to what the window takes into the pipe; returns how much.
    std::size_t push(Link& link, int side, ConstBytes bytes, std::uint64_t now_ns);
    // All connections of a machine end. `is_silent`: its peers are not told (power loss) until it is back.
    void drop_all(int machine, std::uint64_t now_ns, std::uint64_t told_at_ns);
    // Resets one live connection between the two, if any.
    bool reset_one(int machine, std::uint64_t now_ns);
    // Repeats the last send of one live connection to `machine`.
    bool replay_one(int machine, std::uint64_t now_ns);
    // The next send to `machine` on one live connection is dropped, or comes after the one behind it.
    bool steal_one(int machine, Link::Theft theft);
    // Nothing more is taken. Connections from which something was end: what was held back never came.
    void reset_tampered(std::uint64_t now_ns);
    [[nodiscard]] Random& random() { return random_; }

  private:
    [[nodiscard]] std::vector<std::shared_ptr<Link>> live_links(int machine);
    Random random_;
    std::map<std::pair<int, int>, std::uint64_t> cuts_;
};

}  // namespace weir::sim
