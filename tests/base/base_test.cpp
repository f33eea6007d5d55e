#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cerrno>
#include <random>
#include <string>
#include <vector>

#include "core/base/base64.hpp"
#include "core/base/clock.hpp"
#include "core/base/crc32c.hpp"
#include "core/base/json_scan.hpp"
#include "core/base/result.hpp"
#include "core/base/siphash.hpp"
#include "core/base/time_text.hpp"

namespace weir {
namespace {

ConstBytes bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text));
}

std::vector<std::byte> random_bytes(std::mt19937_64& random, std::size_t count) {
    std::vector<std::byte> bytes(count);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    return bytes;
}

TEST(Crc32c, GivesThePublishedCheckValues) {
    EXPECT_EQ(crc32c(0, bytes_of("123456789")), 0xe3069283U);
    EXPECT_EQ(crc32c_portable(0, bytes_of("123456789")), 0xe3069283U);
    // RFC 3720 B.4: 32 bytes of zeros, of ones.
    EXPECT_EQ(crc32c(0, bytes_of(std::string(32, '\0'))), 0x8a9136aaU);
    EXPECT_EQ(crc32c(0, bytes_of(std::string(32, '\xff'))), 0x62a8ab43U);
    EXPECT_EQ(crc32c(0, {}), 0U);
}

