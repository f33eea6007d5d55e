#include "central/analytics/top_list.hpp"

#include <algorithm>
#include <tuple>

#include "central/analytics/distinct_count.hpp"

namespace weir::analytics {
namespace {

bool is_before(const TopEntry& left, const TopEntry& right) {
    return std::tie(right.count, left.text) < std::tie(left.count, right.text);
}

}  // namespace

const TopList::Entry* TopList::find(std::uint64_t hash, std::string_view text) const {
    const auto found = std::find_if(entries_.begin(), entries_.end(),
                                    [&](const Entry& one) { return one.hash == hash && one.entry.text == text; });
    return found == entries_.end() ? nullptr : &*found;
}

void TopList::add(std::string_view text) {
    text = text.substr(0, top_text_bytes_max);
    const std::uint64_t hash = hash_of(text);
    if (const Entry* known = find(hash, text)) {
        ++entries_[static_cast<std::size_t>(known - entries_.data())].entry.count;
        return;
    }
    if (entries_.size() < top_entries_max) {
        entries_.push_back({hash, {std::string(text), 1, 0}});
        return;
    }
    auto last = std::max_element(entries_.begin(), entries_.end(),
                                 [](const Entry& a, const Entry& b) { return is_before(a.entry, b.entry); });
    const std::uint64_t count = last->entry.count;
    *last = {hash, {std::string(text), count + 1, count}};
}

std::uint64_t TopList::unlisted_max() const {
    if (entries_.size() < top_entries_max) return 0;
    return std::min_element(entries_.begin(), entries_.end(),
                            [](const Entry& a, const Entry& b) { return a.entry.count < b.entry.count; })
        ->entry.count;
}

void TopList::merge(const TopList& other) {
    const std::uint64_t here_max = unlisted_max();
    const std::uint64_t there_max = other.unlisted_max();
    const std::size_t here = entries_.size();
    for (std::size_t at = 0; at < here; ++at) {
        TopEntry& entry = entries_[at].entry;
        const Entry* same = other.find(entries_[at].hash, entry.text);
        entry.count += same != nullptr ? same->entry.count : there_max;
        entry.over += same != nullptr ? same->entry.over : there_max;
    }
    for (const Entry& theirs : other.entries_) {
        const auto end = entries_.begin() + static_cast<std::ptrdiff_t>(here);
        const bool is_known = std::any_of(entries_.begin(), end, [&](const Entry& one) {
            return one.hash == theirs.hash && one.entry.text == theirs.entry.text;
        });
        if (is_known) continue;
        entries_.push_back(theirs);
        entries_.back().entry.count += here_max;
        entries_.back().entry.over += here_max;
    }
    if (entries_.size() <= top_entries_max) return;
    std::sort(entries_.begin(), entries_.end(),
              [](const Entry& a, const Entry& b) { return is_before(a.entry, b.entry); });
    entries_.resize(top_entries_max);
}

std::vector<TopEntry> TopList::first(std::size_t count) const {
    std::vector<TopEntry> all;
    all.reserve(entries_.size());
    for (const Entry& one : entries_) all.push_back(one.entry);
    std::sort(all.begin(), all.end(), is_before);
    all.resize(std::min(all.size(), count));
    return all;
}

void TopList::save(StateWriter& out) const {
    const std::vector<TopEntry> all = first(entries_.size());  // in an order that says nothing of how they came
    out.count(all.size());
    for (const TopEntry& entry : all) {
        out.text(entry.text);
        out.put(entry.count);
        out.put(entry.over);
    }
}

void TopList::load(StateReader& in) {
    entries_.clear();
    const std::uint32_t count = in.count(top_entries_max);
    for (std::uint32_t index = 0; index < count && in.is_ok(); ++index) {
        TopEntry entry;
        entry.text = in.text(top_text_bytes_max);
        entry.count = in.get<std::uint64_t>();
        entry.over = in.get<std::uint64_t>();
        entries_.push_back({hash_of(entry.text), std::move(entry)});
    }
    if (!in.is_ok()) entries_.clear();
}

}  // namespace weir::analytics
