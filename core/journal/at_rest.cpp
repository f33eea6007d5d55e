#include "core/journal/at_rest.hpp"

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/evp.h>
#include <openssl/sha.h>

#include <sys/stat.h>
#include <atomic>
#include <charconv>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "core/base/assert.hpp"
#include "core/io/files.hpp"

namespace weir::journal {
namespace {

constexpr std::string_view key_suffix = ".key";
constexpr std::size_t hash_bytes = 32, hash_block_bytes = 64, nonce_bytes = 12;
constexpr std::string_view derivation_label = "weir journal segment 2";

using Hash = std::array<std::byte, hash_bytes>;

struct FreeCipherContext {
    void operator()(EVP_CIPHER_CTX* held) const { EVP_CIPHER_CTX_free(held); }
};
struct FreeCipher {
    void operator()(EVP_CIPHER* held) const { EVP_CIPHER_free(held); }
};
const unsigned char* raw(ConstBytes bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* raw(std::byte* bytes) {
    return reinterpret_cast<unsigned char*>(bytes);
}
int count_of(ConstBytes bytes) {
    return static_cast<int>(bytes.size());
}

// The N of "N.key"; nullopt for any other name.
std::optional<std::uint32_t> key_id_of(std::string_view name) {
    if (!name.ends_with(key_suffix)) return std::nullopt;
    const std::string_view digits = name.substr(0, name.size() - key_suffix.size());
    std::uint32_t key_id = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), key_id);
    const bool is_whole = parsed.ec == std::errc{} && parsed.ptr == digits.data() + digits.size();
    if (!is_whole || key_id == 0 || digits.front() == '0') return std::nullopt;
    return key_id;
}

// Readers hold on to what they have found: an earlier ring stays. But for use_keyring() each has a key more than the one before it, so
// keys_max bounds them.
struct ProcessKeys {
    std::vector<std::unique_ptr<Keyring>> rings;
    std::atomic<Keyring*> present{nullptr};
    std::atomic<std::uint32_t> sealing_key{0};

    ProcessKeys() { add({}); }
    void add(Keyring ring) {
        rings.push_back(std::make_unique<Keyring>(std::move(ring)));
        present.store(rings.back().get(), std::memory_order_release);  // pairs with keyring()
    }
};

ProcessKeys& process_keys() {
    static ProcessKeys keys;
    return keys;
}

// HMAC-SHA256 (RFC 2104); `key` of at most 64 bytes. Through the older calls: OpenSSL 3.0's newer ones allocate with every hash.
[[nodiscard]] bool hmac(ConstBytes key, std::initializer_list<ConstBytes> texts, Hash& out) {
    std::array<std::byte, hash_block_bytes> pad{};
    WEIR_ASSERT(key.size() <= pad.size());
    std::memcpy(pad.data(), key.data(), key.size());
    SHA256_CTX context;
    const auto add = [&](ConstBytes text) { return SHA256_Update(&context, text.data(), text.size()) == 1; };
    for (std::byte& byte : pad) byte ^= std::byte{0x36};
    bool is_good = SHA256_Init(&context) == 1 && add(pad);
    for (const ConstBytes text : texts) is_good = is_good && add(text);
    is_good = is_good && SHA256_Final(raw(out.data()), &context) == 1;
    for (std::byte& byte : pad) byte ^= std::byte{0x36 ^ 0x5c};
    is_good =
        is_good && SHA256_Init(&context) == 1 && add(pad) && add(out) && SHA256_Final(raw(out.data()), &context) == 1;
    ::explicit_bzero(pad.data(), pad.size());
    ::explicit_bzero(&context, sizeof context);
    return is_good;
}

template <class T>
ConstBytes bytes_of(const T& value) {
    return std::as_bytes(std::span(&value, 1));
}

std::array<std::byte, nonce_bytes> nonce_of(const RecordHeader& header) {
    std::array<std::byte, nonce_bytes> nonce{};
    std::memcpy(nonce.data(), &header.position, sizeof header.position);
    return nonce;
}

// All fields but the crc, which is computed over what was encrypted.
ConstBytes authenticated(const RecordHeader& header) {
    return bytes_of(header).first(offsetof(RecordHeader, crc));
}

}  // namespace

