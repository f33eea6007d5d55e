// Disk: one machine's file system, in memory: what programs see, and what would be left if the power went now.
//
//   write ─▶ visible, pending ─▶ sync of the file ─▶ durable        name made, renamed, removed ─▶ sync of the directory ─▶ durable
//
// A kill keeps what is visible. A power loss keeps what is durable and, of what is pending, nothing, all, or each 512-byte
// sector and each directory operation by chance. A failed sync leaves pages that look clean and are not on the disk (ext4 after a
// failed write-back). Every call is a counted operation: a crash or an error can be put at each.
//
// Thread    One.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/io/files.hpp"
#include "tests/simulation/random.hpp"

namespace weir::sim {

enum class Loss : std::uint8_t { none, all, random };  // of what is pending, at a power loss: `none` is lost ...

class Disk final : public io::Files {
  public:
    struct Inode {
        std::vector<std::byte> visible;
        std::vector<std::byte> durable;
        struct Pending {
            std::uint64_t offset = 0;
            std::vector<std::byte> bytes;
        };
        std::vector<Pending> pending;
        bool is_cut = false;  // truncated since the last sync: its length is pending too
        bool is_apart =
            false;  // durable may differ from visible: only then is it copied after a power loss, as both are long
    };
    using InodePtr = std::shared_ptr<Inode>;

    explicit Disk(Random random) : random_(random) {}

    // Faults that are on.
    bool is_full = false;
    std::uint32_t write_errors = 0;  // so many of the next writes fail with EIO
    std::uint32_t sync_errors = 0;   // so many of the next syncs fail with EIO, and what they would have synced is lost

    // Operations so far, in all lives. After `crash_at` of them the machine is down: every call fails until the crash is over.
    std::uint64_t operations = 0;
    std::uint64_t crash_at = UINT64_MAX;
    // From operation `fail_from` on, `fail_count` operations fail with EIO.
    std::uint64_t fail_from = UINT64_MAX;
    std::uint64_t fail_count = 0;
    [[nodiscard]] bool is_down() const { return is_down_; }
    void go_down() { is_down_ = true; }

    // Ends the crash: all handles are gone; with a power loss what was not durable is gone as `loss` says.
    void end_kill();
    void end_power_loss(Loss loss);

    // What a backup of the machine holds that is taken now: what is durable. restore: between two lives.
    struct Image {
        std::map<std::string, std::vector<std::byte>> files;
        std::set<std::string> directories;
    };
    [[nodiscard]] Image backup() const;
    void restore(const Image& image);

    // For a simulated Io: 0 or errno.
    [[nodiscard]] int enter();
    [[nodiscard]] InodePtr inode_of(int handle) const;
    [[nodiscard]] int land(Inode& inode, ConstBytes bytes, std::uint64_t offset, bool is_durable);
    // Of a write that was under way: whole, or sector by sector by chance.
    void land_torn(Inode& inode, ConstBytes bytes, std::uint64_t offset);
    [[nodiscard]] int sync_inode(Inode& inode);
    [[nodiscard]] bool is_durable_handle(int handle) const;

    // For a test: the file as it would be read now; nullptr if there is none.
    [[nodiscard]] Inode* find(const std::string& path);
    [[nodiscard]] const std::map<std::string, InodePtr>& names() const { return names_; }
    void put(const std::string& path, ConstBytes bytes);  // durable
    void remove(const std::string& path);                 // durable

    int open(const std::string& path, int flags) override;
    void close(int handle) override;
    std::int64_t read(int handle, Bytes bytes, std::uint64_t offset) override;
    std::int64_t write(int handle, ConstBytes bytes, std::uint64_t offset) override;
    int sync(int handle) override;
    int truncate(int handle, std::uint64_t bytes) override;
    std::uint64_t size(int handle) override;
    int lock(int handle) override;
    int rename(const std::string& from, const std::string& to) override;
    int unlink(const std::string& path) override;
    int make_directory(const std::string& path) override;
    bool exists(const std::string& path) override;
    bool is_directory(const std::string& path) override;
    int list(const std::string& path, std::vector<std::string>& names) override;
    int random(Bytes bytes) override;

  private:
    struct Handle {
        InodePtr inode;         // of a file
        std::string directory;  // of a directory
        bool is_open = false;
        bool is_durable = false;
    };
    struct NameChange {  // an entry of `directory`: `to` now names `inode` (if set), and `from` is gone (if not empty)
        std::string directory;
        std::string from;
        std::string to;
        InodePtr inode;
    };
    [[nodiscard]] int fail(int code);
    [[nodiscard]] int add_handle(Handle handle);
    void apply(const NameChange& change);
    void forget_handles();

    Random random_;
    std::map<std::string, InodePtr> names_;
    std::map<std::string, InodePtr> durable_names_;
    std::set<std::string> directories_{"/", "."};
    std::vector<NameChange> changes_;
    std::vector<Handle> handles_;
    std::set<Inode*> locked_;
    bool is_down_ = false;
};

}  // namespace weir::sim
