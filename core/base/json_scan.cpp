#include "core/base/json_scan.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace weir {
namespace {

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
int hex_of(char c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// One pass over the text; recursion is bounded by json_depth_max.
class JsonScanner {
  public:
    JsonScanner(std::string_view text, JsonFault& fault) : text_(text), fault_(fault) {}

    [[nodiscard]] std::optional<JsonValue> whole() {
        skip_blanks();
        JsonValue value;
        if (!scan_value(value, 0)) return std::nullopt;
        skip_blanks();
        if (at_ != text_.size()) {
            fail("something follows the value");
            return std::nullopt;
        }
        return value;
    }

  private:
    bool fail(const char* what) {
        fault_ = {at_, what};
        return false;
    }
    [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    [[nodiscard]] bool is_end() const { return at_ >= text_.size(); }
    void skip_blanks() {
        while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
    }

    bool scan_value(JsonValue& value, std::size_t depth) {
        const std::size_t begin = at_;
        if (is_end()) return fail("a value is missing");
        bool good = false;
        switch (peek()) {
            case '{':
                value.kind = JsonKind::object;
                good = scan_object(depth + 1);
                break;
            case '[':
                value.kind = JsonKind::array;
                good = scan_array(depth + 1);
                break;
            case '"':
                value.kind = JsonKind::string;
                good = scan_string();
                break;
            case 't':
                value.kind = JsonKind::boolean;
                good = scan_word("true");
                break;
            case 'f':
                value.kind = JsonKind::boolean;
                good = scan_word("false");
                break;
            case 'n':
                value.kind = JsonKind::null;
                good = scan_word("null");
                break;
            default:
                value.kind = JsonKind::number;
                good = scan_number();
                break;
        }
        if (good) value.raw = text_.substr(begin, at_ - begin);
        return good;
    }

    bool scan_word(std::string_view word) {
        if (text_.substr(at_, word.size()) != word) return fail("not a value");
        at_ += word.size();
        return true;
    }

    bool scan_object(std::size_t depth) {
        if (depth > json_depth_max) return fail("nested too deeply");
        ++at_;
        skip_blanks();
        if (peek() == '}') return ++at_, true;
        for (;;) {
            if (peek() != '"') return fail("a member name is missing");
            if (!scan_string()) return false;
            skip_blanks();
            if (peek() != ':') return fail("':' is missing");
            ++at_;
            skip_blanks();
            JsonValue member;
            if (!scan_value(member, depth)) return false;
            skip_blanks();
            if (peek() == '}') return ++at_, true;
            if (peek() != ',') return fail("',' or '}' is missing");
            ++at_;
            skip_blanks();
        }
    }

    bool scan_array(std::size_t depth) {
        if (depth > json_depth_max) return fail("nested too deeply");
        ++at_;
        skip_blanks();
        if (peek() == ']') return ++at_, true;
        for (;;) {
            JsonValue element;
            if (!scan_value(element, depth)) return false;
            skip_blanks();
            if (peek() == ']') return ++at_, true;
            if (peek() != ',') return fail("',' or ']' is missing");
            ++at_;
            skip_blanks();
        }
    }

    bool scan_string() {
        ++at_;
        while (!is_end()) {
            const auto c = static_cast<unsigned char>(text_[at_]);
            if (c == '"') return ++at_, true;
            if (c < 0x20) return fail("a control character in a string");
            if (c == '\\') {
                if (!scan_escape()) return false;
            } else if (c < 0x80) {
                ++at_;
            } else {
                const std::size_t bytes = utf8_bytes(text_.substr(at_));
                if (bytes == 0) return fail("not UTF-8");
                at_ += bytes;
            }
        }
        return fail("a string does not end");
    }

    bool scan_escape() {
        ++at_;
        switch (peek()) {
            case '"':
            case '\\':
            case '/':
            case 'b':
            case 'f':
            case 'n':
            case 'r':
            case 't':
                ++at_;
                return true;
            case 'u':
                break;
            default:
                return fail("not an escape");
        }
        ++at_;
        for (int i = 0; i < 4; ++i, ++at_) {
            if (hex_of(peek()) < 0) return fail("not four hex digits");
        }
        return true;
    }

    bool scan_digits(const char* what) {
        if (!is_digit(peek())) return fail(what);
        while (is_digit(peek())) ++at_;
        return true;
    }

    bool scan_number() {
        if (peek() == '-') ++at_;
        if (peek() == '0') {
            ++at_;
        } else if (!scan_digits("not a value")) {
            return false;
        }
        if (peek() == '.') {
            ++at_;
            if (!scan_digits("digits are missing after the point")) return false;
        }
        if (peek() == 'e' || peek() == 'E') {
            ++at_;
            if (peek() == '+' || peek() == '-') ++at_;
            if (!scan_digits("digits are missing in the exponent")) return false;
        }
        return true;
    }

    std::string_view text_;
    JsonFault& fault_;
    std::size_t at_ = 0;
};

// Reads accepted JSON: skips without checking.
class AcceptedReader {
  public:
    explicit AcceptedReader(std::string_view text) : text_(text) { skip_blanks(); }
    [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    void skip_blanks() {
        while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
    }
    void step() {
        ++at_;
        skip_blanks();
    }
    std::string_view take_string() {
        const std::size_t begin = at_;
        for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
            if (text_[at_] == '\\') ++at_;
        }
        if (at_ < text_.size()) ++at_;
        return text_.substr(begin, at_ - begin);
    }
    JsonValue take_value() {
        const std::size_t begin = at_;
        JsonKind kind = JsonKind::number;
        switch (peek()) {
            case '"':
                take_string();
                kind = JsonKind::string;
                break;
            case '{':
                skip_nested();
                kind = JsonKind::object;
                break;
            case '[':
                skip_nested();
                kind = JsonKind::array;
                break;
            case 't':
            case 'f':
                skip_word();
                kind = JsonKind::boolean;
                break;
            case 'n':
                skip_word();
                kind = JsonKind::null;
                break;
            default:
                skip_word();
                break;
        }
        return {kind, text_.substr(begin, at_ - begin)};
    }

  private:
    void skip_word() {
        while (at_ < text_.size() && text_[at_] != ',' && text_[at_] != '}' && text_[at_] != ']' &&
               !is_blank(text_[at_])) {
            ++at_;
        }
    }
    void skip_nested() {
        std::size_t depth = 0;
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == '"') {
                take_string();
                continue;
            }
            ++at_;
            if (c == '{' || c == '[') ++depth;
            if ((c == '}' || c == ']') && --depth == 0) return;
        }
    }
    std::string_view text_;
    std::size_t at_ = 0;
};

unsigned hex4(std::string_view text) {
    unsigned value = 0;
    for (std::size_t i = 0; i < 4; ++i) value = value << 4 | static_cast<unsigned>(hex_of(text[i]));
    return value;
}

// Writes `code` as UTF-8 to `out`; returns the bytes.
std::size_t encode_utf8(unsigned code, std::array<char, 4>& out) {
    const auto tail = [&](unsigned shift) { return static_cast<char>(0x80U | ((code >> shift) & 0x3fU)); };
    if (code < 0x80) {
        out[0] = static_cast<char>(code);
        return 1;
    }
    if (code < 0x800) {
        out = {static_cast<char>(0xc0U | code >> 6), tail(0)};
        return 2;
    }
    if (code < 0x10000) {
        out = {static_cast<char>(0xe0U | code >> 12), tail(6), tail(0)};
        return 3;
    }
    out = {static_cast<char>(0xf0U | code >> 18), tail(12), tail(6), tail(0)};
    return 4;
}

char simple_escape(char c) {
    switch (c) {
        case 'b':
            return '\b';
        case 'f':
            return '\f';
        case 'n':
            return '\n';
        case 'r':
            return '\r';
        case 't':
            return '\t';
        default:
            return c;
    }
}

// Resolves the escape at the front of `rest` (after the backslash) and moves past it; returns the bytes put into `out`,
// 0 for a lone surrogate.
std::size_t resolve_escape(std::string_view& rest, std::array<char, 4>& out) {
    if (rest[0] != 'u') {
        out[0] = simple_escape(rest[0]);
        rest.remove_prefix(1);
        return 1;
    }
    unsigned code = hex4(rest.substr(1));
    rest.remove_prefix(5);
    if (code >= 0xdc00 && code <= 0xdfff) return 0;
    if (code >= 0xd800 && code <= 0xdbff) {
        if (rest.size() < 6 || rest[0] != '\\' || rest[1] != 'u') return 0;
        const unsigned low = hex4(rest.substr(2));
        if (low < 0xdc00 || low > 0xdfff) return 0;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        rest.remove_prefix(6);
    }
    return encode_utf8(code, out);
}

// Whether the accepted string `quoted` says `name`, without building its text.
bool string_equals(std::string_view quoted, std::string_view name) {
    std::string_view rest = quoted.substr(1, quoted.size() - 2);
    while (!rest.empty()) {
        if (rest[0] != '\\') {
            if (name.empty() || name[0] != rest[0]) return false;
            rest.remove_prefix(1);
            name.remove_prefix(1);
            continue;
        }
        rest.remove_prefix(1);
        std::array<char, 4> bytes{};
        const std::size_t count = resolve_escape(rest, bytes);
        if (count == 0 || name.substr(0, count) != std::string_view(bytes.data(), count)) return false;
        name.remove_prefix(count);
    }
    return name.empty();
}

}  // namespace

