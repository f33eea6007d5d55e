// PathTree: all payload paths of a set of rules, read from JSON in one pass: checked whole, nothing copied, nothing built.
//
// Thread    Immutable after construction; any number of readers, each with its own slots.
// Cost      About one nanosecond per byte of payload.
// Law       Accepts exactly what json_parse accepts, and finds what json_path finds: the last of equal names.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/rules/graph.hpp"

namespace weir::rules {

[[nodiscard]] bool is_json(std::string_view content_type) noexcept;

// What a path found. A number with point or exponent and a text with escapes are kept as written until somebody asks.
struct Slot {
    Value value;  // a written one: type text, the bytes of the number or of the text between its quotes
    // in_flatbuffer: nobody has followed the path yet.
    enum class Form : std::uint8_t { read, written_number, written_text, in_flatbuffer } form = Form::read;
};

class PathTree {
  public:
    PathTree() = default;
    explicit PathTree(const std::vector<Path>& paths);
    // The slot of the path with this number.
    [[nodiscard]] std::uint32_t slot_of(std::uint32_t path) const { return slot_of_path_[path]; }
    [[nodiscard]] std::size_t slot_count() const { return slot_of_path_.size(); }
    // Fills `slots` (slot_count of them). False if `text` is no JSON: then all are null.
    [[nodiscard]] bool read(std::string_view text, std::span<Slot> slots) const noexcept;

  private:
    friend class PathReader;
    struct Branch {
        std::uint32_t slot = none;
        std::uint32_t slots_begin = 0;  // of it and everything below it
        std::uint32_t slots_end = 0;
        std::uint32_t buckets_begin = none;  // of member names, none without any
        std::uint32_t bucket_mask = 0;
        std::uint32_t elements_begin = 0;  // in order of their index
        std::uint32_t elements_end = 0;
    };
    struct Member {
        std::string name;
        std::uint32_t branch = none;
        std::uint32_t next = none;  // in its bucket
    };
    struct Element {
        std::uint32_t index = 0;
        std::uint32_t branch = none;
    };
    [[nodiscard]] static std::uint32_t bucket_of(std::string_view name) noexcept;
    [[nodiscard]] std::uint32_t member_of(std::uint32_t branch, std::string_view name) const noexcept;
    std::uint32_t grow(const std::vector<Path>& paths, std::vector<std::uint32_t> below, std::size_t depth);

    std::vector<std::uint32_t> slot_of_path_;
    std::uint32_t slots_given_ = 0;
    std::vector<Branch> branches_;  // the root first
    std::vector<Member> members_;
    std::vector<std::uint32_t> buckets_;  // first member or none
    std::vector<Element> elements_;
};

}  // namespace weir::rules
