#include "core/rules/lexer.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/base/json_scan.hpp"
#include "core/base/types.hpp"
#include "core/rules/value.hpp"

namespace weir::rules {
namespace {

constexpr std::uint64_t integer_max = std::uint64_t{1} << 63;  // of -9223372036854775808, without its sign

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
std::size_t digits_at(std::string_view text, std::size_t at) {
    std::size_t count = 0;
    while (at + count < text.size() && is_digit(text[at + count])) ++count;
    return count;
}
std::size_t letters_at(std::string_view text, std::size_t at) {
    std::size_t count = 0;
    while (at + count < text.size() && is_letter(text[at + count])) ++count;
    return count;
}

// Nanoseconds; 0 if there is no such unit.
std::uint64_t unit_ns(std::string_view unit) {
    if (unit == "ns") return 1;
    if (unit == "us") return ns_per_us;
    if (unit == "ms") return ns_per_ms;
    if (unit == "s") return ns_per_second;
    if (unit == "m") return 60 * ns_per_second;
    if (unit == "h") return 3600 * ns_per_second;
    if (unit == "d") return 86'400 * ns_per_second;
    return 0;
}

}  // namespace

Token Lexer::take(Token::Kind kind, std::size_t bytes) {
    Token token;
    token.kind = kind;
    token.at = at_;
    token.written = text_.substr(at_, bytes);
    at_ += bytes;
    return token;
}

Token Lexer::wrong(std::size_t at, std::string what) {
    Token token;
    token.kind = Token::Kind::wrong;
    token.at = at;
    token.text = std::move(what);
    at_ = text_.size();
    return token;
}

Token Lexer::next() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) ++at_;
    if (at_ == text_.size()) return take(Token::Kind::end, 0);
    const char c = text_[at_];
    if (c == '"') return text_token();
    if (is_digit(c)) return number_token();
    if (is_letter(c)) {
        std::size_t bytes = 1;
        while (at_ + bytes < text_.size() && (is_letter(text_[at_ + bytes]) || is_digit(text_[at_ + bytes]))) ++bytes;
        return take(Token::Kind::name, bytes);
    }
    static constexpr std::array<std::string_view, 6> pairs{"==", "!=", "<=", ">=", "&&", "||"};
    for (const std::string_view pair : pairs) {
        if (text_.substr(at_).starts_with(pair)) return take(Token::Kind::symbol, pair.size());
    }
    if (std::string_view("!<>+-*/%()[],.").find(c) != std::string_view::npos) return take(Token::Kind::symbol, 1);
    if (c == '=') return wrong(at_, "= alone means nothing; write == to compare");
    if (c == '&' || c == '|') return wrong(at_, std::string("write ") + c + c);
    if (c == '\'') return wrong(at_, "texts stand between \" and \"");
    return wrong(at_, "nothing begins with this character");
}

Token Lexer::text_token() {
    std::size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != '"') end += text_[end] == '\\' ? 2 : 1;
    if (end >= text_.size()) return wrong(at_, "this text does not end");
    JsonFault fault;
    const std::size_t begin = at_;
    const auto value = json_parse(text_.substr(begin, end + 1 - begin), fault);
    if (!value) return wrong(begin + fault.at, fault.what);
    Token token = take(Token::Kind::text, end + 1 - begin);
    if (!json_text(*value, token.text)) return wrong(begin, "half a surrogate pair");
    return token;
}

Token Lexer::number_token() {
    const std::size_t whole = digits_at(text_, at_);
    std::size_t bytes = whole;
    if (text_.substr(at_ + bytes).starts_with('.') && digits_at(text_, at_ + bytes + 1) > 0) {
        bytes += 1 + digits_at(text_, at_ + bytes + 1);
    }
    const std::string_view after = text_.substr(at_ + bytes);
    if (after.starts_with('e') || after.starts_with('E')) {
        const std::size_t sign = after.size() > 1 && (after[1] == '+' || after[1] == '-') ? 1 : 0;
        const std::size_t exponent = digits_at(after, 1 + sign);
        if (exponent > 0) bytes += 1 + sign + exponent;
    }
    if (letters_at(text_, at_ + bytes) > 0) {
        return bytes == whole ? duration_token() : wrong(at_, "a duration is a whole number and a unit: 1h30m, 250ms");
    }
    const std::size_t begin = at_;
    if (whole > 1 && text_[at_] == '0') return wrong(begin, "a number does not begin with 0");
    Token token = take(bytes == whole ? Token::Kind::integer : Token::Kind::real, bytes);
    const char* const end = token.written.data() + token.written.size();
    if (token.kind == Token::Kind::real) {
        const Value value = read_number(token.written);
        if (value.type != Type::real) return wrong(begin, "beyond what a real can hold");
        token.real = value.real;
    } else if (std::from_chars(token.written.data(), end, token.integer).ec != std::errc{} ||
               token.integer > integer_max) {
        return wrong(begin, "beyond 64 bits");
    }
    return token;
}

Token Lexer::duration_token() {
    const std::size_t begin = at_;
    std::uint64_t total_ns = 0;
    std::size_t at = at_;
    while (at < text_.size() && is_digit(text_[at])) {
        const std::size_t digits = digits_at(text_, at);
        const std::size_t letters = letters_at(text_, at + digits);
        const std::uint64_t scale = unit_ns(text_.substr(at + digits, letters));
        if (scale == 0) return wrong(begin, "not a number, nor a duration: its units are ns us ms s m h d");
        std::uint64_t count = 0;
        std::uint64_t ns = 0;
        const char* const first = text_.data() + at;
        if (std::from_chars(first, first + digits, count).ec != std::errc{} ||
            __builtin_mul_overflow(count, scale, &ns) || __builtin_add_overflow(total_ns, ns, &total_ns) ||
            total_ns >= integer_max) {
            return wrong(begin, "longer than a duration can be (292 years)");
        }
        at += digits + letters;
    }
    Token token = take(Token::Kind::duration, at - begin);
    token.integer = total_ns;
    return token;
}

}  // namespace weir::rules
