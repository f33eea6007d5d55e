// SilenceBook: alerts that nobody is to be told of for a time, by an operator's word.
//
// Results are a function of the journal and stay what they are: a silence is looked at when an alert is told (AlertTeller). What was silenced
// then is not told later.
//
// Thread    Any: one lock, held for a walk over at most silences_max. add and remove also write the file.
// Bounds    silences_max that are not over; those that are over make room.
// Format    DATA_DIR/silences.0, .1 (core/journal/checkpoint.hpp): "SIL1", last number, then each: number, from, to, four texts
//           (central/analytics/state_io.hpp).
#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/base/types.hpp"

namespace weir::central {

struct AlertSilence {
    std::uint64_t number = 0;   // from 1; add() gives it
    std::string rule{};         // an alert's name; empty: all
    std::string key{};          // empty: all
    std::uint64_t from_ns = 0;  // wall time; until to_ns, not included
    std::uint64_t to_ns = 0;
    std::string author{};  // who asked for it
    std::string reason{};
};

class SilenceBook {
  public:
    static constexpr std::size_t silences_max = 1024;
    static constexpr std::size_t rule_bytes_max = 64;
    static constexpr std::size_t key_bytes_max = 256;
    static constexpr std::size_t author_bytes_max = 64;
    static constexpr std::size_t reason_bytes_max = 256;

    // A file that cannot be read silences nothing: load() says so, and the book is empty.
    explicit SilenceBook(const std::string& data_dir) : path_(data_dir + "/silences") {}
    [[nodiscard]] Status load();
    // Its number; or why not: to_ns is not after from_ns and `now`, a text is too long, the book is full, the file cannot be written. In
    // force at the moment this returns, on the disk too.
    [[nodiscard]] Result<std::uint64_t> add(AlertSilence silence, WallNs now);
    // False: there is no such one. An error: the file could not be written, and the silence holds on.
    [[nodiscard]] Result<bool> remove(std::uint64_t number);
    // Those that are not over at `now`, oldest first.
    [[nodiscard]] std::vector<AlertSilence> list(WallNs now) const;
    [[nodiscard]] bool is_silenced(std::string_view rule, std::string_view key, WallNs now) const;

  private:
    [[nodiscard]] Status store();  // mutex_ is held

    std::string path_;
    mutable std::mutex mutex_;
    std::vector<AlertSilence> silences_;  // by number
    std::uint64_t last_number_ = 0;
    std::uint64_t file_serial_ = 0;
};

}  // namespace weir::central
