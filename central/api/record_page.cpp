#include "central/api/record_page.hpp"

namespace weir::central {

Status RecordPage::walk(Place from, bool is_cursor, const Visit& visit) {
    if (durable_ == 0) return Done{};
    auto scanner = journal::Scanner::open(directory_, Position{from.position});
    if (!scanner) return scanner.error();
    scanner.value().expect({durable_});
    std::uint64_t index = from.index;
    bool is_first = true;
    while (const auto record = scanner.value().next()) {
        if (record->end.value > durable_) return Done{};
        if (is_first && is_cursor && record->position.value / segment_bytes_ > from.position / segment_bytes_ + 1) {
            return Error{gone_code, "what the cursor names is not kept any more"};
        }
        // A cursor into a record that is not there any more means nothing for another.
        if (is_first && record->position.value != from.position) index = 0;
        is_first = false;
        if (scanned_bytes_ >= scan_bytes_max) {
            next_ = Place{record->position.value, 0};
            return Done{};
        }
        scanned_bytes_ += record->end.value - record->position.value;
        if (const auto rest = visit(*record, index)) {
            next_ = Place{record->position.value, *rest};
            return Done{};
        }
        index = 0;
    }
    return Done{};
}

}  // namespace weir::central
