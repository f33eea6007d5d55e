// FlatBuffers' reflection enters weir here and nowhere else.
#include "core/rules/flat_schema.hpp"

#include <flatbuffers/reflection_generated.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <type_traits>

namespace weir::rules {
namespace {

constexpr std::size_t identifier_at = 4;  // after the root's offset
constexpr std::size_t identifier_bytes = 4;
constexpr std::size_t offset_bytes = 4;

const reflection::Schema& schema_of(const std::vector<std::byte>& bfbs) {
    return *reflection::GetSchema(bfbs.data());
}

const reflection::Field* field_named(const reflection::Object& object, std::string_view name) {
    for (const reflection::Field* const field : *object.fields()) {
        if (field->name()->string_view() == name) return field;
    }
    return nullptr;
}

// The table that `name` is; empty: the root_type.
Result<std::uint32_t> root_of(const reflection::Schema& schema, const std::string& name) {
    const reflection::Object* const root_type = schema.root_table();
    if (name.empty() && root_type == nullptr) return Error{0, "the schema has no root_type"};
    const std::string wanted = name.empty() ? root_type->name()->str() : name;
    std::optional<std::uint32_t> found;
    for (std::uint32_t index = 0; index < schema.objects()->size(); ++index) {
        const reflection::Object& object = *schema.objects()->Get(index);
        const std::string whole = object.name()->str();
        if (object.is_struct() || (whole != wanted && !whole.ends_with('.' + wanted))) continue;
        if (whole == wanted) return index;
        if (found) return Error{0, "the schema has more than one table \"" + wanted + "\": say its whole name"};
        found = index;
    }
    if (!found) return Error{0, "the schema has no table \"" + wanted + '"'};
    return *found;
}

// The verifier looks at the schema's bytes; what its numbers lead to is looked at here: whoever plans by it may then trust them.
bool is_whole(const reflection::Schema& schema) {
    const auto leads_somewhere = [&](const reflection::Type& type) {
        const auto is_below = [&](auto count) {
            return type.index() >= 0 && static_cast<std::uint32_t>(type.index()) < count;
        };
        const auto leads = [&](reflection::BaseType base) {
            if (base == reflection::Obj) return is_below(schema.objects()->size());
            return base != reflection::Union || is_below(schema.enums()->size());
        };
        return leads(type.base_type()) && leads(type.element());
    };
    for (const auto* const object : *schema.objects()) {
        if (object->is_struct() && object->bytesize() <= 0) return false;
        for (const auto* const field : *object->fields()) {
            if (!leads_somewhere(*field->type())) return false;
        }
    }
    for (const auto* const one : *schema.enums()) {
        for (const auto* const value : *one->values()) {
            if (value->union_type() != nullptr && !leads_somewhere(*value->union_type())) return false;
        }
    }
    return true;
}

// The value at `at`, wherever it lies; nullopt where that is not inside.
template <class T>
std::optional<T> load(std::string_view payload, std::uint64_t at) noexcept {
    if (at > payload.size() || payload.size() - at < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, payload.data() + at, sizeof value);
    return value;
}

// Where the offset at `at` leads.
std::optional<std::uint64_t> follow(std::string_view payload, std::uint64_t at) noexcept {
    const auto offset = load<std::uint32_t>(payload, at);
    if (!offset) return std::nullopt;
    return at + *offset;
}

// Where the field with this vtable entry lies in the table at `table`; nullopt: absent, or nowhere inside.
std::optional<std::uint64_t> field_at(std::string_view payload, std::uint64_t table, std::uint16_t field) noexcept {
    const auto back = load<std::int32_t>(payload, table);
    if (!back) return std::nullopt;
    const std::int64_t vtable = static_cast<std::int64_t>(table) - *back;
    if (vtable < 0) return std::nullopt;
    const auto vtable_bytes = load<std::uint16_t>(payload, static_cast<std::uint64_t>(vtable));
    if (!vtable_bytes || *vtable_bytes < field + sizeof(std::uint16_t)) return std::nullopt;
    const auto offset = load<std::uint16_t>(payload, static_cast<std::uint64_t>(vtable) + field);
    if (!offset || *offset == 0) return std::nullopt;
    return table + *offset;
}

template <class T>
Value integer_at(std::string_view payload, std::uint64_t at) noexcept {
    const auto value = load<T>(payload, at);
    if (!value) return {};
    if constexpr (sizeof(T) == 8 && !std::is_signed_v<T>) {
        if (*value > static_cast<std::uint64_t>(INT64_MAX)) return Value::of_real(static_cast<double>(*value));
    }
    return Value::of_integer(static_cast<std::int64_t>(*value));
}
template <class T>
Value real_at(std::string_view payload, std::uint64_t at) noexcept {
    const auto value = load<T>(payload, at);
    return value ? Value::of_real(static_cast<double>(*value)) : Value{};
}
Value text_at(std::string_view payload, std::uint64_t at) noexcept {
    const auto text = follow(payload, at);
    const auto bytes = text ? load<std::uint32_t>(payload, *text) : std::nullopt;
    if (!bytes || payload.size() - *text - sizeof *bytes < *bytes) return {};
    return Value::of_text(payload.substr(*text + sizeof *bytes, *bytes));
}

}  // namespace

Result<FlatSchema> FlatSchema::load(Use use, ConstBytes bfbs) {
    FlatSchema schema;
    schema.use_ = std::move(use);
    schema.bfbs_.assign(bfbs.begin(), bfbs.end());
    flatbuffers::Verifier verifier(reinterpret_cast<const std::uint8_t*>(schema.bfbs_.data()), schema.bfbs_.size());
    if (bfbs.size() < identifier_at + identifier_bytes || !reflection::SchemaBufferHasIdentifier(schema.bfbs_.data()) ||
        !reflection::VerifySchemaBuffer(verifier)) {
        return Error{0, "not a binary FlatBuffers schema (flatc --binary --schema)"};
    }
    const reflection::Schema& read = schema_of(schema.bfbs_);
    if (!is_whole(read)) return Error{0, "a binary FlatBuffers schema that contradicts itself"};
    const auto root = root_of(read, schema.use_.root);
    if (!root.ok()) return root.error();
    schema.root_ = root.value();
    return schema;
}

std::string FlatSchema::root_name() const {
    return schema_of(bfbs_).objects()->Get(root_)->name()->str();
}

std::string FlatSchema::identifier() const {
    const reflection::Schema& read = schema_of(bfbs_);
    const auto* const identifier = read.file_ident();
    const bool is_root_type = read.root_table() != nullptr && read.root_table()->name()->str() == root_name();
    return is_root_type && identifier != nullptr && identifier->size() == identifier_bytes ? identifier->str() : "";
}

bool FlatSchema::has(const Path& path) const {
    return FlatPaths(*this, {path}).has(0);
}

// Turns paths into hops along a schema.
class FlatPlanner {
  public:
    using Form = FlatPaths::Form;
    FlatPlanner(const reflection::Schema& schema, std::uint32_t root, FlatPaths& plan)
        : schema_(schema), root_(root), plan_(plan) {}

