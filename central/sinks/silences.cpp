#include "central/sinks/silences.hpp"

#include <algorithm>
#include <cerrno>
#include <span>

#include "central/analytics/state_io.hpp"
#include "core/journal/checkpoint.hpp"

namespace weir::central {
namespace {

constexpr std::uint32_t magic = 0x314c4953;  // "SIL1"
constexpr std::size_t silence_bytes_max = 3 * 8 + 4 * 4 + SilenceBook::rule_bytes_max + SilenceBook::key_bytes_max +
                                          SilenceBook::author_bytes_max + SilenceBook::reason_bytes_max;
static_assert(16 + SilenceBook::silences_max * silence_bytes_max <= journal::checkpoint_content_bytes_max);

bool is_silent_for(const AlertSilence& one, std::string_view rule, std::string_view key, WallNs now) {
    return now.value >= one.from_ns && now.value < one.to_ns && (one.rule.empty() || one.rule == rule) &&
           (one.key.empty() || one.key == key);
}

std::string fault_of(const AlertSilence& one, WallNs now) {
    if (one.to_ns <= one.from_ns || one.to_ns <= now.value) return "a silence ends after it begins, and after now";
    if (one.rule.size() > SilenceBook::rule_bytes_max) return "rule: more than 64 bytes";
    if (one.key.size() > SilenceBook::key_bytes_max) return "key: more than 256 bytes";
    if (one.author.size() > SilenceBook::author_bytes_max) return "author: more than 64 bytes";
    if (one.reason.size() > SilenceBook::reason_bytes_max) return "reason: more than 256 bytes";
    return {};
}

}  // namespace

Status SilenceBook::load() {
    const std::lock_guard lock(mutex_);
    const auto loaded = journal::CheckpointFile::load(path_);
    if (!loaded) return loaded.error();
    file_serial_ = loaded.value().serial;
    if (!loaded.value().exists) return Done{};
    const auto& content = loaded.value().content;
    analytics::StateReader in({reinterpret_cast<const char*>(content.data()), content.size()});
    in.require(in.get<std::uint32_t>() == magic);
    last_number_ = in.get<std::uint64_t>();
    std::vector<AlertSilence> read;
    const std::uint32_t count = in.count(silences_max);
    for (std::uint32_t index = 0; index < count && in.is_ok(); ++index) {
        AlertSilence one;
        one.number = in.get<std::uint64_t>();
        one.from_ns = in.get<std::uint64_t>();
        one.to_ns = in.get<std::uint64_t>();
        one.rule = in.text(rule_bytes_max);
        one.key = in.text(key_bytes_max);
        one.author = in.text(author_bytes_max);
        one.reason = in.text(reason_bytes_max);
        in.require(one.number <= last_number_ && (read.empty() || read.back().number < one.number));
        read.push_back(std::move(one));
    }
    if (!in.is_done()) return Error{EINVAL, path_ + ": no book of silences"};
    silences_ = std::move(read);
    return Done{};
}

Status SilenceBook::store() {
    analytics::StateWriter out;
    out.put(magic);
    out.put(last_number_);
    out.count(silences_.size());
    for (const AlertSilence& one : silences_) {
        out.put(one.number);
        out.put(one.from_ns);
        out.put(one.to_ns);
        for (const std::string* text : {&one.rule, &one.key, &one.author, &one.reason}) out.text(*text);
    }
    journal::CheckpointFile file(path_, file_serial_);
    if (auto stored = file.store_now(std::as_bytes(std::span(out.bytes()))); !stored) return stored;
    ++file_serial_;
    return Done{};
}

Result<std::uint64_t> SilenceBook::add(AlertSilence silence, WallNs now) {
    if (const std::string fault = fault_of(silence, now); !fault.empty()) return Error{EINVAL, fault};
    const std::lock_guard lock(mutex_);
    const auto before = silences_;
    std::erase_if(silences_, [&](const AlertSilence& one) { return one.to_ns <= now.value; });
    if (silences_.size() == silences_max) {
        silences_ = before;
        return Error{ENOSPC, "there are 1024 silences that are not over"};
    }
    silence.number = ++last_number_;
    silences_.push_back(std::move(silence));
    if (auto stored = store(); !stored) {
        silences_ = before;
        return stored.error();
    }
    return last_number_;
}

Result<bool> SilenceBook::remove(std::uint64_t number) {
    const std::lock_guard lock(mutex_);
    const auto before = silences_;
    if (std::erase_if(silences_, [&](const AlertSilence& one) { return one.number == number; }) == 0) return false;
    if (auto stored = store(); !stored) {
        silences_ = before;
        return stored.error();
    }
    return true;
}

std::vector<AlertSilence> SilenceBook::list(WallNs now) const {
    const std::lock_guard lock(mutex_);
    std::vector<AlertSilence> found;
    std::copy_if(silences_.begin(), silences_.end(), std::back_inserter(found),
                 [&](const AlertSilence& one) { return one.to_ns > now.value; });
    return found;
}

bool SilenceBook::is_silenced(std::string_view rule, std::string_view key, WallNs now) const {
    const std::lock_guard lock(mutex_);
    return std::any_of(silences_.begin(), silences_.end(),
                       [&](const AlertSilence& one) { return is_silent_for(one, rule, key, now); });
}

}  // namespace weir::central
