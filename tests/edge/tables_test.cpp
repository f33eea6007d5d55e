#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "core/wire/batch.hpp"
#include "edge/tables/table_keeper.hpp"

namespace weir::edge {
namespace {

std::vector<std::byte> image_of(int rows, int fine) {
    wire::TableWriter writer({"fine"});
    for (int n = 0; n < rows; ++n) {
        std::vector<std::byte> cells;
        wire::append_cell({.type = wire::CellType::integer, .integer = n == 5 ? fine : n}, cells);
        writer.add_row(std::to_string(100'000 + n), cells);
    }
    return writer.finish();
}

// The edge's control thread and spool runner in one, and a central by hand.
struct TablesBench {
    TablesBench() {
        std::string pattern = (std::filesystem::temp_directory_path() / "weir-tables-XXXXXX").string();
        EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
        config.data_dir = pattern;
        config.tables.use = {{"offence", {}}};
        start();
    }
    ~TablesBench() { std::filesystem::remove_all(config.data_dir); }
    TablesBench(const TablesBench&) = delete;
    TablesBench& operator=(const TablesBench&) = delete;

    // Again, as after a crash.
    void start() {
        link = std::make_unique<TableLink>();
        keeper.emplace(config, *link, [] {});
        keeper->load();
    }
    void offer(const std::vector<std::byte>& image) {
        std::vector<std::byte> body(sizeof(wire::TableOffersHead) + sizeof(wire::TableOffer));
        wire::store(Bytes(body), wire::TableOffersHead{.tables = 1});
        wire::store(Bytes(body).subspan(sizeof(wire::TableOffersHead)),
                    wire::TableOffer{wire::name_field<wire::table_name_bytes_max>("offence"),
                                     wire::table_version(image), image.size()});
        link->take(wire::FrameKind::table_offers, body);
    }
    // Answers what is pulled, with bytes of `image` or, where it pulls from `from`, of `changes`. Rounds until all is quiet.
    int serve(const std::vector<std::byte>& image, std::uint64_t from = 0, const std::vector<std::byte>& changes = {},
              int parts_max = 1000) {
        int parts = 0;
        for (int quiet = 0; quiet < 3 && parts < parts_max;) {
            has_changed = keeper->look(now) || has_changed;
            const auto pull = link->next_pull();
            quiet = pull ? 0 : quiet + 1;
            if (!pull) continue;
            last_pull = *pull;
            const bool is_changes = from != 0 && pull->from_version == from;
            const auto& bytes = is_changes ? changes : image;
            wire::TableChunkHead head{.name = pull->name, .version = pull->version};
            head.from_version = is_changes ? from : 0;
            head.offset = is_changes || pull->from_version == 0 ? pull->offset : 0;
            head.total_bytes = bytes.size();
            std::vector<std::byte> body(sizeof head);
            wire::store(Bytes(body), head);
            const auto count = std::min<std::size_t>(wire::table_chunk_bytes_max, bytes.size() - head.offset);
            body.insert(body.end(), bytes.begin() + static_cast<std::ptrdiff_t>(head.offset),
                        bytes.begin() + static_cast<std::ptrdiff_t>(head.offset + count));
            link->take(wire::FrameKind::table_chunk, body);
            ++parts;
        }
        has_changed = keeper->look(now) || has_changed;
        return parts;
    }
    std::int64_t fine(std::int64_t code) {
        if (!keeper->share()) return -1;
        const auto column = keeper->share()->find_column("offence", "fine");
        return column ? keeper->share()->read(*column, rules::Value::of_integer(code)).integer : -1;
    }
    std::vector<std::string> files() {
        std::vector<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(config.data_dir + "/tables")) {
            names.push_back(entry.path().filename().string());
        }
        std::sort(names.begin(), names.end());
        return names;
    }

    EdgeConfig config;
    std::unique_ptr<TableLink> link;
    std::optional<TableKeeper> keeper;
    MonotonicNs now{1};
    wire::TablePull last_pull;
    bool has_changed = false;
};

// While the keeper is with one frame, the uplink may already use the buffer of the one before it.
TEST(TableLink, AFrameThatIsDoneWithLeavesRoomForTheNextWhileOthersWait) {
    TableLink link;
    const std::vector<std::byte> body(8);
    for (std::uint32_t n = 0; n < TableLink::frames_max; ++n) link.take(wire::FrameKind::table_chunk, body);
    std::uint64_t taken = 0;
    link.take_frames([&](wire::FrameKind, ConstBytes) {
        link.take(wire::FrameKind::table_chunk, body);
        EXPECT_EQ(link.dropped(), 1U) << "only before the first is done with: " << taken;
        ++taken;
    });
    EXPECT_EQ(taken, TableLink::frames_max);
}

TEST(EdgeTables, ATableComesInPartsIsLookedUpAndIsThereAfterARestartWithoutACentral) {
    TablesBench bench;
    const auto image = image_of(9000, 55);
    EXPECT_EQ(bench.fine(100'005), -1);
    bench.offer(image);
    EXPECT_EQ(bench.serve(image),
              static_cast<int>((image.size() + wire::table_chunk_bytes_max - 1) / wire::table_chunk_bytes_max));
    EXPECT_TRUE(bench.has_changed);
    EXPECT_EQ(bench.fine(100'005), 55);
    bench.start();
    EXPECT_EQ(bench.fine(100'005), 55);
    EXPECT_TRUE(bench.keeper->take_faults().empty());
    // Offered again by whatever central: nothing is asked for.
    bench.offer(image);
    EXPECT_EQ(bench.serve(image), 0);
}

TEST(EdgeTables, AChangedTableComesAsChangesAndOneThatIsCutGoesOnWhereItWas) {
    TablesBench bench;
    const auto image = image_of(9000, 55), next = image_of(9000, 66);
    bench.offer(image);
    EXPECT_EQ(bench.serve(image, 0, {}, 1), 1);  // then the connection is gone
    bench.link->begin_session();
    EXPECT_EQ(bench.serve(image), 0);  // nothing is asked for before its offers
    bench.offer(image);
    EXPECT_EQ(bench.serve(image, 0, {}, 1), 1);
    EXPECT_EQ(bench.last_pull.offset, wire::table_chunk_bytes_max);
    (void)bench.serve(image);
    EXPECT_EQ(bench.fine(100'005), 55);
    bench.offer(next);
    EXPECT_EQ(bench.serve(next, wire::table_version(image), wire::make_changes(image, next).value()), 1);
    EXPECT_EQ(bench.fine(100'005), 66);
    EXPECT_EQ(bench.keeper->counts().changes, 1U);
    EXPECT_EQ(bench.files(), std::vector<std::string>{TableStore::file_name("offence", wire::table_version(next))});
    bench.start();
    EXPECT_EQ(bench.fine(100'005), 66);
}

TEST(EdgeTables, ChangesThatDoNotGiveWhatWasOfferedAreFollowedByTheImage) {
    TablesBench bench;
    const auto image = image_of(100, 55), next = image_of(100, 66);
    bench.offer(image);
    (void)bench.serve(image);
    auto wrong = wire::make_changes(image, next).value();
    wrong[wrong.size() - 1] ^= std::byte{1};
    bench.offer(next);
    (void)bench.serve(next, wire::table_version(image), wrong);
    EXPECT_EQ(bench.fine(100'005), 66);
    EXPECT_EQ(bench.keeper->counts().changes, 0U);
    EXPECT_EQ(bench.keeper->take_faults().size(), 1U);
}

TEST(EdgeTables, AnImageThatIsNotWhatWasOfferedIsRefusedAndTheOldStays) {
    TablesBench bench;
    const auto image = image_of(100, 55), next = image_of(100, 66), other = image_of(100, 67);
    bench.offer(image);
    (void)bench.serve(image);
    bench.offer(next);
    (void)bench.serve(other);
    EXPECT_EQ(bench.fine(100'005), 55);
    EXPECT_EQ(bench.keeper->take_faults(), std::vector<std::string>{"offence: it is not the version that was offered"});
    EXPECT_EQ(bench.serve(other), 0);  // not again and again
    EXPECT_EQ(bench.files(), std::vector<std::string>{TableStore::file_name("offence", wire::table_version(image))});
}

TEST(EdgeTables, OneThatDoesNotFitIsNotTaken) {
    TablesBench bench;
    bench.config.tables.bytes_max = 1U << 16;
    bench.start();
    const auto image = image_of(9000, 1);
    bench.offer(image);
    EXPECT_EQ(bench.serve(image), 0);
    EXPECT_EQ(bench.keeper->take_faults(), std::vector<std::string>{"offence: it does not fit tables.bytes_max"});
}

TEST(EdgeTables, EachDamagedByteOfAStoredTableIsSeenAndTheFileSetAside) {
    TablesBench bench;
    const auto image = image_of(20, 55);
    bench.offer(image);
    (void)bench.serve(image);
    const std::string name = bench.config.data_dir + "/tables/" + bench.files().at(0);
    const auto write = [&](const std::vector<std::byte>& bytes) {
        std::ofstream(name, std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    };
    for (std::size_t at = 0; at < image.size(); ++at) {
        auto damaged = image;
        damaged[at] ^= std::byte{4};
        write(damaged);
        bench.start();
        ASSERT_EQ(bench.fine(100'005), -1) << at;
        ASSERT_EQ(bench.keeper->take_faults(),
                  std::vector<std::string>{name + ": its bytes are not those of its name"});
        ASSERT_EQ(bench.files(), std::vector<std::string>{"offence.damaged"});
    }
    write(image);
    bench.start();
    EXPECT_EQ(bench.fine(100'005), 55);
}

TEST(EdgeTables, APullThatIsNotAnsweredIsRepeated) {
    TablesBench bench;
    const auto image = image_of(10, 1);
    bench.offer(image);
    EXPECT_FALSE(bench.keeper->look(bench.now));
    EXPECT_TRUE(bench.link->next_pull());
    EXPECT_FALSE(bench.keeper->look(bench.now.plus_ns(ns_per_second)));
    EXPECT_FALSE(bench.link->next_pull());
    EXPECT_FALSE(bench.keeper->look(bench.now.plus_ns(3 * ns_per_second)));
    EXPECT_TRUE(bench.link->next_pull());
}

}  // namespace
}  // namespace weir::edge
