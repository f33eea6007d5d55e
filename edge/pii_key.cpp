#include "edge/pii_key.hpp"

#include <cstring>

#include <array>

#include "core/base/secret.hpp"

namespace weir::edge {

std::optional<std::string> read_sip_key(const std::string& path, SipKey& key) {
    std::array<std::byte, sizeof key.low + sizeof key.high> bytes{};
    auto fault = read_key_file(path, bytes);
    if (!fault) {
        std::memcpy(&key.low, bytes.data(), sizeof key.low);
        std::memcpy(&key.high, bytes.data() + sizeof key.low, sizeof key.high);
    }
    ::explicit_bzero(bytes.data(), bytes.size());
    return fault;
}

}  // namespace weir::edge
