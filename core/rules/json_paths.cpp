#include "core/rules/json_paths.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <numeric>

#include "core/base/assert.hpp"
#include "core/base/json_scan.hpp"

namespace weir::rules {
namespace {

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// In the result, the top bit of each byte of `word` that is not plain in a JSON string: quote, backslash, control, above ASCII.
// The lowest such bit is exact; higher ones may be wrong (a borrow), which is why only the lowest is used.
std::uint64_t odd_bytes(std::uint64_t word) {
    constexpr std::uint64_t ones = 0x0101010101010101ULL;
    constexpr std::uint64_t tops = 0x8080808080808080ULL;
    const std::uint64_t quote = word ^ (ones * '"');
    const std::uint64_t backslash = word ^ (ones * '\\');
    return (((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) | ((word - ones * 0x20) & ~word) | word) &
           tops;
}

}  // namespace

bool is_json(std::string_view content_type) noexcept {
    const std::string_view bare = content_type.substr(0, content_type.find(';'));
    return bare == "application/json" || bare.ends_with("+json");
}

PathTree::PathTree(const std::vector<Path>& paths) : slot_of_path_(paths.size(), none) {
    std::vector<std::uint32_t> all(paths.size());
    std::iota(all.begin(), all.end(), 0U);
    grow(paths, std::move(all), 0);
}

// A branch for the paths `below`, which agree in their first `depth` steps. Slots are given on the way, so that everything
// below a branch has one range of them.
std::uint32_t PathTree::grow(const std::vector<Path>& paths, std::vector<std::uint32_t> below, std::size_t depth) {
    const auto id = static_cast<std::uint32_t>(branches_.size());
    branches_.emplace_back();
    Branch made;
    made.slots_begin = slots_given_;
    std::vector<std::uint32_t> further;
    for (const std::uint32_t path : below) {
        if (paths[path].size() > depth) {
            further.push_back(path);
            continue;
        }
        if (made.slot == none) made.slot = slots_given_++;
        slot_of_path_[path] = made.slot;
    }
    std::sort(further.begin(), further.end(),
              [&](std::uint32_t left, std::uint32_t right) { return paths[left][depth] < paths[right][depth]; });
    std::vector<Member> members;
    std::vector<Element> elements;
    for (auto at = further.begin(); at != further.end();) {
        const PathStep& step = paths[*at][depth];
        const auto end =
            std::find_if(at, further.end(), [&](std::uint32_t path) { return paths[path][depth] != step; });
        const std::uint32_t child = grow(paths, {at, end}, depth + 1);
        if (step.index == none) {
            members.push_back({step.name, child, none});
        } else {
            elements.push_back({step.index, child});
        }
        at = end;
    }
    std::sort(elements.begin(), elements.end(), [](const Element& a, const Element& b) { return a.index < b.index; });
    made.elements_begin = static_cast<std::uint32_t>(elements_.size());
    elements_.insert(elements_.end(), elements.begin(), elements.end());
    made.elements_end = static_cast<std::uint32_t>(elements_.size());
    if (!members.empty()) {
        const auto buckets = static_cast<std::uint32_t>(std::bit_ceil(2 * members.size()));
        made.bucket_mask = buckets - 1;
        made.buckets_begin = static_cast<std::uint32_t>(buckets_.size());
        buckets_.resize(buckets_.size() + buckets, none);
        for (Member& member : members) {
            std::uint32_t& first = buckets_[made.buckets_begin + (bucket_of(member.name) & made.bucket_mask)];
            member.next = first;
            first = static_cast<std::uint32_t>(members_.size());
            members_.push_back(std::move(member));
        }
    }
    made.slots_end = slots_given_;
    branches_[id] = made;
    return id;
}

// Length and two characters: enough to keep most foreign names out of a comparison.
std::uint32_t PathTree::bucket_of(std::string_view name) noexcept {
    if (name.empty()) return 0;
    const auto at = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(name[i])); };
    const std::uint32_t mixed =
        at(0) * 0x9e37U + at(name.size() - 1) * 0x79b9U + static_cast<std::uint32_t>(name.size()) * 0x7f4aU;
    return mixed ^ (mixed >> 8U);
}

