#include "core/base/secret.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

namespace weir {
namespace {

constexpr std::size_t page_bytes = 4096;
constexpr std::size_t digits_max = 128;

struct Handle {
    int number;
    ~Handle() {
        if (number >= 0) ::close(number);
    }
};

int digit_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool decode(std::string_view digits, Bytes key) {
    if (digits.size() != 2 * key.size()) return false;
    for (std::size_t i = 0; i < key.size(); ++i) {
        const int high = digit_of(digits[2 * i]), low = digit_of(digits[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        key[i] = static_cast<std::byte>(static_cast<unsigned>(high) << 4U | static_cast<unsigned>(low));
    }
    return true;
}

}  // namespace

SecretBytes::SecretBytes(std::size_t bytes) : bytes_(bytes) {
    WEIR_ASSERT(bytes > 0 && bytes <= page_bytes);
    void* const page = ::mmap(nullptr, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    WEIR_ASSERT(page != MAP_FAILED);
    static_cast<void>(::madvise(page, page_bytes, MADV_DONTDUMP));
    static_cast<void>(::mlock(page, page_bytes));
    memory_ = static_cast<std::byte*>(page);
}

SecretBytes::~SecretBytes() {
    if (memory_ == nullptr) return;
    ::explicit_bzero(memory_, bytes_);
    ::munmap(memory_, page_bytes);
}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(bytes_, other.bytes_);
    return *this;
}

std::optional<std::string> read_key_file(const std::string& path, Bytes key) {
    WEIR_ASSERT(2 * key.size() <= digits_max);
    const Handle file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)};
    struct stat status {};
    if (file.number < 0 || ::fstat(file.number, &status) != 0)
        return std::string("cannot be read: ") + std::strerror(errno);
    if (!S_ISREG(status.st_mode)) return "is no file";
    if ((status.st_mode & 077U) != 0) return "must have mode 0600 or stricter: others may read or write it";
    std::array<char, digits_max + 2> text{};
    const auto count = ::read(file.number, text.data(), text.size());
    std::string_view digits(text.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
    if (digits.ends_with('\n')) digits.remove_suffix(1);
    const bool is_good = decode(digits, key);
    ::explicit_bzero(text.data(), text.size());
    if (is_good) return std::nullopt;
    ::explicit_bzero(key.data(), key.size());
    return "must hold " + std::to_string(2 * key.size()) + " hexadecimal digits and nothing else";
}

bool forbid_core_dumps() noexcept {
    const rlimit none{.rlim_cur = 0, .rlim_max = 0};
    const bool is_limited = ::setrlimit(RLIMIT_CORE, &none) == 0;
    return ::prctl(PR_SET_DUMPABLE, 0) == 0 && is_limited;
}

}  // namespace weir
