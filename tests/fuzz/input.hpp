// Input: takes values off the front of a fuzzer's bytes. Past the end everything is zero, so every input means something.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/base/assert.hpp"
#include "core/base/types.hpp"

namespace weir::fuzz {

[[nodiscard]] inline ConstBytes bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}
[[nodiscard]] inline std::string_view text_of(ConstBytes bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class Input {
  public:
    Input(const std::uint8_t* data, std::size_t bytes) : rest_(std::as_bytes(std::span(data, bytes))) {}

    [[nodiscard]] bool is_empty() const { return rest_.empty(); }
    template <class T>
    [[nodiscard]] T take() {
        static_assert(std::is_integral_v<T>);
        T value = 0;
        const ConstBytes from = take_bytes(sizeof value);
        if (!from.empty()) std::memcpy(&value, from.data(), from.size());
        return value;
    }
    // Up to `bytes`: fewer at the end.
    [[nodiscard]] ConstBytes take_bytes(std::size_t bytes) {
        const ConstBytes front = rest_.first(std::min(bytes, rest_.size()));
        rest_ = rest_.subspan(front.size());
        return front;
    }
    // A length of two bytes, then so many.
    [[nodiscard]] ConstBytes take_part() { return take_bytes(take<std::uint16_t>()); }
    [[nodiscard]] ConstBytes rest() const { return rest_; }

  private:
    ConstBytes rest_;
};

// The bytes in memory of exactly their length: a read one past the end is seen.
[[nodiscard]] inline std::vector<std::byte> copy_of(ConstBytes bytes) {
    return {bytes.begin(), bytes.end()};
}

}  // namespace weir::fuzz

// What a target defines, for libFuzzer and for replay.cpp.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes);