TEST(Crc32c, FastAndPortableAgreeOnAnyLengthPlaceAndSeed) {
    std::mt19937_64 random(1);
    const auto bytes = random_bytes(random, 80'000);
    for (int i = 0; i < 400; ++i) {
        const std::size_t from = random() % 64;
        // Short ones, and ones around the stream joints.
        const std::size_t count = i % 2 == 0 ? random() % 1024 : random() % 79'000;
        const auto seed = static_cast<std::uint32_t>(random());
        const ConstBytes part = ConstBytes(bytes).subspan(from, count);
        ASSERT_EQ(crc32c(seed, part), crc32c_portable(seed, part)) << from << " " << count;
    }
}

TEST(Crc32c, ContinuesWhereItStopped) {
    std::mt19937_64 random(2);
    const auto bytes = random_bytes(random, 20'000);
    const ConstBytes all(bytes);
    const std::uint32_t whole = crc32c(0, all);
    for (std::size_t cut = 0; cut < bytes.size(); cut += 997) {
        EXPECT_EQ(crc32c(crc32c(0, all.first(cut)), all.subspan(cut)), whole);
    }
}

TEST(JsonScan, AcceptsTheGrammarAndNothingElse) {
    struct Case {
        std::string_view text;
        bool good;
    };
    const Case cases[] = {
        {"null", true},
        {"true", true},
        {"false", true},
        {" 0 ", true},
        {"-0", true},
        {"51.0", true},
        {"1e9", true},
        {"1E-09", true},
        {"-12.50e+3", true},
        {R"("")", true},
        {R"("a\u00e9\n\/\"")", true},
        {"\"\xc3\xa9\"", true},
        {"[]", true},
        {"[ 1 , 2 ]", true},
        {"{}", true},
        {R"({"a":{"b":[1,{"c":null}]}})", true},
        {R"({"a":1,"a":2})", true},
        {"\t\r\n[1]\n", true},
        {R"("\ud800")", true},
        {"", false},
        {" ", false},
        {"nul", false},
        {"True", false},
        {"01", false},
        {"-", false},
        {"+1", false},
        {".5", false},
        {"1.", false},
        {"1e", false},
        {"1e+", false},
        {"0x10", false},
        {"NaN", false},
        {"\"", false},
        {"\"\n\"", false},
        {R"("\x41")", false},
        {R"("\u12g4")", false},
        {R"("\u12)", false},
        {"\"\xff\"", false},
        {"\"\xc0\x80\"", false},
        {"\"\xed\xa0\x80\"", false},
        {"\"\xf5\x80\x80\x80\"", false},
        {"\"\xe2\x82\"", false},
        {"[1,]", false},
        {"[,1]", false},
        {"[1 2]", false},
        {"[1", false},
        {"[1}", false},
        {"{", false},
        {"{1:2}", false},
        {R"({"a"})", false},
        {R"({"a":})", false},
        {R"({"a":1,})", false},
        {R"({"a" 1})", false},
        {"1 2", false},
        {"{}x", false},
        {"'a'", false},
        {"[1]//", false},
        {std::string_view("1\0", 2), false},
    };
    for (const Case& c : cases) {
        JsonFault fault;
        EXPECT_EQ(json_parse(c.text, fault).has_value(), c.good) << c.text << ": " << fault.what << " at " << fault.at;
    }
}

TEST(JsonScan, SaysWhereTheFaultIs) {
    JsonFault fault;
    EXPECT_FALSE(json_parse(R"({"a": 1, "b": x})", fault));
    EXPECT_EQ(fault.at, 14U);
    EXPECT_STRNE(fault.what, "");
}

TEST(JsonScan, GoesAsDeepAsItsBoundAndNoDeeper) {
    const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
    JsonFault fault;
    EXPECT_TRUE(json_parse(nested(json_depth_max), fault));
    EXPECT_FALSE(json_parse(nested(json_depth_max + 1), fault));
    EXPECT_FALSE(json_parse(std::string(1'000'000, '['), fault));
}

TEST(JsonScan, FindsMembersInPlace) {
    const std::string_view text =
        R"( { "fine" : 51.0 , "driver":{"age":42,"name":"Zo\u00eb \ud83d\ude97"}, "x\"}":[1,"]"], "e":{} , "fine":76.0,"\u0061b":true} )";
    JsonFault fault;
    const auto object = json_parse(text, fault);
    ASSERT_TRUE(object);
    EXPECT_EQ(object->kind, JsonKind::object);
    EXPECT_EQ(json_member(object->raw, "fine")->raw, "76.0");  // the last of equal names
    EXPECT_EQ(json_number(*json_path(object->raw, "driver.age")), 42.0);
    EXPECT_EQ(json_member(object->raw, "x\"}")->raw, R"([1,"]"])");
    EXPECT_EQ(json_member(object->raw, "ab")->kind, JsonKind::boolean);
    EXPECT_EQ(json_member(object->raw, "e")->raw, "{}");
    EXPECT_FALSE(json_member(object->raw, "age"));
    EXPECT_FALSE(json_path(object->raw, "driver.name.first"));
    EXPECT_FALSE(json_path(object->raw, "nobody.age"));
    std::string name;
    EXPECT_TRUE(json_text(*json_path(object->raw, "driver.name"), name));
    EXPECT_EQ(name, "Zo\xc3\xab \xf0\x9f\x9a\x97");
}

TEST(JsonScan, RefusesTextWithALoneSurrogate) {
    for (const std::string_view text : {R"("\ud800")", R"("\udc00")", R"("\ud800\u0041")", R"("\ud800x")"}) {
        std::string out;
        EXPECT_FALSE(json_text({JsonKind::string, text}, out)) << text;
    }
}

TEST(JsonScan, GivesNoNumberOutsideDouble) {
    EXPECT_EQ(json_number({JsonKind::number, "-1.5e3"}), -1500.0);
    EXPECT_FALSE(json_number({JsonKind::number, "1e999"}));
    EXPECT_FALSE(json_number({JsonKind::string, "\"1\""}));
}

