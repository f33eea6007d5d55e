// Files: the blocking calls on files and directories, for start, stop, tools and the segment store's thread. Runners use Io.
//
// The one seam between weir and a blocking file system: a simulator puts its own disk behind it, with unsynced writes, lost
// directory entries and crashes between any two calls.
//
// Thread    Any. files() is one per thread: a simulated world lives on the thread that made it.
// Failure   As POSIX: -1 (or an empty result) and errno.
#pragma once

#include <cerrno>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/base/types.hpp"

namespace weir::io {

class Files {
  public:
    virtual ~Files() = default;
    [[nodiscard]] virtual int open(const std::string& path, int flags) = 0;  // mode 0600, close-on-exec
    virtual void close(int handle) = 0;
    // Once, as pread and pwrite: fewer bytes than asked for are possible.
    [[nodiscard]] virtual std::int64_t read(int handle, Bytes bytes, std::uint64_t offset) = 0;
    [[nodiscard]] virtual std::int64_t write(int handle, ConstBytes bytes, std::uint64_t offset) = 0;
    [[nodiscard]] virtual int sync(int handle) = 0;  // fsync; of a directory's handle: its entries
    [[nodiscard]] virtual int truncate(int handle, std::uint64_t bytes) = 0;
    // The file has room for so many bytes and is at least so long; what was not written reads as zeros (fallocate(2), mode 0). After a
    // failure a part may be allocated. EOPNOTSUPP: there is no such thing here.
    [[nodiscard]] virtual int allocate(int handle, std::uint64_t bytes) {
        static_cast<void>(handle);
        static_cast<void>(bytes);
        errno = EOPNOTSUPP;
        return -1;
    }
    [[nodiscard]] virtual std::uint64_t size(int handle) = 0;
    [[nodiscard]] virtual int lock(int handle) = 0;  // exclusive, does not wait (EWOULDBLOCK), gone with the handle
    [[nodiscard]] virtual int rename(const std::string& from, const std::string& to) = 0;
    [[nodiscard]] virtual int unlink(const std::string& path) = 0;
    [[nodiscard]] virtual int make_directory(const std::string& path) = 0;  // 0700
    [[nodiscard]] virtual bool exists(const std::string& path) = 0;
    [[nodiscard]] virtual bool is_directory(const std::string& path) = 0;
    // Names of a directory's entries, in no order.
    [[nodiscard]] virtual int list(const std::string& path, std::vector<std::string>& names) = 0;
    // The next read of it comes from the disk and not from memory, where the kernel can do that. No failure.
    virtual void drop_cache(int handle) { static_cast<void>(handle); }
    // Runs `work` in a process of its own: 0 if it came through or was not done in time, else the signal that it died of. Only
    // while there is one thread. It ends with this process at the latest. A simulator runs it here.
    [[nodiscard]] virtual int try_apart(const std::function<void()>& work, std::uint32_t ms_max) {
        static_cast<void>(ms_max);
        work();
        return 0;
    }
    // Bytes that nobody can foretell (a simulator: from its seed).
    [[nodiscard]] virtual int random(Bytes bytes) = 0;
};

// This thread's; the kernel's unless UseFiles says otherwise.
[[nodiscard]] Files& files() noexcept;

// While it lives, `files()` on this thread is `replacement`. For simulators.
class UseFiles {
  public:
    explicit UseFiles(Files& replacement) noexcept;
    ~UseFiles();
    UseFiles(const UseFiles&) = delete;
    UseFiles& operator=(const UseFiles&) = delete;

  private:
    Files* before_;
};

}  // namespace weir::io
