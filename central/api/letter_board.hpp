// LetterBoard: dead letters at central by reason, and the newest of them.
//
// Follows the journal of dead letters from its oldest kept segment on. What the retention has released stays counted.
//
// Thread    look() and what it tells: the collector's. milestones(): any.
// Bounds    look_bytes_max of the journal for a look; letters_max letters.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "central/api/milestones.hpp"
#include "central/api/stream_state.hpp"
#include "core/control/letter_filter.hpp"
#include "core/control/letter_marks.hpp"
#include "core/journal/scan.hpp"

namespace weir::central {

class LetterBoard {
  public:
    static constexpr std::size_t letters_max = 100;
    static constexpr std::uint64_t look_bytes_max = 4U << 20;

    LetterBoard(std::string data_dir, std::string directory, std::atomic<std::uint64_t>& durable)
        : data_dir_(std::move(data_dir)), directory_(std::move(directory)), durable_(durable) {}
    // True: there is more to read at once.
    [[nodiscard]] bool look();
    // {"total":..,"by_reason":[..],"expired":..,"bytes":..,"read_to":..}
    [[nodiscard]] std::string text(std::uint64_t expired, std::uint64_t bytes) const;
    // The same object while nothing has changed.
    [[nodiscard]] std::shared_ptr<const StreamState::List> newest();
    [[nodiscard]] const Milestones& milestones() const { return milestones_; }

  private:
    struct Kept {
        std::string id, place;
        std::uint64_t lineage = 0;
        Sequence sequence = 0;
        std::string kept, replayed, purged;  // its text in each state
    };
    void take(const control::DeadLetter& letter);
    [[nodiscard]] bool marks_changed();

    std::string data_dir_, directory_;
    std::atomic<std::uint64_t>& durable_;
    std::optional<journal::Scanner> scanner_;
    std::optional<journal::RecordView> ahead_;  // read, and not durable yet
    std::uint64_t read_to_ = 0;
    std::uint64_t total_ = 0;
    std::map<std::string, std::uint64_t, std::less<>> by_reason_;
    std::deque<Kept> newest_;
    std::shared_ptr<const StreamState::List> list_ = std::make_shared<StreamState::List>();
    bool is_changed_ = false;
    std::string marks_stamp_;
    control::LetterMarks marks_;
    Milestones milestones_;
};

}  // namespace weir::central