TEST(JsonScan, AgreesWithBoostJsonOnDamagedTexts) {
    // Boost's default depth limit is 32 too; its parser checks UTF-8 by default, but refuses lone surrogates already
    // while parsing.
    std::mt19937_64 random(3);
    const std::string seed = R"({"id":"a\u00e9","n":[-1.25e-3,0,true,null],"o":{"k":"\"\\\/","z":{}},"caf)"
                             "\xc3\xa9"
                             R"(":[[],[{}]]})";
    const std::string_view alphabet = "{}[],:\"\\ue0123456789.-+tfn \xc3\xa9";
    int accepted = 0;
    for (int i = 0; i < 200'000; ++i) {
        std::string text = seed;
        for (std::uint64_t damage = random() % 4; damage > 0; --damage) {
            const std::size_t at = random() % text.size();
            switch (random() % 3) {
                case 0:
                    text[at] = alphabet[random() % alphabet.size()];
                    break;
                case 1:
                    text.erase(at, 1);
                    break;
                default:
                    text.insert(at, 1, alphabet[random() % alphabet.size()]);
                    break;
            }
        }
        if (text.find("\\ud") != std::string::npos || text.find("\\uD") != std::string::npos) continue;
        JsonFault fault;
        boost::json::error_code error;
        const auto theirs = boost::json::parse(text, error);
        const auto ours = json_parse(text, fault);
        ASSERT_EQ(ours.has_value(), !error) << text << "\n"
                                            << fault.what << " at " << fault.at << "; " << error.message();
        if (!ours) continue;
        ++accepted;
        if (const auto* id = theirs.is_object() ? theirs.as_object().if_contains("id") : nullptr;
            id && id->is_string()) {
            std::string out;
            ASSERT_TRUE(json_text(*json_member(ours->raw, "id"), out));
            ASSERT_EQ(out, std::string_view(id->as_string())) << text;
        }
    }
    EXPECT_GT(accepted, 10'000);
}

