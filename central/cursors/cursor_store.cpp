#include "central/cursors/cursor_store.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <span>

#include "central/analytics/hashed_key.hpp"
#include "central/analytics/state_io.hpp"
#include "core/journal/checkpoint.hpp"

namespace weir::central {
namespace {

constexpr std::uint32_t magic = 0x31525543;  // "CUR1"

bool is_name(std::string_view text) {
    const auto is_good = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    };
    return !text.empty() && text.size() <= CursorStore::name_bytes_max &&
           std::all_of(text.begin(), text.end(), is_good);
}

Error wrong(std::string what) {
    return Error{CursorStore::wrong_code, std::move(what)};
}

std::string bytes_of(const CursorGroup& group) {
    analytics::StateWriter out;
    out.put(magic);
    out.count(group.places.size());
    out.count(group.consumers.size());
    out.put(group.generation);
    for (const std::uint64_t place : group.places) out.put(place);
    for (const auto& consumer : group.consumers) {
        out.put(consumer.until_ns);
        out.text(consumer.name);
    }
    return out.take();
}

bool read_group(std::string_view bytes, CursorGroup& group) {
    analytics::StateReader in(bytes);
    in.require(in.get<std::uint32_t>() == magic);
    const std::uint32_t partitions = in.count(CursorStore::partitions_max);
    const std::uint32_t consumers = in.count(CursorStore::consumers_max);
    group.generation = in.get<std::uint64_t>();
    in.require(partitions > 0);
    for (std::uint32_t index = 0; index < partitions && in.is_ok(); ++index) {
        group.places.push_back(in.get<std::uint64_t>());
    }
    for (std::uint32_t index = 0; index < consumers && in.is_ok(); ++index) {
        const auto until_ns = in.get<std::uint64_t>();
        group.consumers.push_back({std::string(in.text(CursorStore::name_bytes_max)), until_ns});
    }
    return in.is_done();
}

// Those whose time has run out go.
bool forget_the_gone(CursorGroup& group, WallNs now) {
    return std::erase_if(group.consumers, [&](const auto& one) { return one.until_ns <= now.value; }) > 0;
}

}  // namespace

std::vector<std::uint32_t> CursorGroup::partitions_of(std::string_view consumer) const {
    std::vector<std::uint32_t> held;
    for (std::uint32_t partition = 0; partition < places.size() && !consumers.empty(); ++partition) {
        if (consumers[partition % consumers.size()].name == consumer) held.push_back(partition);
    }
    return held;
}

std::uint32_t partition_of(std::string_view key, std::size_t partitions) {
    return static_cast<std::uint32_t>(analytics::hash_of(key) % partitions);
}

