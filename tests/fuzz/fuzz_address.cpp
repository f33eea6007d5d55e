// Text that claims to be an address: what is read and printed reads back as the same address, and what the configuration takes
// for loopback is.
#include <netinet/in.h>

#include "core/control/config_reader.hpp"
#include "core/io/address.hpp"
#include "tests/fuzz/input.hpp"

namespace {
using namespace weir;

bool stays_on_this_machine(const io::SocketAddress& address) {
    if (address.family() == AF_UNIX) return true;
    if (address.family() == AF_INET6) {
        return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(&address.storage)->sin6_addr) != 0;
    }
    const auto* four = reinterpret_cast<const sockaddr_in*>(&address.storage);
    return address.family() == AF_INET && (ntohl(four->sin_addr.s_addr) >> 24) == 127;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    const std::string_view text = fuzz::text_of(std::as_bytes(std::span(data, bytes)));
    const auto address = io::parse_address(text);
    const auto fault = control::address_fault(text, {});
    if (!address) {
        WEIR_ASSERT(address.error().code == EINVAL && !address.error().what.empty());
        WEIR_ASSERT(fault.has_value());
        return 0;
    }
    WEIR_ASSERT(fault.has_value() || stays_on_this_machine(address.value()));
    const std::string printed = io::format_address(address.value());
    const auto again = io::parse_address(printed);
    WEIR_ASSERT(again.ok());
    WEIR_ASSERT(again.value().bytes == address.value().bytes);
    WEIR_ASSERT(std::memcmp(again.value().get(), address.value().get(), address.value().bytes) == 0);
    WEIR_ASSERT(io::format_address(again.value()) == printed);
    return 0;
}
