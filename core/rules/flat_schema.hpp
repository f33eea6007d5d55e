// FlatSchema: FlatBuffers payloads of one content type (and types of events), read by path: a path becomes hops once, and hops are followed per event.
//
// A payload need not be verified before (flat_verifier.hpp does that): each hop checks that what it reads lies inside the payload, so
// that work is bounded by the path's length, whatever the bytes. What lies outside is null.
//
// Thread    Immutable after load(); any number of readers.
// Cost      About 5 ns per hop, for the paths that are asked for.
// Source    flatbuffers 2.0: internals ("FlatBuffers internals", reflection.fbs).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/base/types.hpp"
#include "core/rules/graph.hpp"
#include "core/rules/pattern.hpp"

namespace weir::rules {

class FlatSchema {
  public:
    // Which payloads it is for.
    struct Use {
        std::string content_type;
        std::string root{};  // a table of the schema, by its last name or its whole one; empty: the schema's root_type
        std::string types = "*";  // of events, exactly or as a prefix
    };
    // `bfbs`: what `flatc --binary --schema` makes. A payload holds the root table; if that is the root_type it carries the schema's
    // identifier too, where there is one. Fails if it is no schema or has no such table.
    [[nodiscard]] static Result<FlatSchema> load(Use use, ConstBytes bfbs);
    [[nodiscard]] const Use& use() const { return use_; }
    [[nodiscard]] bool is_for(std::string_view type, std::string_view content_type) const noexcept {
        return content_type == use_.content_type && Pattern::from(use_.types).matches(type);
    }
    // The whole name of the root table.
    [[nodiscard]] std::string root_name() const;
    // Whether any payload of this schema could have the path.
    [[nodiscard]] bool has(const Path& path) const;

  private:
    friend class FlatPaths;
    friend class FlatVerifier;
    // Four bytes that every payload carries; empty: none.
    [[nodiscard]] std::string identifier() const;

    Use use_;
    std::vector<std::byte> bfbs_;
    std::uint32_t root_ = 0;  // index among the schema's objects
};

// The paths of a set of rules in payloads of one schema.
class FlatPaths {
  public:
    FlatPaths(const FlatSchema& schema, const std::vector<Path>& paths);
    [[nodiscard]] bool is_for(std::string_view type, std::string_view content_type) const noexcept {
        return content_type == content_type_ && Pattern::from(types_).matches(type);
    }
    // Whether `payload` can be one: it has room for a root, and the schema's identifier.
    [[nodiscard]] bool accepts(std::string_view payload) const noexcept;
    // What stands at path number `path`; a text points into `payload`.
    [[nodiscard]] Value read(std::uint32_t path, std::string_view payload) const noexcept;
    // Whether a payload could have it.
    [[nodiscard]] bool has(std::uint32_t path) const { return first_hops_[path] != none; }

  private:
    friend class FlatPlanner;
    enum class Form : std::uint8_t {
        root,
        boolean,
        i8,
        u8,
        i16,
        u16,
        i32,
        u32,
        i64,
        u64,
        f32,
        f64,
        text,
        table,
        structure,
        list,
        one_of
    };
    // From a table or struct to what one of its fields holds, and with `element` on to an element of that.
    struct Hop {
        Form form = Form::root;  // of the field, or of its element
        bool is_in_struct = false;
        bool is_optional = false;      // a scalar that is absent is null, not its default
        std::uint16_t field = 0;       // in a table: of its entry in the vtable; in a struct: byte
        std::uint16_t type_field = 0;  // of a union: the entry of its type
        std::uint32_t element = none;  // index
        std::uint32_t element_bytes = 0;
        std::uint32_t count = 0;  // of an object: fields that its table may have
        Value otherwise;          // of an absent scalar
        std::vector<std::uint32_t>
            next;  // the hop after it; of a union by type; none: the path ends nowhere. Empty: it ends here
    };
    [[nodiscard]] static std::size_t bytes_of(Form form) noexcept;

    std::string content_type_;
    std::string types_;
    std::string identifier_;                 // empty or 4 bytes
    std::vector<std::uint32_t> first_hops_;  // by path; none: no payload has it
    std::vector<Hop> hops_;
};

}  // namespace weir::rules
