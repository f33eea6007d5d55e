#include "core/wire/event_reader.hpp"

#include <cstring>

#include "core/wire/frame.hpp"

namespace weir::wire {
namespace {

constexpr std::uint32_t identifier = 0x54564557;  // "WEVT", read as bytes
constexpr std::uint64_t identifier_at = 4;        // after the root offset
constexpr std::uint64_t offset_bytes = 4;
constexpr std::uint64_t length_bytes = 4;
constexpr std::uint64_t event_bytes_min = 12;  // FLATBUFFERS_MIN_BUFFER_SIZE
// A vtable that names the payload names all fields; builders leave out what is behind the last one that is there.
constexpr std::uint64_t vtable_bytes_min = static_cast<std::uint64_t>(EventField::payload) + sizeof(std::uint16_t);
constexpr std::uint64_t texts_count = 7;
constexpr std::string_view default_content_type = "application/json";
// Offsets are read as unsigned: one that were negative leads out of any event.
static_assert(event_bytes_max < (1U << 31U));

// A FlatBuffer under the verifier's rules: each place is looked at once, and against its end only.
class Fields {
  public:
    explicit Fields(ConstBytes bytes) : data_(bytes.data()), bytes_(bytes.size()) {}

    // Finds table and vtable. Precondition: event_bytes_min bytes, event_bytes_max at most.
    [[nodiscard]] bool open() noexcept {
        table_ = at<std::uint32_t>(0);
        if (table_ == 0 || table_ > bytes_ - offset_bytes) return false;
        const auto back = static_cast<std::uint64_t>(std::int64_t{at<std::int32_t>(table_)});
        vtable_ = table_ - back;  // wraps where the vtable lies outside
        if (vtable_ > bytes_ - vtable_bytes_min) return false;
        const std::uint64_t vtable_bytes = at<std::uint16_t>(vtable_);
        return vtable_bytes >= vtable_bytes_min && vtable_bytes % 2 == 0 && vtable_bytes < bytes_ &&
               vtable_ <= bytes_ - vtable_bytes;
    }
    // A string's or vector's bytes; the former end in a zero that is not theirs. `bytes_max` of them at most.
    enum class Ending : std::uint8_t { none = 0, zero = 1 };
    template <Ending ending>
    [[nodiscard, gnu::always_inline]] bool read_required(EventField field, std::uint64_t bytes_max,
                                                         std::string_view& view) noexcept {
        const std::uint64_t offset = offset_of(field);
        if (offset == 0) return false;
        const std::uint64_t from = table_ + offset;
        if (from > bytes_ - offset_bytes) return false;
        const std::uint64_t way = at<std::uint32_t>(from);
        const std::uint64_t start = from + way;
        if (way == 0 || start > bytes_ - length_bytes) return false;
        const std::uint64_t count = at<std::uint32_t>(start);
        const std::uint64_t room = bytes_ - length_bytes - start;
        if (count > bytes_max || count + static_cast<std::uint64_t>(ending) > room) return false;
        const std::byte* const first = data_ + start + length_bytes;
        if (ending == Ending::zero && first[count] != std::byte{0}) return false;
        view = {reinterpret_cast<const char*>(first), count};
        return true;
    }
    template <Ending ending>
    [[nodiscard, gnu::always_inline]] bool read(EventField field, std::uint64_t bytes_max,
                                                std::string_view& view) noexcept {
        view = {};
        return offset_of(field) == 0 || read_required<ending>(field, bytes_max, view);
    }
    template <class T>
    [[nodiscard, gnu::always_inline]] bool read(EventField field, T otherwise, T& value) noexcept {
        value = otherwise;
        const std::uint64_t offset = offset_of(field);
        if (offset == 0) return true;
        if (table_ + offset > bytes_ - sizeof(T)) return false;
        value = at<T>(table_ + offset);
        return true;
    }

  private:
    // In the table; 0: the field is absent.
    [[nodiscard]] std::uint64_t offset_of(EventField field) const noexcept {
        return at<std::uint16_t>(vtable_ + static_cast<std::uint64_t>(field));
    }
    template <class T>
    [[nodiscard]] T at(std::uint64_t position) const noexcept {
        T value;
        std::memcpy(&value, data_ + position, sizeof value);
        return value;
    }

    const std::byte* data_;
    std::uint64_t bytes_;
    std::uint64_t table_ = 0;
    std::uint64_t vtable_ = 0;
};

// The gate's own copy of it: no call, and no second row of saved registers, for each event.
[[gnu::always_inline]] inline bool read_usual(ConstBytes bytes, EventView& view) noexcept {
    // So short that fields which share bytes cannot come to more than an event may.
    constexpr std::uint64_t bytes_max = event_bytes_max / texts_count;
    static_assert(bytes_max >= 32U << 10);
    if (bytes.size() < event_bytes_min || bytes.size() < vtable_bytes_min || bytes.size() > bytes_max) return false;
    if (load<std::uint32_t>(bytes.subspan(identifier_at)) != identifier) return false;
    Fields fields(bytes);
    if (!fields.open()) return false;
    using enum Fields::Ending;
    if (!fields.read_required<zero>(EventField::id, id_bytes_max, view.id) ||
        !fields.read_required<zero>(EventField::type, type_bytes_max, view.type) ||
        !fields.read_required<zero>(EventField::source, source_bytes_max, view.source) ||
        !fields.read<zero>(EventField::key, key_bytes_max, view.key) ||
        !fields.read<zero>(EventField::content_type, content_type_bytes_max, view.content_type) ||
        !fields.read<none>(EventField::trace_id, trace_id_bytes, view.trace_id) ||
        !fields.read<none>(EventField::payload, bytes_max, view.payload) ||
        !fields.read<std::uint64_t>(EventField::time_ns, 0, view.time.value) ||
        !fields.read(EventField::priority, priority_normal, view.priority)) {
        return false;
    }
    if (view.content_type.empty()) view.content_type = default_content_type;
    return !view.id.empty() && !view.type.empty() && !view.source.empty() && view.priority <= priority_max &&
           (view.trace_id.empty() || view.trace_id.size() == trace_id_bytes);
}

}  // namespace

bool read_usual_event(ConstBytes bytes, EventView& view) noexcept {
    return read_usual(bytes, view);
}

Reason verify_event(ConstBytes bytes, EventView& view) noexcept {
    if (read_usual(bytes, view)) return Reason::none;
    return verify_event_by_library(bytes, view);
}

}  // namespace weir::wire
