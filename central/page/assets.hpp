// Assets: the page's files, in the binary.
//
// Thread    Any. Nothing changes.
// Bounds    The page's own: what the build put in.
#pragma once

#include <span>
#include <string_view>

namespace weir::central {

struct Asset {
    std::string_view path;          // as asked for: "/" or "/assets/page.js"
    std::string_view content_type;  // "text/html; charset=utf-8"
    std::string_view etag;          // without quotes; another one whenever the bytes are others
    std::string_view bytes;
};
// Empty: this binary has no page.
[[nodiscard]] std::span<const Asset> assets();

}  // namespace weir::central
