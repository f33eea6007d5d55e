#include "central/sinks/silence_book.hpp"

#include <algorithm>
#include <utility>

#include "central/api/json_text.hpp"
#include "core/journal/checkpoint.hpp"

namespace weir::central {
namespace {

bool holds(const Silence& silence, WallNs now) {
    return silence.until_ms > now.value / ns_per_ms;
}

std::optional<Silence> silence_of(std::string_view line) {
    JsonFault fault;
    const auto parsed = json_parse(line, fault);
    if (!parsed || parsed->kind != JsonKind::object) return std::nullopt;
    Silence made;
    std::string id;
    const auto text = [&](std::string_view name, std::string& into) {
        const auto member = json_member(parsed->raw, name);
        return member && json_text(*member, into);
    };
    const auto number = [&](std::string_view name, std::uint64_t& into) {
        const auto member = json_member(parsed->raw, name);
        const auto value = member ? json_number(*member) : std::nullopt;
        if (!value || *value < 0 || *value > 1e15) return false;
        into = static_cast<std::uint64_t>(*value);
        return true;
    };
    if (!text("id", id) || !text("name", made.name) || !text("reason", made.reason) || !text("who", made.who) ||
        !number("until_ms", made.until_ms) || !number("since_ms", made.since_ms)) {
        return std::nullopt;
    }
    for (const char digit : id) {
        if (digit < '0' || digit > '9' || id.size() > 18) return std::nullopt;
        made.id = made.id * 10 + static_cast<std::uint64_t>(digit - '0');
    }
    if (std::string key; text("key", key)) made.key = std::move(key);
    return made;
}

}  // namespace

std::string json_of(const Silence& silence) {
    return ObjectText()
        .text("id", std::to_string(silence.id))
        .text("name", silence.name)
        .text_or_null("key", silence.key)
        .number("until_ms", silence.until_ms)
        .number("since_ms", silence.since_ms)
        .text("reason", silence.reason)
        .text("who", silence.who)
        .end();
}

SilenceBook::SilenceBook(const std::string& data_dir, std::vector<std::string>& faults)
    : path_(data_dir + "/silences") {
    const auto loaded = journal::CheckpointFile::load(path_);
    if (!loaded) {
        faults.push_back(loaded.error().what);
        return;
    }
    faults.insert(faults.end(), loaded.value().faults.begin(), loaded.value().faults.end());
    file_serial_ = loaded.value().serial;
    const auto& content = loaded.value().content;
    std::string_view rest(reinterpret_cast<const char*>(content.data()), content.size());
    while (!rest.empty() && silences_.size() < silences_max) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
        auto silence = silence_of(line);
        if (!silence) {
            faults.push_back(path_ + ": a line that is no silence");
            continue;
        }
        last_id_ = std::max(last_id_, silence->id);
        silences_.push_back(std::move(*silence));
    }
}

Status SilenceBook::add(Silence silence, WallNs now) {
    const std::lock_guard lock(mutex_);
    std::vector<Silence> next;
    for (const Silence& one : silences_) {
        if (holds(one, now) && !(one.name == silence.name && one.key == silence.key)) next.push_back(one);
    }
    if (next.size() == silences_max) return Error{full_code, "there are as many silences as there may be"};
    silence.id = last_id_ + 1;
    silence.since_ms = now.value / ns_per_ms;
    next.push_back(std::move(silence));
    if (auto stored = store(next); !stored) return stored;
    ++last_id_;
    silences_ = std::move(next);
    return Done{};
}

Result<bool> SilenceBook::end(std::uint64_t id, WallNs now) {
    const std::lock_guard lock(mutex_);
    std::vector<Silence> next;
    bool is_there = false;
    for (const Silence& one : silences_) {
        if (one.id == id && holds(one, now)) is_there = true;
        if (one.id != id && holds(one, now)) next.push_back(one);
    }
    if (!is_there) return false;
    if (auto stored = store(next); !stored) return stored.error();
    silences_ = std::move(next);
    return true;
}

std::vector<Silence> SilenceBook::holding(WallNs now) const {
    const std::lock_guard lock(mutex_);
    std::vector<Silence> told;
    for (const Silence& one : silences_) {
        if (holds(one, now)) told.push_back(one);
    }
    return told;
}

std::optional<Silence> SilenceBook::of(std::string_view name, std::string_view key, WallNs now) const {
    const std::lock_guard lock(mutex_);
    const Silence* best = nullptr;
    for (const Silence& one : silences_) {
        if (one.name != name || (one.key && *one.key != key) || !holds(one, now)) continue;
        if (best == nullptr || one.until_ms > best->until_ms) best = &one;
    }
    return best == nullptr ? std::nullopt : std::optional(*best);
}

// Ids of silences that are gone are not used again while one that was later holds: enough, as an id is only good while it holds.
Status SilenceBook::store(const std::vector<Silence>& silences) {
    std::string text;
    for (const Silence& one : silences) text += json_of(one) + "\n";
    journal::CheckpointFile file(path_, file_serial_);
    if (auto stored = file.store_now(std::as_bytes(std::span(text.data(), text.size()))); !stored) return stored;
    ++file_serial_;
    return Done{};
}

}  // namespace weir::central
