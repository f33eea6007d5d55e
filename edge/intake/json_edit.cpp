#include "edge/intake/json_edit.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "core/base/assert.hpp"
#include "core/base/json_scan.hpp"
#include "core/rules/graph.hpp"

namespace weir::edge {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
std::uint64_t bit(std::size_t index) {
    return std::uint64_t{1} << index;
}

}  // namespace

void TextRoom::put(std::string_view text) noexcept {
    is_over_ = is_over_ || text.size() > room_.size() - used_;
    if (is_over_) return;
    std::copy(text.begin(), text.end(), room_.data() + used_);
    used_ += text.size();
}

void TextRoom::put_quoted(std::string_view text) noexcept {
    put("\"");
    while (!text.empty()) {
        const auto is_plain = [](char c) { return c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20; };
        const auto end = std::find_if_not(text.begin(), text.end(), is_plain);
        const auto plain = static_cast<std::size_t>(end - text.begin());
        put(text.substr(0, plain));
        text.remove_prefix(plain);
        if (text.empty()) break;
        const auto c = static_cast<unsigned char>(text[0]);
        if (c >= 0x20) {
            put(text[0] == '"' ? R"(\")" : R"(\\)");
        } else {
            const std::array<char, 6> escape{'\\', 'u', '0', '0', hex_digits[c >> 4U], hex_digits[c & 15U]};
            put({escape.data(), escape.size()});
        }
        text.remove_prefix(1);
    }
    put("\"");
}

void TextRoom::put_hash(const SipKey& key, std::string_view text) noexcept {
    put(hash_prefix);
    for (const unsigned char byte : siphash_128(key, text)) {
        const std::array<char, 2> digits{hex_digits[byte >> 4U], hex_digits[byte & 15U]};
        put({digits.data(), digits.size()});
    }
}

bool is_hash_text(std::string_view text) noexcept {
    if (text.size() != hash_text_bytes || !text.starts_with(hash_prefix)) return false;
    return text.find_first_not_of(hex_digits, hash_prefix.size()) == std::string_view::npos;
}

std::string_view front_of(std::string_view text, std::uint32_t characters) noexcept {
    std::size_t at = 0;
    for (; characters > 0 && at < text.size(); --characters) {
        at += std::max<std::size_t>(1, utf8_bytes(text.substr(at)));
    }
    return text.substr(0, at);
}

// One pass over accepted JSON: nothing is checked again.
class JsonRewriter {
  public:
    JsonRewriter(JsonEditor& editor, std::span<const NewMember> members, TextRoom& room)
        : editor_(editor), members_(members), room_(room) {}

    void whole(std::string_view json, std::uint64_t active) {
        text_ = json;
        skip_blanks();
        value(active, 0, true);
    }
    [[nodiscard]] bool has_changed() const { return has_changed_; }

