#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "central/tables/table_file.hpp"
#include "central/tables/table_keeper.hpp"
#include "central/tables/table_sender.hpp"
#include "core/wire/batch.hpp"

namespace weir::central {
namespace {

// "key class=text:minor fine=integer:5" of each row, for reading.
std::vector<std::string> rows_of(ConstBytes image) {
    wire::TableInfo info;
    std::vector<std::string> rows;
    const char* const why = wire::check_table(image, info);
    if (why != nullptr) return {why};
    for (std::uint64_t at = info.rows_at; at < image.size();) {
        const wire::TableRow row = wire::row_at(image, at);
        std::string line(row.key);
        for (std::uint32_t column = 0; column < info.columns.size(); ++column) {
            const wire::Cell cell = wire::cell_of(row.cells, column);
            line += " " + info.columns[column] + "=" + std::string(wire::text(cell.type));
            if (cell.type == wire::CellType::text) line += ":" + std::string(cell.text);
            if (cell.type == wire::CellType::integer || cell.type == wire::CellType::boolean) {
                line += ":" + std::to_string(cell.integer);
            }
            if (cell.type == wire::CellType::real) line += ":" + std::to_string(cell.real);
        }
        rows.push_back(line);
        at += row.bytes;
    }
    return rows;
}
std::vector<std::string> read(const std::string& name, const std::string& text) {
    const ReadTable made = parse_table(name, text);
    return made.image ? rows_of(*made.image) : made.errors;
}
using Lines = std::vector<std::string>;

TEST(TableFile, CsvValuesAreWhatTheyLookLikeUnlessTheirColumnSaysWhat) {
    EXPECT_EQ(read("a.csv", "key,class,fine\r\n7,minor,50\r\n007,\"12\",0.5\n\"a,\"\"b\"\"\",true,\n"),
              (Lines{"007 class=text:12 fine=real:0.500000", "7 class=text:minor fine=integer:50",
                     "a,\"b\" class=boolean:1 fine=null"}));
    EXPECT_EQ(read("a.csv", "fine:real,key,code:text\n5,x,007\n"), (Lines{"x code=text:007 fine=integer:5"}));
    EXPECT_EQ(read("a.csv", "key,code\nx,007\ny,1e400\n"), (Lines{"x code=text:007", "y code=text:1e400"}));
    EXPECT_EQ(read("a.csv", "key,note\nx,\"two\nlines\"\n\ny,\"\"\n"),
              (Lines{"x note=text:two\nlines", "y note=text:"}));
}

TEST(TableFile, CsvMistakesAreNamedByPlace) {
    EXPECT_EQ(read("a.csv", ""), Lines{"a.csv:1:1: a line of names is missing"});
    EXPECT_EQ(read("a.csv", "name,fine\na,1\n"), Lines{"a.csv:1:1: one of the names must be \"key\""});
    EXPECT_EQ(read("a.csv", "key,fine:number\n"), Lines{"a.csv:1:5: a type is text, integer, real or boolean"});
    EXPECT_EQ(read("a.csv", "key,fine\na,1\nb,1,2\na,3\n"),
              (Lines{"a.csv:3:1: a row of 3 fields under 2 names", "a.csv:4:1: another row has this key: \"a\""}));
    EXPECT_EQ(read("a.csv", "key,fine:integer\na,1\nb,lots\n"), Lines{"a.csv:3:3: \"lots\" is no integer"});
    EXPECT_EQ(read("a.csv", "key,fine\na,\"1\n"), Lines{"a.csv:2:3: a quote is not closed"});
    EXPECT_EQ(read("a.csv", "key,fine\n,1\n"), Lines{"a.csv:2:1: a key has 1 to 256 bytes"});
    EXPECT_EQ(read("a.csv", "key,fine\na,\xff\n"), Lines{"a.csv:2:3: not UTF-8"});
    EXPECT_EQ(read("a.csv", "key,note\na," + std::string(1025, 'x') + "\n"),
              Lines{"a.csv:2:3: a text has at most 1024 bytes"});
    EXPECT_EQ(read("a.csv", "key,a,a\n"), Lines{"a.csv:1:7: another column has this name"});
    EXPECT_EQ(read("a.csv", "key,key\n"), Lines{"a.csv:1:5: another column has this name"});
}

TEST(TableFile, NdjsonRowsAreObjectsWithAKey) {
    EXPECT_EQ(read("a.ndjson", R"({"key":"x","fine":5,"note":"a\u0041","is":false})"
                               "\n\n"
                               R"({"key":12,"fine":0.5})"),
              (Lines{"12 fine=real:0.500000 is=null note=null", "x fine=integer:5 is=boolean:0 note=text:aA"}));
    EXPECT_EQ(
        read("a.ndjson", "{\"key\":\"x\"}\n{\"fine\":1}\n[1]\n{\"key\":1.5}\n{\"key\":\"y\",\"a\":[1]}\n{\"key\": }\n"),
        (Lines{"a.ndjson:2:1: a row needs the member \"key\"", "a.ndjson:3:1: a row is an object",
               "a.ndjson:4:8: a key is a text or a whole number",
               "a.ndjson:5:16: lists and objects are no values of a table", "a.ndjson:6:9: not a value"}));
}

TEST(TableFile, TheSameRowsAreTheSameVersionWhateverTheFileLooksLike) {
    const auto one = parse_table("a.csv", "key,b,a\nx,1,2\ny,3,4\n").image.value();
    const auto other =
        parse_table("a.ndjson", "{\"a\":4,\"b\":3,\"key\":\"y\"}\n{\"key\":\"x\",\"a\":2,\"b\":1}\n").image.value();
    EXPECT_EQ(wire::table_version(one), wire::table_version(other));
}

struct TableDirectory {
    TableDirectory() {
        std::string pattern = (std::filesystem::temp_directory_path() / "weir-tables-XXXXXX").string();
        EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
        path = pattern;
        config.tables = {{"offence", path + "/offence.csv"}};
    }
    ~TableDirectory() { std::filesystem::remove_all(path); }
    TableDirectory(const TableDirectory&) = delete;
    TableDirectory& operator=(const TableDirectory&) = delete;
    void write(const std::string& text) { std::ofstream(config.tables[0].file, std::ios::binary) << text; }
    std::string path;
    CentralConfig config;
};

std::string many_rows(const std::string& special) {
    std::string text = "key,fine\n";
    for (int n = 0; n < 8000; ++n) text += std::to_string(n) + "," + (n == 7 ? special : std::to_string(n)) + "\n";
    return text;
}

TEST(CentralTables, AChangedFileIsANewBookWithChangesFromTheOld) {
    TableDirectory directory;
    directory.write(many_rows("1"));
    TableKeeper keeper(directory.config);
    auto book = keeper.look();
    ASSERT_NE(book, nullptr);
    const std::uint64_t first = book->find("offence")->version;
    EXPECT_EQ(keeper.look(), nullptr);
    EXPECT_EQ(keeper.look(true), nullptr);  // read again, and the same
    for (std::size_t n = 2; n < 7; ++n) {
        directory.write(many_rows(std::to_string(n)));
        book = keeper.look(true);
        ASSERT_NE(book, nullptr);
        EXPECT_EQ(book->find("offence")->changes.size(), std::min<std::size_t>(n - 1, TableKeeper::history_max));
    }
    for (const auto& changes : book->find("offence")->changes) EXPECT_NE(changes.from_version, first);  // too long ago
    directory.write("key\na\na\n");
    EXPECT_EQ(keeper.look(true), nullptr);
    EXPECT_EQ(keeper.take_errors(), Lines{directory.config.tables[0].file + ":3:1: another row has this key: \"a\""});
    EXPECT_EQ(keeper.failures(), 1U);
}

// An edge's part, by hand.
struct Puller {
    Puller(TableSender& from, std::uint32_t session) : sender(from), index(session) {}
    TableSender& sender;
    std::uint32_t index;
    wire::FrameHeader header;
    ConstBytes body;