std::size_t utf8_bytes(std::string_view text) noexcept {
    const auto at = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
    const auto is_tail = [&](std::size_t i) { return (at(i) & 0xc0U) == 0x80U; };
    const unsigned lead = at(0);
    if (lead < 0x80) return 1;
    if (lead >= 0xc2 && lead <= 0xdf) return is_tail(1) ? 2 : 0;
    if (lead >= 0xe0 && lead <= 0xef) {
        if (!is_tail(1) || !is_tail(2)) return 0;
        if (lead == 0xe0 && at(1) < 0xa0) return 0;
        if (lead == 0xed && at(1) > 0x9f) return 0;
        return 3;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        if (!is_tail(1) || !is_tail(2) || !is_tail(3)) return 0;
        if (lead == 0xf0 && at(1) < 0x90) return 0;
        if (lead == 0xf4 && at(1) > 0x8f) return 0;
        return 4;
    }
    return 0;
}

std::optional<JsonValue> json_parse(std::string_view text, JsonFault& fault) noexcept {
    return JsonScanner(text, fault).whole();
}

std::optional<JsonValue> json_member(std::string_view object, std::string_view name) noexcept {
    AcceptedReader reader(object);
    if (reader.peek() != '{') return std::nullopt;
    reader.step();
    std::optional<JsonValue> found;
    while (reader.peek() == '"') {
        const std::string_view key = reader.take_string();
        reader.skip_blanks();
        reader.step();  // ':'
        const JsonValue value = reader.take_value();
        if (string_equals(key, name)) found = value;
        reader.skip_blanks();
        if (reader.peek() == ',') reader.step();
    }
    return found;
}

