#include "core/control/token_book.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>

#include "core/wire/control.hpp"

namespace weir::control {
namespace {

constexpr std::size_t name_bytes_max = 32;
constexpr std::size_t secret_bytes = 32;
constexpr std::string_view certificate_word = "certificate";

struct Handle {
    explicit Handle(int opened) : number(opened) {}
    ~Handle() {
        if (number >= 0) ::close(number);
    }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    int number;
};

// The file's bytes, `bytes_max` at most, if nobody but its owner can have seen or written them.
Result<std::string> read_private(const std::string& path, std::size_t bytes_max) {
    const Handle file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)};
    struct stat status {};
    if (file.number < 0 || ::fstat(file.number, &status) != 0) return error_from_errno(errno, path);
    if (!S_ISREG(status.st_mode)) return Error{EINVAL, path + ": is no file"};
    if ((status.st_mode & 077U) != 0) return Error{EACCES, path + ": must have mode 0600: others may read or write it"};
    std::string text(bytes_max + 1, '\0');
    std::size_t total = 0;
    while (total < text.size()) {
        const ssize_t count = ::read(file.number, text.data() + total, text.size() - total);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return error_from_errno(errno, path);
        if (count == 0) break;
        total += static_cast<std::size_t>(count);
    }
    if (total > bytes_max) return Error{EFBIG, path + ": is longer than " + std::to_string(bytes_max) + " bytes"};
    text.resize(total);
    return text;
}

// The next word, which `line` loses.
std::string_view word(std::string_view& line) {
    const auto begin = std::min(line.find_first_not_of(" \t"), line.size());
    line.remove_prefix(begin);
    const auto end = std::min(line.find_first_of(" \t"), line.size());
    const std::string_view found = line.substr(0, end);
    line.remove_prefix(end);
    return found;
}

// URL-safe base64 without padding (RFC 4648 §5): 43 letters.
std::string secret_text(const std::array<std::byte, secret_bytes>& bytes) {
    constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string text;
    std::uint32_t held = 0, bits = 0;
    for (const std::byte one : bytes) {
        held = held << 8U | std::to_integer<std::uint32_t>(one);
        for (bits += 8; bits >= 6; bits -= 6) text += letters[held >> (bits - 6) & 63U];
    }
    if (bits > 0) text += letters[held << (6 - bits) & 63U];
    return text;
}

}  // namespace

Result<TokenBook> TokenBook::parse(std::string_view text) {
    TokenBook book;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const auto fault = [&](const std::string& what) {
            return Error{EINVAL, "line " + std::to_string(number) + ": " + what};
        };
        if (line.size() > token_line_bytes_max) return fault("is longer than 256 bytes");
        if (line.ends_with('\r')) line.remove_suffix(1);
        line = line.substr(0, line.find('#'));
        const std::string_view name = word(line);
        if (name.empty()) continue;
        const auto role = parse_role(word(line));
        const std::string_view shown = word(line);
        const bool is_certificate = shown == certificate_word;
        const auto digest = is_certificate ? tls::Digest{} : tls::digest_of_hex(shown);
        if (!wire::is_name(name, name_bytes_max)) return fault("the name must be 1 to 32 of a-z, 0-9 and '-'");
        if (!role) return fault("the role must be viewer, operator, replayer or admin");
        if (!digest) return fault("the hash must be 64 lower-case hexadecimal digits, or the word certificate");
        if (!word(line).empty()) return fault("must be NAME ROLE SHA256 or NAME ROLE certificate and nothing else");
        if (book.entry_of(name, is_certificate) != nullptr)
            return fault("the name " + std::string(name) + " is there already");
        if (book.entries_.size() == tokens_max) return fault("more than 1024 tokens and certificates");
        book.entries_.push_back({std::string(name), *role, *digest, is_certificate});
    }
    return book;
}

Result<TokenBook> TokenBook::load(const std::string& path) {
    const auto text = read_private(path, token_file_bytes_max);
    if (!text) return text.error();
    auto book = parse(text.value());
    if (!book) return Error{book.error().code, path + ": " + book.error().what};
    return book;
}

const TokenBook::Entry* TokenBook::find(std::string_view token) const {
    if (token.empty() || token.size() > token_bytes_max) return nullptr;
    const tls::Digest digest = tls::sha256(token);
    const Entry* found = nullptr;
    for (const Entry& entry : entries_) {
        // Both are looked at, whatever the first says.
        const bool is_same = tls::is_equal(entry.digest, digest);
        const bool is_name = entry.name == claimed_name(token);
        if (is_same && is_name && !entry.is_certificate) found = &entry;
    }
    return found;
}

