// PageAssets: the dashboard's files as they are served, built into the binary.
//
// Thread    Any: constant data.
#pragma once

#include <span>
#include <string_view>

namespace weir::central {

struct PageAsset {
    std::string_view path;  // as it is asked for: "/", or "/assets/NAME"
    std::string_view content_type;
    std::string_view etag;  // with its quotes; of both forms
    std::string_view bytes;
    std::string_view gzip;  // the same, compressed; empty where that is not smaller
};
// By path, ascending.
[[nodiscard]] std::span<const PageAsset> page_assets();

}  // namespace weir::central
