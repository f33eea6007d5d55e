// Gathered: what the parts of a gathered write hold, and where one that moved only some of it goes on.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <span>

#include "core/base/assert.hpp"
#include "core/base/types.hpp"

namespace weir::io {

[[nodiscard]] inline ConstBytes bytes_of(const iovec& part) {
    return {static_cast<const std::byte*>(part.iov_base), part.iov_len};
}

[[nodiscard]] inline std::size_t gathered_bytes(std::span<const iovec> parts) {
    std::size_t bytes = 0;
    for (const iovec& part : parts) bytes += part.iov_len;
    return bytes;
}

// Of the part in which the byte lies that is `moved` behind the first: it and what follows it there. Precondition: there is one.
[[nodiscard]] inline ConstBytes rest_of_part(std::span<const iovec> parts, std::size_t moved) {
    for (const iovec& part : parts) {
        if (moved < part.iov_len) return bytes_of(part).subspan(moved);
        moved -= part.iov_len;
    }
    WEIR_ASSERT(false);
    return {};
}

}  // namespace weir::io
