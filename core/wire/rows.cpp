#include "core/wire/rows.hpp"

namespace weir::wire {
namespace {

std::string_view text_in(ConstBytes bytes, std::uint64_t at, std::size_t count) {
    return {reinterpret_cast<const char*>(bytes.data()) + at, count};
}

// Moves `at` behind a key; false if none lies there.
bool pass_key(ConstBytes body, std::uint64_t& at) noexcept {
    if (body.size() - at < sizeof(std::uint16_t)) return false;
    const auto bytes = load<std::uint16_t>(body.subspan(at));
    if (bytes == 0 || bytes > table_key_bytes_max || bytes > body.size() - at - sizeof bytes) return false;
    at += sizeof bytes + bytes;
    return true;
}

const char* check_keys(ConstBytes body, std::uint64_t at, std::uint32_t keys) noexcept {
    for (std::uint32_t index = 0; index < keys; ++index) {
        if (!pass_key(body, at)) return "it ends within its keys";
    }
    return at == body.size() ? nullptr : "something follows its last key";
}

bool pass_column(ConstBytes body, std::uint64_t& at) noexcept {
    if (at >= body.size()) return false;
    const auto bytes = static_cast<std::size_t>(body[at]);
    if (bytes == 0 || bytes > table_column_bytes_max || bytes > body.size() - at - 1) return false;
    at += 1 + bytes;
    return true;
}

bool pass_row(ConstBytes body, std::uint64_t& at, std::uint16_t columns) noexcept {
    if (body.size() - at < sizeof(AnsweredRowHead)) return false;
    const auto head = load<AnsweredRowHead>(body.subspan(at));
    const std::uint64_t bytes = std::uint64_t{head.key_bytes} + head.cells_bytes;
    if (head.key_bytes == 0 || head.key_bytes > table_key_bytes_max) return false;
    if (bytes > body.size() - at - sizeof head) return false;
    const ConstBytes cells = body.subspan(at + sizeof head + head.key_bytes, head.cells_bytes);
    if (head.is_absent != 0 ? !cells.empty() : !are_cells(cells, columns)) return false;
    at += sizeof head + bytes;
    return true;
}

}  // namespace

const char* check_row_ask(ConstBytes body, RowAskHead& head) noexcept {
    if (body.size() < sizeof head) return "it is shorter than its head";
    if (body.size() > row_ask_body_bytes_max) return "it is larger than an ask may be";
    head = load<RowAskHead>(body);
    if (head.keys > row_ask_keys_max) return "it asks for too many keys";
    return check_keys(body, sizeof head, head.keys);
}

const char* check_row_answer(ConstBytes body, RowAnswerHead& head) noexcept {
    if (body.size() < sizeof head) return "it is shorter than its head";
    if (body.size() > row_answer_body_bytes_max) return "it is larger than an answer may be";
    head = load<RowAnswerHead>(body);
    if (head.rows > row_ask_keys_max || head.columns > table_columns_max || head.version == 0) {
        return "it has too many rows or columns, or no version";
    }
    std::uint64_t at = sizeof head;
    for (std::uint16_t column = 0; column < head.columns; ++column) {
        if (!pass_column(body, at)) return "it ends within its columns";
    }
    for (std::uint32_t row = 0; row < head.rows; ++row) {
        if (!pass_row(body, at, head.columns)) return "a row is none";
    }
    return at == body.size() ? nullptr : "something follows its last row";
}

const char* check_table_changed(ConstBytes body, TableChangedHead& head) noexcept {
    if (body.size() < sizeof head) return "it is shorter than its head";
    if (body.size() > table_changed_body_bytes_max) return "it is larger than a change may be";
    head = load<TableChangedHead>(body);
    if (head.version == 0) return "it has no version";
    std::uint64_t at = sizeof head;
    switch (head.what) {
        case Changed::keys:
            return check_keys(body, at, head.keys);
        case Changed::prefix:
            return head.keys == 1 ? check_keys(body, at, 1) : "it has not one prefix";
        case Changed::value:
            if (head.keys != 0 || !pass_column(body, at)) return "it names no column";
            return are_cells(body.subspan(at), 1) ? nullptr : "its value is none";
        case Changed::all:
            return head.keys == 0 && at == body.size() ? nullptr : "something follows it";
    }
    return "it says nothing that is known";
}

std::string_view take_key(ConstBytes body, std::uint64_t& at) noexcept {
    const std::uint64_t begin = at + sizeof(std::uint16_t);
    const bool is_there = pass_key(body, at);
    WEIR_ASSERT(is_there);
    return text_in(body, begin, at - begin);
}

std::optional<std::uint32_t> answered_column(ConstBytes body, std::string_view name) noexcept {
    const auto head = load<RowAnswerHead>(body);
    std::uint64_t at = sizeof head;
    for (std::uint32_t column = 0; column < head.columns; ++column) {
        const std::uint64_t begin = at + 1;
        const bool is_there = pass_column(body, at);
        WEIR_ASSERT(is_there);
        if (text_in(body, begin, at - begin) == name) return column;
    }
    return std::nullopt;
}

std::uint64_t answered_rows_at(ConstBytes body) noexcept {
    const auto head = load<RowAnswerHead>(body);
    std::uint64_t at = sizeof head;
    for (std::uint32_t column = 0; column < head.columns; ++column) {
        const bool is_there = pass_column(body, at);
        WEIR_ASSERT(is_there);
    }
    return at;
}

AnsweredRow take_answered_row(ConstBytes body, std::uint64_t& at) noexcept {
    const auto head = load<AnsweredRowHead>(body.subspan(at));
    at += sizeof head;
    AnsweredRow row;
    row.key = text_in(body, at, head.key_bytes);
    row.is_absent = head.is_absent != 0;
    row.cells = body.subspan(at + head.key_bytes, head.cells_bytes);
    at += std::uint64_t{head.key_bytes} + head.cells_bytes;
    return row;
}

ChangedValue changed_value(ConstBytes body) noexcept {
    std::uint64_t at = sizeof(TableChangedHead);
    const std::uint64_t begin = at + 1;
    const bool is_there = pass_column(body, at);
    WEIR_ASSERT(is_there);
    return {text_in(body, begin, at - begin), body.subspan(at)};
}

}  // namespace weir::wire
