// Files for parsers that read by path: one in memory, and a directory on a memory file system.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "core/base/assert.hpp"
#include "core/base/types.hpp"

namespace weir::fuzz {

inline void write_all(int handle, ConstBytes bytes) {
    for (std::size_t at = 0; at < bytes.size();) {
        const auto count = ::pwrite(handle, bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
        WEIR_ASSERT(count > 0);
        at += static_cast<std::size_t>(count);
    }
}

// A file without a name in any directory; path() opens it anew.
class MemoryFile {
  public:
    MemoryFile() : handle_(::memfd_create("fuzz", MFD_CLOEXEC)), path_("/proc/self/fd/" + std::to_string(handle_)) {
        WEIR_ASSERT(handle_ >= 0);
    }
    ~MemoryFile() { ::close(handle_); }
    MemoryFile(const MemoryFile&) = delete;
    MemoryFile& operator=(const MemoryFile&) = delete;
    void set(ConstBytes content) {
        WEIR_ASSERT(::ftruncate(handle_, 0) == 0);
        write_all(handle_, content);
    }
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    int handle_;
    std::string path_;
};

class ScratchDirectory {
  public:
    ScratchDirectory() {
        const std::filesystem::path memory = "/dev/shm";
        const auto parent = ::access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
        // A name with ": " in it: whoever reads back a fault of the form "PATH: what" must not be led astray.
        std::string name = (parent / "weir: fuzz-XXXXXX").string();
        WEIR_ASSERT(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    ~ScratchDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    ScratchDirectory(const ScratchDirectory&) = delete;
    ScratchDirectory& operator=(const ScratchDirectory&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }
    void put(const std::string& name, ConstBytes content) const {
        const int handle = ::open((path_ + "/" + name).c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        WEIR_ASSERT(handle >= 0);
        write_all(handle, content);
        ::close(handle);
    }
    void remove(const std::string& name) const { ::unlink((path_ + "/" + name).c_str()); }

  private:
    std::string path_;
};

}  // namespace weir::fuzz
