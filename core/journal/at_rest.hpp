// At rest: batches under AES-256-GCM in a journal's segments, and the keys for it (FORMAT.md: "Encrypted segments").
//
//   Keyring   master keys by number, from files N.key of a directory
//   RecordCipher   one record's batch to what lies on the disk, and back
//
// Law       Never two texts under one (key, nonce). A segment's key is derived (HKDF-SHA256) from a master key, the writer's random
//           `life` and the segment's index; the nonce is the record's position. A writer that opens a tail anew has another life, a
//           file that is used again another index, and no writer writes a position twice.
// Thread    The process's Keyring is set before other threads start; later one control thread may add to it, and any may read it. A
//           RecordCipher belongs to one thread.
// Cost      Deriving (some microseconds) once a segment and life; nothing is allocated by seal() and open().
// Source    NIST SP 800-38D (GCM), RFC 5869 (HKDF).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/base/result.hpp"
#include "core/base/secret.hpp"
#include "core/base/types.hpp"
#include "core/journal/record.hpp"

namespace weir::journal {

inline constexpr std::size_t master_key_bytes = 32;
inline constexpr std::size_t keys_max = 256;

class Keyring {
  public:
    // All files N.key (N from 1, no zeros before it) of `directory`: 64 hexadecimal digits each, mode 0600 or stricter, in a
    // directory that only its owner can write to. An error names the file and what is wrong with it, never what it holds.
    [[nodiscard]] static Result<Keyring> load(const std::string& directory);
    void add(std::uint32_t key_id, SecretBytes key);
    // Takes those of `other` in. A number that both have with different keys is given back, and nothing more is taken.
    [[nodiscard]] std::optional<std::uint32_t> merge(Keyring other);
    [[nodiscard]] bool holds(std::uint32_t key_id) const { return keys_.contains(key_id); }
    // Of master_key_bytes; empty if it is not here.
    [[nodiscard]] ConstBytes find(std::uint32_t key_id) const;
    [[nodiscard]] std::size_t count() const { return keys_.size(); }
    [[nodiscard]] Keyring copy() const;

  private:
    std::map<std::uint32_t, SecretBytes> keys_;
};

// The process's; empty unless use_keyring() set one. What the readers of journals open segments with.
[[nodiscard]] const Keyring& keyring() noexcept;
// Replaces it and gives back a copy of the one before, which stays for those who read it. At a start, once.
Keyring use_keyring(Keyring keys);
// Adds those of `more` that are new; what is there stays, whatever became of its file. A number that both have with different keys is
// given back, and nothing is added.
[[nodiscard]] std::optional<std::uint32_t> extend_keyring(Keyring more);

// The key that writers with a key of their own begin their next segments under; 0: each goes on with its own. Of keyring().
void use_sealing_key(std::uint32_t key_id) noexcept;
[[nodiscard]] std::uint32_t sealing_key() noexcept;

// Behind each record of an encrypted segment.
struct RecordSeal {
    std::array<std::byte, 12> life{};
    std::uint32_t key_id = 0;
    std::array<std::byte, 16> tag{};
};
static_assert(sizeof(RecordSeal) == 32);
// What a record takes on the disk, its seal included where it has one.
[[nodiscard]] constexpr std::uint64_t stored_bytes(std::uint32_t batch_bytes, bool is_sealed) {
    return record_bytes(batch_bytes) + (is_sealed ? sizeof(RecordSeal) : 0);
}

class RecordCipher {
  public:
    enum class Opened : std::uint8_t { whole, no_key, forged };

    explicit RecordCipher(std::uint64_t journal_id);
    ~RecordCipher();
    RecordCipher(RecordCipher&&) noexcept;
    RecordCipher& operator=(RecordCipher&&) noexcept;

    // From now on records of another journal.
    void use_journal(std::uint64_t journal_id);
    // `batch` to `out`, which has room for as much; the seal's life and key id are given, its tag is filled in. All fields of
    // `header` but its crc are under the tag. False if there is no such key, or OpenSSL fails.
    [[nodiscard]] bool seal(std::uint64_t segment_index, const RecordHeader& header, ConstBytes batch, std::byte* out,
                            RecordSeal& seal);
    // The way back; `out` may be where `sealed` is. What is not `whole` has been wiped from `out`.
    [[nodiscard]] Opened open(std::uint64_t segment_index, const RecordHeader& header, const RecordSeal& seal,
                              ConstBytes sealed, std::byte* out);

  private:
    struct State;
    [[nodiscard]] bool derive(std::uint64_t segment_index, const RecordSeal& seal);
    std::unique_ptr<State> state_;
};

}  // namespace weir::journal
