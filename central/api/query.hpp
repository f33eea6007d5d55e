// Query: what stands behind the '?' of a target, read with names and bounds, and the opaque cursors of pages.
//
// Thread    Any.
// Law       A name that is not asked for, one that comes twice, and a value that is not what its name says is a fault; the first is kept.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace weir::central {

[[nodiscard]] std::optional<std::uint64_t> number_of(std::string_view text);
// RFC 3339, or ns since 1970.
[[nodiscard]] std::optional<std::uint64_t> time_of(std::string_view text);
// %41 and + are what they stand for; nullopt: half a code.
[[nodiscard]] std::optional<std::string> decoded(std::string_view text);

class Query {
  public:
    Query(std::string_view target, std::initializer_list<std::string_view> names);
    [[nodiscard]] const std::string& fault() const { return fault_; }

    // nullopt where it is not there, or is a fault.
    [[nodiscard]] std::optional<std::string> text(std::string_view name) const;
    [[nodiscard]] std::optional<std::string> choice(std::string_view name,
                                                    std::initializer_list<std::string_view> choices);
    [[nodiscard]] std::optional<std::uint64_t> number(std::string_view name, std::uint64_t least, std::uint64_t most);
    [[nodiscard]] std::optional<std::uint64_t> time(std::string_view name);
    // Of a cursor that make_cursor(kind, ...) made.
    [[nodiscard]] std::optional<std::uint64_t> cursor_first(char kind);
    [[nodiscard]] std::uint64_t cursor_second() const { return cursor_second_; }

    [[nodiscard]] const std::map<std::string, std::string, std::less<>>& all() const { return values_; }

  private:
    void fail(std::string_view name, std::string_view what);
    std::map<std::string, std::string, std::less<>> values_;
    std::uint64_t cursor_second_ = 0;
    std::string fault_;
};

// A place in a list: opaque to those who hand it back.
[[nodiscard]] std::string make_cursor(char kind, std::uint64_t first, std::uint64_t second = 0);

// "ab*" is all that begins with "ab"; nothing is everything.
[[nodiscard]] bool agrees(const std::optional<std::string>& wanted, std::string_view text);

}  // namespace weir::central
