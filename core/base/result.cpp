#include "core/base/result.hpp"

#include <system_error>

namespace weir {

Error error_from_errno(int code, std::string what) {
    // generic_category is thread-safe where strerror is not.
    what += ": ";
    what += std::generic_category().message(code);
    return {code, std::move(what)};
}

}  // namespace weir