TEST(JsonScan, QuotesAnyBytesAsJsonThatReadsBack) {
    std::mt19937_64 random(4);
    for (int i = 0; i < 2'000; ++i) {
        const auto bytes = random_bytes(random, random() % 24);
        const std::string_view raw(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        std::string quoted;
        json_quote(raw, quoted);
        JsonFault fault;
        ASSERT_TRUE(json_parse(quoted, fault)) << quoted;
    }
    std::string quoted;
    std::string back;
    const std::string text("tab\t \"quote\" back\\slash \x01 \xc3\xa9\n", 30);
    json_quote(text, quoted);
    EXPECT_TRUE(json_text({JsonKind::string, quoted}, back));
    EXPECT_EQ(back, text);
}

TEST(TimeText, ReadsAndWritesTheSameTime) {
    for (const std::string_view text :
         {"1970-01-01T00:00:00Z", "2017-12-01T00:00:07Z", "2017-12-01T00:00:07.5Z", "2019-02-28T23:59:59.000000001Z",
          "2020-02-29T12:00:00.123456789Z", "2553-12-31T23:59:59.999999999Z", "2000-01-01T00:00:00.01Z"}) {
        const auto time = parse_time(text);
        ASSERT_TRUE(time) << text;
        EXPECT_EQ(format_time(*time), text);
    }
    EXPECT_EQ(parse_time("2017-12-01T00:00:07Z")->value, 1'512'086'407 * ns_per_second);
    std::mt19937_64 random(5);
    for (int i = 0; i < 10'000; ++i) {
        const WallNs time{random() % (18'400'000'000 * ns_per_second)};
        ASSERT_EQ(parse_time(format_time(time)), time);
    }
}

TEST(TimeText, TakesOffsetsAndShortensFractions) {
    EXPECT_EQ(parse_time("2017-12-01T02:30:07+02:30"), parse_time("2017-12-01T00:00:07Z"));
    EXPECT_EQ(parse_time("2017-11-30T19:00:07-05:00"), parse_time("2017-12-01T00:00:07Z"));
    EXPECT_EQ(format_time(*parse_time("2017-12-01T00:00:07.500Z")), "2017-12-01T00:00:07.5Z");
    EXPECT_EQ(format_time(*parse_time("2017-12-01T00:00:07.000Z")), "2017-12-01T00:00:07Z");
}

TEST(TimeText, RefusesWhatIsNoTime) {
    for (const std::string_view text : {"",
                                        "2017",
                                        "2017-12-01",
                                        "2017-12-01T00:00:07",
                                        "2017-12-01T00:00Z",
                                        "2017-13-01T00:00:00Z",
                                        "2017-00-01T00:00:00Z",
                                        "2017-02-29T00:00:00Z",
                                        "2017-12-32T00:00:00Z",
                                        "2017-12-01T24:00:00Z",
                                        "2017-12-01T00:60:00Z",
                                        "2017-12-01T00:00:60Z",
                                        "1969-12-31T23:59:59Z",
                                        "1970-01-01T00:00:00+00:01",
                                        "2554-01-01T00:00:00Z",
                                        "2017-12-01T00:00:07.Z",
                                        "2017-12-01T00:00:07.1234567890Z",
                                        "2017-12-01T00:00:07Zx",
                                        "2017-12-01T00:00:07+2:30",
                                        "2017-12-01T00:00:07+24:00",
                                        "17-12-01T00:00:07Z",
                                        "2017/12/01T00:00:07Z",
                                        " 2017-12-01T00:00:07Z",
                                        "2017-12-01X00:00:07Z",
                                        "+017-12-01T00:00:07Z"}) {
        EXPECT_FALSE(parse_time(text)) << text;
    }
}

TEST(Result, NamesTheOperationAndTheCause) {
    const Error error = error_from_errno(ENOENT, "open /nowhere");
    EXPECT_EQ(error.code, ENOENT);
    EXPECT_EQ(error.what, "open /nowhere: No such file or directory");
    Result<int> failed(error);
    EXPECT_FALSE(failed.ok());
    EXPECT_DEATH(static_cast<void>(failed.value()), "assertion failed: ok\\(\\)");
}

TEST(Clock, MonotonicTimeDoesNotGoBack) {
    MonotonicNs before = monotonic_now();
    for (int i = 0; i < 1'000; ++i) {
        const MonotonicNs now = monotonic_now();
        ASSERT_GE(now, before);
        before = now;
    }
    EXPECT_GT(wall_now(), *parse_time("2024-01-01T00:00:00Z"));
}

TEST(Base64, IsWrittenAsTheStandardHasItAndReadBack) {
    const std::pair<std::string, std::string> samples[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {std::string("\0\xff\xfe", 3), "AP/+"},
    };
    for (const auto& [bytes, text] : samples) {
        std::string written;
        append_base64(bytes, written);
        EXPECT_EQ(written, text);
        EXPECT_EQ(read_base64(text), bytes);
    }
    for (const char* wrong :
         {"Z", "Zg", "Zg=", "Zg===", "Z===", "====", "Zh==", "Zm9=", "Zm9v\n", "Zm 9", "Zm=v", "Zg==Zm9v"}) {
        EXPECT_EQ(read_base64(wrong), std::nullopt) << wrong;
    }
}

// The vectors of the reference implementation for key 00..0f and messages 00.., 128 bits.
TEST(SipHash, IsThePublishedOne) {
    const SipKey key{0x0706050403020100U, 0x0f0e0d0c0b0a0908U};
    const std::pair<std::size_t, const char*> vectors[] = {
        {0, "a3817f04ba25a8e66df67214c7550293"},  {1, "da87c1d86b99af44347659119b22fc45"},
        {2, "8177228da4a45dc7fca38bdef60affe4"},  {7, "a1f1ebbed8dbc153c0b84aa61ff08239"},
        {8, "3b62a9ba6258f5610f83e264f31497b4"},  {15, "5493e99933b0a8117e08ec0f97cfc3d9"},
        {16, "6ee2a4ca67b054bbfd3315bf85230577"},
    };
    for (const auto& [bytes, wanted] : vectors) {
        std::string message;
        for (std::size_t byte = 0; byte < bytes; ++byte) message += static_cast<char>(byte);
        std::string got;
        for (const unsigned char byte : siphash_128(key, message)) {
            char digits[3];
            std::snprintf(digits, sizeof digits, "%02x", byte);
            got += digits;
        }
        EXPECT_EQ(got, wanted) << bytes;
    }
}

}  // namespace
}  // namespace weir
