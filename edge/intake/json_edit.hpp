// JsonEditor: a JSON payload written again with fields dropped, cut short or hashed, and members set.
//
// A field is a path of member names. A list on the way, or at its end, stands for each of its elements. Every member of a name
// counts, also where an object has several of that name or writes it with escapes: what is to go may stand in none of them.
//
// Thread    Intake runner; allocates only when made.
// Law       What a field held is not in what is written, in whole or (hash, drop) in part. The rest is there byte for byte, but
//           for blanks around members beside those that were looked into.
//           Written again, nothing changes: a hash is known by its form and left.
// Bounds    json_edits_max fields; recursion json_depth_max.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/siphash.hpp"
#include "edge/config.hpp"

namespace weir::edge {

inline constexpr std::size_t json_edits_max = 64;
inline constexpr std::string_view hash_prefix = "pii:";  // and 32 hexadecimal digits
inline constexpr std::size_t hash_text_bytes = hash_prefix.size() + 32;

struct FieldEdit {
    Removal how = Removal::drop;
    std::vector<std::string> steps;
    std::uint32_t characters = 0;  // that truncate leaves
};

// A member of the top-level object, in place of what has its name.
struct NewMember {
    std::string_view name;  // needs no escapes
    std::string_view json;  // a number, text or boolean
};

// A bounded place to write to; what does not fit makes it over, and all that follows is nothing.
class TextRoom {
  public:
    explicit TextRoom(std::span<char> room) : room_(room) {}
    void put(std::string_view text) noexcept;
    void put_quoted(std::string_view text) noexcept;                   // UTF-8
    void put_hash(const SipKey& key, std::string_view text) noexcept;  // without quotes
    [[nodiscard]] bool is_over() const { return is_over_; }
    [[nodiscard]] std::string_view text() const { return {room_.data(), used_}; }

  private:
    std::span<char> room_;
    std::size_t used_ = 0;
    bool is_over_ = false;
};

[[nodiscard]] bool is_hash_text(std::string_view text) noexcept;
// The front of a UTF-8 text, in characters (code points).
[[nodiscard]] std::string_view front_of(std::string_view text, std::uint32_t characters) noexcept;

class JsonEditor {
  public:
    // At most json_edits_max. `text_bytes_max`: of the longest payload.
    JsonEditor(std::vector<FieldEdit> edits, SipKey key, std::size_t text_bytes_max);
    enum class Outcome : std::uint8_t { unchanged, changed, over };
    // `json`: what json_parse accepts. Applies the edits whose bit in `active` is set, then sets `members` if it is an object.
    [[nodiscard]] Outcome write(std::string_view json, std::uint64_t active, std::span<const NewMember> members,
                                TextRoom& room) noexcept;

  private:
    friend class JsonRewriter;
    std::vector<FieldEdit> edits_;
    SipKey key_;
    std::vector<char> text_;  // a text with its escapes resolved
};

}  // namespace weir::edge
