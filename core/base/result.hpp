// Result<T>: what an operation on the outside world gives: a value, or an Error that says what failed and why.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "core/base/assert.hpp"

namespace weir {

struct Error {
    int code = 0;      // errno value, 0 where none applies
    std::string what;  // "open /var/lib/weir/lock: Permission denied"
};

// An Error from errno: "WHAT: strerror(code)".
[[nodiscard]] Error error_from_errno(int code, std::string what);

template <class T>
class [[nodiscard]] Result {
  public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit on purpose
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit on purpose
    [[nodiscard]] bool ok() const { return state_.index() == 0; }
    explicit operator bool() const { return ok(); }
    [[nodiscard]] T& value() {
        WEIR_ASSERT(ok());
        return std::get<0>(state_);
    }
    [[nodiscard]] const T& value() const {
        WEIR_ASSERT(ok());
        return std::get<0>(state_);
    }
    [[nodiscard]] const Error& error() const {
        WEIR_ASSERT(!ok());
        return std::get<1>(state_);
    }

  private:
    std::variant<T, Error> state_;
};

struct Done {};
using Status = Result<Done>;

}  // namespace weir
