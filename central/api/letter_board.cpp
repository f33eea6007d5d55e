#include "central/api/letter_board.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <vector>

#include "central/api/json_text.hpp"
#include "central/api/letter_text.hpp"
#include "core/control/letter_reader.hpp"

namespace weir::central {

bool LetterBoard::look() {
    // Pairs with ingest's release: a record up to there is whole.
    const std::uint64_t durable = durable_.load(std::memory_order_acquire);
    if (round_up(read_to_, journal::block_bytes) >= durable) return false;
    if (!scanner_) {
        auto opened = journal::Scanner::open(directory_, {});
        if (!opened) return false;
        scanner_.emplace(std::move(opened.value()));
    }
    scanner_->expect({durable});
    for (const std::uint64_t until = read_to_ + look_bytes_max; read_to_ < until;) {
        if (!ahead_) ahead_ = scanner_->next();
        if (!ahead_ || ahead_->end.value > durable) return false;
        static_cast<void>(
            control::for_each_letter(*ahead_, [&](const control::DeadLetter& letter, std::uint32_t) { take(letter); }));
        milestones_.note(ahead_->position.value);
        read_to_ = ahead_->end.value;
        ahead_.reset();
    }
    return true;
}

void LetterBoard::take(const control::DeadLetter& letter) {
    ++total_;
    ++by_reason_[std::string(wire::text(letter.head.reason))];
    using control::LetterState;
    if (newest_.size() == letters_max) newest_.pop_front();
    newest_.push_back({id_of(letter), letter.marks_place(), letter.lineage, letter.sequence,
                       text_of(letter, LetterState::kept), text_of(letter, LetterState::replayed),
                       text_of(letter, LetterState::purged)});
    is_changed_ = true;
}

std::string LetterBoard::text(std::uint64_t expired, std::uint64_t bytes) const {
    std::vector<std::pair<std::uint64_t, std::string_view>> order;
    for (const auto& [reason, count] : by_reason_) order.emplace_back(count, reason);
    std::sort(order.begin(), order.end(), std::greater<>());
    ListText reasons;
    for (const auto& [count, reason] : order) {
        reasons.add(ObjectText().text("reason", reason).number("count", count).end());
    }
    ObjectText text;
    text.number("total", total_).raw("by_reason", reasons.end()).number("expired", expired).number("bytes", bytes);
    return text.number("read_to", read_to_).end();
}

// Marks are made by this daemon and by command lines beside it.
bool LetterBoard::marks_changed() {
    struct stat info {};
    std::string stamp;
    if (::stat((data_dir_ + "/dead-letter-marks").c_str(), &info) == 0) {
        stamp = std::to_string(info.st_size) + ':' + std::to_string(info.st_mtim.tv_sec) + '.' +
                std::to_string(info.st_mtim.tv_nsec);
    }
    if (stamp == marks_stamp_) return false;
    std::vector<std::string> faults;
    auto loaded = control::LetterMarks::load(data_dir_, faults);
    if (!loaded) return false;
    marks_stamp_ = std::move(stamp);
    marks_ = std::move(loaded.value());
    return true;
}

std::shared_ptr<const StreamState::List> LetterBoard::newest() {
    if (!marks_changed() && !is_changed_) return list_;
    is_changed_ = false;
    auto next = std::make_shared<StreamState::List>();
    for (const Kept& one : newest_) {
        const auto state = marks_.state_of(one.place, one.lineage, one.sequence);
        const bool is_replayed = state == control::LetterState::replayed;
        next->insert_or_assign(one.id, is_replayed                             ? one.replayed
                                       : state == control::LetterState::purged ? one.purged
                                                                               : one.kept);
    }
    list_ = std::move(next);
    return list_;
}

}  // namespace weir::central
