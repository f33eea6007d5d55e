// ObjectText, ListText: JSON as text, member by member.
//
// Thread    One.
#pragma once

#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/json_scan.hpp"
#include "core/base/types.hpp"

namespace weir::central {

class ObjectText {
  public:
    ObjectText& text(std::string_view name, std::string_view value) {
        begin(name);
        json_quote(value, out_);
        return *this;
    }
    ObjectText& number(std::string_view name, std::uint64_t value) { return raw(name, std::to_string(value)); }
    ObjectText& whole(std::string_view name, std::int64_t value) { return raw(name, std::to_string(value)); }
    // With at most three digits behind the point; what is no number is null.
    ObjectText& real(std::string_view name, double value) {
        if (!std::isfinite(value)) return raw(name, "null");
        char digits[64];
        const auto made = std::to_chars(digits, digits + sizeof digits, std::round(value * 1000) / 1000);
        return raw(name, {digits, static_cast<std::size_t>(made.ptr - digits)});
    }
    ObjectText& truth(std::string_view name, bool value) { return raw(name, value ? "true" : "false"); }
    ObjectText& number_or_null(std::string_view name, std::optional<std::uint64_t> value) {
        return value ? number(name, *value) : raw(name, "null");
    }
    ObjectText& real_or_null(std::string_view name, std::optional<double> value) {
        return value ? real(name, *value) : raw(name, "null");
    }
    ObjectText& text_or_null(std::string_view name, const std::optional<std::string>& value) {
        return value ? text(name, std::string_view(*value)) : raw(name, "null");
    }
    // What is JSON already.
    ObjectText& raw(std::string_view name, std::string_view json) {
        begin(name);
        out_ += json;
        return *this;
    }
    [[nodiscard]] std::string end() {
        out_ += '}';
        return std::move(out_);
    }

  private:
    void begin(std::string_view name) { out_.append(out_.size() == 1 ? "\"" : ",\"").append(name).append("\":"); }
    std::string out_ = "{";
};

class ListText {
  public:
    ListText& add(std::string_view json) {
        if (out_.size() > 1) out_ += ',';
        out_ += json;
        return *this;
    }
    ListText& add_text(std::string_view text) {
        if (out_.size() > 1) out_ += ',';
        json_quote(text, out_);
        return *this;
    }
    [[nodiscard]] std::string end() {
        out_ += ']';
        return std::move(out_);
    }

  private:
    std::string out_ = "[";
};

// 16 hexadecimal digits: a number this large loses digits in JavaScript.
[[nodiscard]] inline std::string hex_text(std::uint64_t value) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text(16, '0');
    for (std::size_t at = 16; at-- > 0; value >>= 4) text[at] = digits[value & 15];
    return text;
}

}  // namespace weir::central
