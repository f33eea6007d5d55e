// SecretBytes: a key in memory of its own, which is left out of core dumps, not swapped out where that is allowed, and wiped when
// it goes.
//
// Thread    Read by any; moved and ended by its owner.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "core/base/result.hpp"
#include "core/base/types.hpp"

namespace weir {

class SecretBytes {
  public:
    SecretBytes() = default;
    explicit SecretBytes(std::size_t bytes);  // zeros
    ~SecretBytes();
    SecretBytes(SecretBytes&& other) noexcept;
    SecretBytes& operator=(SecretBytes&& other) noexcept;
    [[nodiscard]] Bytes bytes() { return {memory_, bytes_}; }
    [[nodiscard]] ConstBytes bytes() const { return {memory_, bytes_}; }

  private:
    std::byte* memory_ = nullptr;
    std::size_t bytes_ = 0;
};

// A file of exactly 2 * `key.size()` hexadecimal digits (a last newline is allowed) that nobody but its owner may read or write.
// What is wrong with it ("must have mode 0600 or stricter: ..."), or nullopt and `key` is what it holds.
[[nodiscard]] std::optional<std::string> read_key_file(const std::string& path, Bytes key);

// No core dumps of this process, and no other process of its user may look into it. What keys are derived and copied to inside
// libraries is nowhere else out of a core dump's reach. False where the kernel refuses.
[[nodiscard]] bool forbid_core_dumps() noexcept;

}  // namespace weir