bool TokenBook::has_name(std::string_view name) const {
    return entry_of(name, false) != nullptr;
}

std::optional<Role> TokenBook::role_of_certificate(std::string_view name) const {
    const Entry* const entry = entry_of(name, true);
    return entry == nullptr ? std::nullopt : std::optional(entry->role);
}

std::size_t TokenBook::certificate_count() const {
    return static_cast<std::size_t>(
        std::count_if(entries_.begin(), entries_.end(), [](const Entry& entry) { return entry.is_certificate; }));
}

const TokenBook::Entry* TokenBook::entry_of(std::string_view name, bool is_certificate) const {
    const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
        return entry.name == name && entry.is_certificate == is_certificate;
    });
    return found == entries_.end() ? nullptr : &*found;
}

std::string stamp_of(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return {};
    return std::to_string(status.st_ino) + ' ' + std::to_string(status.st_size) + ' ' + std::to_string(status.st_mode) +
           ' ' + std::to_string(status.st_mtim.tv_sec) + ' ' + std::to_string(status.st_mtim.tv_nsec) + ' ' +
           std::to_string(status.st_ctim.tv_sec) + ' ' + std::to_string(status.st_ctim.tv_nsec);
}

std::string_view claimed_name(std::string_view token) {
    const auto dot = token.find('.');
    return dot == token.npos ? std::string_view{} : token.substr(0, dot);
}

Result<std::string> add_token(const std::string& path, std::string_view name, Role role) {
    if (!wire::is_name(name, name_bytes_max)) return Error{EINVAL, "the name must be 1 to 32 of a-z, 0-9 and '-'"};
    const auto there = read_private(path, token_file_bytes_max);
    if (!there && there.error().code != ENOENT) return there.error();
    const std::string_view before = there ? std::string_view(there.value()) : std::string_view{};
    auto parsed = TokenBook::parse(before);
    if (!parsed) return Error{parsed.error().code, path + ": " + parsed.error().what};
    const TokenBook& book = parsed.value();
    if (book.has_name(name)) return Error{EEXIST, path + ": the name " + std::string(name) + " is there already"};
    if (book.count() == tokens_max) return Error{ENOSPC, path + ": has 1024 tokens and certificates"};
    std::array<std::byte, secret_bytes> secret{};
    if (!tls::fill_random(secret)) return error_from_errno(errno, "random bytes");
    std::string token = std::string(name) + '.' + secret_text(secret);
    tls::wipe(secret);
    const bool is_line_open = !before.empty() && !before.ends_with('\n');
    const std::string line = (is_line_open ? "\n" : "") + std::string(name) + ' ' + std::string(text(role)) + ' ' +
                             tls::hex_of(tls::sha256(token)) + '\n';
    const Handle file{::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600)};
    if (file.number < 0) return error_from_errno(errno, path);
    // One write: the daemon that looks meanwhile sees the line or does not.
    if (::write(file.number, line.data(), line.size()) != static_cast<ssize_t>(line.size()) ||
        ::fsync(file.number) != 0) {
        return error_from_errno(errno, path);
    }
    return token;
}

Status make_token(const std::string& path, std::string_view name, Role role, const std::string& out) {
    const Handle file{::open(out.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600)};
    if (file.number < 0) return error_from_errno(errno, out);
    auto token = add_token(path, name, role);
    if (!token) {
        ::unlink(out.c_str());
        return token.error();
    }
    token.value() += '\n';
    const ssize_t count = ::write(file.number, token.value().data(), token.value().size());
    const bool is_written = count == static_cast<ssize_t>(token.value().size()) && ::fsync(file.number) == 0;
    tls::wipe(std::as_writable_bytes(std::span(token.value())));
    if (!is_written) return error_from_errno(errno, out);
    return Done{};
}

Result<std::string> read_token_file(const std::string& path) {
    auto text = read_private(path, token_bytes_max + 2);
    if (!text) return text.error();
    const auto end = text.value().find_first_of("\r\n");
    if (end != std::string::npos) text.value().resize(end);
    if (claimed_name(text.value()).empty()) return Error{EINVAL, path + ": holds no token (NAME.SECRET)"};
    return text;
}

}  // namespace weir::control