    bool hear() {
        const ConstBytes frame = sender.next(index);
        if (frame.empty()) return false;
        header = wire::load<wire::FrameHeader>(frame);
        EXPECT_EQ(frame.size(), wire::frame_bytes(header.body_bytes));
        body = frame.subspan(sizeof header, header.body_bytes);
        return true;
    }
    wire::TableOffer offer() const {
        EXPECT_EQ(header.kind, wire::FrameKind::table_offers);
        EXPECT_EQ(wire::load<wire::TableOffersHead>(body).tables, 1U);
        return wire::load<wire::TableOffer>(body.subspan(sizeof(wire::TableOffersHead)));
    }
    bool pull(const wire::TablePull& wanted) { return sender.take_pull(index, std::as_bytes(std::span(&wanted, 1))); }
    // All parts; where it says changes or image.
    std::vector<std::byte> pull_all(wire::TablePull wanted, std::uint64_t& from_version) {
        std::vector<std::byte> all;
        for (std::uint64_t total = 1; all.size() < total;) {
            wanted.offset = all.size();
            EXPECT_TRUE(pull(wanted));
            if (!hear() || header.kind != wire::FrameKind::table_chunk) return {};
            const auto head = wire::load<wire::TableChunkHead>(body);
            EXPECT_LE(body.size(), wire::table_frame_body_bytes_max);
            EXPECT_EQ(head.offset, all.size());
            const ConstBytes bytes = body.subspan(sizeof head);
            all.insert(all.end(), bytes.begin(), bytes.end());
            total = head.total_bytes;
            from_version = wanted.from_version = head.from_version;
            sender.sent(index);
        }
        return all;
    }
};

TEST(CentralTables, AnEdgePullsAnImageAndThenTheChangesAndIsToldOfEachNewBook) {
    TableDirectory directory;
    directory.write(many_rows("1"));
    TableKeeper keeper(directory.config);
    TableBookSlot slot;
    TableSendCounters counters;
    TableSender sender(8, slot, counters);
    slot.offer(keeper.look());
    EXPECT_TRUE(sender.take_book());
    Puller edge(sender, 3);
    EXPECT_FALSE(edge.hear());  // it has not said that it understands tables
    EXPECT_FALSE(edge.pull({}));
    sender.begin(3);
    ASSERT_TRUE(edge.hear());
    const wire::TableOffer first = edge.offer();
    sender.sent(3);
    EXPECT_FALSE(edge.hear());

    std::uint64_t from = 0;
    const auto image = edge.pull_all({.name = first.name, .version = first.version}, from);
    EXPECT_EQ(wire::table_version(image), first.version);
    EXPECT_GT(counters.parts.get(), 2U);
    EXPECT_EQ(from, 0U);

    directory.write(many_rows("99"));
    slot.offer(keeper.look(true));
    EXPECT_TRUE(sender.take_book());
    ASSERT_TRUE(edge.hear());
    const wire::TableOffer second = edge.offer();
    sender.sent(3);
    const auto changes =
        edge.pull_all({.name = first.name, .version = second.version, .from_version = first.version}, from);
    EXPECT_EQ(from, first.version);
    EXPECT_LT(changes.size(), 100U);
    const auto next = wire::apply_changes(image, changes);
    ASSERT_TRUE(next);
    EXPECT_EQ(wire::table_version(*next), second.version);

    // From a version that central does not know: the image. A version that is gone: the offers again.
    const auto whole = edge.pull_all({.name = first.name, .version = second.version, .from_version = 77}, from);
    EXPECT_EQ(from, 0U);
    EXPECT_EQ(whole, *next);
    EXPECT_TRUE(edge.pull({.name = first.name, .version = first.version}));
    ASSERT_TRUE(edge.hear());
    EXPECT_EQ(edge.offer().version, second.version);
}

TEST(CentralTables, NoMorePartsAreUnderWayThanThereAreBuffers) {
    TableDirectory directory;
    directory.write(many_rows("1"));
    TableKeeper keeper(directory.config);
    TableBookSlot slot;
    TableSendCounters counters;
    TableSender sender(8, slot, counters);
    slot.offer(keeper.look());
    EXPECT_TRUE(sender.take_book());
    std::uint32_t heard = 0;
    for (std::uint32_t session = 0; session < 8; ++session) {
        sender.begin(session);
        heard += sender.next(session).empty() ? 0 : 1;
    }
    EXPECT_EQ(heard, TableSender::buffers_max);
    EXPECT_TRUE(sender.next(7).empty());
    sender.end(0);  // a connection that ends gives its buffer back
    EXPECT_FALSE(sender.next(7).empty());
}

}  // namespace
}  // namespace weir::central
