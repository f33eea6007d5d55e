#include "bench/fleet.hpp"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <map>

#include "core/base/clock.hpp"

namespace weir::bench {
namespace {

constexpr std::uint64_t deal_max = 65'536;  // events dealt in one round
constexpr std::uint64_t offers_per_pump = 1024;
constexpr std::uint64_t wait_ns_max = 200 * ns_per_us;
constexpr std::uint64_t unsent_wait_ns = 20 * ns_per_us;  // a socket's buffer is full: looked at again so soon
constexpr std::size_t ready_max = 1024;
// What all connections together may hold unacked; each has at least what lets one of the largest events in.
constexpr std::size_t arena_bytes_all = 64ULL << 20;
constexpr std::size_t arena_bytes_min = 512ULL << 10;
constexpr std::size_t unacked_all = 1ULL << 17;
constexpr std::size_t unacked_min = 1ULL << 10;
constexpr std::size_t receive_bytes_many = 64ULL << 10;
constexpr std::uint32_t many = 16;
static_assert(arena_bytes_min > wire::event_bytes_max);
static_assert(receive_bytes_many >
              wire::ack_ranges_max * sizeof(wire::AckRange) + sizeof(wire::ProducerAckHead) + 1024);

void allow_sockets() {
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
    files.rlim_cur = files.rlim_max;
    static_cast<void>(::setrlimit(RLIMIT_NOFILE, &files));
}

FleetGroup& group_of(std::vector<std::unique_ptr<FleetGroup>>& groups, wire::AckLevel level, bool is_stalling) {
    static const std::map<wire::AckLevel, std::string> names = {{wire::AckLevel::received, "received"},
                                                                {wire::AckLevel::spooled, "spooled"},
                                                                {wire::AckLevel::delivered, "delivered"}};
    const std::string name = names.at(level) + (is_stalling ? " (stalling)" : "");
    for (const auto& one : groups) {
        if (one->name == name) return *one;
    }
    groups.push_back(std::make_unique<FleetGroup>());
    groups.back()->name = name;
    groups.back()->level = level;
    return *groups.back();
}

}  // namespace

Fleet::Fleet(const LoadOptions& options, Schedule schedule, EventMix mix)
    : options_(options), schedule_(std::move(schedule)), mix_(std::move(mix)), producers_(options.connections) {
    is_fresh_.resize(options.connections);
    const std::size_t count = options.connections;
    for (std::uint32_t i = 0; i < options.connections; ++i) {
        Producer& one = producers_[i];
        one.next_index = i;
        one.is_stalling = i + options.stalling >= options.connections;
        const wire::AckLevel level = options.levels[i % options.levels.size()];
        LatencyLog* log = &group_of(groups_, level, one.is_stalling).latency;
        client::ClientOptions client;
        client.to = options.to;
        client.level = level;
        client.arena_bytes = std::max(arena_bytes_min, std::bit_floor(arena_bytes_all / count));
        client.events_max = std::max(unacked_min, std::bit_floor(unacked_all / count));
        if (options.connections > many) client.receive_bytes = receive_bytes_many;
        client.ca_file = options.ca_file;
        client.on_latency = [this, log](MonotonicNs intended, MonotonicNs answered) {
            log->record(answered.since(intended), intended.since(steady_since_));
        };
        one.client = std::make_unique<client::ProducerClient>(std::move(client));
    }
    if (options.connections > 1) epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
}

Fleet::~Fleet() {
    if (epoll_ >= 0) ::close(epoll_);
}

Status Fleet::connect() {
    allow_sockets();
    const MonotonicNs begun = monotonic_now();
    for (std::size_t missing = 1; missing > 0;) {
        missing = 0;
        for (std::uint32_t i = 0; i < producers_.size(); ++i) {
            Producer& one = producers_[i];
            if (one.client->is_connected()) continue;
            ++missing;
            if (const Status status = one.client->pump(producers_.size() == 1 ? ns_per_ms : 0); !status) return status;
            watch(one, i);
        }
        if (options_.timeout_s > 0 && monotonic_now().since(begun) > options_.timeout_s * ns_per_second)
            return Error{ETIMEDOUT, "not connected within " + std::to_string(options_.timeout_s) +
                                        " s: " + producers_[0].client->last_fault()};
    }
    return Done{};
}

void Fleet::begin(MonotonicNs start, std::uint64_t steady_ns, std::uint64_t steady_index) {
    start_ = start;
    steady_ns_ = steady_ns;
    steady_index_ = steady_index;
}

bool Fleet::is_stalled(const Producer& producer, std::uint64_t since_ns) const {
    return producer.is_stalling && since_ns % (options_.stall_every_ms * ns_per_ms) < options_.stall_ms * ns_per_ms;
}

bool Fleet::offer(Producer& producer, std::uint64_t index, std::uint64_t due_ns, MonotonicNs now) {
    const bool is_counted = index >= steady_index_ && due_ns >= steady_ns_;
    const MonotonicNs due = start_.plus_ns(due_ns);
    if (!producer.client->offer(mix_.event(index, wall_), 0, options_.is_counted_from_sent ? now : due, is_counted))
        return false;
    if (is_counted && !is_steady_) {
        is_steady_ = true;
        steady_since_ = due;
    }
    if (is_counted && !producer.is_stalling) lateness_.record(now.since(due));
    ++offered_;
    const auto place = static_cast<std::uint32_t>(&producer - producers_.data());
    if (!is_fresh_[place]) {
        is_fresh_[place] = true;
        fresh_.push_back(place);
    }
    return true;
}

void Fleet::deal(std::uint64_t events_max, std::uint64_t end_ns, MonotonicNs now) {
    const std::uint64_t since = now.since(start_);
    for (std::uint64_t i = 0; i < deal_max && dealt_ < events_max; ++i) {
        const std::uint64_t due = schedule_.due_ns(dealt_);
        if (due > since || due >= end_ns) return;
        const auto place = static_cast<std::uint32_t>(dealt_ % producers_.size());
        if (producers_[place].owed++ == 0) debtors_.push_back(place);
        ++dealt_;
    }
}

void Fleet::offer_owed(Producer& producer, MonotonicNs now) {
    for (; producer.owed > 0; --producer.owed) {
        if (!offer(producer, producer.next_index, schedule_.due_ns(producer.next_index), now)) return;
        producer.next_index += producers_.size();
    }
}

void Fleet::offer_flat_out(Producer& producer, std::uint64_t events_max, std::uint64_t end_ns, MonotonicNs now) {
    const std::uint64_t since = now.since(start_);
    if (since >= end_ns || is_stalled(producer, since)) return;
    for (std::uint64_t i = 0; i < offers_per_pump && dealt_ < events_max; ++i, ++dealt_) {
        if (!offer(producer, dealt_, since, now)) return;
    }
}

Status Fleet::round(std::uint64_t events_max, std::uint64_t end_ns) {
    const MonotonicNs now = monotonic_now();
    wall_ = wall_now();
    mind_steady_start(now);
    if (schedule_.is_open_loop()) {
        deal(events_max, end_ns, now);
        std::erase_if(debtors_, [&](std::uint32_t place) {
            Producer& one = producers_[place];
            if (!is_stalled(one, now.since(start_))) offer_owed(one, now);
            return one.owed == 0;
        });
    } else {
        for (Producer& one : producers_) offer_flat_out(one, events_max, end_ns, now);
    }
    mind_waiting(now);
    if (producers_.size() == 1) {
        if (!fresh_.empty()) is_fresh_[0] = false;
        fresh_.clear();
        if (is_stalled(producers_[0], now.since(start_))) return Done{};
        return producers_[0].client->pump(wait_ns(events_max, end_ns));
    }
    std::vector<std::uint32_t> sending;
    sending.swap(fresh_);
    for (const std::uint32_t place : sending) {
        is_fresh_[place] = false;
        if (const Status status = pump_one(producers_[place], 0); !status) return status;
    }
    return pump_ready(fresh_.empty() ? wait_ns(events_max, end_ns)
                                     : std::min(unsent_wait_ns, wait_ns(events_max, end_ns)));
}

void Fleet::mind_steady_start(MonotonicNs now) {
    if (answered_since_ != MonotonicNs{} || now.since(start_) < steady_ns_ || dealt_ < steady_index_) return;
    answered_since_ = now;
    acked_before_ = totals().acked;
}

// Time that begins in a round in which something was due that nobody could take, and ends with the next one.
void Fleet::mind_waiting(MonotonicNs now) {
    if (is_waiting_ && is_steady_) waited_ns_ += now.since(waiting_since_);
    const std::uint64_t since = now.since(start_);
    const auto is_in_debt = [&](std::uint32_t place) { return !is_stalled(producers_[place], since); };
    const auto has_room = [](const Producer& one) { return one.client->has_room(); };
    is_waiting_ = schedule_.is_open_loop() ? std::any_of(debtors_.begin(), debtors_.end(), is_in_debt)
                                           : std::none_of(producers_.begin(), producers_.end(), has_room);
    waiting_since_ = now;
}

std::uint64_t Fleet::wait_ns(std::uint64_t events_max, std::uint64_t end_ns) const {
    if (is_waiting_ || !debtors_.empty() || dealt_ >= events_max) return wait_ns_max;
    const std::uint64_t since = monotonic_now().since(start_);
    if (!schedule_.is_open_loop()) return since >= end_ns ? wait_ns_max : 0;
    const std::uint64_t due = schedule_.due_ns(dealt_);
    if (due >= end_ns) return wait_ns_max;
    return due > since ? std::min(due - since, wait_ns_max) : 0;
}

Status Fleet::pump_one(Producer& producer, std::uint64_t wait_ns) {
    const auto place = static_cast<std::uint32_t>(&producer - producers_.data());
    const Status status = producer.client->pump(wait_ns);
    watch(producer, place);
    // Not connected, or its socket is full: again in the next round.
    if ((producer.client->has_unsent() || producer.client->socket() < 0) && !is_fresh_[place]) {
        is_fresh_[place] = true;
        fresh_.push_back(place);
    }
    return status;
}

Status Fleet::pump_ready(std::uint64_t wait_ns) {
    std::array<epoll_event, ready_max> ready{};
    const timespec limit{0, static_cast<long>(wait_ns)};
    const int count = ::epoll_pwait2(epoll_, ready.data(), static_cast<int>(ready.size()), &limit, nullptr);
    const std::uint64_t since = monotonic_now().since(start_);
    for (int i = 0; i < count; ++i) {
        Producer& one = producers_[ready[static_cast<std::size_t>(i)].data.u32];
        if (start_ != MonotonicNs{} && is_stalled(one, since)) continue;
        if (const Status status = pump_one(one, 0); !status) return status;
    }
    return Done{};
}

// A reconnect brings a new socket; the kernel forgets a closed one by itself.
void Fleet::watch(Producer& producer, std::uint64_t index) {
    if (epoll_ < 0 || producer.client->socket() == producer.watched_fd) return;
    producer.watched_fd = producer.client->socket();
    if (producer.watched_fd < 0) return;
    epoll_event wish{};
    wish.events = EPOLLIN;
    wish.data.u32 = static_cast<std::uint32_t>(index);
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, producer.watched_fd, &wish) != 0)
        static_cast<void>(::epoll_ctl(epoll_, EPOLL_CTL_MOD, producer.watched_fd, &wish));
}

