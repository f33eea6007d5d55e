#include "edge/pii_key.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace weir::edge {
namespace {

constexpr std::size_t key_digits = 32;

int digit_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

struct Handle {
    int number;
    ~Handle() {
        if (number >= 0) ::close(number);
    }
};

}  // namespace

std::optional<std::string> read_sip_key(const std::string& path, SipKey& key) {
    const Handle file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)};
    struct stat status {};
    if (file.number < 0 || ::fstat(file.number, &status) != 0)
        return std::string("cannot be read: ") + std::strerror(errno);
    if (!S_ISREG(status.st_mode)) return "is no file";
    if ((status.st_mode & 077U) != 0) return "must have mode 0600: others may read it";
    std::array<char, key_digits + 2> text{};
    const auto count = ::read(file.number, text.data(), text.size());
    std::string_view digits(text.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
    if (digits.ends_with('\n')) digits.remove_suffix(1);
    std::array<unsigned char, key_digits / 2> bytes{};
    bool is_good = digits.size() == key_digits;
    for (std::size_t i = 0; is_good && i < bytes.size(); ++i) {
        const int high = digit_of(digits[2 * i]), low = digit_of(digits[2 * i + 1]);
        is_good = high >= 0 && low >= 0;
        bytes[i] = static_cast<unsigned char>(static_cast<unsigned>(high) << 4U | static_cast<unsigned>(low));
    }
    if (is_good) {
        std::memcpy(&key.low, bytes.data(), sizeof key.low);
        std::memcpy(&key.high, bytes.data() + sizeof key.low, sizeof key.high);
    }
    explicit_bzero(text.data(), text.size());
    explicit_bzero(bytes.data(), bytes.size());
    if (!is_good) return "must hold 32 hexadecimal digits and nothing else";
    return std::nullopt;
}

}  // namespace weir::edge
