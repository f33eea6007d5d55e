// Payloads checked whole: golden ones, damaged ones, and those that a newer schema made.
#include "core/rules/flat_verifier.hpp"

#include <flatbuffers/flatbuffers.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <iterator>
#include <string>

#include "core/wire/event.hpp"
#include "test_schemas/tree_generated.h"

namespace weir::rules::test {
namespace {

using wire::Reason;

std::string file_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}
std::string golden(const std::string& name) {
    return file_of("tests/wire/golden/civic-" + name + ".bin");
}
FlatVerifier verifier_of(const std::string& path, const std::string& root = "") {
    const std::string bfbs = file_of(path);
    auto schema =
        FlatSchema::load({.content_type = "x", .root = root}, std::as_bytes(std::span(bfbs.data(), bfbs.size())));
    if (!schema.ok()) ADD_FAILURE() << schema.error().what;
    return FlatVerifier(schema.value());
}
FlatVerifier tree() {
    return verifier_of(WEIR_TEST_SCHEMAS "/tree.bfbs");
}

const char* const all_civic[] = {"violation-submitted",
                                 "violation-validated",
                                 "violation-rejected",
                                 "violation-stored",
                                 "violation-approved",
                                 "status-changed",
                                 "payment-processed",
                                 "reward-requested",
                                 "camera-reading",
                                 "citation",
                                 "ride",
                                 "sensor-reading"};

TEST(FlatVerifier, TakesEveryGoldenPayloadAndNoneThatIsCutShort) {
    const FlatVerifier civic = verifier_of(WEIR_CIVIC_BFBS);
    for (const char* const name : all_civic) {
        const std::string whole = golden(name);
        ASSERT_FALSE(whole.empty()) << name;
        EXPECT_EQ(civic.verify(whole), Reason::none) << name;
        // Up to three bytes at the end may be padding.
        for (std::size_t bytes = 0; bytes + 4 <= whole.size(); ++bytes) {
            EXPECT_NE(civic.verify(std::string_view(whole).substr(0, bytes)), Reason::none) << name << ' ' << bytes;
        }
    }
}

TEST(FlatVerifier, RefusesAnotherIdentifierAndWhatIsRequiredAndNotThere) {
    const FlatVerifier civic = verifier_of(WEIR_CIVIC_BFBS);
    std::string payload = golden("ride");
    payload[4] = 'X';
    EXPECT_EQ(civic.verify(payload), Reason::schema_mismatch);
    // A Civic with an empty Citation, which must have its citation_id.
    const std::string citation(
        "\x14\0\0\0WCIV\0\0\0\0\x08\0\x0c\0\x07\0\x08\0\x08\0\0\0\0\0\0\x0a\x08\0\0\0\x04\0\x04\0\x04\0\0\0", 40);
    EXPECT_EQ(civic.verify(citation), Reason::schema_mismatch);
}

TEST(FlatVerifier, NamesAUnionMemberThatItsSchemaDoesNotKnow) {
    const FlatVerifier older = verifier_of(WEIR_TEST_SCHEMAS "/civic_older.bfbs");
    EXPECT_EQ(older.verify(golden("sensor-reading")), Reason::schema_newer);
    EXPECT_EQ(older.verify(golden("ride")), Reason::none);
    EXPECT_EQ(verifier_of(WEIR_CIVIC_BFBS).verify(golden("sensor-reading")), Reason::none);
}

TEST(FlatVerifier, ATableThatIsNotTheRootTypeCarriesNoIdentifier) {
    const FlatVerifier leaves = verifier_of(WEIR_TEST_SCHEMAS "/tree.bfbs", "Leaf");
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(weir::test::CreateLeaf(builder, builder.CreateString("green")));
    const std::string_view bytes(reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize());
    EXPECT_EQ(leaves.verify(bytes), Reason::none);
    const FlatVerifier rides = verifier_of(WEIR_CIVIC_BFBS, "weir.schema.civic.Ride");
    EXPECT_EQ(rides.verify(bytes), Reason::none);  // ride_id, a text, stands where the leaf has its own
}

using Build = std::function<flatbuffers::Offset<weir::test::Node>(flatbuffers::FlatBufferBuilder&)>;
std::string built(const Build& build) {
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(build(builder));
    return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}
// `depth` nodes below each other, each with `width` more children.
flatbuffers::Offset<weir::test::Node> nested(flatbuffers::FlatBufferBuilder& builder, int depth, int width = 0) {
    std::vector<flatbuffers::Offset<weir::test::Node>> children;
    if (depth > 1) children.push_back(nested(builder, depth - 1));
    for (int i = 0; i < width; ++i) children.push_back(nested(builder, 1));
    return weir::test::CreateNode(builder, 0, children.empty() ? 0 : builder.CreateVector(children));
}

TEST(FlatVerifier, CountsDepthAndTables) {
    const FlatVerifier verifier = tree();
    EXPECT_EQ(verifier.verify(built([](auto& builder) { return nested(builder, wire::event_depth_max); })),
              Reason::none);
    EXPECT_EQ(verifier.verify(built([](auto& builder) { return nested(builder, wire::event_depth_max + 1); })),
              Reason::too_deep);
    EXPECT_EQ(verifier.verify(built([](auto& builder) { return nested(builder, 1, wire::event_tables_max - 1); })),
              Reason::none);
    EXPECT_EQ(verifier.verify(built([](auto& builder) { return nested(builder, 1, wire::event_tables_max); })),
              Reason::too_deep);
}

TEST(FlatVerifier, BytesThatManyOffsetsShareCountEachTime) {
    const auto shared = [](std::size_t times) {
        return built([&](auto& builder) {
            const auto name = builder.CreateString(std::string(1000, 'n'));
            const std::vector<flatbuffers::Offset<flatbuffers::String>> names(times, name);
            const auto list = builder.CreateVector(names);
            weir::test::NodeBuilder node(builder);
            node.add_names(list);
            return node.Finish();
        });
    };
    EXPECT_EQ(tree().verify(shared(wire::event_bytes_max / 1100)), Reason::none);
    EXPECT_EQ(tree().verify(shared(wire::event_bytes_max / 1000)), Reason::logical_bytes);
}

// A node with everything, and two unions of which one is a list.
std::string full_node() {
    return built([](auto& builder) {
        const auto text = builder.CreateString("t");
        const auto leaf = weir::test::CreateLeaf(builder, text);
        const weir::test::Point point(1.0, 2.0);
        const auto at = builder.CreateStruct(point);
        const auto types = builder.CreateVector(std::vector<std::uint8_t>{1, 2, 3});
        const auto many =
            builder.CreateVector(std::vector<flatbuffers::Offset<void>>{leaf.Union(), at.Union(), text.Union()});
        const auto points = builder.CreateVectorOfStructs(&point, 1);
        weir::test::NodeBuilder node(builder);
        node.add_name(text);
        node.add_any_type(weir::test::Any::Name);
        node.add_any(text.Union());
        node.add_many_type(types.o);
        node.add_many(many);
        node.add_points(points);
        node.add_weight(2.5F);
        return node.Finish();
    });
}

TEST(FlatVerifier, FollowsUnionsOfStructsAndTextsAndListsOfThem) {
    const std::string whole = full_node();
    EXPECT_EQ(tree().verify(whole), Reason::none);
    const std::size_t types = whole.find("\x03\0\0\0\x01\x02\x03", 0, 7);
    ASSERT_NE(types, std::string::npos);
    std::string newer = whole;
    newer[types + 6] = 4;
    EXPECT_EQ(tree().verify(newer), Reason::schema_newer);
    std::string shorter = whole;
    shorter[types] = 2;  // one type fewer than members
    EXPECT_EQ(tree().verify(shorter), Reason::schema_mismatch);
}

// Whatever the bytes: an answer, and no read outside (run with a sanitizer, on memory of exactly the payload's length). What our
// verifier takes, the one that flatc makes takes too, and the other way round.
TEST(FlatVerifier, EveryDamagedByteGivesAnAnswerThatFlatcAgreesWith) {
    const FlatVerifier verifier = tree();
    const std::string whole = full_node();
    int refused = 0;
    int taken = 0;
    for (std::size_t at = 0; at < whole.size(); ++at) {
        for (int value = 0; value < 256; ++value) {
            std::vector<char> damaged(whole.begin(), whole.end());
            damaged[at] = static_cast<char>(value);
            flatbuffers::Verifier flatc(reinterpret_cast<const std::uint8_t*>(damaged.data()), damaged.size(),
                                        wire::event_depth_max, wire::event_tables_max, false);
            const bool is_good = weir::test::VerifyNodeBuffer(flatc);
            const Reason reason = verifier.verify({damaged.data(), damaged.size()});
            EXPECT_TRUE(reason != Reason::none || is_good) << at << ' ' << value;
            EXPECT_TRUE(reason != Reason::schema_mismatch || !is_good) << at << ' ' << value;
            ++(reason == Reason::none ? taken : refused);
        }
    }
    EXPECT_GT(refused, 1000);
    EXPECT_GT(taken, 1000);
}

}  // namespace
}  // namespace weir::rules::test
