// StateWriter, StateReader: how operators put their state into bytes and take it back.
//
// Law       The bytes are a function of the logical state alone: no pointer, no order of a hash table gets into them. Equal states give
//           equal bytes, whether they were built up or loaded.
// Ownership The reader's bytes are the caller's. It never reads past them: what is missing reads as 0 and is_ok() turns false.
// Format    Little-endian, fixed widths; a text or a list is a 32-bit count and its elements.
#pragma once

#include <bit>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/base/types.hpp"

namespace weir::analytics {

static_assert(std::endian::native == std::endian::little);

class StateWriter {
  public:
    template <class T>
    void put(T value) {
        static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T> || sizeof(T) == 16);
        char raw[sizeof(T)];
        std::memcpy(raw, &value, sizeof(T));
        bytes_.append(raw, sizeof(T));
    }
    void count(std::size_t value) { put(static_cast<std::uint32_t>(value)); }
    void text(std::string_view value) {
        count(value.size());
        bytes_.append(value);
    }
    void append(std::string_view bytes) { bytes_.append(bytes); }
    // Its room stays.
    void clear() { bytes_.clear(); }
    [[nodiscard]] const std::string& bytes() const { return bytes_; }
    [[nodiscard]] std::string take() { return std::move(bytes_); }

  private:
    std::string bytes_;
};

class StateReader {
  public:
    explicit StateReader(std::string_view bytes) : rest_(bytes) {}
    template <class T>
    [[nodiscard]] T get() {
        T value{};
        if (rest_.size() < sizeof(T)) {
            fail();
            return value;
        }
        std::memcpy(&value, rest_.data(), sizeof(T));
        rest_.remove_prefix(sizeof(T));
        return value;
    }
    // 0, and no longer ok, if there are more than `count_max`, or more than the bytes that are left.
    [[nodiscard]] std::uint32_t count(std::size_t count_max) {
        const auto value = get<std::uint32_t>();
        if (value <= count_max && value <= rest_.size()) return value;
        fail();
        return 0;
    }
    [[nodiscard]] std::string_view text(std::size_t bytes_max) {
        const std::uint32_t bytes = count(bytes_max);
        const std::string_view value = rest_.substr(0, bytes);
        rest_.remove_prefix(bytes);
        return value;
    }
    void fail() {
        is_ok_ = false;
        rest_ = {};
    }
    // Of whoever finds a value that cannot be.
    void require(bool holds) {
        if (!holds) fail();
    }
    [[nodiscard]] bool is_ok() const { return is_ok_; }
    [[nodiscard]] bool is_done() const { return is_ok_ && rest_.empty(); }

  private:
    std::string_view rest_;
    bool is_ok_ = true;
};

}  // namespace weir::analytics
