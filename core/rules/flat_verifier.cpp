// With flat_schema.cpp the seam of FlatBuffers' reflection.
#include "core/rules/flat_verifier.hpp"

#include <flatbuffers/reflection_generated.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "core/wire/event.hpp"

namespace weir::rules {
namespace {

using wire::Reason;

constexpr std::size_t identifier_at = 4;
constexpr std::uint32_t offset_bytes = 4;
constexpr std::uint32_t length_bytes = 4;

std::uint32_t scalar_bytes(reflection::BaseType type) {
    switch (type) {
        case reflection::Bool:
        case reflection::Byte:
        case reflection::UByte:
        case reflection::UType:
            return 1;
        case reflection::Short:
        case reflection::UShort:
            return 2;
        case reflection::Int:
        case reflection::UInt:
        case reflection::Float:
            return 4;
        case reflection::Long:
        case reflection::ULong:
        case reflection::Double:
            return 8;
        case reflection::None:
        case reflection::String:
        case reflection::Vector:
        case reflection::Obj:
        case reflection::Union:
        case reflection::Array:
        case reflection::MaxBaseType:
            return 0;
    }
    return 0;
}

}  // namespace

// One look at one payload.
class FlatWalk {
  public:
    using Form = FlatVerifier::Form;
    FlatWalk(const FlatVerifier& plan, std::string_view payload) : plan_(plan), payload_(payload) {}

    Reason verify() {
        if (const auto root = follow(0)) {
            table(plan_.root_, *root, 1);
        } else {
            fail(Reason::schema_mismatch);
        }
        // What cannot be so at all counts before what a newer schema would know.
        return reason_ == Reason::none && is_newer_ ? Reason::schema_newer : reason_;
    }

  private:
    void fail(Reason reason) {
        if (reason_ == Reason::none) reason_ = reason;
    }
    [[nodiscard]] bool is_inside(std::uint64_t at, std::uint64_t bytes) const {
        return at <= payload_.size() && payload_.size() - at >= bytes;
    }
    template <class T>
    [[nodiscard]] std::optional<T> load(std::uint64_t at) const {
        if (!is_inside(at, sizeof(T))) return std::nullopt;
        T value;
        std::memcpy(&value, payload_.data() + at, sizeof value);
        return value;
    }
    // An offset that leads to itself is refused, but in a list: there flatc's verifier lets it be, and so does this one.
    [[nodiscard]] std::optional<std::uint64_t> follow(std::uint64_t at, bool is_element = false) const {
        const auto offset = load<std::uint32_t>(at);
        if (!offset || (*offset == 0 && !is_element) || *offset > INT32_MAX || !is_inside(at + *offset, 1)) {
            return std::nullopt;
        }
        return at + *offset;
    }
    // Bytes that are looked at count each time, whoever shares them.
    void count(std::uint64_t bytes) {
        logical_bytes_ += bytes;
        if (logical_bytes_ > wire::event_bytes_max) fail(Reason::logical_bytes);
    }

    void table(std::uint32_t shape, std::uint64_t at, std::uint32_t depth) {
        if (depth > wire::event_depth_max || ++tables_ > wire::event_tables_max) return fail(Reason::too_deep);
        const auto back = load<std::int32_t>(at);
        const std::int64_t vtable_at = back ? static_cast<std::int64_t>(at) - *back : -1;
        if (vtable_at < 0) return fail(Reason::schema_mismatch);
        const auto vtable = static_cast<std::uint64_t>(vtable_at);
        const auto vtable_bytes = load<std::uint16_t>(vtable);
        if (!vtable_bytes || *vtable_bytes % 2 != 0 || !is_inside(vtable, *vtable_bytes)) {
            return fail(Reason::schema_mismatch);
        }
        count(sizeof *back + *vtable_bytes);
        const auto place_of = [&](std::uint16_t entry) -> std::optional<std::uint64_t> {
            if (entry >= *vtable_bytes) return std::nullopt;
            const std::uint16_t offset = load<std::uint16_t>(vtable + entry).value_or(0);
            return offset == 0 ? std::nullopt : std::optional(at + offset);
        };
        const FlatVerifier::Shape& fields = plan_.shapes_[shape];
        for (std::uint32_t i = fields.fields_begin; i < fields.fields_end && reason_ == Reason::none; ++i) {
            const FlatVerifier::Field& one = plan_.fields_[i];
            const auto place = place_of(one.entry);
            if (place) {
                field(one, *place, one.form == Form::one_of ? place_of(one.type_entry) : std::nullopt, depth);
            } else if (one.is_required || (one.form == Form::one_of && one.is_list && place_of(one.type_entry))) {
                fail(Reason::schema_mismatch);  // the types of a list of unions, without the list
            }
        }
    }

    void field(const FlatVerifier::Field& one, std::uint64_t at, std::optional<std::uint64_t> type_at,
               std::uint32_t depth) {
        if (one.is_list) return list(one, at, type_at, depth);
        if (one.form == Form::fixed) {
            if (!is_inside(at, one.bytes)) fail(Reason::schema_mismatch);
            return count(one.bytes);
        }
        std::optional<std::uint8_t> type = std::uint8_t{0};
        if (type_at) type = load<std::uint8_t>(*type_at);
        if (!type) return fail(Reason::schema_mismatch);
        offset_to({.form = one.form, .bytes = one.bytes, .index = one.index}, *type, at, depth, false);
    }

