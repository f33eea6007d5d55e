// Keyed beside a list and a map: the same seeded steps give the same keys, the same oldest one and the same bytes.
#include "central/analytics/keyed.hpp"

#include <gtest/gtest.h>

#include <list>
#include <map>

#include "tests/simulation/random.hpp"

namespace weir::analytics::test {
namespace {

using Table = Keyed<std::uint64_t>;

struct Model {
    std::list<std::string> order;  // the one touched longest ago first
    std::map<std::string, std::uint64_t> states;

    std::uint64_t& touch(const std::string& key) {
        order.remove(key);
        order.push_back(key);
        return states[key];
    }
    void erase(const std::string& key) {
        states.erase(key);
        order.remove(key);  // last: the key may be one of these
    }
    [[nodiscard]] std::string bytes() const {
        StateWriter out;
        out.count(states.size());
        for (const std::string& key : order) {
            out.text(key);
            out.put(states.at(key));
        }
        return out.bytes();
    }
};

std::string bytes_of(const Table& table) {
    StateWriter out;
    table.save(out);
    return out.bytes();
}

void expect_same(Table& table, const Model& model) {
    ASSERT_EQ(table.count(), model.states.size());
    ASSERT_EQ(bytes_of(table), model.bytes());
    const Table::Slot oldest = table.oldest();
    ASSERT_EQ(oldest == Table::no_slot, model.order.empty());
    if (oldest != Table::no_slot) {
        ASSERT_EQ(table.key_of(oldest), model.order.front());
    }
}

TEST(Keyed, DoesWhatAListAndAMapDo) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        sim::Random random(seed);
        Table table;
        Model model;
        const std::uint64_t keys = random.within(1, 300);
        for (int step = 0; step < 4000; ++step) {
            const std::string key = "key-" + std::to_string(random.below(keys));
            const Table::Slot found = table.find(key);
            ASSERT_EQ(found != Table::no_slot, model.states.contains(key));
            ASSERT_TRUE(found == Table::no_slot || table.key_of(found) == key);
            if (random.chance(600)) {
                const Table::Slot slot = table.touch(key);
                ASSERT_TRUE(found == Table::no_slot || found == slot) << "a slot has moved";
                table.at(slot) += 1;
                model.touch(key) += 1;
            } else if (random.chance(700)) {
                if (found != Table::no_slot) {
                    table.erase(found);
                    ASSERT_FALSE(table.is_used(found));
                    model.erase(key);
                }
            } else if (const Table::Slot oldest = table.oldest(); oldest != Table::no_slot) {
                ASSERT_EQ(table.key_of(oldest), model.order.front());
                model.erase(model.order.front());
                table.erase(oldest);
            }
            if (step % 97 == 0) expect_same(table, model);
        }
        expect_same(table, model);
        const std::string bytes = bytes_of(table);
        Table loaded;
        StateReader in(bytes);
        loaded.load(in, 1000, [&](std::uint64_t& state) { state = in.get<std::uint64_t>(); });
        ASSERT_TRUE(in.is_done());
        expect_same(loaded, model);
    }
}

std::string text_of(const TableCopy& copy) {
    std::string text;
    copy.write([&](std::string_view piece) { text.append(piece); });
    EXPECT_EQ(text.size(), copy.bytes());
    return text;
}

TEST(Keyed, ACopyIsOfTheMomentAtWhichItBeganWhateverComesMeanwhile) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        sim::Random random(seed);
        Table table;
        const std::uint64_t keys = random.within(1, 300);
        bool is_copying = false;
        std::string then;
        std::size_t copies = 0;
        TableCopy room;
        for (int step = 0; step < 10'000; ++step) {
            const std::string key = "key-" + std::to_string(random.below(keys));
            const Table::Slot found = table.find(key);
            switch (random.below(4)) {
                case 0:
                    table.touch(key);
                    break;
                case 1:
                    if (found != Table::no_slot) table.at(found) += 1;
                    break;
                case 2:
                    if (found != Table::no_slot && random.chance(400)) table.erase(found);
                    break;
                default:
                    if (const Table::Slot oldest = table.oldest(); oldest != Table::no_slot && random.chance(100)) {
                        table.erase(oldest);
                    }
            }
            if (!is_copying && random.chance(50)) {
                then = bytes_of(table);
                table.begin_copy(random.chance(500) ? std::move(room) : TableCopy());
                is_copying = true;
            } else if (is_copying && random.chance(300) && table.copy_some(random.within(1, 20)) > 0) {
                room = table.take_copy();
                ASSERT_EQ(text_of(room), then) << seed << ", step " << step;
                is_copying = false;
                ++copies;
            }
        }
        ASSERT_GT(copies, 10U);
    }
}

TEST(Keyed, OfKeysThatComeAndGoNothingIsLeftBehind) {
    Table table;
    for (std::uint64_t key = 0; key < 100'000; ++key) {
        table.erase(table.touch("key-" + std::to_string(key)));
        if (key % 1000 == 0) table.touch("stays-" + std::to_string(key));
    }
    EXPECT_EQ(table.count(), 100U);
    EXPECT_EQ(table.key_of(table.oldest()), "stays-0");
}

}  // namespace
}  // namespace weir::analytics::test
