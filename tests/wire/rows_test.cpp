#include "core/wire/rows.hpp"

#include <gtest/gtest.h>

#include <random>
#include <span>
#include <string>
#include <vector>

#include "tests/wire/golden.hpp"
#include "tests/wire/samples.hpp"

namespace weir::wire {
namespace {

using Buffer = std::vector<std::byte>;

Buffer cells_of(std::string_view owner, std::int64_t count) {
    Buffer cells;
    append_cell({.type = CellType::text, .text = owner}, cells);
    append_cell({.type = CellType::integer, .integer = count}, cells);
    return cells;
}
void add_column(auto& writer, std::string_view name) {
    const auto length = static_cast<std::byte>(name.size());
    writer.add_raw(ConstBytes(&length, 1));
    writer.add_raw(std::as_bytes(std::span(name)));
}

Buffer sample_ask() {
    Buffer body(row_ask_body_bytes_max);
    RowBodyWriter writer(
        Bytes{body}, RowAskHead{.name = name_field<table_name_bytes_max>("vehicle"), .version = 0x0102030405060708});
    EXPECT_TRUE(writer.add_key("PHL-1"));
    EXPECT_TRUE(writer.add_key("7"));
    body.resize(writer.finish());
    return body;
}

Buffer sample_answer() {
    Buffer body(row_answer_body_bytes_max);
    RowBodyWriter writer(Bytes{body}, RowAnswerHead{.name = name_field<table_name_bytes_max>("vehicle"),
                                                    .version = 0x1112131415161718,
                                                    .columns = 2});
    add_column(writer, "owner");
    add_column(writer, "rides");
    const Buffer cells = cells_of("Ann", -3);
    const ConstBytes view(cells);
    EXPECT_TRUE(writer.add_row("PHL-1", &view));
    EXPECT_TRUE(writer.add_row("7", nullptr));
    body.resize(writer.finish());
    return body;
}

TableChangedHead changed_head(Changed what) {
    return {.name = name_field<table_name_bytes_max>("vehicle"), .from_version = 5, .version = 6, .what = what};
}
Buffer sample_changed(Changed what) {
    Buffer body(table_changed_body_bytes_max);
    RowBodyWriter writer(Bytes{body}, changed_head(what));
    if (what == Changed::keys) {
        EXPECT_TRUE(writer.add_key("a"));
        EXPECT_TRUE(writer.add_key("bc"));
    }
    if (what == Changed::prefix) {
        EXPECT_TRUE(writer.add_key("PHL-"));
    }
    if (what == Changed::value) {
        add_column(writer, "owner");
        Buffer cell;
        append_cell({.type = CellType::text, .text = "Ann"}, cell);
        writer.add_raw(cell);
    }
    body.resize(writer.finish());
    return body;
}

const char* fault_of_ask(ConstBytes body) {
    RowAskHead head;
    return check_row_ask(body, head);
}
const char* fault_of_answer(ConstBytes body) {
    RowAnswerHead head;
    return check_row_answer(body, head);
}
const char* fault_of_changed(ConstBytes body) {
    TableChangedHead head;
    return check_table_changed(body, head);
}

TEST(Rows, AreTheGoldenBytesAndReadBack) {
    Buffer frame;
    samples::append_frame(frame, FrameKind::row_ask, sample_ask());
    golden::expect_golden("row-ask", frame);
    frame.clear();
    samples::append_frame(frame, FrameKind::row_answer, sample_answer());
    golden::expect_golden("row-answer", frame);
    frame.clear();
    samples::append_frame(frame, FrameKind::table_changed, sample_changed(Changed::keys));
    golden::expect_golden("row-changed-keys", frame);
    frame.clear();
    samples::append_frame(frame, FrameKind::table_changed, sample_changed(Changed::value));
    golden::expect_golden("row-changed-value", frame);

    const Buffer ask = sample_ask();
    RowAskHead asked;
    ASSERT_EQ(check_row_ask(ask, asked), nullptr);
    EXPECT_EQ(asked.keys, 2U);
    EXPECT_EQ(name_of(asked.name), "vehicle");
    std::uint64_t at = sizeof asked;
    EXPECT_EQ(take_key(ask, at), "PHL-1");
    EXPECT_EQ(take_key(ask, at), "7");
    EXPECT_EQ(at, ask.size());

    const Buffer answer = sample_answer();
    ASSERT_EQ(fault_of_answer(answer), nullptr);
    EXPECT_EQ(answered_column(answer, "rides"), 1U);
    EXPECT_EQ(answered_column(answer, "ride"), std::nullopt);
    at = answered_rows_at(answer);
    const AnsweredRow row = take_answered_row(answer, at);
    EXPECT_EQ(row.key, "PHL-1");
    EXPECT_EQ(cell_of(row.cells, 0).text, "Ann");
    EXPECT_EQ(load<std::int64_t>(cell_at(row.cells, 1).subspan(1)), -3);
    const AnsweredRow absent = take_answered_row(answer, at);
    EXPECT_TRUE(absent.is_absent);
    EXPECT_EQ(absent.key, "7");
    EXPECT_EQ(at, answer.size());

    const Buffer changed = sample_changed(Changed::value);
    const ChangedValue value = changed_value(changed);
    EXPECT_EQ(value.column, "owner");
    EXPECT_EQ(cell_of(value.cell, 0).text, "Ann");
}

TEST(Rows, EachCutAndEachByteMoreIsRefused) {
    const auto expect = [](const Buffer& whole, const char* (*fault)(ConstBytes)) {
        ASSERT_EQ(fault(whole), nullptr);
        for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
            EXPECT_NE(fault(ConstBytes(whole).first(bytes)), nullptr) << bytes;
        }
        Buffer longer = whole;
        longer.push_back(std::byte{0});
        EXPECT_NE(fault(longer), nullptr);
    };
    expect(sample_ask(), fault_of_ask);
    expect(sample_answer(), fault_of_answer);
    for (const Changed what : {Changed::keys, Changed::prefix, Changed::value, Changed::all}) {
        expect(sample_changed(what), fault_of_changed);
    }
}

// Any byte changed, any number of times: refused, or all of it can be walked through.
TEST(Rows, WhatIsLetThroughCanBeReadToItsEnd) {
    std::mt19937_64 random(11);
    std::size_t passed = 0;
    for (int round = 0; round < 20'000; ++round) {
        Buffer ask = sample_ask(), answer = sample_answer();
        Buffer changed = sample_changed(static_cast<Changed>(1 + round % 4));
        for (Buffer* body : {&ask, &answer, &changed}) {
            for (int n = 0; n < 1 + round % 3; ++n) {
                // Behind the name, which anything may be.
                (*body)[32 + random() % (body->size() - 32)] = static_cast<std::byte>(random());
            }
        }
        RowAskHead asked;
        if (check_row_ask(ask, asked) == nullptr) {
            std::uint64_t at = sizeof asked;
            for (std::uint32_t n = 0; n < asked.keys; ++n) ASSERT_FALSE(take_key(ask, at).empty());
            ASSERT_EQ(at, ask.size());
            ++passed;
        }
        if (fault_of_answer(answer) == nullptr) {
            const auto head = load<RowAnswerHead>(answer);
            std::uint64_t at = answered_rows_at(answer);
            for (std::uint32_t n = 0; n < head.rows; ++n) {
                const AnsweredRow row = take_answered_row(answer, at);
                ASSERT_TRUE(row.is_absent ? row.cells.empty() : are_cells(row.cells, head.columns));
            }
            ASSERT_EQ(at, answer.size());
            ++passed;
        }
        if (fault_of_changed(changed) == nullptr) ++passed;
    }
    EXPECT_GT(passed, 1000U);
}

TEST(Rows, OfTooManyKeysOrWithoutAVersionAreRefused) {
    Buffer ask = sample_ask();
    auto head = load<RowAskHead>(ask);
    head.keys = row_ask_keys_max + 1;
    store(Bytes(ask), head);
    EXPECT_STREQ(fault_of_ask(ask), "it asks for too many keys");
    Buffer answer = sample_answer();
    auto answered = load<RowAnswerHead>(answer);
    answered.version = 0;
    store(Bytes(answer), answered);
    EXPECT_NE(fault_of_answer(answer), nullptr);
    Buffer changed = sample_changed(Changed::all);
    auto change = load<TableChangedHead>(changed);
    change.what = static_cast<Changed>(9);
    store(Bytes(changed), change);
    EXPECT_STREQ(fault_of_changed(changed), "it says nothing that is known");
}

TEST(Rows, AnAnswerHoldsTheLargestRowThereMayBe) {
    const std::string text(table_text_bytes_max, 'x'), key(table_key_bytes_max, 'k');
    const std::string column(table_column_bytes_max, 'c');
    Buffer body(row_answer_body_bytes_max), cells;
    RowBodyWriter writer(Bytes{body}, RowAnswerHead{.version = 1, .columns = table_columns_max});
    for (std::size_t n = 0; n < table_columns_max; ++n) {
        add_column(writer, column);
        append_cell({.type = CellType::text, .text = text}, cells);
    }
    const ConstBytes view(cells);
    EXPECT_TRUE(writer.add_row(key, &view));
    EXPECT_FALSE(writer.add_row(key, &view));
    body.resize(writer.finish());
    EXPECT_EQ(fault_of_answer(body), nullptr);
}

}  // namespace
}  // namespace weir::wire