  private:
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
        for (++at_; text_[at_] != '"'; ++at_) {
            if (text_[at_] == '\\') ++at_;
        }
        ++at_;
        return text_.substr(begin, at_ - begin);
    }
    // Past any value; its bytes.
    std::string_view take_value() {
        const std::size_t begin = at_;
        std::size_t depth = 0;
        do {
            const char c = peek();
            if (c == '"') {
                (void)take_string();
            } else if (c == '{' || c == '[') {
                ++depth;
                ++at_;
            } else if (c == '}' || c == ']') {
                --depth;
                ++at_;
            } else if (depth > 0 && (c == ',' || c == ':' || is_blank(c))) {
                ++at_;
            } else {
                while (at_ < text_.size() &&
                       std::string_view(",:]} \t\n\r").find(text_[at_]) == std::string_view::npos) {
                    ++at_;
                }
            }
        } while (depth > 0);
        return text_.substr(begin, at_ - begin);
    }

    // The strictest edit in `active` whose path ends after `depth` steps.
    [[nodiscard]] const FieldEdit* leaf(std::uint64_t active, std::size_t depth) const {
        const FieldEdit* found = nullptr;
        for (; active != 0; active &= active - 1) {
            const FieldEdit& one = editor_.edits_[static_cast<std::size_t>(std::countr_zero(active))];
            if (one.steps.size() == depth && (found == nullptr || one.how < found->how)) found = &one;
        }
        return found;
    }
    [[nodiscard]] std::uint64_t below(std::uint64_t active, std::size_t depth, std::string_view name) const {
        std::uint64_t further = 0;
        for (; active != 0; active &= active - 1) {
            const auto index = static_cast<std::size_t>(std::countr_zero(active));
            const FieldEdit& one = editor_.edits_[index];
            if (one.steps.size() > depth && one.steps[depth] == name) further |= bit(index);
        }
        return further;
    }

    // Reads the value at hand and writes what it becomes.
    void value(std::uint64_t active, std::size_t depth, bool is_root = false) {
        const FieldEdit* const edit = leaf(active, depth);
        switch (peek()) {
            case '{':
                if (edit != nullptr) {
                    (void)take_value();
                    return change_to("null");
                }
                return object(active, depth, is_root);
            case '[':
                return array(active, depth);
            case '"':
                return edit == nullptr ? room_.put(take_string()) : change_text(*edit);
            default:
                return edit == nullptr ? room_.put(take_value()) : change_scalar(*edit);
        }
    }

    void object(std::uint64_t active, std::size_t depth, bool is_root) {
        bool has_member = false;
        room_.put("{");
        step();
        while (peek() == '"') {
            const std::string_view quoted = take_string();
            std::array<char, rules::path_name_bytes_max> resolved;
            std::string_view name = quoted.substr(1, quoted.size() - 2);
            if (name.find('\\') != std::string_view::npos) {
                // What does not fit is longer than any name that a path may have.
                const auto bytes = json_text_into({JsonKind::string, quoted}, resolved);
                name = bytes ? std::string_view(resolved.data(), *bytes) : std::string_view("\"");
            }
            skip_blanks();
            step();  // ':'
            const std::uint64_t further = below(active, depth, name);
            const FieldEdit* const edit = leaf(further, depth + 1);
            const bool is_replaced =
                is_root && std::any_of(members_.begin(), members_.end(), [&](const auto& m) { return m.name == name; });
            if (is_replaced || (edit != nullptr && edit->how == Removal::drop)) {
                (void)take_value();
                has_changed_ = true;
            } else {
                if (std::exchange(has_member, true)) room_.put(",");
                room_.put(quoted);
                room_.put(":");
                if (further == 0) {
                    room_.put(take_value());
                } else {
                    value(further, depth + 1);
                }
            }
            skip_blanks();
            if (peek() == ',') step();
        }
        ++at_;  // '}'
        if (is_root) set_members(active, has_member);
        room_.put("}");
    }

    // What is set meets the edits too: a looked-up value may be personal as well.
    void set_members(std::uint64_t active, bool has_member) {
        const std::string_view text = text_;
        const std::size_t at = at_;
        for (std::size_t index = 0; index < members_.size(); ++index) {
            const NewMember& member = members_[index];
            const std::uint64_t further = below(active, 0, member.name);
            const FieldEdit* const edit = leaf(further, 1);
            const bool is_set_again =
                std::any_of(members_.begin() + static_cast<std::ptrdiff_t>(index) + 1, members_.end(),
                            [&](const auto& later) { return later.name == member.name; });
            has_changed_ = true;
            if (is_set_again || (edit != nullptr && edit->how == Removal::drop)) continue;
            if (std::exchange(has_member, true)) room_.put(",");
            room_.put_quoted(member.name);
            room_.put(":");
            text_ = member.json;
            at_ = 0;
            value(further, 1);
        }
        text_ = text;
        at_ = at;
    }

    void array(std::uint64_t active, std::size_t depth) {
        bool has_element = false;
        room_.put("[");
        step();
        while (peek() != ']') {
            if (std::exchange(has_element, true)) room_.put(",");
            value(active, depth);
            skip_blanks();
            if (peek() == ',') step();
        }
        ++at_;
        room_.put("]");
    }

    void change_to(std::string_view json) {
        room_.put(json);
        has_changed_ = true;
    }
    void change_text(const FieldEdit& edit) {
        const std::string_view quoted = take_string();
        const auto bytes = json_text_into({JsonKind::string, quoted}, editor_.text_);
        if (!bytes) return change_to("null");  // half a surrogate pair: no text
        change(edit, {editor_.text_.data(), *bytes}, quoted);
    }
    void change_scalar(const FieldEdit& edit) {
        const std::string_view written = take_value();
        if (written == "null") return room_.put(written);
        change(edit, written, written);
    }
    void change(const FieldEdit& edit, std::string_view text, std::string_view written) {
        if (edit.how == Removal::drop) return change_to("null");  // an element of a list at the top
        if (edit.how == Removal::hash) {
            if (is_hash_text(text)) return room_.put(written);
            room_.put("\"");
            room_.put_hash(editor_.key_, text);
            return change_to("\"");
        }
        const std::string_view front = front_of(text, edit.characters);
        if (front.size() == text.size()) return room_.put(written);
        room_.put_quoted(front);
        has_changed_ = true;
    }

    JsonEditor& editor_;
    std::span<const NewMember> members_;
    TextRoom& room_;
    std::string_view text_;
    std::size_t at_ = 0;
    bool has_changed_ = false;
};

JsonEditor::JsonEditor(std::vector<FieldEdit> edits, SipKey key, std::size_t text_bytes_max)
    : edits_(std::move(edits)), key_(key), text_(edits_.empty() ? 0 : text_bytes_max) {
    WEIR_ASSERT(edits_.size() <= json_edits_max);
}

JsonEditor::Outcome JsonEditor::write(std::string_view json, std::uint64_t active, std::span<const NewMember> members,
                                      TextRoom& room) noexcept {
    JsonRewriter rewriter(*this, members, room);
    rewriter.whole(json, active);
    if (room.is_over()) return Outcome::over;
    return rewriter.has_changed() ? Outcome::changed : Outcome::unchanged;
}

}  // namespace weir::edge
