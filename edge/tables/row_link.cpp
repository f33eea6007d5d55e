#include "edge/tables/row_link.hpp"

#include <algorithm>
#include <utility>

namespace weir::edge {

RowLink::RowLink(std::size_t tables, std::function<void()> wake_spool, std::function<void()> wake_intake)
    : buffers_(frames_max * buffer_bytes),
      frames_in_(frames_.take_writer()),
      frames_out_(frames_.take_reader()),
      free_in_(free_.take_writer()),
      free_out_(free_.take_reader()),
      wake_spool_(std::move(wake_spool)),
      wake_intake_(std::move(wake_intake)) {
    for (std::size_t table = 0; table < tables; ++table) tables_.push_back(std::make_unique<Wishes>());
    for (std::uint32_t buffer = 0; buffer < frames_max; ++buffer) {
        const bool is_free = free_in_.publish(buffer);
        WEIR_ASSERT(is_free);
    }
}

bool RowLink::wish(std::size_t table, std::string_view key) noexcept {
    WEIR_ASSERT(!key.empty() && key.size() <= wire::table_key_bytes_max);
    RowWish wish;
    wish.key_bytes = static_cast<std::uint16_t>(key.size());
    std::copy(key.begin(), key.end(), wish.key.begin());
    return tables_[table]->in.publish(wish);
}

bool RowLink::take(std::size_t table, wire::FrameKind kind, ConstBytes body) noexcept {
    WEIR_ASSERT(body.size() <= buffer_bytes);
    std::uint32_t buffer = 0;
    if (free_out_.consume({&buffer, 1}) == 0) return false;
    std::copy(body.begin(), body.end(), buffers_.begin() + static_cast<std::ptrdiff_t>(buffer * buffer_bytes));
    const bool is_published =
        frames_in_.publish({static_cast<std::uint32_t>(table), buffer, static_cast<std::uint32_t>(body.size()), kind});
    WEIR_ASSERT(is_published);
    wake_intake_();
    return true;
}

}  // namespace weir::edge
