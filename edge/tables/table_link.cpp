#include "edge/tables/table_link.hpp"

#include <algorithm>

namespace weir::edge {

TableLink::TableLink()
    : buffers_(frames_max * buffer_bytes),
      frames_in_(frames_.take_writer()),
      frames_out_(frames_.take_reader()),
      free_in_(free_.take_writer()),
      free_out_(free_.take_reader()),
      pulls_in_(pulls_.take_writer()),
      pulls_out_(pulls_.take_reader()) {
    for (std::uint32_t buffer = 0; buffer < frames_max; ++buffer) {
        const bool is_free = free_in_.publish(buffer);
        WEIR_ASSERT(is_free);
    }
}

void TableLink::take(wire::FrameKind kind, ConstBytes body) noexcept {
    if (kind == wire::FrameKind::table_offers) is_offered_ = true;
    std::uint32_t buffer = 0;
    if (body.size() > buffer_bytes || free_out_.consume({&buffer, 1}) == 0) {
        dropped_.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    std::copy(body.begin(), body.end(), buffers_.begin() + static_cast<std::ptrdiff_t>(buffer * buffer_bytes));
    const bool is_published = frames_in_.publish({buffer, static_cast<std::uint32_t>(body.size()), kind});
    WEIR_ASSERT(is_published);
}

std::optional<wire::TablePull> TableLink::next_pull() noexcept {
    wire::TablePull pull;
    if (pulls_out_.consume({&pull, 1}) == 0 || !is_offered_) return std::nullopt;
    return pull;
}

}  // namespace weir::edge