    std::uint32_t first_hop(const Path& path) {
        planned_.clear();
        const reflection::Object& root = *schema_.objects()->Get(root_);
        if (!path.empty()) return hop(root, path, 0);
        FlatPaths::Hop whole;
        whole.count = root.fields()->size();
        return put(std::move(whole));
    }

  private:
    std::uint32_t put(FlatPaths::Hop hop) {
        plan_.hops_.push_back(std::move(hop));
        return static_cast<std::uint32_t>(plan_.hops_.size() - 1);
    }
    // none: no payload has it. Each object is looked at once per depth, or unions of unions would never end.
    std::uint32_t hop(const reflection::Object& object, const Path& path, std::size_t depth) {
        const auto key = std::make_pair(&object, depth);
        const auto found = planned_.find(key);
        if (found != planned_.end()) return found->second;
        const std::uint32_t made = plan(object, path, depth);
        planned_.emplace(key, made);
        return made;
    }
    std::uint32_t plan(const reflection::Object& object, const Path& path, std::size_t depth) {
        const PathStep& step = path[depth];
        if (step.index != none) return none;
        const reflection::Field* const field = field_named(object, step.name);
        if (field == nullptr || field->deprecated()) return none;
        FlatPaths::Hop made;
        made.is_in_struct = object.is_struct();
        made.is_optional = field->optional();
        made.field = field->offset();
        const reflection::Type& type = *field->type();
        const auto form = form_of(type.base_type(), type.index());
        if (!form) return none;
        made.form = *form;
        made.otherwise = default_of(*field, *form);
        ++depth;
        if (made.form == Form::one_of) return through_union(made, object, *field, path, depth);
        std::int32_t object_index = type.index();
        if (made.form == Form::list) {
            if (depth == path.size()) return put(std::move(made));
            if (path[depth].index == none) return none;
            const auto element = form_of(type.element(), type.index());
            if (!element || *element == Form::list || *element == Form::one_of) return none;
            made.element = path[depth].index;
            made.form = *element;
            made.element_bytes = *element == Form::structure
                                     ? static_cast<std::uint32_t>(object_at(object_index).bytesize())
                                     : static_cast<std::uint32_t>(FlatPaths::bytes_of(*element));
            ++depth;
        }
        const bool is_object = made.form == Form::table || made.form == Form::structure;
        if (is_object) made.count = object_at(object_index).fields()->size();
        if (depth == path.size()) return put(std::move(made));
        if (!is_object) return none;
        const std::uint32_t next = hop(object_at(object_index), path, depth);
        if (next == none) return none;
        made.next.push_back(next);
        return put(std::move(made));
    }
    // What comes after a union depends on the type that the payload says.
    std::uint32_t through_union(FlatPaths::Hop& made, const reflection::Object& object, const reflection::Field& field,
                                const Path& path, std::size_t depth) {
        const reflection::Field* const type_field = field_named(object, field.name()->str() + "_type");
        if (type_field == nullptr) return none;
        made.type_field = type_field->offset();
        if (depth == path.size()) return put(std::move(made));
        bool leads_anywhere = false;
        for (const auto* const value :
             *schema_.enums()->Get(static_cast<std::uint32_t>(field.type()->index()))->values()) {
            const auto* const type = value->union_type();
            if (value->value() < 0 || value->value() > UINT8_MAX || type == nullptr) continue;
            const auto number = static_cast<std::size_t>(value->value());
            if (made.next.size() <= number) made.next.resize(number + 1, none);
            if (type->base_type() != reflection::Obj || object_at(type->index()).is_struct()) continue;
            made.next[number] = hop(object_at(type->index()), path, depth);
            leads_anywhere = leads_anywhere || made.next[number] != none;
        }
        return leads_anywhere ? put(std::move(made)) : none;
    }
    [[nodiscard]] const reflection::Object& object_at(std::int32_t index) const {
        return *schema_.objects()->Get(static_cast<std::uint32_t>(index));
    }
    [[nodiscard]] std::optional<Form> form_of(reflection::BaseType type, std::int32_t index) const {
        switch (type) {
            case reflection::Bool:
                return Form::boolean;
            case reflection::Byte:
                return Form::i8;
            case reflection::UType:
            case reflection::UByte:
                return Form::u8;
            case reflection::Short:
                return Form::i16;
            case reflection::UShort:
                return Form::u16;
            case reflection::Int:
                return Form::i32;
            case reflection::UInt:
                return Form::u32;
            case reflection::Long:
                return Form::i64;
            case reflection::ULong:
                return Form::u64;
            case reflection::Float:
                return Form::f32;
            case reflection::Double:
                return Form::f64;
            case reflection::String:
                return Form::text;
            case reflection::Vector:
                return Form::list;
            case reflection::Obj:
                return object_at(index).is_struct() ? Form::structure : Form::table;
            case reflection::Union:
                return Form::one_of;
            case reflection::None:
            case reflection::Array:
            case reflection::MaxBaseType:
                return std::nullopt;
        }
        return std::nullopt;
    }
    static Value default_of(const reflection::Field& field, Form form) {
        if (form == Form::boolean) return Value::of_boolean(field.default_integer() != 0);
        if (form == Form::f32 || form == Form::f64) return Value::of_real(field.default_real());
        if (form == Form::u64 && field.default_integer() < 0) {
            return Value::of_real(static_cast<double>(static_cast<std::uint64_t>(field.default_integer())));
        }
        return form < Form::f32 && form != Form::root ? Value::of_integer(field.default_integer()) : Value{};
    }

