#include "edge/tables/row_asks.hpp"

#include <utility>

#include "core/wire/batch.hpp"

namespace weir::edge {

RowAsks::RowAsks(std::vector<std::string> tables, RowLink& link) : link_(link) {
    for (const std::string& name : tables) {
        tables_.push_back({.name = wire::name_field<wire::table_name_bytes_max>(name)});
        counters_.push_back(std::make_unique<RowAskCounters>());
    }
}

void RowAsks::begin_session() noexcept {
    may_ask_ = is_asking_ = false;
    for (Table& table : tables_) table.offered = 0;
}

void RowAsks::take_offers(ConstBytes body) noexcept {
    if (body.size() < sizeof(wire::TableOffersHead)) return;
    const auto head = wire::load<wire::TableOffersHead>(body);
    if (head.tables > wire::tables_max || body.size() != sizeof head + head.tables * sizeof(wire::TableOffer)) return;
    may_ask_ = (head.features & wire::offers_feature_rows) != 0;
    for (Table& table : tables_) table.offered = 0;
    for (std::uint32_t index = 0; index < head.tables; ++index) {
        const auto offer = wire::load<wire::TableOffer>(body.subspan(sizeof head + index * sizeof(wire::TableOffer)));
        if (const auto table = find(offer.name)) tables_[*table].offered = offer.version;
    }
    // An ask for a table that is gone is answered with these.
    if (tables_[turn_].offered == 0) {
        is_asking_ = false;
        rest_keys_ = 0;
    }
}

bool RowAsks::has_something(std::size_t table) const noexcept {
    const Table& one = tables_[table];
    if (one.offered == 0) return false;
    const bool is_behind = one.version != 0 && one.version != one.offered;
    const bool has_rest = table == turn_ && rest_keys_ > 0;
    return is_behind || has_rest || one.left_over || link_.has_wish(table);
}

bool RowAsks::is_due(MonotonicNs now) const noexcept {
    const bool waits = is_asking_ && now.since(asked_at_) < ask_again_ns;
    if (!may_ask_ || waits || !link_.has_room()) return false;
    for (std::size_t table = 0; table < tables_.size(); ++table) {
        if (has_something(table)) return true;
    }
    return false;
}

// The tables take turns: one that misses much holds up no other. What was asked and not answered goes first.
ConstBytes RowAsks::next_ask(MonotonicNs now) noexcept {
    if (!is_due(now)) return {};
    if (is_asking_) {
        counters_[turn_]->unanswered.add(1);
        rest_keys_ = 0;
        is_asking_ = false;
        if (!is_due(now)) return {};
    }
    while (rest_keys_ == 0) {
        turn_ = (turn_ + 1) % tables_.size();
        if (has_something(turn_)) break;
    }
    Table& table = tables_[turn_];
    wire::RowBodyWriter ask(body_, wire::RowAskHead{.name = table.name, .version = table.version});
    for (; rest_keys_ > 0; --rest_keys_) {  // they move to the front of where they lie
        const bool has_room = ask.add_key(wire::take_key(body_, rest_at_));
        WEIR_ASSERT(has_room);
    }
    RowWish wish;
    while (ask.head().keys < wire::row_ask_keys_max) {
        if (table.left_over) {
            wish = *table.left_over;
            table.left_over.reset();
        } else if (!link_.next_wish(turn_, wish)) {
            break;
        }
        if (ask.add_key(wish.text())) continue;
        table.left_over = wish;
        break;
    }
    rest_at_ = sizeof(wire::RowAskHead);
    rest_keys_ = ask.head().keys;
    counters_[turn_]->asked_keys.add(ask.head().keys);
    is_asking_ = true;
    asked_at_ = now;
    return ConstBytes(body_).first(ask.finish());
}

void RowAsks::take(wire::FrameKind kind, ConstBytes body) noexcept {
    kind == wire::FrameKind::row_answer ? take_answer(body) : take_changed(body);
}

void RowAsks::take_answer(ConstBytes body) noexcept {
    wire::RowAnswerHead head;
    const char* const why = wire::check_row_answer(body, head);
    const auto at = why == nullptr ? find(head.name) : std::nullopt;
    if (!at) return counters_.front()->faults.add(1);
    const bool is_awaited = *at == turn_ && std::exchange(is_asking_, false);
    Table& table = tables_[*at];
    // The first rows of a table say what version all of it is.
    const bool fits = table.version == 0 || table.version == head.version;
    const bool is_taken = fits && link_.take(*at, wire::FrameKind::row_answer, body);
    if (is_awaited) skip_answered(is_taken ? head.rows : 0);
    if (!is_taken) return counters_[*at]->dropped_frames.add(1);
    if (head.rows > 0) table.version = head.version;
    counters_[*at]->answers.add(1);
}

// Where none was answered none is asked for at once: a central that never answers is not asked at each of its words.
void RowAsks::skip_answered(std::uint32_t rows) noexcept {
    if (rows == 0 || rows >= rest_keys_) {
        rest_keys_ = 0;
        return;
    }
    rest_keys_ -= rows;
    for (; rows > 0; --rows) (void)wire::take_key(body_, rest_at_);
}

void RowAsks::take_changed(ConstBytes body) noexcept {
    wire::TableChangedHead head;
    const char* const why = wire::check_table_changed(body, head);
    const auto at = why == nullptr ? find(head.name) : std::nullopt;
    if (!at) return counters_.front()->faults.add(1);
    Table& table = tables_[*at];
    const bool is_next = head.from_version == table.version;
    if (!is_next || !link_.take(*at, wire::FrameKind::table_changed, body)) {
        return counters_[*at]->dropped_frames.add(1);
    }
    table.version = table.offered = head.version;
    counters_[*at]->changes.add(1);
}

std::optional<std::size_t> RowAsks::find(const std::array<char, wire::table_name_bytes_max>& name) const {
    for (std::size_t table = 0; table < tables_.size(); ++table) {
        if (tables_[table].name == name) return table;
    }
    return std::nullopt;
}

}  // namespace weir::edge
