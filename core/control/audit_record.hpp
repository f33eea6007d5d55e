// AuditRecord: one line of an audit trail, and the check of a whole one (FORMAT.md).
//
// Thread    Any.
// Law       A record's hash covers its own line and, by `previous`, everything before it: what is changed, removed or put elsewhere
//           below the head is found, and the first such record is named.
// Bounds    audit_line_bytes_max a line.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "core/base/types.hpp"
#include "core/tls/digest.hpp"

namespace weir::control {

inline constexpr std::size_t audit_line_bytes_max = 16U << 10;
inline constexpr std::size_t audit_text_bytes_max = 256;  // of each text but the reason; what is longer is cut
inline constexpr std::size_t reason_bytes_max = 1000;

// What is told; the trail adds the rest.
struct AuditEntry {
    std::string act{};   // "trail.begin", "admin", "authentication", "identity", "reload", "dead-letters.purge"
    std::string who{};   // a token's name, "edge/north", "uid:1000", "anyone"
    std::string role{};  // "operator"; empty where there is none
    std::string from{};  // an address; empty: this machine
    std::string target{};
    std::string reason{};
    std::string outcome{};    // "asked", "200", "refused"
    std::uint64_t of = 0;     // the sequence of the record whose outcome this is
    std::uint64_t count = 1;  // so many of the kind since the last such record
};
struct AuditRecord {
    std::uint64_t sequence = 0;  // from 1
    std::string time;
    AuditEntry entry;
    tls::Digest previous{};  // zeros for the first
    tls::Digest hash{};
};

struct AuditHead {
    std::uint64_t records = 0;
    tls::Digest hash{};       // of the last one; zeros where there is none
    std::uint64_t bytes = 0;  // of whole records
};

// The first 52 bits of a hash, which a metric holds exactly.
[[nodiscard]] std::uint64_t number_of(const tls::Digest& digest) noexcept;
// The line, with its end, of the record after `head`.
[[nodiscard]] std::string audit_line(const AuditHead& head, const AuditEntry& entry, WallNs time, tls::Digest& hash);

// Takes a trail's bytes in pieces, in order.
class AuditChecker {
  public:
    using Take = std::function<void(const AuditRecord&)>;
    explicit AuditChecker(AuditHead after = {}, Take take = {}) : head_(after), take_(std::move(take)) {}
    // Bytes after the first fault are not looked at.
    void feed(std::string_view bytes);

    [[nodiscard]] const AuditHead& head() const { return head_; }
    [[nodiscard]] bool is_good() const { return fault_.empty(); }
    // "record 7: changed: its hash is not that of its text"; empty: none.
    [[nodiscard]] const std::string& fault() const { return fault_; }
    // After the last whole line.
    [[nodiscard]] std::size_t torn_bytes() const { return partial_.size(); }

  private:
    void take_line(std::string_view line);
    void fail(std::string what);

    AuditHead head_;
    Take take_;
    std::string partial_;
    std::string fault_;
};

}  // namespace weir::control
