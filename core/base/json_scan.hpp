// JSON read in place: checks the grammar and finds members without building a tree or copying a byte.
//
// Exists because the payload travels as the unchanged bytes of `data` (a library tree would print 51.0 as 5.1E1), and
// because rules read payload fields on a thread that may not allocate.
//
// Bounds    Nesting depth json_depth_max; deeper input is an error.
// Source    RFC 8259.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace weir {

inline constexpr std::size_t json_depth_max = 32;

enum class JsonKind { null, boolean, number, string, array, object };

struct JsonValue {
    JsonKind kind = JsonKind::null;
    std::string_view raw;  // exactly the value's bytes; strings with their quotes
};

struct JsonFault {
    std::size_t at = 0;  // byte, 0-based
    const char* what = "";
};

// Reads one whole JSON value (blanks around it allowed). On failure: nullopt, and `fault` says where and why.
[[nodiscard]] std::optional<JsonValue> json_parse(std::string_view text, JsonFault& fault) noexcept;
// The member `name` of an object that json_parse accepted; nullopt if there is none. The last of equal names counts.
[[nodiscard]] std::optional<JsonValue> json_member(std::string_view object, std::string_view name) noexcept;
// Each member of such an object, in order: its quoted name and its value.
void json_members(std::string_view object, const std::function<void(std::string_view, const JsonValue&)>& each);
// Each element of an array that it accepted, in order.
void json_elements(std::string_view array, const std::function<void(const JsonValue&)>& each);
// Follows a dotted path ("fine", "driver.age") from an accepted object.
[[nodiscard]] std::optional<JsonValue> json_path(std::string_view object, std::string_view path) noexcept;
// The number's value; nullopt if `value` is no number or outside double.
[[nodiscard]] std::optional<double> json_number(const JsonValue& value) noexcept;
// Appends the string's text with escapes resolved (\uXXXX and surrogate pairs to UTF-8). False if it is not a string or a
// lone surrogate appears.
[[nodiscard]] bool json_text(const JsonValue& value, std::string& out);
// The same into `out`: the bytes written; nullopt where the other says false, or if there is no room.
[[nodiscard]] std::optional<std::size_t> json_text_into(const JsonValue& value, std::span<char> out) noexcept;
// The bytes of the UTF-8 sequence at the front of `text` (RFC 3629: no overlong forms, surrogates or values above U+10FFFF); 0 if
// there is none.
[[nodiscard]] std::size_t utf8_bytes(std::string_view text) noexcept;
// Appends `text` as a quoted JSON string.
void json_quote(std::string_view text, std::string& out);

}  // namespace weir
