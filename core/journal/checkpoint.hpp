// CheckpointFile: a small state kept in two alternating copies, so that a crash while writing one leaves the other.
//
// A copy is a CheckpointHeader, the content, and a CRC32C over both. The higher serial counts.
// Files: NAME.0 and NAME.1. Copy serial & 1 is written.
//
// Thread    load/store_now: at start and stop, blocking. begin_store/on_completion: from the runner, through its Io.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/io/io.hpp"

namespace weir::journal {

inline constexpr std::uint32_t checkpoint_content_bytes_max = 1U << 20;

inline constexpr std::uint32_t checkpoint_magic = 0x31504b43;  // "CKP1"
inline constexpr std::uint16_t checkpoint_version = 1;

struct CheckpointHeader {
    std::uint32_t magic = checkpoint_magic;
    std::uint16_t version = checkpoint_version;
    std::uint16_t reserved = 0;
    std::uint32_t content_bytes = 0;
    std::uint32_t reserved_2 = 0;
    std::uint64_t serial = 0;
};
static_assert(sizeof(CheckpointHeader) == 24);

struct LoadedCheckpoint {
    bool exists = false;  // false: neither copy is there (a new directory)
    std::vector<std::byte> content;
    std::uint64_t serial = 0;
    std::vector<std::string> faults;  // copies that were there but damaged: "PATH: why"
};

class CheckpointFile {
  public:
    // PATH without ".0"/".1".
    CheckpointFile(std::string path, std::uint64_t last_serial) : path_(std::move(path)), serial_(last_serial) {}
    [[nodiscard]] static Result<LoadedCheckpoint> load(const std::string& path);
    // Writes and syncs the next copy (file and directory). Blocking.
    [[nodiscard]] Status store_now(ConstBytes content);
    // Opens both copies for begin_store (creating them at full length, directory synced). Blocking, once.
    [[nodiscard]] Status open(io::Io& io, io::Token token);
    // Starts writing the next copy; false while one is under way. `content` is copied.
    [[nodiscard]] bool begin_store(ConstBytes content);
    // Hand it completions with its token's owner and kind. True when a store has just become durable.
    [[nodiscard]] bool on_completion(const io::Completion& completion);
    [[nodiscard]] bool is_busy() const { return busy_; }
    // errno of the last failed store, 0 if it went well: the copy before it stays good, the caller goes on and counts.
    [[nodiscard]] int last_errno() const { return last_errno_; }
    // Written by begin_store() and durable since open().
    [[nodiscard]] std::uint64_t stored_bytes() const { return stored_bytes_; }

  private:
    struct FreeBlock {
        void operator()(std::byte* block) const;
    };
    [[nodiscard]] std::string copy_path(std::uint64_t serial) const;
    [[nodiscard]] bool finish(int code);

    std::string path_;
    std::uint64_t serial_ = 0;  // of the last copy known to be good: a failed store is repeated on the same copy
    io::Io* io_ = nullptr;
    io::Token token_;
    io::File files_[2];
    std::unique_ptr<std::byte, FreeBlock> block_;  // 4096-aligned, checkpoint_file_bytes; lent to the write under way
    std::uint64_t block_bytes_ = 0;                // of it, being written
    std::uint64_t stored_bytes_ = 0;
    bool busy_ = false;
    bool syncing_ = false;
    int last_errno_ = 0;
};

// Makes `path` and its parents (0700) if need be; and takes an exclusive lock on path/lock for the process's life.
[[nodiscard]] Status make_directory(const std::string& path);
[[nodiscard]] Status sync_directory(const std::string& path);
[[nodiscard]] Result<int> lock_directory(const std::string& path);

}  // namespace weir::journal
