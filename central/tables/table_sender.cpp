#include "central/tables/table_sender.hpp"

#include <algorithm>
#include <cstring>

#include "core/base/assert.hpp"
#include "core/wire/batch.hpp"

namespace weir::central {
namespace {

constexpr std::size_t frame_bytes_max = wire::frame_bytes(wire::table_frame_body_bytes_max);

std::size_t finish_frame(Bytes frame, wire::FrameKind kind, std::size_t body_bytes) {
    wire::store(frame, wire::FrameHeader{.body_bytes = static_cast<std::uint32_t>(body_bytes), .kind = kind});
    const std::size_t end = sizeof(wire::FrameHeader) + body_bytes;
    const std::size_t whole = wire::frame_bytes(static_cast<std::uint32_t>(body_bytes));
    std::fill(frame.begin() + static_cast<std::ptrdiff_t>(end), frame.begin() + static_cast<std::ptrdiff_t>(whole),
              std::byte{0});
    return whole;
}

}  // namespace

TableSender::TableSender(std::uint32_t sessions, TableBookSlot& slot, TableSendCounters& counters,
                         std::uint32_t row_buffers)
    : slot_(slot),
      counters_(counters),
      sessions_(sessions),
      buffers_(buffers_max * frame_bytes_max),
      row_buffers_(row_buffers * row_buffer_bytes) {
    free_.reserve(buffers_max);
    for (std::uint32_t buffer = 0; buffer < buffers_max; ++buffer) free_.push_back(buffer);
    free_rows_.reserve(row_buffers);
    for (std::uint32_t buffer = 0; buffer < row_buffers; ++buffer) free_rows_.push_back(buffer);
}

TableSender::~TableSender() = default;

bool TableSender::take_book() noexcept {
    const TableBook* const next = slot_.take();
    if (next == nullptr) return false;
    slot_.give_back(book_.release());
    book_.reset(next);
    counters_.books.add(1);
    for (Session& session : sessions_) session.wants_offers = session.is_begun;
    return true;
}

void TableSender::begin(std::uint32_t index, bool asks_rows) noexcept {
    sessions_[index].is_begun = true;
    sessions_[index].asks_rows = asks_rows;
    sessions_[index].wants_offers = book_ != nullptr;
}

bool TableSender::take_pull(std::uint32_t index, ConstBytes body) noexcept {
    Session& session = sessions_[index];
    if (!session.is_begun || book_ == nullptr || body.size() != sizeof(wire::TablePull)) return false;
    session.pull = wire::load<wire::TablePull>(body);  // a second one takes the place of the first
    session.wants_part = true;
    return true;
}

bool TableSender::take_row_ask(std::uint32_t index, ConstBytes body) noexcept {
    Session& session = sessions_[index];
    wire::RowAskHead head;
    if (!session.asks_rows || book_ == nullptr || wire::check_row_ask(body, head) != nullptr) return false;
    counters_.row_asks.add(1);
    const TableEntry* const table = book_->find(wire::name_of(head.name));
    if (table == nullptr) {
        session.wants_offers = true;
        return true;
    }
    if (session.row_buffer != none || free_rows_.empty()) {
        counters_.row_asks_dropped.add(1);
        return true;
    }
    session.row_buffer = free_rows_.back();
    free_rows_.pop_back();
    const Bytes frames = Bytes(row_buffers_).subspan(session.row_buffer * row_buffer_bytes, row_buffer_bytes);
    session.row_bytes = 0;
    if (head.version != 0 && head.version != table->version) {
        session.row_bytes = put_changed(*table, head.version, frames);
    }
    session.row_bytes += put_rows(*table, body, frames.subspan(session.row_bytes));
    return true;
}

ConstBytes TableSender::next(std::uint32_t index) noexcept {
    Session& session = sessions_[index];
    if (session.row_buffer != none) {
        WEIR_ASSERT(!session.is_sending_rows);
        session.is_sending_rows = true;
        counters_.bytes.add(session.row_bytes);
        return ConstBytes(row_buffers_).subspan(session.row_buffer * row_buffer_bytes, session.row_bytes);
    }
    if (!session.wants_offers && !session.wants_part) return {};
    if (free_.empty()) {
        has_turned_away_ = true;
        return {};
    }
    WEIR_ASSERT(session.buffer == none);
    const Bytes frame = Bytes(buffers_).subspan(free_.back() * frame_bytes_max, frame_bytes_max);
    std::size_t bytes = 0;
    if (!session.wants_offers) {
        session.wants_part = false;
        bytes = put_part(session.pull, frame);
        session.wants_offers = bytes == 0;
    }
    if (session.wants_offers) {
        session.wants_offers = false;
        bytes = put_offers(session.asks_rows, frame);
    }
    session.buffer = free_.back();
    free_.pop_back();
    counters_.bytes.add(bytes);
    return frame.first(bytes);
}

void TableSender::sent(std::uint32_t index) noexcept {
    Session& session = sessions_[index];
    if (std::exchange(session.is_sending_rows, false)) {
        free_rows_.push_back(std::exchange(session.row_buffer, none));
        return;
    }
    if (session.buffer == none) return;
    free_.push_back(session.buffer);
    session.buffer = none;
}

void TableSender::end(std::uint32_t index) noexcept {
    sent(index);
    if (sessions_[index].row_buffer != none) free_rows_.push_back(sessions_[index].row_buffer);
    sessions_[index] = {};
}

std::size_t TableSender::put_offers(bool asks_rows, Bytes frame) noexcept {
    std::size_t at = sizeof(wire::FrameHeader);
    // Rows are offered to those alone who may ask: others get what they always got.
    wire::store(frame.subspan(at), wire::TableOffersHead{.tables = static_cast<std::uint32_t>(book_->tables.size()),
                                                         .features = asks_rows ? wire::offers_feature_rows : 0});
    at += sizeof(wire::TableOffersHead);
    for (const TableEntry& table : book_->tables) {
        wire::store(frame.subspan(at), wire::TableOffer{wire::name_field<wire::table_name_bytes_max>(table.name),
                                                        table.version, table.image->size()});
        at += sizeof(wire::TableOffer);
    }
    counters_.offers.add(1);
    return finish_frame(frame, wire::FrameKind::table_offers, at - sizeof(wire::FrameHeader));
}

std::size_t TableSender::put_changed(const TableEntry& table, std::uint64_t from_version, Bytes frame) noexcept {
    const auto known = std::find_if(table.changed_bodies.begin(), table.changed_bodies.end(),
                                    [&](const auto& one) { return one.from_version == from_version; });
    counters_.changes.add(1);
    const Bytes body = frame.subspan(sizeof(wire::FrameHeader));
    if (known != table.changed_bodies.end()) {
        std::copy(known->bytes->begin(), known->bytes->end(), body.begin());
        return finish_frame(frame, wire::FrameKind::table_changed, known->bytes->size());
    }
    wire::store(body, wire::TableChangedHead{.name = wire::name_field<wire::table_name_bytes_max>(table.name),
                                             .from_version = from_version,
                                             .version = table.version});
    return finish_frame(frame, wire::FrameKind::table_changed, sizeof(wire::TableChangedHead));
}

// As many of the keys asked for, from the first on, as fit.
std::size_t TableSender::put_rows(const TableEntry& table, ConstBytes ask, Bytes frame) noexcept {
    const auto head = wire::load<wire::RowAskHead>(ask);
    wire::RowBodyWriter writer(
        frame.subspan(sizeof(wire::FrameHeader), wire::row_answer_body_bytes_max),
        wire::RowAnswerHead{
            .name = head.name, .version = table.version, .columns = wire::load<wire::TableHead>(*table.image).columns});
    writer.add_raw(table.columns());
    std::uint64_t at = sizeof head;
    for (std::uint32_t n = 0; n < head.keys; ++n) {
        const std::string_view key = wire::take_key(ask, at);
        const auto cells = table.find(key);
        if (!writer.add_row(key, cells ? &*cells : nullptr)) break;
        (cells ? counters_.rows : counters_.absent_rows).add(1);
    }
    return finish_frame(frame, wire::FrameKind::row_answer, writer.finish());
}

// 0: there is no such part in this book.
std::size_t TableSender::put_part(const wire::TablePull& pull, Bytes frame) noexcept {
    const TableEntry* const table = book_->find(wire::name_of(pull.name));
    if (table == nullptr || table->version != pull.version) return 0;
    const std::vector<std::byte>* from = table->image.get();
    wire::TableChunkHead head{.name = pull.name, .version = pull.version};
    head.offset = pull.offset;
    const auto known = std::find_if(table->changes.begin(), table->changes.end(),
                                    [&](const auto& one) { return one.from_version == pull.from_version; });
    if (known != table->changes.end()) {
        from = known->bytes.get();
        head.from_version = known->from_version;
    } else if (pull.from_version != 0) {
        head.offset = 0;  // no changes from there: the image, from its beginning
    }
    if (head.offset >= from->size()) return 0;
    head.total_bytes = from->size();
    const std::size_t count = std::min<std::uint64_t>(wire::table_chunk_bytes_max, from->size() - head.offset);
    wire::store(frame.subspan(sizeof(wire::FrameHeader)), head);
    std::memcpy(frame.data() + sizeof(wire::FrameHeader) + sizeof head, from->data() + head.offset, count);
    counters_.parts.add(1);
    return finish_frame(frame, wire::FrameKind::table_chunk, sizeof head + count);
}

}  // namespace weir::central