Result<Keyring> Keyring::load(const std::string& directory) {
    struct stat status {};
    if (::stat(directory.c_str(), &status) != 0) return error_from_errno(errno, directory);
    if ((status.st_mode & 022U) != 0) return Error{EPERM, directory + ": others may put keys into it"};
    std::vector<std::string> names;
    if (io::files().list(directory, names) != 0) return error_from_errno(errno, "open " + directory);
    Keyring ring;
    for (const std::string& name : names) {
        if (!name.ends_with(key_suffix)) continue;
        const auto key_id = key_id_of(name);
        if (!key_id) return Error{0, directory + "/" + name + ": a key's name is its number and .key, as 1.key"};
        if (ring.count() == keys_max) return Error{0, directory + ": more than " + std::to_string(keys_max) + " keys"};
        SecretBytes key(master_key_bytes);
        if (const auto fault = read_key_file(directory + "/" + name, key.bytes())) {
            return Error{0, directory + "/" + name + ": " + *fault};
        }
        ring.add(*key_id, std::move(key));
    }
    return ring;
}

void Keyring::add(std::uint32_t key_id, SecretBytes key) {
    WEIR_ASSERT(key_id != 0 && key.bytes().size() == master_key_bytes);
    keys_[key_id] = std::move(key);
}

std::optional<std::uint32_t> Keyring::merge(Keyring other) {
    for (auto& [key_id, key] : other.keys_) {
        const auto found = keys_.find(key_id);
        if (found == keys_.end()) {
            keys_.emplace(key_id, std::move(key));
        } else if (std::memcmp(found->second.bytes().data(), key.bytes().data(), master_key_bytes) != 0) {
            return key_id;
        }
    }
    return std::nullopt;
}

ConstBytes Keyring::find(std::uint32_t key_id) const {
    const auto found = keys_.find(key_id);
    return found == keys_.end() ? ConstBytes{} : found->second.bytes();
}

Keyring Keyring::copy() const {
    Keyring made;
    for (const auto& [key_id, key] : keys_) {
        SecretBytes again(master_key_bytes);
        std::memcpy(again.bytes().data(), key.bytes().data(), master_key_bytes);
        made.add(key_id, std::move(again));
    }
    return made;
}

const Keyring& keyring() noexcept {
    return *process_keys().present.load(std::memory_order_acquire);  // pairs with add()
}

Keyring use_keyring(Keyring keys) {
    Keyring before = keyring().copy();
    process_keys().add(std::move(keys));
    return before;
}

std::optional<std::uint32_t> extend_keyring(Keyring more) {
    Keyring next = keyring().copy();
    if (const auto taken = next.merge(std::move(more))) return taken;
    if (next.count() > keyring().count()) process_keys().add(std::move(next));
    return std::nullopt;
}

void use_sealing_key(std::uint32_t key_id) noexcept {
    WEIR_ASSERT(key_id == 0 || keyring().holds(key_id));
    process_keys().sealing_key.store(key_id, std::memory_order_release);  // pairs with sealing_key(): behind its ring
}

std::uint32_t sealing_key() noexcept {
    return process_keys().sealing_key.load(std::memory_order_acquire);
}

struct RecordCipher::State {
    std::uint64_t journal_id = 0;
    std::unique_ptr<EVP_CIPHER, FreeCipher> aes{EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr)};
    std::unique_ptr<EVP_CIPHER_CTX, FreeCipherContext> context{EVP_CIPHER_CTX_new()};
    // What the context's key was derived for.
    bool is_keyed = false;
    bool is_sealing = false;
    std::uint64_t segment_index = 0;
    std::uint32_t key_id = 0;
    std::array<std::byte, 12> life{};
};

RecordCipher::RecordCipher(std::uint64_t journal_id) : state_(std::make_unique<State>()) {
    state_->journal_id = journal_id;
    WEIR_ASSERT(state_->aes != nullptr && state_->context != nullptr);
    // What OpenSSL allocates with the first use it has now.
    Hash none{};
    WEIR_ASSERT(EVP_CipherInit_ex2(state_->context.get(), state_->aes.get(), raw(none.data()), raw(none.data()), 1,
                                   nullptr) == 1);
}

