// Tables: an image is refused, or all of it can be read and written again to the same bytes; changes to a good image are refused, or
// give a good one with the version they name. A table's file becomes an image that is good, or mistakes. Rows that are asked for,
// answered or named as changed are refused, or read to their end.
#include <algorithm>

#include "central/tables/table_file.hpp"
#include "core/wire/rows.hpp"
#include "core/wire/table.hpp"
#include "tests/fuzz/input.hpp"

namespace {
using namespace weir;

std::vector<std::byte> written_again(ConstBytes image, const wire::TableInfo& info) {
    wire::TableWriter writer(info.columns);
    for (std::uint64_t at = info.rows_at; at < image.size();) {
        const wire::TableRow row = wire::row_at(image, at);
        std::vector<std::byte> cells;
        for (std::uint32_t column = 0; column < info.columns.size(); ++column) {
            wire::append_cell(wire::cell_of(row.cells, column), cells);
        }
        WEIR_ASSERT(std::equal(cells.begin(), cells.end(), row.cells.begin(), row.cells.end()));
        writer.add_row(row.key, cells);
        at += row.bytes;
    }
    return writer.finish();
}

std::vector<std::byte> sample() {
    wire::TableWriter writer({"class", "fine"});
    for (const char* key : {"1", "22", "x"}) {
        std::vector<std::byte> cells;
        wire::append_cell({.type = wire::CellType::text, .text = key}, cells);
        wire::append_cell({}, cells);
        writer.add_row(key, cells);
    }
    return writer.finish();
}

void look_at_image(ConstBytes image) {
    wire::TableInfo info;
    if (wire::check_table(image, info) != nullptr) return;
    WEIR_ASSERT(written_again(image, info).size() == image.size());
}

// Behind a head that fits: what is refused by its versions alone teaches nothing.
void look_at_changes(ConstBytes input) {
    const auto now = sample();
    std::vector<std::byte> changes(input.begin(), input.end());
    if (changes.size() >= sizeof(wire::ChangesHead)) {
        auto head = wire::load<wire::ChangesHead>(changes);
        head.from_version = wire::table_version(now);
        wire::store(Bytes(changes), head);
    }
    const auto next = wire::apply_changes(now, changes);
    if (!next) return;
    WEIR_ASSERT(wire::table_version(*next) == wire::load<wire::ChangesHead>(changes).version);
    look_at_image(*next);
}

void look_at_rows(ConstBytes body) {
    wire::RowAskHead ask;
    if (wire::check_row_ask(body, ask) == nullptr) {
        std::uint64_t at = sizeof ask;
        for (std::uint32_t n = 0; n < ask.keys; ++n) WEIR_ASSERT(!wire::take_key(body, at).empty());
        WEIR_ASSERT(at == body.size());
    }
    wire::RowAnswerHead answer;
    if (wire::check_row_answer(body, answer) == nullptr) {
        static_cast<void>(wire::answered_column(body, "fine"));
        std::uint64_t at = wire::answered_rows_at(body);
        for (std::uint32_t n = 0; n < answer.rows; ++n) {
            const wire::AnsweredRow row = wire::take_answered_row(body, at);
            for (std::uint32_t column = 0; !row.is_absent && column < answer.columns; ++column) {
                std::vector<std::byte> cell;
                wire::append_cell(wire::cell_of(row.cells, column), cell);
                WEIR_ASSERT(std::ranges::equal(cell, wire::cell_at(row.cells, column)));
            }
        }
        WEIR_ASSERT(at == body.size());
    }
    wire::TableChangedHead changed;
    if (wire::check_table_changed(body, changed) != nullptr) return;
    std::uint64_t at = sizeof changed;
    for (std::uint32_t n = 0; n < changed.keys; ++n) static_cast<void>(wire::take_key(body, at));
    if (changed.what == wire::Changed::value) WEIR_ASSERT(!wire::changed_value(body).cell.empty());
}

void look_at_file(const std::string& name, ConstBytes input) {
    const std::string text(reinterpret_cast<const char*>(input.data()), input.size());
    const auto made = central::parse_table(name, text);
    WEIR_ASSERT(made.image.has_value() == made.errors.empty());
    wire::TableInfo info;
    WEIR_ASSERT(!made.image || wire::check_table(*made.image, info) == nullptr);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    if (bytes == 0) return 0;
    const ConstBytes input = std::as_bytes(std::span(data + 1, bytes - 1));
    switch (data[0] % 5) {
        case 0:
            look_at_image(input);
            break;
        case 1:
            look_at_changes(input);
            break;
        case 2:
            look_at_file("t.csv", input);
            break;
        case 4:
            look_at_rows(input);
            break;
        default:
            look_at_file("t.ndjson", input);
            break;
    }
    return 0;
}