void json_members(std::string_view object, const std::function<void(std::string_view, const JsonValue&)>& each) {
    AcceptedReader reader(object);
    if (reader.peek() != '{') return;
    reader.step();
    while (reader.peek() == '"') {
        const std::string_view name = reader.take_string();
        reader.skip_blanks();
        reader.step();  // ':'
        each(name, reader.take_value());
        reader.skip_blanks();
        if (reader.peek() == ',') reader.step();
    }
}

void json_elements(std::string_view array, const std::function<void(const JsonValue&)>& each) {
    AcceptedReader reader(array);
    if (reader.peek() != '[') return;
    reader.step();
    while (reader.peek() != ']' && reader.peek() != '\0') {
        each(reader.take_value());
        reader.skip_blanks();
        if (reader.peek() == ',') reader.step();
    }
}

std::optional<JsonValue> json_path(std::string_view object, std::string_view path) noexcept {
    std::optional<JsonValue> value = JsonValue{JsonKind::object, object};
    for (;;) {
        const std::size_t dot = path.find('.');
        value = json_member(value->raw, path.substr(0, dot));
        if (!value || dot == std::string_view::npos) return value;
        path.remove_prefix(dot + 1);
    }
}

std::optional<double> json_number(const JsonValue& value) noexcept {
    if (value.kind != JsonKind::number) return std::nullopt;
    double number = 0;
    const char* const end = value.raw.data() + value.raw.size();
    const auto [stop, fault] = std::from_chars(value.raw.data(), end, number);
    if (fault != std::errc{} || stop != end || !std::isfinite(number)) return std::nullopt;
    return number;
}

bool json_text(const JsonValue& value, std::string& out) {
    if (value.kind != JsonKind::string) return false;
    std::string_view rest = value.raw.substr(1, value.raw.size() - 2);
    while (!rest.empty()) {
        const std::size_t plain = std::min(rest.find('\\'), rest.size());
        out.append(rest.substr(0, plain));
        rest.remove_prefix(plain);
        if (rest.empty()) break;
        rest.remove_prefix(1);
        std::array<char, 4> bytes{};
        const std::size_t count = resolve_escape(rest, bytes);
        if (count == 0) return false;
        out.append(bytes.data(), count);
    }
    return true;
}

std::optional<std::size_t> json_text_into(const JsonValue& value, std::span<char> out) noexcept {
    if (value.kind != JsonKind::string) return std::nullopt;
    std::string_view rest = value.raw.substr(1, value.raw.size() - 2);
    std::size_t written = 0;
    while (!rest.empty()) {
        std::array<char, 4> bytes{rest[0]};
        std::size_t count = 1;
        const bool is_escape = rest[0] == '\\';
        rest.remove_prefix(1);
        if (is_escape) count = resolve_escape(rest, bytes);
        if (count == 0 || count > out.size() - written) return std::nullopt;
        std::copy_n(bytes.data(), count, out.data() + written);
        written += count;
    }
    return written;
}

void json_quote(std::string_view text, std::string& out) {
    constexpr std::string_view hex = "0123456789abcdef";
    out += '"';
    while (!text.empty()) {
        const auto c = static_cast<unsigned char>(text[0]);
        std::size_t taken = 1;
        if (c == '"' || c == '\\') {
            out += '\\';
            out += text[0];
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\r') {
            out += "\\r";
        } else if (c == '\t') {
            out += "\\t";
        } else if (c < 0x20 || c == 0x7f) {
            out += "\\u00";
            out += hex[c >> 4];
            out += hex[c & 15];
        } else if ((taken = utf8_bytes(text)) != 0) {
            out.append(text.substr(0, taken));
        } else {
            out += "\xef\xbf\xbd";  // U+FFFD: what we print is always JSON, whatever the name was
            taken = 1;
        }
        text.remove_prefix(taken);
    }
    out += '"';
}

}  // namespace weir