bool Fleet::is_all_sent(std::uint64_t events_max, std::uint64_t end_ns) const {
    if (!debtors_.empty()) return false;
    if (dealt_ >= events_max) return true;
    if (schedule_.is_open_loop()) return schedule_.due_ns(dealt_) >= end_ns;
    return monotonic_now().since(start_) >= end_ns;
}

std::uint64_t Fleet::unacked_count() const {
    std::uint64_t count = 0;
    for (const Producer& one : producers_) count += one.client->unacked_count();
    return count;
}

MonotonicNs Fleet::last_ack() const {
    MonotonicNs last{};
    for (const Producer& one : producers_) last = std::max(last, one.client->last_ack());
    return last;
}

client::ClientTotals Fleet::totals() const {
    client::ClientTotals all;
    for (const Producer& one : producers_) {
        const client::ClientTotals& its = one.client->totals();
        all.offered += its.offered;
        all.accepted += its.accepted;
        all.duplicates += its.duplicates;
        all.rejected += its.rejected;
        all.shed += its.shed;
        all.acked += its.acked;
        all.reconnects += its.reconnects;
        for (const auto& [reason, count] : its.reasons) all.reasons[reason] += count;
        for (const auto& [reason, count] : its.shed_reasons) all.shed_reasons[reason] += count;
    }
    return all;
}

wire::Rung Fleet::rung() const {
    wire::Rung worst = wire::Rung::healthy;
    for (const Producer& one : producers_) worst = std::max(worst, one.client->rung());
    return worst;
}

}  // namespace weir::bench