std::uint32_t PathTree::member_of(std::uint32_t branch, std::string_view name) const noexcept {
    const Branch& from = branches_[branch];
    if (from.buckets_begin == none) return none;
    std::uint32_t at = buckets_[from.buckets_begin + (bucket_of(name) & from.bucket_mask)];
    while (at != none && members_[at].name != name) at = members_[at].next;
    return at == none ? none : members_[at].branch;
}

// One pass over a payload; recursion is bounded by json_depth_max. The grammar is json_parse's.
class PathReader {
  public:
    PathReader(const PathTree& tree, std::string_view text, std::span<Slot> slots)
        : tree_(tree), at_(text.data()), end_(text.data() + text.size()), slots_(slots) {}

    [[nodiscard]] bool whole() {
        skip_blanks();
        if (!value(0, 0)) return false;
        skip_blanks();
        return at_ == end_;
    }

  private:
    void skip_blanks() {
        while (at_ != end_ && is_blank(*at_)) ++at_;
    }
    [[nodiscard]] bool is(char c) const { return at_ != end_ && *at_ == c; }
    bool take(char c) {
        if (!is(c)) return false;
        ++at_;
        return true;
    }

    // The value of `branch` (none: nobody asks for it).
    bool value(std::uint32_t branch, std::size_t depth) {
        if (at_ == end_) return false;
        const std::uint32_t slot = branch == none ? none : tree_.branches_[branch].slot;
        switch (*at_) {
            case '{':
                return depth < json_depth_max && object(branch, slot, depth + 1);
            case '[':
                return depth < json_depth_max && array(branch, slot, depth + 1);
            case '"':
                return text(slot);
            case 't':
                return word("true", slot, Value::of_boolean(true));
            case 'f':
                return word("false", slot, Value::of_boolean(false));
            case 'n':
                return word("null", slot, {});
            default:
                return number(slot);
        }
    }
    void put(std::uint32_t slot, const Value& value, Slot::Form form = Slot::Form::read) {
        if (slot != none) slots_[slot] = {value, form};
    }

    bool word(std::string_view word, std::uint32_t slot, const Value& value) {
        if (static_cast<std::size_t>(end_ - at_) < word.size() || std::memcmp(at_, word.data(), word.size()) != 0)
            return false;
        at_ += word.size();
        put(slot, value);
        return true;
    }

    bool object(std::uint32_t branch, std::uint32_t slot, std::size_t depth) {
        std::int64_t count = 0;
        ++at_;
        skip_blanks();
        if (!take('}')) {
            for (;;) {
                std::string_view name;
                bool has_escapes = false;
                if (!is('"') || !string(name, has_escapes)) return false;
                skip_blanks();
                if (!take(':')) return false;
                skip_blanks();
                const std::uint32_t member = branch == none ? none : member_of(branch, name, has_escapes);
                if (!value(member, depth)) return false;
                ++count;
                skip_blanks();
                if (take('}')) break;
                if (!take(',')) return false;
                skip_blanks();
            }
        }
        put(slot, Value::of(Type::object, count));
        return true;
    }
    std::uint32_t member_of(std::uint32_t branch, std::string_view name, bool has_escapes) {
        std::array<char, path_name_bytes_max> resolved;
        if (has_escapes) {
            // What does not fit is longer than any name that a path may have.
            const auto bytes = json_text_into({JsonKind::string, {name.data() - 1, name.size() + 2}}, resolved);
            if (!bytes) return none;
            name = {resolved.data(), *bytes};
        }
        const std::uint32_t member = tree_.member_of(branch, name);
        if (member != none) clear(tree_.branches_[member]);
        return member;
    }
    // Of equal names the last counts, whole: what the one before it left below is forgotten.
    void clear(const PathTree::Branch& member) {
        for (std::uint32_t slot = member.slots_begin; slot < member.slots_end; ++slot) slots_[slot] = {};
    }

