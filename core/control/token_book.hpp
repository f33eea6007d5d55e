// TokenBook: who may use the admin port in which role: tokens by name, never a token, only its SHA-256; and certificates by name.
//
// A token is NAME.SECRET: the name is no secret, the secret is 43 letters for 256 random bits. So a leaked file lets nobody in, and
// guessing is hopeless; hashing without salt or stretching is enough because nobody chooses a secret.
//
// Thread    Any; a book does not change.
// Format    A line for each: "NAME ROLE SHA256", SHA256 of the whole token as 64 lower-case hexadecimal digits, or "NAME ROLE certificate"
//           for who shows the certificate spiffe://DOMAIN/operator/NAME. Blank lines and what follows '#' mean nothing. Names are
//           [a-z0-9-]{1,32}, each once among the tokens and once among the certificates.
// Bounds    tokens_max lines of token_line_bytes_max bytes; a token presented is token_bytes_max at most.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/control/roles.hpp"
#include "core/tls/digest.hpp"

namespace weir::control {

inline constexpr std::size_t tokens_max = 1024;
inline constexpr std::size_t token_line_bytes_max = 256;
inline constexpr std::size_t token_bytes_max = 128;
inline constexpr std::size_t token_file_bytes_max = tokens_max * token_line_bytes_max;

class TokenBook {
  public:
    struct Entry {
        std::string name;
        Role role = Role::viewer;
        tls::Digest digest{};         // of a token
        bool is_certificate = false;  // who shows one, and has no digest
    };
    // The error names the first line that is none, or whose name is there already.
    [[nodiscard]] static Result<TokenBook> parse(std::string_view text);
    // The file must be a plain one that nobody but its owner may read or write.
    [[nodiscard]] static Result<TokenBook> load(const std::string& path);

    // Null: nobody's. Every entry is compared, in constant time.
    [[nodiscard]] const Entry* find(std::string_view token) const;
    [[nodiscard]] std::optional<Role> role_of_certificate(std::string_view name) const;
    // A token's.
    [[nodiscard]] bool has_name(std::string_view name) const;
    // Tokens and certificates.
    [[nodiscard]] std::size_t count() const { return entries_.size(); }
    [[nodiscard]] std::size_t certificate_count() const;

  private:
    [[nodiscard]] const Entry* entry_of(std::string_view name, bool is_certificate) const;
    std::vector<Entry> entries_;
};

// What the file was when it was read: another stamp, another file. Empty: it cannot be looked at.
[[nodiscard]] std::string stamp_of(const std::string& path);
// The name that a token claims: what stands before its first dot; empty if there is none.
[[nodiscard]] std::string_view claimed_name(std::string_view token);

// Makes a token for `name`, whose secret nobody knows yet, and adds its line to the file, which is made with mode 0600 if it is not
// there. The token; an Error if the name is there already, or the file cannot be read or written.
[[nodiscard]] Result<std::string> add_token(const std::string& path, std::string_view name, Role role);
// The same, and the token into a new file of mode 0600.
[[nodiscard]] Status make_token(const std::string& path, std::string_view name, Role role, const std::string& out);
// The token in a file of mode 0600: its first line.
[[nodiscard]] Result<std::string> read_token_file(const std::string& path);

}  // namespace weir::control