    const reflection::Schema& schema_;
    std::uint32_t root_;
    FlatPaths& plan_;
    std::map<std::pair<const reflection::Object*, std::size_t>, std::uint32_t> planned_;  // of one path
};

FlatPaths::FlatPaths(const FlatSchema& schema, const std::vector<Path>& paths)
    : content_type_(schema.use().content_type), types_(schema.use().types), identifier_(schema.identifier()) {
    FlatPlanner planner(schema_of(schema.bfbs_), schema.root_, *this);
    for (const Path& path : paths) first_hops_.push_back(planner.first_hop(path));
}

std::size_t FlatPaths::bytes_of(Form form) noexcept {
    switch (form) {
        case Form::boolean:
        case Form::i8:
        case Form::u8:
            return 1;
        case Form::i16:
        case Form::u16:
            return 2;
        case Form::i64:
        case Form::u64:
        case Form::f64:
            return 8;
        case Form::i32:
        case Form::u32:
        case Form::f32:
        case Form::text:
        case Form::table:
        case Form::root:
        case Form::structure:
        case Form::list:
        case Form::one_of:
            return offset_bytes;
    }
    return offset_bytes;
}

bool FlatPaths::accepts(std::string_view payload) const noexcept {
    if (payload.size() < identifier_at + identifier_bytes) return false;
    return identifier_.empty() || payload.substr(identifier_at, identifier_bytes) == identifier_;
}

Value FlatPaths::read(std::uint32_t path, std::string_view payload) const noexcept {
    std::uint32_t at_hop = first_hops_[path];
    auto object = follow(payload, 0);
    // One hop per step of the path, at most.
    while (at_hop != none && object) {
        const Hop& hop = hops_[at_hop];
        const std::uint64_t table = *object;
        if (hop.form == Form::root) return Value::of(Type::object, hop.count);
        auto place = hop.is_in_struct ? std::optional(table + hop.field) : field_at(payload, table, hop.field);
        if (!place) return hop.is_optional || hop.element != none ? Value{} : hop.otherwise;
        if (hop.element != none) {
            const auto list = follow(payload, *place);
            const auto count = list ? load<std::uint32_t>(payload, *list) : std::nullopt;
            if (!count || hop.element >= *count) return {};
            place = *list + sizeof *count + std::uint64_t{hop.element} * hop.element_bytes;
        }
        switch (hop.form) {
            case Form::boolean: {
                const auto value = load<std::uint8_t>(payload, *place);
                return value ? Value::of_boolean(*value != 0) : Value{};
            }
            case Form::i8:
                return integer_at<std::int8_t>(payload, *place);
            case Form::u8:
                return integer_at<std::uint8_t>(payload, *place);
            case Form::i16:
                return integer_at<std::int16_t>(payload, *place);
            case Form::u16:
                return integer_at<std::uint16_t>(payload, *place);
            case Form::i32:
                return integer_at<std::int32_t>(payload, *place);
            case Form::u32:
                return integer_at<std::uint32_t>(payload, *place);
            case Form::i64:
                return integer_at<std::int64_t>(payload, *place);
            case Form::u64:
                return integer_at<std::uint64_t>(payload, *place);
            case Form::f32:
                return real_at<float>(payload, *place);
            case Form::f64:
                return real_at<double>(payload, *place);
            case Form::text:
                return text_at(payload, *place);
            case Form::list: {
                const auto list = follow(payload, *place);
                const auto count = list ? load<std::uint32_t>(payload, *list) : std::nullopt;
                return count ? Value::of(Type::list, *count) : Value{};
            }
            case Form::structure:
                object = place;
                break;
            case Form::table:
            case Form::one_of:
                object = follow(payload, *place);
                break;
            case Form::root:
                return {};
        }
        if (!object || *object >= payload.size()) return {};
        if (hop.next.empty()) return Value::of(Type::object, hop.count);
        std::size_t which = 0;
        if (hop.form == Form::one_of) {
            const auto type = field_at(payload, table, hop.type_field);
            which = type ? load<std::uint8_t>(payload, *type).value_or(0) : 0;
        }
        at_hop = which < hop.next.size() ? hop.next[which] : none;
    }
    return {};
}

}  // namespace weir::rules
