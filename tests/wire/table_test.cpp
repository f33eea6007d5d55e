#include "core/wire/table.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/wire/golden.hpp"

namespace weir::wire {
namespace {

using Rows = std::map<std::string, std::vector<Cell>>;

std::vector<std::byte> image_of(const Rows& rows, const std::vector<std::string>& columns = {"class", "fine"}) {
    TableWriter writer(columns);
    for (const auto& [key, row] : rows) {
        std::vector<std::byte> cells;
        for (const Cell& cell : row) append_cell(cell, cells);
        writer.add_row(key, cells);
    }
    return writer.finish();
}
Cell text_cell(std::string_view value) {
    return {.type = CellType::text, .text = value};
}
Cell integer_cell(std::int64_t value) {
    return {.type = CellType::integer, .integer = value};
}

Rows sample() {
    return {{"1", {text_cell("minor"), integer_cell(-5)}},
            {"22", {Cell{}, {.type = CellType::real, .real = 0.5}}},
            {"x", {{.type = CellType::boolean, .integer = 1}, Cell{}}}};
}

TEST(Table, ReadsBackWhatWasWritten) {
    const auto image = image_of(sample());
    TableInfo info;
    ASSERT_EQ(check_table(image, info), nullptr);
    EXPECT_EQ(info.columns, (std::vector<std::string>{"class", "fine"}));
    EXPECT_EQ(info.rows, 3U);
    const TableRow one = row_at(image, info.rows_at);
    EXPECT_EQ(one.key, "1");
    EXPECT_EQ(cell_of(one.cells, 0).text, "minor");
    EXPECT_EQ(cell_of(one.cells, 1).integer, -5);
    const TableRow two = row_at(image, info.rows_at + one.bytes);
    EXPECT_EQ(cell_of(two.cells, 0).type, CellType::null);
    EXPECT_EQ(cell_of(two.cells, 1).real, 0.5);
    const TableRow three = row_at(image, info.rows_at + one.bytes + two.bytes);
    EXPECT_EQ(cell_of(three.cells, 0).integer, 1);
    EXPECT_EQ(info.rows_at + one.bytes + two.bytes + three.bytes, image.size());
}

TEST(Table, EachCutAndEachByteMoreIsRefused) {
    const auto image = image_of(sample());
    TableInfo info;
    for (std::size_t bytes = 0; bytes < image.size(); ++bytes) {
        EXPECT_NE(check_table(ConstBytes(image).first(bytes), info), nullptr) << bytes;
    }
    auto longer = image;
    longer.push_back(std::byte{0});
    EXPECT_NE(check_table(longer, info), nullptr);
}

TEST(Table, RowsOutOfOrderAndRowsTwiceAreRefused) {
    TableInfo info;
    for (const char* second : {"a", "b"}) {
        TableWriter writer({});
        writer.add_row("b", {});
        writer.add_row(second, {});
        EXPECT_STREQ(check_table(writer.finish(), info), "its rows are not in order");
    }
}

TEST(Table, AFlippedBitIsAnotherVersion) {
    const auto image = image_of(sample());
    for (std::size_t bit = 0; bit < 8 * image.size(); ++bit) {
        auto flipped = image;
        flipped[bit / 8] ^= std::byte{1} << (bit % 8);
        EXPECT_NE(table_version(flipped), table_version(image)) << bit;
    }
}

// Random tables on a std::map: what leads from one to the next gives exactly the next.
TEST(Table, ChangesLeadFromAnyTableToAnyOther) {
    std::mt19937_64 random(3);
    Rows now;
    for (int step = 0; step < 400; ++step) {
        Rows next = now;
        for (std::uint64_t n = random() % 6; n > 0; --n) {
            const std::string key(1 + random() % 2, static_cast<char>('a' + random() % 20));
            if (random() % 3 == 0) {
                next.erase(key);
            } else {
                next[key] = {text_cell(random() % 2 == 0 ? "one" : "two"),
                             integer_cell(static_cast<int>(random() % 3))};
            }
        }
        const auto from = image_of(now), to = image_of(next);
        const auto changes = make_changes(from, to);
        ASSERT_TRUE(changes);
        EXPECT_EQ(apply_changes(from, *changes), to);
        // To another table they do not apply, nor cut, nor with a bit flipped.
        if (from != to) {
            EXPECT_FALSE(apply_changes(to, *changes));
        }
        EXPECT_FALSE(apply_changes(from, ConstBytes(*changes).first(random() % changes->size())));
        auto flipped = *changes;
        flipped[random() % flipped.size()] ^= std::byte{1} << (random() % 8);
        const auto wrong = apply_changes(from, flipped);
        // Reserved bytes are not looked at; all else is seen.
        if (wrong) {
            EXPECT_EQ(*wrong, to);
        }
        now = next;
    }
    EXPECT_GT(now.size(), 5U);
    EXPECT_FALSE(make_changes(image_of({}, {"a"}), image_of({}, {"b"})));
}

TEST(Table, TheFormatIsWhatItWas) {
    const auto image = image_of(sample());
    golden::expect_golden("table-image", image);
    Rows next = sample();
    next.erase("22");
    next["3"] = {text_cell("new"), Cell{}};
    golden::expect_golden("table-changes", make_changes(image, image_of(next)).value());
}

}  // namespace
}  // namespace weir::wire