    bool array(std::uint32_t branch, std::uint32_t slot, std::size_t depth) {
        std::uint32_t element = branch == none ? 0 : tree_.branches_[branch].elements_begin;
        const std::uint32_t elements_end = branch == none ? 0 : tree_.branches_[branch].elements_end;
        std::int64_t count = 0;
        ++at_;
        skip_blanks();
        if (!take(']')) {
            for (;;) {
                std::uint32_t asked = none;
                if (element < elements_end && tree_.elements_[element].index == count) {
                    asked = tree_.elements_[element++].branch;
                }
                if (!value(asked, depth)) return false;
                ++count;
                skip_blanks();
                if (take(']')) break;
                if (!take(',')) return false;
                skip_blanks();
            }
        }
        put(slot, Value::of(Type::list, count));
        return true;
    }

    bool text(std::uint32_t slot) {
        std::string_view inner;
        bool has_escapes = false;
        if (!string(inner, has_escapes)) return false;
        put(slot, Value::of_text(inner), has_escapes ? Slot::Form::written_text : Slot::Form::read);
        return true;
    }
    // Past a string; `inner` is what stands between its quotes.
    bool string(std::string_view& inner, bool& has_escapes) {
        const char* const begin = ++at_;
        for (;;) {
            while (end_ - at_ >= 8) {
                std::uint64_t word = 0;
                std::memcpy(&word, at_, sizeof word);
                const std::uint64_t odd = odd_bytes(word);
                if (odd != 0) {
                    at_ += std::countr_zero(odd) / 8;
                    break;
                }
                at_ += 8;
            }
            if (at_ == end_) return false;
            const auto c = static_cast<unsigned char>(*at_);
            if (c == '"') {
                inner = {begin, static_cast<std::size_t>(at_ - begin)};
                ++at_;
                return true;
            }
            if (c < 0x20) return false;
            if (c == '\\') {
                if (!escape()) return false;
                has_escapes = true;
            } else if (c < 0x80) {
                ++at_;
            } else {
                const std::size_t bytes = utf8_bytes({at_, static_cast<std::size_t>(end_ - at_)});
                if (bytes == 0) return false;
                at_ += bytes;
            }
        }
    }
    bool escape() {
        ++at_;
        if (at_ == end_) return false;
        if (std::string_view("\"\\/bfnrt").find(*at_) != std::string_view::npos) {
            ++at_;
            return true;
        }
        if (!take('u') || end_ - at_ < 4) return false;
        for (int i = 0; i < 4; ++i) {
            if (!is_hex(*at_++)) return false;
        }
        return true;
    }

    bool digits() {
        const char* const begin = at_;
        while (at_ != end_ && is_digit(*at_)) ++at_;
        return at_ != begin;
    }
    bool number(std::uint32_t slot) {
        const char* const begin = at_;
        take('-');
        if (!take('0') && !digits()) return false;
        const char* const whole_end = at_;
        if (take('.') && !digits()) return false;
        if (take('e') || take('E')) {
            if (!take('+')) take('-');
            if (!digits()) return false;
        }
        if (slot == none) return true;
        const auto bytes = static_cast<std::size_t>(at_ - begin);
        if (at_ == whole_end && bytes <= whole_bytes_max) {
            put(slot, Value::of_integer(whole(begin, bytes)));
        } else {
            put(slot, Value::of_text({begin, bytes}), Slot::Form::written_number);
        }
        return true;
    }
    // Up to 18 digits and a sign cannot overflow.
    static constexpr std::size_t whole_bytes_max = 18;
    static std::int64_t whole(const char* begin, std::size_t bytes) {
        const bool is_negative = *begin == '-';
        std::int64_t value = 0;
        for (std::size_t i = is_negative ? 1 : 0; i < bytes; ++i) value = value * 10 + (begin[i] - '0');
        return is_negative ? -value : value;
    }

    const PathTree& tree_;
    const char* at_;
    const char* end_;
    std::span<Slot> slots_;
};

bool PathTree::read(std::string_view text, std::span<Slot> slots) const noexcept {
    WEIR_ASSERT(slots.size() == slot_count());
    WEIR_ASSERT(!branches_.empty());
    std::fill(slots.begin(), slots.end(), Slot{});
    if (PathReader(*this, text, slots).whole()) return true;
    std::fill(slots.begin(), slots.end(), Slot{});
    return false;
}

}  // namespace weir::rules
