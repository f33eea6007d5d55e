// RecordPage: a bounded walk over a journal's durable records for one request, and the cursor that goes on where it stopped.
//
// Thread    Any; reads files beside the writer.
// Bounds    scan_bytes_max of the journal, and the record that crosses it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "central/api/query.hpp"
#include "core/base/result.hpp"
#include "core/journal/scan.hpp"

namespace weir::central {

inline constexpr std::uint64_t scan_bytes_max = 1U << 20;
inline constexpr std::uint64_t newest_bytes = 256U << 10;

class RecordPage {
  public:
    struct Place {
        std::uint64_t position = 0;
        std::uint64_t index = 0;  // of the first frame of its record that is still to come
    };
    static constexpr int gone_code = 1;  // of an Error: what the cursor names is not kept any more

    RecordPage(std::string directory, std::uint64_t durable, std::uint64_t segment_bytes)
        : directory_(std::move(directory)), durable_(durable), segment_bytes_(segment_bytes) {}

    // visit(record, first index) for each record from `from` on; it returns the index to go on with in that record, or nullopt: it is
    // done with. After the former the page ends.
    using Visit = std::function<std::optional<std::uint64_t>(const journal::RecordView&, std::uint64_t)>;
    [[nodiscard]] Status walk(Place from, bool is_cursor, const Visit& visit);
    [[nodiscard]] std::uint64_t scanned_bytes() const { return scanned_bytes_; }
    // nullopt: there is nothing behind this page now.
    [[nodiscard]] std::optional<Place> next() const { return next_; }

  private:
    std::string directory_;
    std::uint64_t durable_;
    std::uint64_t segment_bytes_;
    std::uint64_t scanned_bytes_ = 0;
    std::optional<Place> next_;
};

}  // namespace weir::central
