// RowWriter: rows in the order in which they were offered, with their positions, by a thread of its own.
#include "central/analysis/row_writer.hpp"

#include <gtest/gtest.h>

#include <atomic>

#include "tests/central/central_bench.hpp"

namespace weir::central::test {
namespace {

constexpr std::uint64_t never_ns = 3600 * ns_per_second;  // no transaction is due by time alone

analytics::Definitions definitions() {
    analytics::Definitions told;
    told.windows.emplace_back().name = "w";
    told.alerts.emplace_back();
    told.alerts.back().rule.name = "a";
    return told;
}

RecordRows record_of(std::uint64_t position, std::size_t rows) {
    RecordRows record;
    record.position = {position};
    record.arrival = {1};
    for (std::size_t index = 0; index < rows; ++index) {
        analytics::WindowResult result;
        result.key = std::to_string(position) + "-" + std::to_string(index);
        record.results.windows.emplace_back(0, std::move(result));
    }
    return record;
}

struct WriterBench {
    explicit WriterBench(std::uint64_t commit_ns, std::function<void()> on_news = {})
        : store(std::move(ResultStore::open(results_path(directory.path())).value())), book(*store, UINT64_MAX) {
        EXPECT_TRUE(store->clear().ok());
        book.use(told, UINT64_MAX);
        writer.emplace(book, counters, commit_ns, std::move(on_news));
    }
    [[nodiscard]] std::int64_t number(const std::string& sql) const {
        auto database = Database::open(results_path(directory.path()), Database::Use::ask);
        auto asked = database.value().prepare(sql);
        EXPECT_TRUE(asked.ok() && asked.value().step().ok());
        return asked.value().number(0);
    }
    [[nodiscard]] std::uint64_t rows_to() const {
        auto database = Database::open(results_path(directory.path()), Database::Use::ask);
        return cursor_of(database.value(), "analytics").value();
    }

    Directory directory;
    analytics::Definitions told = definitions();
    std::unique_ptr<ResultStore> store;
    RowBook book;
    RowCounters counters;
    std::optional<RowWriter> writer;
};

TEST(RowWriter, StoresRowsInTheOrderOfOffersWithTheirPositions) {
    WriterBench bench(1);
    std::uint64_t rows = 0;
    for (std::uint64_t position = 1; position <= 500; ++position) {
        ASSERT_TRUE(bench.writer->offer(record_of(position, position % 7)).ok());
        rows += position % 7;
    }
    ASSERT_TRUE(bench.writer->finish().ok());
    EXPECT_EQ(bench.rows_to(), 500U);
    EXPECT_EQ(bench.counters.position.get(), 500U);
    EXPECT_EQ(bench.counters.waiting.get(), 0U);
    EXPECT_EQ(bench.number("SELECT count(*) FROM windows"), static_cast<std::int64_t>(rows));
    EXPECT_EQ(bench.number("SELECT count(*) FROM windows a JOIN windows b ON b.serial = a.serial + 1 WHERE "
                           "b.position < a.position"),
              0);
    // Rows go with the position: nothing of a record beyond it is there, and all before it is.
    ASSERT_TRUE(bench.writer->wait_for(500).ok());
}

TEST(RowWriter, WaitsForAStateUntilItsRowsAreCommitted) {
    WriterBench bench(20 * ns_per_ms);
    for (std::uint64_t position = 1; position <= 50; ++position) {
        ASSERT_TRUE(bench.writer->offer(record_of(position, 3)).ok());
        if (position % 10 != 0) continue;
        ASSERT_TRUE(bench.writer->wait_for(position).ok());
        EXPECT_GE(bench.rows_to(), position);
    }
}

TEST(RowWriter, ManyRowsAndNewsDoNotWaitForTheirTime) {
    std::atomic<int> told = 0;
    WriterBench bench(never_ns, [&] { ++told; });
    ASSERT_TRUE(bench.writer->offer(record_of(1, 1)).ok());  // the first transaction is due at once
    ASSERT_TRUE(bench.writer->wait_for(1).ok());
    ASSERT_TRUE(bench.writer->offer(record_of(2, RowWriter::rows_at_once)).ok());
    ASSERT_TRUE(bench.writer->wait_for(2).ok());
    EXPECT_EQ(told.load(), 0);
    RecordRows news = record_of(3, 1);
    news.results.notices.emplace_back();
    ASSERT_TRUE(bench.writer->offer(std::move(news)).ok());
    ASSERT_TRUE(bench.writer->wait_for(3).ok());
    EXPECT_EQ(told.load(), 1);
    EXPECT_EQ(bench.number("SELECT count(*) FROM alerts"), 1);
}

TEST(RowWriter, OfMoreThanMayWaitTheRestIsHeldBackAndNothingIsLost) {
    WriterBench bench(never_ns);
    constexpr std::uint64_t records = 60;
    std::uint64_t most = 0;
    for (std::uint64_t position = 1; position <= records; ++position) {
        ASSERT_TRUE(bench.writer->offer(record_of(position, 5000)).ok());
        most = std::max(most, bench.counters.waiting.get());
    }
    EXPECT_LE(most, RowWriter::rows_waiting_max);
    ASSERT_TRUE(bench.writer->finish().ok());
    EXPECT_EQ(bench.number("SELECT count(*) FROM windows"), static_cast<std::int64_t>(records * 5000));
    EXPECT_GT(bench.counters.commits.get(), 10U);
}

TEST(RowWriter, WhatTheStoreRefusesIsSaidAndNothingMoreIsStored) {
    WriterBench bench(1);
    ASSERT_TRUE(bench.writer->offer(record_of(1, 1)).ok());
    ASSERT_TRUE(bench.writer->finish().ok());
    ASSERT_TRUE(bench.store->database().run("DROP TABLE windows").ok());
    ASSERT_TRUE(bench.writer->offer(record_of(2, 1)).ok());
    EXPECT_FALSE(bench.writer->finish().ok());
    EXPECT_FALSE(bench.writer->offer(record_of(3, 0)).ok());
    EXPECT_FALSE(bench.writer->wait_for(3).ok());
    EXPECT_EQ(bench.rows_to(), 1U);
}

}  // namespace
}  // namespace weir::central::test