    // What the offset at `at` leads to; of a union that of member `type`.
    void offset_to(FlatVerifier::Member what, std::uint8_t type, std::uint64_t at, std::uint32_t depth,
                   bool is_element) {
        count(offset_bytes);
        const auto to = follow(at, is_element);
        if (!to) return fail(Reason::schema_mismatch);
        if (what.form == Form::one_of) {
            if (type == 0) return;
            const auto& members = plan_.unions_[what.index];
            what = type < members.size() ? members[type] : FlatVerifier::Member{};
            if (what.form == Form::nothing) {
                is_newer_ = true;
                return;
            }
        }
        if (what.form == Form::table) return table(what.index, *to, depth + 1);
        if (what.form == Form::text) return text(*to);
        count(what.bytes);
        if (!is_inside(*to, what.bytes)) fail(Reason::schema_mismatch);
    }

    void text(std::uint64_t at) {
        const auto bytes = load<std::uint32_t>(at);
        if (!bytes || !is_inside(at + length_bytes, std::uint64_t{*bytes} + 1) ||
            payload_[at + length_bytes + *bytes] != '\0') {
            return fail(Reason::schema_mismatch);
        }
        count(length_bytes + std::uint64_t{*bytes} + 1);
    }

    // How many elements the list at `at` has; nullopt: they do not lie inside.
    [[nodiscard]] std::optional<std::uint32_t> count_of(std::uint64_t at, std::uint32_t element_bytes) const {
        const auto elements = load<std::uint32_t>(at);
        if (!elements || !is_inside(at + length_bytes, std::uint64_t{*elements} * element_bytes)) return std::nullopt;
        return elements;
    }

    void list(const FlatVerifier::Field& one, std::uint64_t place, std::optional<std::uint64_t> types_place,
              std::uint32_t depth) {
        const auto at = follow(place);
        const auto elements = at ? count_of(*at, one.bytes) : std::nullopt;
        if (!elements) return fail(Reason::schema_mismatch);
        count(offset_bytes + length_bytes);
        if (one.form == Form::fixed) return count(std::uint64_t{*elements} * one.bytes);
        std::optional<std::uint64_t> types;
        if (one.form == Form::one_of) {
            types = types_place ? follow(*types_place) : std::nullopt;
            if (!types || count_of(*types, 1) != elements) return fail(Reason::schema_mismatch);
        }
        const FlatVerifier::Member element{.form = one.form, .bytes = one.bytes, .index = one.index};
        for (std::uint32_t i = 0; i < *elements && reason_ == Reason::none; ++i) {
            const auto type = types ? load<std::uint8_t>(*types + length_bytes + i) : std::nullopt;
            offset_to(element, type.value_or(0), *at + length_bytes + std::uint64_t{i} * offset_bytes, depth, true);
        }
    }

    const FlatVerifier& plan_;
    std::string_view payload_;
    Reason reason_ = Reason::none;
    bool is_newer_ = false;
    std::uint32_t tables_ = 0;
    std::uint64_t logical_bytes_ = 0;
};

FlatVerifier::FlatVerifier(const FlatSchema& schema) : identifier_(schema.identifier()), root_(schema.root_) {
    const reflection::Schema& read = *reflection::GetSchema(schema.bfbs_.data());
    const auto object_at = [&](std::int32_t index) -> const reflection::Object& {
        return *read.objects()->Get(static_cast<std::uint32_t>(index));
    };
    // `bytes`: of a field that is no list, or of an element.
    const auto set_form = [&](auto& made, reflection::BaseType type, std::int32_t index) {
        made.bytes = offset_bytes;
        made.index = index < 0 ? 0 : static_cast<std::uint32_t>(index);
        if (type == reflection::String) {
            made.form = Form::text;
        } else if (type == reflection::Union) {
            made.form = Form::one_of;
        } else if (type == reflection::Obj && !object_at(index).is_struct()) {
            made.form = Form::table;
        } else if (type == reflection::Obj) {
            made.form = Form::fixed;
            made.bytes = static_cast<std::uint32_t>(object_at(index).bytesize());
        } else if (scalar_bytes(type) != 0) {
            made.form = Form::fixed;
            made.bytes = scalar_bytes(type);
        }
    };
    for (const reflection::Object* const object : *read.objects()) {
        Shape& shape = shapes_.emplace_back();
        shape.fields_begin = static_cast<std::uint32_t>(fields_.size());
        for (const reflection::Field* const from : *object->fields()) {
            // What is out of use is not read, so nothing is asked of it.
            if (object->is_struct() || from->deprecated()) continue;
            Field field;
            field.is_list = from->type()->base_type() == reflection::Vector;
            field.is_required = from->required();
            field.entry = from->offset();
            set_form(field, field.is_list ? from->type()->element() : from->type()->base_type(), from->type()->index());
            if (field.form == Form::one_of) {
                const auto* const type = object->fields()->LookupByKey((from->name()->str() + "_type").c_str());
                if (type == nullptr) continue;
                field.type_entry = type->offset();
            }
            if (field.form != Form::nothing) fields_.push_back(field);
        }
        shape.fields_end = static_cast<std::uint32_t>(fields_.size());
    }
    for (const reflection::Enum* const one : *read.enums()) {
        auto& members = unions_.emplace_back();
        for (const reflection::EnumVal* const value : *one->values()) {
            if (!one->is_union() || value->value() <= 0 || value->value() > UINT8_MAX) continue;
            const auto number = static_cast<std::size_t>(value->value());
            if (members.size() <= number) members.resize(number + 1);
            if (value->union_type() == nullptr) continue;
            set_form(members[number], value->union_type()->base_type(), value->union_type()->index());
        }
    }
}

wire::Reason FlatVerifier::verify(std::string_view payload) const noexcept {
    if (!identifier_.empty() &&
        (payload.size() < identifier_at || payload.substr(identifier_at, identifier_.size()) != identifier_)) {
        return Reason::schema_mismatch;
    }
    return FlatWalk(*this, payload).verify();
}

}  // namespace weir::rules
