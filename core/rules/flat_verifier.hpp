// FlatVerifier: whether a FlatBuffers payload is what its schema says, checked whole before anything of it counts.
//
// What a schema of now does not know is skipped (fields that were added) or named (a union member that was added): rules must not
// guess what such an event is about.
//
// Thread    Immutable after construction; any number of readers. Nothing here allocates.
// Bounds    The caps of core/wire/event.hpp: event_depth_max, event_tables_max, and event_bytes_max of logical size, so that bytes to which
//           many offsets lead cost their sender as much as us.
// Cost      About 100 ns for a table with a few texts.
// Source    flatbuffers 2.0: the verifier that flatc generates; tests/fuzz/fuzz_payload.cpp compares the two.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/rules/flat_schema.hpp"
#include "core/wire/verdict.hpp"

namespace weir::rules {

class FlatVerifier {
  public:
    explicit FlatVerifier(const FlatSchema& schema);
    // none, or why not: schema_mismatch, schema_newer, too_deep or logical_bytes. `payload` needs no alignment.
    [[nodiscard]] wire::Reason verify(std::string_view payload) const noexcept;

  private:
    friend class FlatWalk;
    enum class Form : std::uint8_t { nothing, fixed, text, table, one_of };
    struct Field {
        Form form = Form::nothing;
        bool is_list = false;
        bool is_required = false;
        std::uint16_t entry = 0;       // in the vtable
        std::uint16_t type_entry = 0;  // of a union: that of its type
        std::uint32_t bytes = 0;       // of what is fixed, or of one element
        std::uint32_t index = 0;       // of a table's shape, or of a union
    };
    struct Shape {  // of a table
        std::uint32_t fields_begin = 0;
        std::uint32_t fields_end = 0;
    };
    struct Member {  // of a union; `nothing`: no such member
        Form form = Form::nothing;
        std::uint32_t bytes = 0;
        std::uint32_t index = 0;
    };

    std::string identifier_;
    std::uint32_t root_ = 0;
    std::vector<Field> fields_;
    std::vector<Shape> shapes_;                // by the schema's objects
    std::vector<std::vector<Member>> unions_;  // by the schema's enums
};

}  // namespace weir::rules