void RecordCipher::use_journal(std::uint64_t journal_id) {
    state_->is_keyed = state_->is_keyed && state_->journal_id == journal_id;
    state_->journal_id = journal_id;
}

RecordCipher::~RecordCipher() = default;
RecordCipher::RecordCipher(RecordCipher&&) noexcept = default;
RecordCipher& RecordCipher::operator=(RecordCipher&&) noexcept = default;

// HKDF: extract with the life as salt, expand to one block with the place as info.
bool RecordCipher::derive(std::uint64_t segment_index, const RecordSeal& seal) {
    State& state = *state_;
    if (state.is_keyed && state.segment_index == segment_index && state.key_id == seal.key_id &&
        state.life == seal.life)
        return true;
    state.is_keyed = false;
    const ConstBytes master = keyring().find(seal.key_id);
    if (master.empty()) return false;
    Hash extracted{}, key{};
    constexpr std::byte first{1};
    const bool is_derived = hmac(seal.life, {master}, extracted) &&
                            hmac(extracted,
                                 {std::as_bytes(std::span(derivation_label)), bytes_of(state.journal_id),
                                  bytes_of(segment_index), bytes_of(seal.key_id), bytes_of(first)},
                                 key);
    state.is_keyed = is_derived && EVP_CipherInit_ex2(state.context.get(), nullptr, raw(key.data()), nullptr,
                                                      state.is_sealing ? 1 : 0, nullptr) == 1;
    ::explicit_bzero(extracted.data(), extracted.size());
    ::explicit_bzero(key.data(), key.size());
    state.segment_index = segment_index;
    state.key_id = seal.key_id;
    state.life = seal.life;
    return state.is_keyed;
}

bool RecordCipher::seal(std::uint64_t segment_index, const RecordHeader& header, ConstBytes batch, std::byte* out,
                        RecordSeal& seal) {
    State& state = *state_;
    if (!std::exchange(state.is_sealing, true)) state.is_keyed = false;
    if (!derive(segment_index, seal)) return false;
    EVP_CIPHER_CTX* const context = state.context.get();
    const auto nonce = nonce_of(header);
    const ConstBytes known = authenticated(header);
    int count = 0;
    return EVP_EncryptInit_ex2(context, nullptr, nullptr, raw(nonce), nullptr) == 1 &&
           EVP_EncryptUpdate(context, nullptr, &count, raw(known), count_of(known)) == 1 &&
           EVP_EncryptUpdate(context, raw(out), &count, raw(batch), count_of(batch)) == 1 &&
           EVP_EncryptFinal_ex(context, raw(out) + count, &count) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, static_cast<int>(seal.tag.size()), seal.tag.data()) == 1;
}

RecordCipher::Opened RecordCipher::open(std::uint64_t segment_index, const RecordHeader& header, const RecordSeal& seal,
                                        ConstBytes sealed, std::byte* out) {
    State& state = *state_;
    if (std::exchange(state.is_sealing, false)) state.is_keyed = false;
    if (!keyring().holds(seal.key_id)) return Opened::no_key;
    EVP_CIPHER_CTX* const context = state.context.get();
    const auto nonce = nonce_of(header);
    const ConstBytes known = authenticated(header);
    auto tag = seal.tag;
    int count = 0;
    const bool is_whole =
        derive(segment_index, seal) && EVP_DecryptInit_ex2(context, nullptr, nullptr, raw(nonce), nullptr) == 1 &&
        EVP_DecryptUpdate(context, nullptr, &count, raw(known), count_of(known)) == 1 &&
        EVP_DecryptUpdate(context, raw(out), &count, raw(sealed), count_of(sealed)) == 1 &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, static_cast<int>(tag.size()), tag.data()) == 1 &&
        EVP_DecryptFinal_ex(context, raw(out) + count, &count) == 1;
    if (is_whole) return Opened::whole;
    std::memset(out, 0, sealed.size());
    return Opened::forged;
}

}  // namespace weir::journal
