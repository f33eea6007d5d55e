// EventReader: the events of central's journal that are asked for, in the journal's order.
//
// Closed segments are read by their indexes (segment_index.hpp): only blocks in which such events may be. A closed segment without a good
// index is read whole, and gets one; one that is encrypted or damaged gets none.
//
// Thread    One. Beside a running daemon.
// Bounds    One record at a time, and the index of one segment.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "central/store/segment_index.hpp"
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

struct EventTotals {  // of what was read
    std::uint64_t records = 0;
    std::uint64_t events = 0;
    std::uint64_t found = 0;
    std::uint64_t unreadable = 0;       // events that do not verify, batches that are not plain
    std::uint64_t damaged = 0;          // records that do not match their checksum
    std::uint64_t blocks_passed = 0;    // of indexes: nothing that is asked for is in them
    std::uint64_t indexes_written = 0;  // of segments that had none
};

class EventReader {
  public:
    // Fails on a condition that does not compile, with its place, and on a journal that cannot be opened.
    // `indexes`: their directory; empty: everything is read.
    [[nodiscard]] static Result<EventReader> open(const std::string& journal, const EventQuestion& question,
                                                  const std::string& indexes = {});
    // Each event that is asked for, until `visit` says false.
    void read(const std::function<bool(const FoundEvent&)>& visit);
    [[nodiscard]] const EventTotals& totals() const { return totals_; }

  private:
    using Visit = std::function<bool(const FoundEvent&)>;
    // Records that begin in [from, to).
    struct Span {
        std::uint64_t from = 0;
        std::uint64_t to = UINT64_MAX;
        std::optional<std::uint32_t> previous_crc{};
    };
    EventReader(std::string journal, EventQuestion question, std::string indexes)
        : journal_(std::move(journal)), question_(std::move(question)), indexes_(std::move(indexes)) {}
    [[nodiscard]] Status compile();
    // False: `visit` has had enough.
    [[nodiscard]] bool read_segment(const journal::SegmentInfo& segment, bool is_last, const Visit& visit);
    [[nodiscard]] bool read_span(const Span& span, SegmentIndex* made, const Visit& visit);
    [[nodiscard]] bool read_record(const journal::RecordView& record, SegmentIndex* made, const Visit& visit);
    [[nodiscard]] std::vector<Span> spans_of(const SegmentIndex& index, std::uint64_t segment_end);
    [[nodiscard]] bool may_be_in(const IndexBlock& block) const;
    [[nodiscard]] bool is_asked_for(const FoundEvent& found);

    std::string journal_;
    EventQuestion question_;
    std::string indexes_;
    std::vector<journal::SegmentInfo> segments_;
    bool is_whole_ = false;                  // the last span: read to its end, and nothing in it was damaged
    std::unique_ptr<rules::RuleSet> rules_;  // the judge points into it
    std::optional<rules::Judge> judge_;
    EventTotals totals_;
};

}  // namespace weir::central
