#include "tests/simulation/network.hpp"

#include <algorithm>

namespace weir::sim {

std::shared_ptr<Link> Network::make_link(int from, int to) {
    auto link = std::make_shared<Link>();
    link->machine = {from, to};
    std::erase_if(links, [](const std::weak_ptr<Link>& one) { return one.expired(); });
    links.push_back(link);
    return link;
}

std::size_t Network::push(Link& link, int side, ConstBytes bytes, std::uint64_t now_ns) {
    Pipe& pipe = link.from[static_cast<std::size_t>(side)];
    const std::size_t room = window_bytes > pipe.unread ? window_bytes - pipe.unread : 0;
    const std::size_t count = std::min(room, bytes.size());
    if (count == 0) return 0;
    pipe.last_due_ns = std::max(pipe.last_due_ns, now_ns + latency_ns());
    pipe.chunks.push_back({pipe.last_due_ns, {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count)}});
    pipe.unread += count;
    return count;
}

std::vector<std::shared_ptr<Link>> Network::live_links(int machine) {
    std::vector<std::shared_ptr<Link>> live;
    for (const auto& one : links) {
        auto link = one.lock();
        if (!link || link->is_reset || !link->is_accepted) continue;
        if (link->machine[0] == machine || link->machine[1] == machine) live.push_back(std::move(link));
    }
    return live;
}

void Network::drop_all(int machine, std::uint64_t now_ns, std::uint64_t told_at_ns) {
    for (const auto& one : links) {
        const auto link = one.lock();
        if (!link || link->is_reset) continue;
        if (link->machine[0] != machine && link->machine[1] != machine) continue;
        link->is_reset = true;
        link->reset_due_ns = std::max(told_at_ns, now_ns);
    }
}

bool Network::reset_one(int machine, std::uint64_t now_ns) {
    const auto live = live_links(machine);
    if (live.empty()) return false;
    Link& link = *live[random_.below(live.size())];
    link.is_reset = true;
    link.reset_due_ns = now_ns;
    return true;
}

bool Network::replay_one(int machine, std::uint64_t now_ns) {
    auto live = live_links(machine);
    std::erase_if(live, [](const auto& link) { return link->last_send.empty() || !link->is_open[0]; });
    if (live.empty()) return false;
    Link& link = *live[random_.below(live.size())];
    return push(link, 0, link.last_send, now_ns) == link.last_send.size();
}

bool Network::steal_one(int machine, Link::Theft theft) {
    auto live = live_links(machine);
    std::erase_if(live, [](const auto& link) { return !link->is_open[0]; });
    if (live.empty()) return false;
    live[random_.below(live.size())]->theft = theft;
    return true;
}

void Network::reset_tampered(std::uint64_t now_ns) {
    for (const auto& one : links) {
        const auto link = one.lock();
        if (!link) continue;
        link->theft = Link::Theft::none;
        if (link->is_reset || !link->was_tampered) continue;
        link->is_reset = true;
        link->reset_due_ns = now_ns;
    }
}

}  // namespace weir::sim
