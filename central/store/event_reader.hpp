// EventReader: the events of central's journal that are asked for, in the journal's order.
//
// Thread    One. Beside a running daemon.
// Bounds    One record at a time.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/base/result.hpp"
#include "core/journal/scan.hpp"
#include "core/rules/rule_set.hpp"

namespace weir::central {

struct EventQuestion {
    std::uint64_t from_ns = 0;  // of the time at which an event says it was, or arrived where it says none
    std::uint64_t until_ns = UINT64_MAX;
    std::string where;  // a condition of core/rules; empty: all
    std::optional<std::string> key;
};

struct FoundEvent {
    const wire::EventView& event;
    ConstBytes bytes;  // as the edge built it
    std::uint64_t time_ns = 0;
    const wire::BatchHeader& batch;
    Sequence sequence = 0;
};

struct EventTotals {
    std::uint64_t records = 0;
    std::uint64_t events = 0;
    std::uint64_t found = 0;
    std::uint64_t unreadable = 0;  // events that do not verify, batches that are not plain
    std::uint64_t damaged = 0;     // records that do not match their checksum
};

class EventReader {
  public:
    // Fails on a condition that does not compile, with its place, and on a journal that cannot be opened.
    [[nodiscard]] static Result<EventReader> open(const std::string& journal, const EventQuestion& question);
    // Each event that is asked for, until `visit` says false.
    void read(const std::function<bool(const FoundEvent&)>& visit);
    [[nodiscard]] const EventTotals& totals() const { return totals_; }

  private:
    EventReader(EventQuestion question, journal::Scanner scanner)
        : question_(std::move(question)), scanner_(std::move(scanner)) {}
    [[nodiscard]] bool read_record(const journal::RecordView& record,
                                   const std::function<bool(const FoundEvent&)>& visit);
    [[nodiscard]] bool is_asked_for(const FoundEvent& found);

    EventQuestion question_;
    journal::Scanner scanner_;
    std::unique_ptr<rules::RuleSet> rules_;  // the judge points into it
    std::optional<rules::Judge> judge_;
    EventTotals totals_;
};

}  // namespace weir::central
