#include "tests/simulation/disk.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/assert.hpp"

namespace weir::sim {
namespace {

constexpr std::size_t sector_bytes = 512;

std::string parent_of(const std::string& path) {
    const auto slash = path.find_last_of('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

void copy_into(std::vector<std::byte>& content, ConstBytes bytes, std::uint64_t offset) {
    if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size());
    std::copy(bytes.begin(), bytes.end(), content.begin() + static_cast<std::ptrdiff_t>(offset));
}

}  // namespace

Disk::Image Disk::backup() const {
    Image image;
    for (const auto& [path, inode] : durable_names_) image.files[path] = inode->durable;
    image.directories = directories_;
    return image;
}

void Disk::restore(const Image& image) {
    WEIR_ASSERT(locked_.empty());
    names_.clear();
    durable_names_.clear();
    changes_.clear();
    directories_ = image.directories;
    for (const auto& [path, content] : image.files) put(path, content);
}

int Disk::enter() {
    if (is_down_) return EIO;
    const std::uint64_t number = ++operations;
    if (number >= crash_at) {
        crash_at = UINT64_MAX;
        is_down_ = true;
        return EIO;
    }
    if (number >= fail_from && number - fail_from < fail_count) return EIO;
    return 0;
}

int Disk::fail(int code) {
    errno = code;
    return -1;
}

int Disk::add_handle(Handle handle) {
    handle.is_open = true;
    for (std::size_t index = 0; index < handles_.size(); ++index) {
        if (handles_[index].is_open) continue;
        handles_[index] = std::move(handle);
        return static_cast<int>(index);
    }
    handles_.push_back(std::move(handle));
    return static_cast<int>(handles_.size() - 1);
}

Disk::InodePtr Disk::inode_of(int handle) const {
    if (handle < 0) return nullptr;
    return handles_[static_cast<std::size_t>(handle)].inode;
}
bool Disk::is_durable_handle(int handle) const {
    return handles_[static_cast<std::size_t>(handle)].is_durable;
}

int Disk::open(const std::string& path, int flags) {
    if (const int code = enter(); code != 0) return fail(code);
    if ((flags & O_DIRECTORY) != 0) {
        if (!directories_.contains(path)) return fail(ENOENT);
        return add_handle({.inode = nullptr, .directory = path});
    }
    auto found = names_.find(path);
    if (found == names_.end()) {
        if ((flags & O_CREAT) == 0) return fail(ENOENT);
        if (!directories_.contains(parent_of(path))) return fail(ENOENT);
        if (is_full) return fail(ENOSPC);
        auto inode = std::make_shared<Inode>();
        found = names_.emplace(path, inode).first;
        changes_.push_back({parent_of(path), {}, path, inode});
    } else if ((flags & O_TRUNC) != 0) {
        found->second->visible.clear();
        found->second->pending.clear();
        found->second->is_cut = true;
        found->second->is_apart = true;
    }
    return add_handle({.inode = found->second, .directory = {}, .is_open = true, .is_durable = (flags & O_DSYNC) != 0});
}

void Disk::close(int handle) {
    Handle& one = handles_[static_cast<std::size_t>(handle)];
    WEIR_ASSERT(one.is_open || is_down_);
    locked_.erase(one.inode.get());
    one = {};
}

std::int64_t Disk::read(int handle, Bytes bytes, std::uint64_t offset) {
    if (const int code = enter(); code != 0) return fail(code);
    const InodePtr found = inode_of(handle);
    if (!found) return fail(EBADF);
    const Inode& inode = *found;
    if (offset >= inode.visible.size()) return 0;
    const std::size_t count = std::min<std::size_t>(bytes.size(), inode.visible.size() - offset);
    std::memcpy(bytes.data(), inode.visible.data() + offset, count);
    return static_cast<std::int64_t>(count);
}

std::int64_t Disk::write(int handle, ConstBytes bytes, std::uint64_t offset) {
    if (const int code = enter(); code != 0) return fail(code);
    if (handle < 0) return fail(EBADF);
    if (const int code = land(*inode_of(handle), bytes, offset, is_durable_handle(handle)); code != 0)
        return fail(code);
    return static_cast<std::int64_t>(bytes.size());
}

int Disk::land(Inode& inode, ConstBytes bytes, std::uint64_t offset, bool is_durable) {
    if (write_errors > 0) {
        --write_errors;
        return EIO;
    }
    if (is_full && offset + bytes.size() > inode.visible.size()) return ENOSPC;
    copy_into(inode.visible, bytes, offset);
    if (is_durable) {
        copy_into(inode.durable, bytes, offset);
    } else {
        inode.pending.push_back({offset, {bytes.begin(), bytes.end()}});
        inode.is_apart = true;
    }
    return 0;
}

void Disk::land_torn(Inode& inode, ConstBytes bytes, std::uint64_t offset) {
    const std::uint64_t way = random_.below(3);
    for (std::size_t at = 0; at < bytes.size(); at += sector_bytes) {
        const bool lands = way == 0 ? false : (way == 1 ? true : random_.chance(500));
        if (!lands) continue;
        const ConstBytes sector = bytes.subspan(at, std::min(sector_bytes, bytes.size() - at));
        copy_into(inode.visible, sector, offset + at);
        copy_into(inode.durable, sector, offset + at);
    }
}

int Disk::sync_inode(Inode& inode) {
    if (sync_errors > 0) {
        --sync_errors;
        inode.pending.clear();
        return EIO;
    }
    if (inode.is_cut) inode.durable.clear();
    for (const auto& write : inode.pending) copy_into(inode.durable, write.bytes, write.offset);
    if (inode.durable.size() < inode.visible.size()) inode.durable.resize(inode.visible.size());
    inode.pending.clear();
    inode.is_cut = false;
    return 0;
}

int Disk::sync(int handle) {
    if (const int code = enter(); code != 0) return fail(code);
    if (handle < 0) return fail(EBADF);
    const Handle& one = handles_[static_cast<std::size_t>(handle)];
    if (one.inode) {
        const int code = sync_inode(*one.inode);
        return code == 0 ? 0 : fail(code);
    }
    if (sync_errors > 0) {
        --sync_errors;
        return fail(EIO);
    }
    for (const NameChange& change : changes_) {
        if (change.directory == one.directory) apply(change);
    }
    std::erase_if(changes_, [&](const NameChange& change) { return change.directory == one.directory; });
    return 0;
}

void Disk::apply(const NameChange& change) {
    if (!change.from.empty()) durable_names_.erase(change.from);
    if (change.inode) durable_names_[change.to] = change.inode;
}

int Disk::truncate(int handle, std::uint64_t bytes) {
    if (const int code = enter(); code != 0) return fail(code);
    Inode& inode = *inode_of(handle);
    if (is_full && bytes > inode.visible.size()) return fail(ENOSPC);
    inode.visible.resize(bytes);
    inode.is_apart = true;
    return 0;
}

std::uint64_t Disk::size(int handle) {
    const InodePtr inode = inode_of(handle);
    return inode ? inode->visible.size() : 0;
}

int Disk::lock(int handle) {
    if (const int code = enter(); code != 0) return fail(code);
    Inode* inode = inode_of(handle).get();
    if (!locked_.insert(inode).second) return fail(EWOULDBLOCK);
    return 0;
}

int Disk::rename(const std::string& from, const std::string& to) {
    if (const int code = enter(); code != 0) return fail(code);
    const auto found = names_.find(from);
    if (found == names_.end()) return fail(ENOENT);
    const InodePtr inode = found->second;
    names_.erase(found);
    names_[to] = inode;
    changes_.push_back({parent_of(to), from, to, inode});
    return 0;
}

int Disk::unlink(const std::string& path) {
    if (const int code = enter(); code != 0) return fail(code);
    if (names_.erase(path) == 0) return fail(ENOENT);
    changes_.push_back({parent_of(path), path, {}, nullptr});
    return 0;
}

int Disk::make_directory(const std::string& path) {
    if (const int code = enter(); code != 0) return fail(code);
    if (!directories_.insert(path).second) return fail(EEXIST);
    return 0;
}

bool Disk::exists(const std::string& path) {
    return names_.contains(path) || directories_.contains(path);
}
bool Disk::is_directory(const std::string& path) {
    return directories_.contains(path);
}

int Disk::list(const std::string& path, std::vector<std::string>& names) {
    if (const int code = enter(); code != 0) return fail(code);
    if (!directories_.contains(path)) return fail(ENOENT);
    for (const auto& [name, inode] : names_) {
        if (parent_of(name) == path) names.push_back(name.substr(path.size() + 1));
    }
    for (const std::string& directory : directories_) {
        if (directory != path && parent_of(directory) == path) names.push_back(directory.substr(path.size() + 1));
    }
    return 0;
}

int Disk::random(Bytes bytes) {
    for (std::byte& one : bytes) one = static_cast<std::byte>(random_.next());
    return 0;
}

void Disk::forget_handles() {
    handles_.clear();
    locked_.clear();
    is_down_ = false;
}

void Disk::end_kill() {
    forget_handles();
}

void Disk::end_power_loss(Loss loss) {
    const auto survives = [&] { return loss == Loss::none ? false : (loss == Loss::all || random_.chance(500)); };
    // Files that are open or named in either world.
    std::set<InodePtr> inodes;
    for (const auto& [name, inode] : names_) inodes.insert(inode);
    for (const auto& [name, inode] : durable_names_) inodes.insert(inode);
    // In the order of names, not of addresses: the same seed draws the same fates.
    std::vector<InodePtr> ordered;
    for (const auto& [name, inode] : names_) {
        if (inodes.erase(inode) > 0) ordered.push_back(inode);
    }
    for (const auto& [name, inode] : durable_names_) {
        if (inodes.erase(inode) > 0) ordered.push_back(inode);
    }
    for (const InodePtr& inode : ordered) {
        if (inode->is_cut && survives()) inode->durable.clear();
        for (const auto& write : inode->pending) {
            for (std::size_t at = 0; at < write.bytes.size(); at += sector_bytes) {
                if (!survives()) continue;
                const std::size_t count = std::min(sector_bytes, write.bytes.size() - at);
                copy_into(inode->durable, ConstBytes(write.bytes).subspan(at, count), write.offset + at);
            }
        }
        inode->pending.clear();
        inode->is_cut = false;
        if (inode->is_apart) inode->visible = inode->durable;
        inode->is_apart = false;
    }
    for (const NameChange& change : changes_) {
        if (survives()) apply(change);
    }
    changes_.clear();
    names_ = durable_names_;
    forget_handles();
}

Disk::Inode* Disk::find(const std::string& path) {
    const auto found = names_.find(path);
    return found == names_.end() ? nullptr : found->second.get();
}

void Disk::put(const std::string& path, ConstBytes bytes) {
    auto inode = std::make_shared<Inode>();
    inode->visible.assign(bytes.begin(), bytes.end());
    inode->durable = inode->visible;
    names_[path] = inode;
    durable_names_[path] = inode;
    for (auto slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
        directories_.insert(path.substr(0, slash));
    }
}

void Disk::remove(const std::string& path) {
    names_.erase(path);
    durable_names_.erase(path);
}

}  // namespace weir::sim