// One group, while nobody else may look at it.
class CursorStore::Locked {
  public:
    Locked(const std::string& directory, const std::string& group) : path_(directory + "/" + group) {
        if (!journal::make_directory(directory)) return;
        lock_ = ::open((path_ + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (lock_ >= 0) ::flock(lock_, LOCK_EX);
        group_.name = group;
    }
    ~Locked() {
        if (lock_ >= 0) ::close(lock_);
    }
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;
    // False: there is none.
    [[nodiscard]] Result<bool> load() {
        if (lock_ < 0) return error_from_errno(errno, "lock " + path_);
        const auto loaded = journal::CheckpointFile::load(path_);
        if (!loaded) return loaded.error();
        serial_ = loaded.value().serial;
        if (!loaded.value().exists || loaded.value().content.empty()) return false;
        const auto& content = loaded.value().content;
        if (!read_group({reinterpret_cast<const char*>(content.data()), content.size()}, group_)) {
            return Error{EINVAL, path_ + ": no group of cursors"};
        }
        return true;
    }
    [[nodiscard]] Status store() {
        const std::string bytes = bytes_of(group_);
        journal::CheckpointFile file(path_, serial_);
        return file.store_now(std::as_bytes(std::span(bytes)));
    }
    [[nodiscard]] Status remove() {
        std::error_code failed;
        for (const char* end : {".0", ".1", ".lock"}) {
            std::filesystem::remove(path_ + end, failed);
            if (failed) return Error{failed.value(), "remove " + path_ + end + ": " + failed.message()};
        }
        return Done{};
    }
    // load(), where there must be one.
    [[nodiscard]] Status need() {
        const auto has = load();
        if (!has) return has.error();
        if (!has.value()) return Error{unknown_code, "there is no group " + group_.name};
        return Done{};
    }
    [[nodiscard]] CursorGroup& group() { return group_; }

  private:
    std::string path_;
    int lock_ = -1;
    std::uint64_t serial_ = 0;
    CursorGroup group_;
};

Result<std::vector<CursorGroup>> CursorStore::list() const {
    std::vector<CursorGroup> groups;
    std::error_code none;
    std::vector<std::string> names;
    for (const auto& file : std::filesystem::directory_iterator(directory_, none)) {
        if (file.path().extension() == ".lock") names.push_back(file.path().stem().string());
    }
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) {
        auto group = load(name);
        if (!group && group.error().code == unknown_code) continue;
        if (!group) return group.error();
        groups.push_back(std::move(group.value()));
    }
    return groups;
}

Result<CursorGroup> CursorStore::load(const std::string& group) const {
    if (!is_name(group)) return wrong("a group is named by 1 to 64 of A-Z, a-z, 0-9, '-' and '_'");
    if (!std::filesystem::exists(directory_ + "/" + group + ".lock")) {
        return Error{unknown_code, "there is no group " + group};
    }
    Locked locked(directory_, group);
    if (auto needed = locked.need(); !needed) return needed.error();
    return locked.group();
}

Status CursorStore::make(const std::string& group, std::uint32_t partitions, std::uint64_t place) {
    if (!is_name(group)) return wrong("a group is named by 1 to 64 of A-Z, a-z, 0-9, '-' and '_'");
    if (partitions == 0 || partitions > partitions_max) return wrong("a group has 1 to 1024 partitions");
    const auto groups = list();
    if (!groups) return groups.error();
    if (groups.value().size() >= groups_max) return Error{taken_code, "there are 256 groups"};
    Locked locked(directory_, group);
    const auto has = locked.load();
    if (!has) return has.error();
    if (has.value()) return Error{taken_code, "there is a group " + group};
    locked.group().generation = 1;
    locked.group().places.assign(partitions, place);
    return locked.store();
}

Status CursorStore::remove(const std::string& group) {
    if (auto there = load(group); !there) return there.error();
    Locked locked(directory_, group);
    return locked.remove();
}

Result<CursorGroup> CursorStore::join(const std::string& group, const std::string& consumer, std::uint64_t ms,
                                      WallNs now) {
    if (!is_name(consumer)) return wrong("a consumer is named by 1 to 64 of A-Z, a-z, 0-9, '-' and '_'");
    if (auto there = load(group); !there) return there.error();
    Locked locked(directory_, group);
    if (auto needed = locked.need(); !needed) return needed.error();
    CursorGroup& found = locked.group();
    bool has_changed = forget_the_gone(found, now);
    auto at = std::lower_bound(found.consumers.begin(), found.consumers.end(), consumer,
                               [](const auto& one, const std::string& wanted) { return one.name < wanted; });
    if (at == found.consumers.end() || at->name != consumer) {
        if (found.consumers.size() == consumers_max) return Error{taken_code, "256 consumers share the group"};
        at = found.consumers.insert(at, {consumer, 0});
        has_changed = true;
    }
    at->until_ns = now.value + ms * ns_per_ms;
    if (has_changed) ++found.generation;
    if (auto stored = locked.store(); !stored) return stored.error();
    return found;
}

Status CursorStore::leave(const std::string& group, const std::string& consumer) {
    if (auto there = load(group); !there) return there.error();
    Locked locked(directory_, group);
    if (auto needed = locked.need(); !needed) return needed;
    CursorGroup& found = locked.group();
    if (std::erase_if(found.consumers, [&](const auto& one) { return one.name == consumer; }) == 0) return Done{};
    ++found.generation;
    return locked.store();
}

Status CursorStore::commit(const std::string& group, const std::string& consumer, std::uint64_t generation,
                           std::uint32_t partition, std::uint64_t place) {
    if (auto there = load(group); !there) return there.error();
    Locked locked(directory_, group);
    if (auto needed = locked.need(); !needed) return needed;
    CursorGroup& found = locked.group();
    const auto held = found.partitions_of(consumer);
    if (generation != found.generation || std::find(held.begin(), held.end(), partition) == held.end()) {
        return Error{fenced_code, consumer + " does not hold partition " + std::to_string(partition) + " any more"};
    }
    if (place <= found.places[partition]) return Done{};
    found.places[partition] = place;
    return locked.store();
}

Status CursorStore::set(const std::string& group, std::uint32_t partition, std::uint64_t place) {
    if (auto there = load(group); !there) return there.error();
    Locked locked(directory_, group);
    if (auto needed = locked.need(); !needed) return needed;
    if (partition >= locked.group().places.size()) return wrong("there is no such partition");
    locked.group().places[partition] = place;
    return locked.store();
}

}  // namespace weir::central
