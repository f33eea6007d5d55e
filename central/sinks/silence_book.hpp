// SilenceBook: which alerts nobody outside is told of, until when, and who said so.
//
// Thread    Any; one mutex. add() and end() wait for the disk.
// Law       What add() and end() answered well is on the disk; a start goes on with what holds still.
// Bounds    silences_max, each with a name and key of text_bytes_max and a reason of reason_bytes_max; days_max ahead.
// Format    DATA_DIR/silences.0 and .1 (core/journal/checkpoint.hpp): a line of JSON for each: {"id","name","key","until_ms","since_ms","reason","who"};
//           "key" null: every key.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/base/types.hpp"

namespace weir::central {

struct Silence {
    std::uint64_t id = 0;
    std::string name;                // of the alert's rule
    std::optional<std::string> key;  // nothing: every key
    std::uint64_t until_ms = 0;
    std::uint64_t since_ms = 0;
    std::string reason;
    std::string who;
};
// One line, without newline.
[[nodiscard]] std::string json_of(const Silence& silence);

class SilenceBook {
  public:
    static constexpr std::size_t silences_max = 256;
    static constexpr std::size_t text_bytes_max = 256;
    static constexpr std::size_t reason_bytes_max = 1000;
    static constexpr std::uint64_t days_max = 31;
    static constexpr int full_code = 1;  // of an Error: silences_max hold

    // What cannot be read is said in `faults` and passed over.
    SilenceBook(const std::string& data_dir, std::vector<std::string>& faults);
    // In place of one for the same name and key.
    [[nodiscard]] Status add(Silence silence, WallNs now);
    // False: there is none.
    [[nodiscard]] Result<bool> end(std::uint64_t id, WallNs now);
    [[nodiscard]] std::vector<Silence> holding(WallNs now) const;
    // The one that holds longest for that alert.
    [[nodiscard]] std::optional<Silence> of(std::string_view name, std::string_view key, WallNs now) const;

  private:
    [[nodiscard]] Status store(const std::vector<Silence>& silences);
    std::string path_;
    mutable std::mutex mutex_;
    std::vector<Silence> silences_;
    std::uint64_t last_id_ = 0;
    std::uint64_t file_serial_ = 0;
};

}  // namespace weir::central
