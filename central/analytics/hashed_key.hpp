// HashedKey: a key's text and its hash, worked out once for all tables that it is looked up in.
//
// Ownership The text is the caller's.
// Law       The hash is another one in each process, so that nobody can choose keys that fall together; nothing that is kept depends on it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace weir::analytics {

// The same in every process and version: for what is kept, or computed from.
[[nodiscard]] std::uint64_t hash_of(std::string_view text);

class HashedKey {
  public:
    HashedKey() : HashedKey(std::string_view()) {}
    HashedKey(std::string_view text);  // NOLINT: implicit on purpose, as the following
    HashedKey(const std::string& text) : HashedKey(std::string_view(text)) {}
    HashedKey(const char* text) : HashedKey(std::string_view(text)) {}
    [[nodiscard]] std::string_view text() const { return text_; }
    [[nodiscard]] std::uint32_t hash() const { return hash_; }

  private:
    std::string_view text_;
    std::uint32_t hash_;
};

}  // namespace weir::analytics
