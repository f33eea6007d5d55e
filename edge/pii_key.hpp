// The key under which personal fields are hashed: a file of 32 hexadecimal digits that nobody else may read.
//
// Thread    Control thread, where the configuration is read.
#pragma once

#include <optional>
#include <string>

#include "core/base/siphash.hpp"

namespace weir::edge {

// What is wrong with the file, or nullopt and `key` is what it holds. A final newline is allowed.
[[nodiscard]] std::optional<std::string> read_sip_key(const std::string& path, SipKey& key);

}  // namespace weir::edge
