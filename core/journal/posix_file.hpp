// PosixFile: an open file of io::files() that closes itself, and whole reads and writes on it. For blocking work at start,
// on the segment store's thread and in tools; runners use Io.
#pragma once

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "core/base/result.hpp"
#include "core/base/types.hpp"
#include "core/io/files.hpp"

namespace weir::journal {

class PosixFile {
  public:
    PosixFile() = default;
    PosixFile(const std::string& path, int flags) : handle_(io::files().open(path, flags)) {}
    PosixFile(PosixFile&& other) noexcept : handle_(std::exchange(other.handle_, -1)) {}
    PosixFile& operator=(PosixFile&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~PosixFile() {
        if (handle_ >= 0) io::files().close(handle_);
    }
    [[nodiscard]] bool is_open() const { return handle_ >= 0; }
    [[nodiscard]] int handle() const { return handle_; }
    [[nodiscard]] int release() { return std::exchange(handle_, -1); }

    // Bytes read (fewer only at the end of the file), or -errno.
    [[nodiscard]] std::int64_t read(Bytes bytes, std::uint64_t offset) const {
        std::size_t total = 0;
        while (total < bytes.size()) {
            const auto count = io::files().read(handle_, bytes.subspan(total), offset + total);
            if (count < 0 && errno == EINTR) continue;
            if (count < 0) return -errno;
            if (count == 0) break;
            total += static_cast<std::size_t>(count);
        }
        return static_cast<std::int64_t>(total);
    }
    // 0 or errno.
    [[nodiscard]] int write(ConstBytes bytes, std::uint64_t offset) const {
        std::size_t total = 0;
        while (total < bytes.size()) {
            const auto count = io::files().write(handle_, bytes.subspan(total), offset + total);
            if (count < 0 && errno == EINTR) continue;
            if (count <= 0) return count < 0 ? errno : EIO;
            total += static_cast<std::size_t>(count);
        }
        return 0;
    }
    // 0 or errno.
    [[nodiscard]] int allocate(std::uint64_t bytes) const {
        int code = 0;
        do code = io::files().allocate(handle_, bytes) == 0 ? 0 : errno;
        while (code == EINTR);
        return code;
    }
    [[nodiscard]] int sync() const { return io::files().sync(handle_) == 0 ? 0 : errno; }
    [[nodiscard]] std::uint64_t file_bytes() const { return io::files().size(handle_); }

  private:
    int handle_ = -1;
};

struct FreeAligned {
    void operator()(std::byte* bytes) const { std::free(bytes); }
};
using AlignedBytes = std::unique_ptr<std::byte, FreeAligned>;
// Zeroed; for O_DIRECT both address and length must be multiples of 4096.
[[nodiscard]] inline AlignedBytes make_aligned(std::size_t bytes) {
    auto* memory = static_cast<std::byte*>(std::aligned_alloc(4096, round_up(bytes, 4096)));
    WEIR_ASSERT(memory != nullptr);
    std::fill_n(memory, round_up(bytes, 4096), std::byte{0});
    return AlignedBytes(memory);
}

}  // namespace weir::journal
