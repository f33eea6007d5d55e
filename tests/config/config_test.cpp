#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "central/config.hpp"
#include "core/control/config_reader.hpp"
#include "edge/config.hpp"
#include "edge/payload_schemas.hpp"
#include "edge/profile.hpp"

namespace weir {
namespace {

// A configuration file that lives as long as the test.
class TemporaryFile {
  public:
    explicit TemporaryFile(const std::string& content) {
        char name[] = "/tmp/weir-config-XXXXXX";
        const int handle = mkstemp(name);
        EXPECT_GE(handle, 0);
        ::close(handle);
        path_ = name;
        std::ofstream(path_, std::ios::binary) << content;
    }
    ~TemporaryFile() { std::filesystem::remove(path_); }
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_;
};

template <class Loaded>
std::vector<std::string> errors_without_path(const Loaded& loaded, const std::string& path) {
    std::vector<std::string> lines;
    for (const std::string& line : loaded.errors) {
        EXPECT_TRUE(line.starts_with(path + ':')) << line;
        lines.push_back(line.substr(path.size() + 1));
    }
    return lines;
}

std::vector<std::string> edge_errors(const std::string& content) {
    const TemporaryFile file(content);
    const auto loaded = edge::load_config(file.path());
    EXPECT_EQ(loaded.config.has_value(), loaded.errors.empty());
    return errors_without_path(loaded, file.path());
}

std::vector<std::string> central_errors(const std::string& content) {
    const TemporaryFile file(content);
    const auto loaded = central::load_config(file.path());
    EXPECT_EQ(loaded.config.has_value(), loaded.errors.empty());
    return errors_without_path(loaded, file.path());
}

const std::string minimal_edge = R"(edge_id = "north"
data_dir = "/tmp/x"
listen = { producers = "127.0.0.1:7401", admin = "127.0.0.1:7411" }
uplink = { centrals = ["127.0.0.1:7500"] }
)";
const std::string minimal_central = R"(data_dir = "/tmp/x"
listen = { edges = "127.0.0.1:7500", admin = "127.0.0.1:7510" }
)";

std::string read_text(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

// The example with its switched-off settings switched on: '#' directly before a letter or bracket. The schema that it names is there.
std::string switched_on(const std::string& text) {
    std::istringstream lines(text);
    std::string all;
    for (std::string line; std::getline(lines, line);) {
        if (line.size() > 1 && line[0] == '#' && line[1] != ' ') line.erase(0, 1);
        all += (line == "schema = \"civic.bfbs\"" ? "schema = \"" WEIR_CIVIC_BFBS "\"" : line) + '\n';
    }
    return all;
}

void collect_keys(const control::ConfigNode& node, const std::string& name, std::set<std::string>& keys) {
    for (const auto& [key, member] : node.members) {
        const std::string dotted = name.empty() ? key : name + '.' + key;
        const bool is_tables =
            !member.node.items.empty() && member.node.items.front().kind == control::ConfigNode::Kind::table;
        keys.insert(dotted);
        collect_keys(member.node, dotted, keys);
        if (is_tables) {
            for (const auto& item : member.node.items) collect_keys(item, dotted + "[]", keys);
        }
    }
}

std::vector<std::string> keys_missing_in(const std::string& text, const std::vector<std::string>& known) {
    const auto file = control::parse_config("example", text);
    EXPECT_TRUE(file.is_readable());
    std::set<std::string> there;
    collect_keys(file.root, "", there);
    std::vector<std::string> missing;
    for (const std::string& key : known) {
        if (!there.contains(key)) missing.push_back(key);
    }
    return missing;
}

struct ErrorCase {
    std::string content;
    std::vector<std::string> errors;
};

TEST(EdgeConfig, AMinimalFileWorksAndEverythingElseHasADefault) {
    const TemporaryFile file(minimal_edge);
    const auto loaded = edge::load_config(file.path());
    ASSERT_TRUE(loaded.config) << loaded.errors.front();
    EXPECT_EQ(loaded.config->edge_id, "north");
    EXPECT_EQ(loaded.config->listen.producers, std::vector<std::string>{"127.0.0.1:7401"});
    EXPECT_EQ(loaded.config->cache.ids_max, 1'048'576U);
    ASSERT_EQ(loaded.config->lanes.size(), 1U);
    EXPECT_EQ(loaded.config->lanes[0].name, "default");
}

TEST(EdgeConfig, EachMistakeIsNamedByPlaceAndKey) {
    const ErrorCase cases[] = {
        {"colour = 1\n" + minimal_edge, {"1:1: colour: unknown key"}},
        {"log_levle = \"info\"\n" + minimal_edge, {"1:1: log_levle: unknown key; did you mean \"log_level\"?"}},
        {minimal_edge + "[spool]\nsegment_byte = 1048576\n",
         {"6:1: spool.segment_byte: unknown key; did you mean \"segment_bytes\"?"}},
        {minimal_edge + "[spool]\nsegment_bytes = 1048577\n",
         {"6:17: spool.segment_bytes: must be a multiple of 4096 bytes, not 1048577"}},
        {minimal_edge + "[spool]\nsegment_bytes = 4096\n",
         {"6:17: spool.segment_bytes: must be 1048576 to 4294967296 bytes, not 4096"}},
        {minimal_edge + "[spool]\nbytes_max = 67108864\n",
         {"6:13: spool.bytes_max: must be at least twice spool.segment_bytes, 134217728 bytes"}},
        {minimal_edge + "[cache]\n  lifetime_s = -1\n", {"6:16: cache.lifetime_s: must be 1 to 31536000 s, not -1"}},
        {minimal_edge + "[cache]\nids_max = \"many\"\n", {"6:11: cache.ids_max: must be a whole number, not a string"}},
        {minimal_edge + "[runtime]\nidle = \"sleep\"\n",
         {"6:8: runtime.idle: must be one of \"spin\", \"spin-then-yield\", \"spin-then-park\", not \"sleep\""}},
        {minimal_edge + "[validate]\nallowed_types = [\"a\", 7, \"b*c\"]\n",
         {"6:23: validate.allowed_types[1]: must be a string, not a whole number",
          "6:23: validate.allowed_types[1]: must not be empty",
          "6:26: validate.allowed_types[2]: may have '*' only as its last letter"}},
        {minimal_edge + "[dead_letters]\nfuse_window_events = 500\n",
         {"5:1: dead_letters.fuse_failures_min: must not be more than dead_letters.fuse_window_events, 500 events"}},
        {minimal_edge + "[dead_letters]\nfuse_pause_ms = 90000\n",
         {"5:1: dead_letters.fuse_pause_ms_max: must not be less than dead_letters.fuse_pause_ms, 90000 ms"}},
        {minimal_edge + "[admin]\nbackoff_ms = 60000\nfailures_max = 0\n",
         {"5:1: admin.backoff_ms_max: must not be less than admin.backoff_ms, 60000 ms",
          "7:16: admin.failures_max: must be 1 to 1000 failures, not 0"}},
        {minimal_edge + "[ladder]\ncritical_spool_percent = 60\n",
         {"6:26: ladder.critical_spool_percent: must not be less than ladder.degraded_spool_percent, 70 percent"}},
        {minimal_edge + "[ladder]\ndegraded_stall_ms = 6000\n",
         {"5:1: ladder.critical_stall_ms: must not be less than ladder.degraded_stall_ms, 6000 ms"}},
        {minimal_edge + "[ladder]\ndegraded_spool_percent = 10\n",
         {"5:1: ladder.below_percent: must be less than ladder.degraded_spool_percent, 10 percent"}},
        {minimal_edge + "[[lanes]]\nname = \"dead-letters\"\n",
         {"6:8: lanes[0].name: \"dead-letters\" is the reserved lane"}},
        {minimal_edge + "[[lanes]]\nname = \"Fast\"\n", {"6:8: lanes[0].name: must be 1 to 16 of a-z, 0-9 and '-'"}},
        {minimal_edge + "[[lanes]]\nname = \"a\"\n[[lanes]]\nname = \"a\"\n",
         {"8:8: lanes[1].name: another lane has this name: \"a\""}},
        {minimal_edge + "[[routes]]\nlane = \"fast\"\n", {"6:8: routes[0].lane: no lane has this name: \"fast\""}},
        {minimal_edge + "[[rules]]\nranges = [{ path = \"data.fine\", min = 5, max = 1 }]\n",
         {"6:48: rules[0].ranges[0].max: must not be less than min"}},
        {minimal_edge + "[[pii.remove]]\nfields = [{ field = \"data.plate\", how = \"hash\" }]\n",
         {"6:41: pii.remove[0].fields[0].how: needs a key: pii.key_file"}},
        {minimal_edge + "[[pii.remove]]\nfields = [{ field = \"source\", how = \"truncate:\" }]\n",
         {"6:21: pii.remove[0].fields[0].field: must be \"key\" or \"data.PATH\", not \"source\"",
          "6:37: pii.remove[0].fields[0].how: must be \"drop\", \"hash\" or \"truncate:COUNT\", not \"truncate:\""}},
        {minimal_edge + "[[enrich]]\nset = [{ field = \"data.a.b\", from = 'lookup(\"offence\", key).fine' }]\n",
         {"6:18: enrich[0].set[0].field: must be \"data.NAME\", not \"data.a.b\"",
          "6:37: enrich[0].set[0].from: at 1:1: there is no table offence with a column fine"}},
        {minimal_edge + "[tables]\nuse = [{ name = \"offence\", columns = [\"fine:integer\", \"x\"] }]\n"
                        "[[rules]]\nmust = 'lookup(\"offence\", key).fine == \"5\"'\n",
         {"6:55: tables.use[0].columns[1]: must be \"NAME:TYPE\", TYPE one of text, integer, real, boolean",
          "8:8: rules[0].must: at 1:29: integer and text are never equal"}},
        {minimal_edge + "[tables]\nuse = [{ name = \"vehicle\", keep = \"cached\", lifetimes_s = [] }, { name = \"b\", "
                        "absent_s = 5 }]\n",
         {"6:35: tables.use[0].keep: needs columns: only those of a row are cached",
          "6:59: tables.use[0].lifetimes_s: must have 1 to 8 entries",
          "6:90: tables.use[1].absent_s: is of a table with keep = \"cached\""}},
        {minimal_edge + "[[routes]]\nlane = \"default\"\nequals = [{ path = \"data.x\", value = 51.0 }]\n",
         {"7:38: routes[0].equals[0].value: a decimal number is compared as written: put it in quotes"}},
    };
    for (const ErrorCase& wrong : cases) EXPECT_EQ(edge_errors(wrong.content), wrong.errors) << wrong.content;
}

TEST(EdgeConfig, AKeyFileThatOthersMayReadOrThatIsNoKeyIsRefused) {
    const TemporaryFile key("000102030405060708090a0b0c0d0e0f\n");
    const std::string content = minimal_edge + "[pii]\nkey_file = \"" + key.path() +
                                "\"\n[[pii.remove]]\nfields = [{ field = \"key\", how = \"hash\" }]\n";
    std::filesystem::permissions(key.path(), std::filesystem::perms(0600));
    EXPECT_EQ(edge_errors(content), std::vector<std::string>{});
    {
        const TemporaryFile file(content);
        const auto loaded = edge::load_config(file.path());
        ASSERT_TRUE(loaded.config);
        EXPECT_EQ(loaded.config->pii.key.low, 0x0706050403020100U);
        EXPECT_EQ(loaded.config->pii.key.high, 0x0f0e0d0c0b0a0908U);
    }
    std::filesystem::permissions(key.path(), std::filesystem::perms(0640));
    EXPECT_EQ(
        edge_errors(content),
        std::vector<std::string>{"6:12: pii.key_file: must have mode 0600 or stricter: others may read or write it"});
    std::filesystem::permissions(key.path(), std::filesystem::perms(0600));
    std::ofstream(key.path()) << "000102030405060708090a0b0c0d0e0g";
    EXPECT_EQ(edge_errors(content),
              std::vector<std::string>{"6:12: pii.key_file: must hold 32 hexadecimal digits and nothing else"});
}

TEST(EdgeConfig, AllMistakesAreListedAtOnceInTheFilesOrder) {
    EXPECT_EQ(edge_errors("edge_id = \"North!\"\n"
                          "[listen]\n"
                          "producers = []\n"
                          "admin = \"10.0.0.1:7411\"\n"
                          "[uplink]\n"
                          "centrals = [\"127.0.0.1:7500\", \"10.0.0.1:7500\", \"127.0.0.1:7500\"]\n"
                          "reconnect_ms_min = 500\n"
                          "reconnect_ms_max = 400\n"
                          "ping_ms = 3000\n"),
              (std::vector<std::string>{
                  "1:1: data_dir: is missing",
                  "1:11: edge_id: must be 1 to 32 of a-z, 0-9 and '-'",
                  "3:13: listen.producers: must name at least one",
                  "4:9: listen.admin: must be a loopback address, not \"10.0.0.1:7411\"",
                  "5:1: uplink.silent_ms_max: must be more than uplink.ping_ms, 3000 ms",
                  "6:31: uplink.centrals[1]: plain TCP beyond loopback: \"10.0.0.1:7500\" needs [tls], or "
                  "uplink.allow_plaintext = true",
                  "6:48: uplink.centrals[2]: is listed twice: \"127.0.0.1:7500\"",
                  "8:20: uplink.reconnect_ms_max: must not be less than uplink.reconnect_ms_min, 500 ms",
              }));
}

TEST(EdgeConfig, WeightedCentralsAreInTheEdgesOwnOrderAndTheirMistakesAreNamed) {
    const std::string head =
        "data_dir = \"x\"\n[listen]\nproducers = \"127.0.0.1:1\"\nadmin = \"127.0.0.1:2\"\n[uplink]\ncentrals = "
        "[\"127.0.0.1:1\", \"127.0.0.1:2\", \"127.0.0.1:3\"]\n";
    std::set<std::string> preferred;
    for (int index = 0; index < 60; ++index) {
        const TemporaryFile file("edge_id = \"e" + std::to_string(index) + "\"\n" + head +
                                 "choice = \"weighted\"\nweights = [3, 1, 0]\n");
        const auto loaded = edge::load_config(file.path());
        ASSERT_TRUE(loaded.config) << loaded.errors.front();
        const auto& centrals = loaded.config->uplink.centrals;
        preferred.insert(centrals[0]);
        EXPECT_EQ(centrals[2], "127.0.0.1:3");
    }
    EXPECT_EQ(preferred, (std::set<std::string>{"127.0.0.1:1", "127.0.0.1:2"}));
    EXPECT_EQ(edge_errors("edge_id = \"a\"\n" + head + "weights = [3, -1]\n"),
              (std::vector<std::string>{"8:11: uplink.weights: must be as many as uplink.centrals, 3",
                                        "8:15: uplink.weights[1]: must be 0 to 1000000, not -1"}));
    EXPECT_EQ(edge_errors("edge_id = \"a\"\n" + head + "choice = \"weighted\"\nweights = [0, 0, 0]\n"),
              (std::vector<std::string>{"9:11: uplink.weights: must not all be 0"}));
}

TEST(EdgeConfig, WhatIsNeededIsMissedInAnEmptyFile) {
    EXPECT_EQ(edge_errors(""), (std::vector<std::string>{
                                   "1:1: edge_id: is missing",
                                   "1:1: data_dir: is missing",
                                   "1:1: listen.producers: is missing",
                                   "1:1: listen.admin: is missing",
                                   "1:1: uplink.centrals: is missing",
                               }));
}

TEST(EdgeConfig, BrokenTomlIsASyntaxErrorWithItsPlace) {
    const auto errors = edge_errors("edge_id = \"north\"\ndata_dir = = 1\n");
    ASSERT_EQ(errors.size(), 1U);
    EXPECT_TRUE(errors[0].starts_with("2:12: syntax: ")) << errors[0];
}

TEST(EdgeConfig, AFileThatIsNotThereIsAnErrorToo) {
    const auto loaded = edge::load_config("/nonexistent/edge.toml");
    EXPECT_EQ(loaded.errors,
              std::vector<std::string>{"/nonexistent/edge.toml:1:1: file: cannot be read: No such file or directory"});
}

TEST(EdgeConfig, ABadAddressIsRefusedWithItsPlace) {
    const auto errors = edge_errors(
        "edge_id = \"a\"\ndata_dir = \"x\"\n[listen]\nproducers = [\"127.0.0.1\"]\nadmin = \"unix:/x\"\n[uplink]\n"
        "centrals = \"127.0.0.1:1\"\n");
    ASSERT_EQ(errors.size(), 2U);
    EXPECT_TRUE(errors[0].starts_with("4:14: listen.producers[0]: ")) << errors[0];
    EXPECT_EQ(errors[1], "5:9: listen.admin: must be HOST:PORT, not a Unix path");
}

TEST(EdgeConfig, PlainTcpBeyondLoopbackIsAllowedOnlyWhenSaidAndThenWarnedOf) {
    const TemporaryFile file(
        "edge_id = \"a\"\ndata_dir = \"x\"\n[listen]\nproducers = \"0.0.0.0:7401\"\nadmin = \"127.0.0.1:7411\"\n"
        "allow_plaintext = true\n[uplink]\ncentrals = \"10.1.2.3:7500\"\nallow_plaintext = true\n");
    const auto loaded = edge::load_config(file.path());
    EXPECT_TRUE(loaded.config);
    EXPECT_EQ(loaded.warnings.size(), 2U);
}

TEST(EdgeConfig, EveryLaneNeedsABatchBuffer) {
    std::string content = minimal_edge + "[spool]\nbatches_max = 6\n";
    for (int index = 0; index < 3; ++index) content += "[[lanes]]\nname = \"l" + std::to_string(index) + "\"\n";
    EXPECT_EQ(edge_errors(content),
              std::vector<std::string>{"6:15: spool.batches_max: must be at least 9 for so many lanes"});
}

TEST(EdgeConfig, TheDefaultLaneComesFirstAndKeepsItsSettings) {
    const TemporaryFile file(minimal_edge + "[[lanes]]\nname = \"a\"\n[[lanes]]\nname = \"default\"\nlinger_us = 5\n");
    const auto loaded = edge::load_config(file.path());
    ASSERT_TRUE(loaded.config);
    ASSERT_EQ(loaded.config->lanes.size(), 2U);
    EXPECT_EQ(loaded.config->lanes[0].name, "default");
    EXPECT_EQ(loaded.config->lanes[0].linger_us, 5U);
    EXPECT_EQ(loaded.config->lanes[1].name, "a");
}

TEST(AtRestConfig, AKeyNeedsItsFileAndThatIsForItsOwnerOnly) {
    std::string directory = (std::filesystem::temp_directory_path() / "weir-keys-XXXXXX").string();
    ASSERT_NE(::mkdtemp(directory.data()), nullptr);
    const std::string file = directory + "/7.key";
    std::ofstream(file) << std::string(64, 'b') << "\n";
    std::filesystem::permissions(file, std::filesystem::perms::owner_read);
    const std::string table = "[at_rest]\nkey_dir = \"" + directory + "\"\nkey = ";
    EXPECT_EQ(edge_errors(minimal_edge + table + "7\n"), std::vector<std::string>{});
    EXPECT_EQ(central_errors(minimal_central + table + "7\n"), std::vector<std::string>{});
    const auto about = [](const std::vector<std::string>& errors) { return errors.size() == 1 ? errors[0] : ""; };
    EXPECT_NE(about(central_errors(minimal_central + table + "8\n")).find("there is no " + directory + "/8.key"),
              std::string::npos);
    EXPECT_NE(about(edge_errors(minimal_edge + "[at_rest]\nkey = 1\n")).find("at_rest.key: needs key_dir"),
              std::string::npos);
    std::filesystem::permissions(file, std::filesystem::perms::group_read, std::filesystem::perm_options::add);
    for (const auto& errors :
         {edge_errors(minimal_edge + table + "7\n"), central_errors(minimal_central + table + "7\n")}) {
        EXPECT_NE(about(errors).find("7.key: must have mode 0600 or stricter"), std::string::npos);
        EXPECT_EQ(about(errors).find("bbbb"), std::string::npos);
    }
    std::filesystem::remove_all(directory);
}

TEST(EdgeConfig, ALaneInMemoryIsBestEffortInOrderAndBounded) {
    const std::string lane = "[[lanes]]\nname = \"fast\"\nspool = \"memory\"\n";
    const auto errors_of = [&](const std::string& more) {
        const TemporaryFile file(minimal_edge + lane + more);
        return edge::load_config(file.path()).errors;
    };
    const auto has = [](const std::vector<std::string>& errors, std::string_view what) {
        return errors.size() == 1 && errors.front().find(what) != std::string::npos;
    };
    EXPECT_TRUE(has(errors_of(""), "lanes[0].spool: \"memory\" is for class = \"best_effort\""));
    EXPECT_TRUE(has(errors_of("class = \"best_effort\"\ndrain = \"live_first\"\n"), "needs spool = \"disk\""));
    EXPECT_TRUE(has(errors_of("class = \"best_effort\"\nbytes_max = 4194303\n"), "lanes[0].bytes_max"));
    EXPECT_TRUE(errors_of("class = \"best_effort\"\nbytes_max = 4194304\n").empty());

    const TemporaryFile file(minimal_edge + lane + "class = \"best_effort\"\n");
    const auto loaded = edge::load_config(file.path());
    ASSERT_TRUE(loaded.config) << loaded.errors.front();
    EXPECT_TRUE(loaded.config->lanes[1].is_in_memory());
    EXPECT_EQ(loaded.config->lanes[1].memory_bytes(), edge::memory_lane_bytes_default);
    ASSERT_EQ(loaded.warnings.size(), 1U);
    EXPECT_NE(loaded.warnings.front().find("answered there when central has the event"), std::string::npos);
    // Its bytes are memory, and none of the disk's.
    auto on_disk = *loaded.config;
    on_disk.lanes[1].spool = edge::LaneSpool::disk;
    const auto in_memory = edge::budget_of(*loaded.config), plain = edge::budget_of(on_disk);
    EXPECT_EQ(in_memory.memory_bytes, plain.memory_bytes + edge::memory_lane_bytes_default);
    EXPECT_LT(in_memory.disk_bytes, plain.disk_bytes);
}

TEST(EdgeConfig, RoutesAndRulesAreReadWhole) {
    const TemporaryFile file(switched_on(read_text("edge/edge.example.toml")));
    const auto loaded = edge::load_config(file.path());
    ASSERT_TRUE(loaded.config) << loaded.errors.front();
    ASSERT_EQ(loaded.config->routes.size(), 1U);
    EXPECT_EQ(loaded.config->routes[0].lane, "urgent");
    ASSERT_EQ(loaded.config->routes[0].equals.size(), 1U);
    EXPECT_EQ(loaded.config->routes[0].equals[0].value, "open");
    ASSERT_EQ(loaded.config->rules.size(), 1U);
    ASSERT_EQ(loaded.config->rules[0].ranges.size(), 1U);
    EXPECT_EQ(loaded.config->rules[0].ranges[0].min, 0.0);
    EXPECT_EQ(loaded.config->rules[0].ranges[0].max, 1000.0);
    EXPECT_EQ(loaded.config->rules[0].require, (std::vector<std::string>{"key", "data.fine"}));
}

TEST(EdgeConfig, AnExpressionsMistakeHasItsPlaceInTheFileAndInTheExpression) {
    const std::string content = minimal_edge +
                                "[[routes]]\nlane = \"default\"\nwhen = 'type == 5'\n"
                                "[[rules]]\nmust = 'data.fine >'\n";
    const auto errors = edge_errors(content);
    ASSERT_EQ(errors.size(), 2U);
    EXPECT_NE(errors[0].find("routes[0].when: at 1:6: "), std::string::npos) << errors[0];
    EXPECT_NE(errors[1].find("rules[0].must: at 1:12: "), std::string::npos) << errors[1];
}

std::string with_schema(const std::string& lines) {
    return minimal_edge + "[[payloads]]\ntype = \"sensor.*\"\ncontent_type = \"application/x-civic\"\n" + lines;
}

TEST(EdgeConfig, APayloadsSchemaIsReadWithTheFile) {
    const TemporaryFile file(with_schema("schema = \"" WEIR_CIVIC_BFBS "\"\nroot = \"Ride\"\n"));
    const auto loaded = edge::load_config(file.path());
    ASSERT_TRUE(loaded.config) << loaded.errors.front();
    ASSERT_EQ(loaded.config->payloads.size(), 1U);
    EXPECT_EQ(loaded.config->payloads[0].schema_bytes, read_text(WEIR_CIVIC_BFBS));
    EXPECT_NE(edge::payloads_text(*loaded.config).find("table weir.schema.civic.Ride"), std::string::npos);
    // A relative path begins at the file's folder, wherever the reader stands.
    const TemporaryFile schema(read_text(WEIR_CIVIC_BFBS));
    const TemporaryFile beside(with_schema("schema = \"" + schema.path().substr(5) + "\"\n"));
    EXPECT_TRUE(edge::load_config(beside.path()).config);
}

TEST(EdgeConfig, APayloadsSchemaThatIsBadHasItsPlaceAndReason) {
    const TemporaryFile garbage("this is no schema");
    const TemporaryFile huge(std::string(edge::schema_bytes_max + 1, 'x'));
    const std::string good = "schema = \"" WEIR_CIVIC_BFBS "\"\n";
    const std::string json = minimal_edge + "[[payloads]]\ntype = \"a\"\ncontent_type = \"application/json\"\n";
    const ErrorCase cases[] = {
        {with_schema("schema = \"nothing.bfbs\"\n"),
         {"8:10: payloads[0].schema: cannot be read: No such file or directory"}},
        {with_schema("schema = \"/tmp\"\n"), {"8:10: payloads[0].schema: cannot be read: not a plain file"}},
        {with_schema("schema = \"/dev/zero\"\n"), {"8:10: payloads[0].schema: cannot be read: not a plain file"}},
        {with_schema("schema = \"" + garbage.path() + "\"\n"),
         {"8:10: payloads[0].schema: not a binary FlatBuffers schema (flatc --binary --schema)"}},
        {with_schema("schema = \"" + huge.path() + "\"\n"), {"8:10: payloads[0].schema: is longer than 1 MiB"}},
        {with_schema(good + "root = \"Rides\"\n"), {"9:8: payloads[0].root: the schema has no table \"Rides\""}},
        {with_schema(good + "root = \"Place\"\n"), {"9:8: payloads[0].root: the schema has no table \"Place\""}},
        {with_schema(""), {"5:1: payloads[0].schema: is missing"}},
        {json + "root = \"R\"\n", {"8:8: payloads[0].root: needs a schema"}},
        {json + good, {"8:10: payloads[0].schema: is for FlatBuffers: a JSON payload needs none"}},
        {minimal_edge + "[[payloads]]\ntype = \"a*b\"\ncontent_type = \"application/json\"\n",
         {"6:8: payloads[0].type: may have '*' only as its last letter"}},
    };
    for (const ErrorCase& wrong : cases) EXPECT_EQ(edge_errors(wrong.content), wrong.errors) << wrong.content;
}

TEST(EdgeConfig, ASchemasBytesArePartOfTheDigest) {
    const std::string bfbs = read_text(WEIR_CIVIC_BFBS);
    const TemporaryFile schema(bfbs);
    const TemporaryFile file(with_schema("schema = \"" + schema.path() + "\"\n"));
    const auto before = edge::load_config(file.path()).config->digest;
    EXPECT_EQ(edge::load_config(file.path()).config->digest, before);
    std::ofstream(schema.path(), std::ios::binary) << read_text(WEIR_TEST_SCHEMAS "/civic_older.bfbs");
    EXPECT_NE(edge::load_config(file.path()).config->digest, before);
}

TEST(EdgeConfig, ATestsPayloadIsTextOrBase64) {
    const std::string test = minimal_edge + "[[tests]]\nname = \"n\"\ntype = \"t\"\nverdict = \"admitted\"\n";
    const TemporaryFile file(test + "data_base64 = \"AP8B\"\n");
    const auto loaded = edge::load_config(file.path());
    ASSERT_TRUE(loaded.config) << loaded.errors.front();
    EXPECT_EQ(loaded.config->tests[0].data, std::string("\0\xff\x01", 3));
    EXPECT_EQ(edge_errors(test + "data_base64 = \"AP8\"\n"),
              std::vector<std::string>{"9:15: tests[0].data_base64: is no base64"});
    EXPECT_EQ(edge_errors(test + "data = \"{}\"\ndata_base64 = \"AP8B\"\n"),
              std::vector<std::string>{"10:15: tests[0].data_base64: data is given too: a test has one payload"});
}

edge::EdgeConfig small_edge(const std::string& more = {}) {
    const TemporaryFile file("profile = \"small\"\n" + minimal_edge + more);
    const auto loaded = edge::load_config(file.path());
    EXPECT_TRUE(loaded.config) << loaded.errors.front();
    return *loaded.config;
}

TEST(EdgeConfig, AProfileIsASetOfDefaultsAndTheFileCounts) {
    const edge::EdgeConfig small = small_edge();
    for (const edge::ProfileValue& value : edge::profile_values(small)) {
        EXPECT_EQ(value.in_force, value.small) << value.key;
        EXPECT_NE(value.standard, value.small) << value.key;
    }
    EXPECT_EQ(small.cache.ids_max, 65'536U);
    EXPECT_EQ(small.lanes.at(0).linger_us, 100'000U);
    EXPECT_EQ(small.cache.lifetime_s, edge::EdgeConfig{}.cache.lifetime_s) << "not the profile's";
    const edge::EdgeConfig told = small_edge(
        "[cache]\nids_max = 131072\n[[lanes]]\nname = \"urgent\"\nlinger_us = 0\n[[lanes]]\nname = \"rest\"\n");
    EXPECT_EQ(told.cache.ids_max, 131'072U);
    EXPECT_EQ(told.cache.keys_max, 4096U);
    EXPECT_EQ(told.lanes.at(0).linger_us, 100'000U) << "default";
    EXPECT_EQ(told.lanes.at(1).linger_us, 0U);
    EXPECT_EQ(told.lanes.at(2).linger_us, 100'000U);
    const std::string text = edge::profile_text(told);
    EXPECT_NE(text.find("profile     small\n"), std::string::npos) << text;
    EXPECT_NE(text.find("cache.ids_max = 131072, by the file; small: 65536; standard: 1048576\n"), std::string::npos)
        << text;
    EXPECT_NE(text.find("cache.keys_max = 4096; standard: 65536\n"), std::string::npos) << text;
    const TemporaryFile file(minimal_edge);
    EXPECT_EQ(edge::profile_text(*edge::load_config(file.path()).config), "profile     standard\n");
    EXPECT_EQ(edge_errors("profile = \"tiny\"\n" + minimal_edge).size(), 1U);
}

TEST(EdgeConfig, WhatAProfileSetsIsAKeyAndStandsInTheReadme) {
    const auto known = edge::known_config_keys();
    const std::string readme = read_text("edge/README.md");
    for (const edge::ProfileValue& value : edge::profile_values({})) {
        EXPECT_NE(std::find(known.begin(), known.end(), value.key), known.end()) << value.key;
        const std::string row = "| `" + std::string(value.key) + "` | " + std::to_string(value.standard) + " | " +
                                std::to_string(value.small) + " |";
        EXPECT_NE(readme.find(row), std::string::npos) << row;
    }
}

// The gate of T10; what is really in use is less (scripts/small-edge).
TEST(EdgeConfig, TheSmallProfilesBudgetIsAtMost64MiB) {
    const edge::Budget budget = edge::budget_of(small_edge());
    EXPECT_LE(budget.memory_bytes, 64ULL << 20) << budget.text;
    EXPECT_GT(edge::budget_of({}).memory_bytes, 2 * budget.memory_bytes);
}

TEST(EdgeConfig, TheDigestIsThatOfTheFilesBytes) {
    const TemporaryFile file(minimal_edge);
    const TemporaryFile same(minimal_edge);
    const TemporaryFile other(minimal_edge + "\n");
    EXPECT_EQ(edge::load_config(file.path()).config->digest, edge::load_config(same.path()).config->digest);
    EXPECT_NE(edge::load_config(file.path()).config->digest, edge::load_config(other.path()).config->digest);
    // XXH3's own value for no bytes.
    EXPECT_EQ(control::parse_config("x", "").digest, 0x2d06800538d394c2ULL);
}

TEST(EdgeConfig, TheExampleNamesEveryKeyThatIsKnown) {
    EXPECT_EQ(keys_missing_in(switched_on(read_text("edge/edge.example.toml")), edge::known_config_keys()),
              std::vector<std::string>{});
    EXPECT_EQ(edge::known_config_keys().size(), 193U);
}

TEST(EdgeConfig, TheExamplesValuesAreTheDefaults) {
    const auto example = edge::load_config("edge/edge.example.toml");
    ASSERT_TRUE(example.config) << example.errors.front();
    const edge::EdgeConfig& read = *example.config;
    const edge::EdgeConfig plain;
    EXPECT_EQ(read.log_level, plain.log_level);
    EXPECT_EQ(read.admin, plain.admin);
    EXPECT_EQ(read.listen.allow_plaintext, plain.listen.allow_plaintext);
    EXPECT_EQ(read.listen.connections_max, plain.listen.connections_max);
    EXPECT_EQ(read.listen.hello_ms_max, plain.listen.hello_ms_max);
    EXPECT_EQ(read.listen.credit_events, plain.listen.credit_events);
    EXPECT_EQ(read.listen.rate_events_max, plain.listen.rate_events_max);
    EXPECT_EQ(read.listen.waiting_bytes_max, plain.listen.waiting_bytes_max);
    EXPECT_EQ(read.uplink.allow_plaintext, plain.uplink.allow_plaintext);
    EXPECT_EQ(read.uplink.reconnect_ms_min, plain.uplink.reconnect_ms_min);
    EXPECT_EQ(read.uplink.choice, plain.uplink.choice);
    EXPECT_EQ(read.uplink.weights, plain.uplink.weights);
    EXPECT_EQ(read.uplink.reconnect_ms_max, plain.uplink.reconnect_ms_max);
    EXPECT_EQ(read.uplink.ping_ms, plain.uplink.ping_ms);
    EXPECT_EQ(read.uplink.silent_ms_max, plain.uplink.silent_ms_max);
    EXPECT_EQ(read.uplink.breaker_failures, plain.uplink.breaker_failures);
    EXPECT_EQ(read.uplink.breaker_ms, plain.uplink.breaker_ms);
    EXPECT_EQ(read.uplink.return_ms, plain.uplink.return_ms);
    EXPECT_EQ(read.uplink.return_stable_ms, plain.uplink.return_stable_ms);
    EXPECT_EQ(read.uplink.catch_up_queue_us, plain.uplink.catch_up_queue_us);
    EXPECT_EQ(read.validate.allowed_types, plain.validate.allowed_types);
    EXPECT_EQ(read.validate.time_ahead_s_max, plain.validate.time_ahead_s_max);
    EXPECT_EQ(read.validate.time_behind_s_max, plain.validate.time_behind_s_max);
    EXPECT_EQ(read.cache.ids_max, plain.cache.ids_max);
    EXPECT_EQ(read.cache.lifetime_s, plain.cache.lifetime_s);
    EXPECT_EQ(read.cache.producers_max, plain.cache.producers_max);
    EXPECT_EQ(read.cache.keys_max, plain.cache.keys_max);
    EXPECT_EQ(read.spool.segment_bytes, plain.spool.segment_bytes);
    EXPECT_EQ(read.spool.bytes_max, plain.spool.bytes_max);
    EXPECT_EQ(read.spool.batches_max, plain.spool.batches_max);
    EXPECT_EQ(read.spool.checkpoint_ms, plain.spool.checkpoint_ms);
    EXPECT_EQ(read.ladder, plain.ladder);
    EXPECT_EQ(read.dead_letters, plain.dead_letters);
    EXPECT_EQ(read.runtime.idle, plain.runtime.idle);
    EXPECT_EQ(read.runtime.idle_spin_us, plain.runtime.idle_spin_us);
    EXPECT_EQ(read.runtime.thread_plan, plain.runtime.thread_plan);
    EXPECT_EQ(read.profile, plain.profile);
    for (const edge::ProfileValue& value : edge::profile_values(read))
        EXPECT_EQ(value.in_force, value.standard) << value.key;
    EXPECT_EQ(read.flash.daily_write_limit_bytes, plain.flash.daily_write_limit_bytes);
    EXPECT_EQ(read.runtime.receive_slots, plain.runtime.receive_slots);
    EXPECT_EQ(read.runtime.receive_slot_bytes, plain.runtime.receive_slot_bytes);
    EXPECT_EQ(read.lanes.size(), 1U);
    EXPECT_TRUE(read.routes.empty());
    EXPECT_TRUE(read.rules.empty());
    const TemporaryFile file(switched_on(read_text("edge/edge.example.toml")));
    const auto all = edge::load_config(file.path());
    const edge::LaneConfig plain_lane;
    EXPECT_EQ(all.config->lanes[1].lane_class, plain_lane.lane_class);
    EXPECT_EQ(all.config->lanes[1].shed, plain_lane.shed);
    EXPECT_EQ(all.config->lanes[1].drain, plain_lane.drain);
    EXPECT_EQ(all.config->lanes[1].spool, plain_lane.spool);
    EXPECT_EQ(all.config->lanes[1].priority, plain_lane.priority);
    EXPECT_EQ(all.config->lanes[1].weight, plain_lane.weight);
    EXPECT_EQ(all.config->lanes[1].backlog_weight, plain_lane.backlog_weight);
    EXPECT_EQ(all.config->lanes[1].bytes_max, plain_lane.bytes_max);
    EXPECT_EQ(all.config->lanes[1].keep_undelivered_s, plain_lane.keep_undelivered_s);
    EXPECT_EQ(all.config->lanes[1].batch_bytes, plain_lane.batch_bytes);
    EXPECT_EQ(all.config->lanes[1].batch_events, plain_lane.batch_events);
    EXPECT_EQ(all.config->lanes[1].linger_us, plain_lane.linger_us);
    EXPECT_EQ(all.config->routes[0].priority_min, edge::RouteConfig{}.priority_min);
}

TEST(EdgeConfig, TheBudgetAddsUpItsTermsAndGrowsWithItsKeys) {
    const TemporaryFile file(minimal_edge);
    edge::EdgeConfig config = *edge::load_config(file.path()).config;
    const edge::Budget before = edge::budget_of(config);
    EXPECT_NE(before.text.find("batch buffers (spool.batches_max): 32 of 260 KiB"), std::string::npos) << before.text;
    config.spool.batches_max += 1;
    config.spool.bytes_max += 4096;
    const edge::Budget after = edge::budget_of(config);
    EXPECT_EQ(after.memory_bytes - before.memory_bytes, 260U << 10);
    EXPECT_EQ(after.disk_bytes - before.disk_bytes, 4096U);
}

TEST(CentralConfig, AMinimalFileWorksAndEverythingElseHasADefault) {
    const TemporaryFile file(minimal_central);
    const auto loaded = central::load_config(file.path());
    ASSERT_TRUE(loaded.config) << loaded.errors.front();
    EXPECT_EQ(loaded.config->listen.edges, std::vector<std::string>{"127.0.0.1:7500"});
    EXPECT_EQ(loaded.config->journal.groups, 4U);
}

TEST(CentralConfig, EachMistakeIsNamedByPlaceAndKey) {
    const ErrorCase cases[] = {
        {minimal_central + "[journal]\ngroup_bytes = 1048576\nsegment_bytes = 1048576\n",
         {"4:15: journal.group_bytes: must fit one segment beside its header: at most 1044480 bytes"}},
        {minimal_central + "[limits]\npositions_max = 10\n",
         {"4:17: limits.positions_max: must not be less than limits.edges_max, 1024 edges"}},
        {"data_dir = \"/tmp/x\"\n[listen]\nedges = \"127.0.0.1:7500\"\nadmin = \"127.0.0.1:7510\"\n"
         "status_interval_ms = 99\n",
         {"5:22: listen.status_interval_ms: must be 0, or at least 100 ms"}},
        {minimal_central + "[journal]\ngroups = 4.0\n",
         {"4:10: journal.groups: must be a whole number, not a decimal number"}},
        {minimal_central + "journal = 7\n", {"3:11: journal: must be a table, not a whole number"}},
        {minimal_central + "[spool]\n", {"3:2: spool: unknown key"}},
        {minimal_central + "[limits]\ncredit_bytes_total = 104859200\n",
         {"4:22: limits.credit_bytes_total: must hold the largest batch of each of listen.connections_max: at least "
          "1073758208 bytes"}},
        {minimal_central +
             "[[lanes]]\nname = \"a\"\ncredit_bytes = 4096\n[[lanes]]\nname = \"a\"\n[[lanes]]\nname = \"A\"\n",
         {"5:16: lanes[0].credit_bytes: must be 0, or hold the largest batch: at least 1048592 bytes",
          "7:8: lanes[1].name: is listed twice: \"a\"", "9:8: lanes[2].name: must be 1 to 16 of a-z, 0-9 and '-'"}},
        {minimal_central + "[[windows]]\nname = \"a b\"\nwhen = \"type > 5\"\nkey = 'lookup(\"x\", key).y'\n"
                           "length_s = 90\nstep_s = 60\npercentiles = [\"101\"]\n[[windows]]\nname = \"s\"\n"
                           "length_s = 60\ngap_s = 5\n[[windows]]\nname = \"s\"\ntop_count = 3\n[[windows]]\n"
                           "name = \"t\"\ngap_s = 5\nspread_ms = 10\n",
         {"4:8: windows[0].name: must be 1 to 64 of A-Z, a-z, 0-9, '-' and '_'",
          "5:8: windows[0].when: at 1:6: text and integer have no order",
          "6:7: windows[0].key: at 1:1: there is no table x with a column y",
          "8:10: windows[0].step_s: the length is no multiple of the step",
          "9:15: windows[0].percentiles: needs a value to be of",
          "9:16: windows[0].percentiles[0]: must be \"0\" to \"100\", with at most three decimals",
          "13:9: windows[1].gap_s: a session has no length: leave out length_s or gap_s",
          "15:8: windows[2].name: another window has this name: \"s\"",
          "16:13: windows[2].top_count: needs a text to list: top",
          "20:13: windows[3].spread_ms: a session's answers are not spread"}},
        {minimal_central + "[[patterns]]\nname = \"p\"\npattern = '''\na -> !b by key\na: true\nb: true\n'''\n"
                           "[[anomalies]]\nname = \"x\"\nwindow = \"w\"\nmembers = [\"level\", \"luck\"]\n"
                           "[[alerts]]\nname = \"y\"\non = \"pattern.q\"\nraise = \"data.count\"\n"
                           "suppressed_by = \"z\"\n",
         {"5:11: patterns[0].pattern: at 1:9: within and a duration must say how long this may take",
          "12:10: anomalies[0].window: no window has this name: \"w\"",
          "13:21: anomalies[0].members[1]: no detector has this name: \"luck\"",
          "14:1: alerts[0]: suppressed_by: no alert has this name: \"z\"",
          "16:6: alerts[0].on: no window, pattern or anomaly has this name: \"pattern.q\""}},
        {minimal_central +
             "[[sinks]]\nname = \"A\"\nkind = \"webhook\"\nurl = \"https://127.0.0.1:1\"\n[[sinks]]\nname = \"a\"\n"
             "kind = \"webhook\"\nurl = \"http://10.0.0.1:9093/x\"\n[[sinks]]\nname = \"a\"\n"
             "kind = \"command\"\ncommand = \"page\"\nurl = \"http://127.0.0.1:1\"\n",
         {"4:8: sinks[0].name: must be 1 to 32 of a-z, 0-9 and '-'",
          "6:7: sinks[0].url: must be \"http://HOST:PORT/PATH\"",
          "10:7: sinks[1].url: plain TCP beyond loopback: \"10.0.0.1:9093\" needs [tls], or allow_plaintext = true",
          "12:8: sinks[2].name: another sink has this name: \"a\"",
          "14:11: sinks[2].command: must name a program by its whole path",
          "15:7: sinks[2].url: is for kind = \"webhook\""}},
        {minimal_central + "[analytics]\ncheckpoint_ms = 5\nrow_max = 7\n",
         {"4:17: analytics.checkpoint_ms: must be 10 to 600000 ms, not 5",
          "5:1: analytics.row_max: unknown key; did you mean \"rows_max\"?"}},
        {minimal_central +
             "[[edges]]\nname = \"north-*\"\nregion = \"North\"\nintake = \"127.0.0.1:1\"\n[[edges]]\nname = \"a*b\"\n"
             "[[edges]]\nname = \"north-*\"\n[[edges]]\nname = \"n\"\nintake = \"10.0.0.1:7401\"\n",
         {"5:10: edges[0].region: must be 1 to 32 of a-z, 0-9 and '-'",
          "6:10: edges[0].intake: is for one edge: its name must be whole",
          "8:8: edges[1].name: must be an edge's id, or the beginning of one and '*'",
          "10:8: edges[2].name: is listed twice: \"north-*\"",
          "13:10: edges[3].intake: must be a loopback address, not \"10.0.0.1:7401\""}},
        {minimal_central + "[stream]\npushes_per_second = 0\nbeat_ms = 99\n",
         {"4:21: stream.pushes_per_second: must be 1 to 100 pushes, not 0",
          "5:11: stream.beat_ms: must be 100 to 60000 ms, not 99"}},
        {"data_dir = \"x\"\n[listen]\nedges = \"0.0.0.0:7500\"\nadmin = \"127.0.0.1:1\"\n",
         {"3:9: listen.edges: plain TCP beyond loopback: \"0.0.0.0:7500\" needs [tls], or listen.allow_plaintext = "
          "true"}},
    };
    for (const ErrorCase& wrong : cases) EXPECT_EQ(central_errors(wrong.content), wrong.errors) << wrong.content;
}

TEST(EdgeConfig, TlsTakesThePlaceOfPlainTcpWhereItIsUsed) {
    const std::string far =
        "edge_id = \"a\"\ndata_dir = \"x\"\n[listen]\nproducers = \"0.0.0.0:7401\"\nadmin = \"127.0.0.1:7411\"\n"
        "[uplink]\ncentrals = \"10.1.2.3:7500\"\n[tls]\ntrust_domain = \"weir.test\"\n";
    const std::string files = "certificate = \"a.crt\"\nkey = \"a.key\"\nca = \"ca.crt\"\n";
    const auto kept = [](const std::string& content) {
        std::vector<std::string> keys;
        for (const auto& line : edge_errors(content))
            keys.push_back(line.substr(0, line.find(' ', line.find(' ') + 1)));
        return keys;
    };
    EXPECT_EQ(kept(far + files + "producers = true\n"), std::vector<std::string>{});
    EXPECT_EQ(kept(far + files), (std::vector<std::string>{"4:13: listen.producers:"}));
    EXPECT_EQ(kept(far + files + "uplink = false\nproducers = true\n"),
              (std::vector<std::string>{"7:12: uplink.centrals:"}));
}

TEST(EdgeConfig, TheKeysOfTlsGoTogetherAndNamesAreNames) {
    EXPECT_EQ(edge_errors(minimal_edge + "[tls]\ncertificate = \"a.crt\"\nkey = \"a.key\"\ntrust_domain = \"A b\"\n"
                                         "central_names = [\"main\", \"dns:c.example\", \"Main\", \"dns:\"]\n"),
              (std::vector<std::string>{
                  "5:1: tls.ca: is missing: certificate, key, ca and trust_domain go together",
                  "8:16: tls.trust_domain: must be of a-z, 0-9, '.', '-' and '_'",
                  "9:43: tls.central_names[2]: must be a name of a-z, 0-9 and '-', \"dns:NAME\" or \"ip:ADDRESS\"",
                  "9:51: tls.central_names[3]: must be a name of a-z, 0-9 and '-', \"dns:NAME\" or \"ip:ADDRESS\"",
              }));
    EXPECT_EQ(edge_errors(minimal_edge + "[tls]\nproducers = true\n").size(), 4U);
    EXPECT_EQ(central_errors(minimal_central + "[tls]\nuplink = true\n"),
              std::vector<std::string>{"4:1: tls.uplink: unknown key"});
}

TEST(EdgeConfig, TheKeysOfTlsOnTheAdminPortGoTogether) {
    const std::string begin = minimal_edge + "[admin]\n";
    const std::string files = "certificate = \"a.crt\"\nkey = \"a.key\"\n";
    const std::string clients = files + "client_ca = \"ca.crt\"\n";
    const std::vector<ErrorCase> cases{
        {"certificate = \"a.crt\"\n", {"5:1: admin.key: is missing: TLS on the admin port needs certificate and key"}},
        {"key = \"a.key\"\n", {"5:1: admin.certificate: is missing: TLS on the admin port needs certificate and key"}},
        {"client_certificate = \"asked\"\n",
         {"5:1: admin.certificate: is missing: TLS on the admin port needs certificate and key"}},
        {clients + "tokens = \"t\"\n",
         {"8:13: admin.client_ca: is for nothing: client_certificate must be \"asked\" or \"required\""}},
        {files + "client_certificate = \"required\"\n",
         {"5:1: admin.client_ca: is missing: client_certificate asks for certificates",
          "5:1: admin.tokens: is missing: the file says which certificate has which role",
          "5:1: admin.trust_domain: is missing, here and in [tls]: whose operators may come"}},
        {clients + "client_certificate = \"asked\"\ntokens = \"t\"\ntrust_domain = \"A b\"\n",
         {"11:16: admin.trust_domain: must be of a-z, 0-9, '.', '-' and '_'"}},
        {files + "client_certificate = \"always\"\n",
         {"8:22: admin.client_certificate: must be one of \"none\", \"asked\", \"required\", not \"always\""}},
        {files, {}},
        {clients + "client_certificate = \"asked\"\ntokens = \"t\"\ntrust_domain = \"weir.example\"\n", {}},
    };
    for (const ErrorCase& one : cases) EXPECT_EQ(edge_errors(begin + one.content), one.errors) << one.content;
}

TEST(EdgeConfig, WhoseOperatorsAndWhichAreDeniedIsSaidByTlsWhereAdminDoesNotSayIt) {
    const std::string tls =
        "[tls]\ncertificate = \"c\"\nkey = \"k\"\nca = \"a\"\ntrust_domain = \"weir.example\"\ndeny_list = \"d\"\n";
    const std::string admin =
        "[admin]\ntokens = \"t\"\ncertificate = \"x\"\nkey = \"y\"\nclient_ca = \"z\"\nclient_certificate = "
        "\"required\"\n";
    const TemporaryFile file(minimal_edge + tls + admin), other(minimal_edge + tls + admin + "trust_domain = \"o\"\n");
    const auto loaded = edge::load_config(file.path()), own = edge::load_config(other.path());
    ASSERT_TRUE(loaded.config && own.config);
    const tls::PeerRule rule = loaded.config->admin.client_rule();
    EXPECT_EQ(rule.trust_domain, "weir.example");
    EXPECT_EQ(rule.role, "operator");
    EXPECT_TRUE(rule.is_asked && !rule.is_optional);
    EXPECT_EQ(loaded.config->admin.files.deny_list, "d");
    EXPECT_EQ(own.config->admin.client_rule().trust_domain, "o");
}

// Without either it is refused as ever.
TEST(EdgeConfig, TheAdminPortLeavesLoopbackOnlyWithTlsAndTokens) {
    const std::string files = "certificate = \"a.crt\"\nkey = \"a.key\"\n", tokens = "tokens = \"t\"\n";
    const auto errors_with = [](const std::string& admin) {
        const auto far = [](std::string text, const std::string& port) {
            return text.replace(text.find("admin = \"127.0.0.1:" + port), 18, "admin = \"10.0.0.1");
        };
        const auto edge = edge_errors(far(minimal_edge, "7411") + "[admin]\n" + admin);
        const auto central = central_errors(far(minimal_central, "7510") + "[admin]\n" + admin);
        EXPECT_EQ(edge.size(), central.size());
        return edge;
    };
    EXPECT_EQ(errors_with(files + tokens), std::vector<std::string>{});
    for (const std::string& admin : {std::string(), files, tokens}) {
        const auto errors = errors_with(admin);
        ASSERT_EQ(errors.size(), 1U) << admin;
        EXPECT_NE(errors[0].find("listen.admin: must be a loopback address"), std::string::npos) << errors[0];
    }
}

TEST(CentralConfig, TheExampleNamesEveryKeyThatIsKnown) {
    EXPECT_EQ(keys_missing_in(switched_on(read_text("central/central.example.toml")), central::known_config_keys()),
              std::vector<std::string>{});
    EXPECT_EQ(central::known_config_keys().size(), 153U);
}

TEST(CentralConfig, AnEdgesNoteIsItsOwnBeforeThatOfAllThatBeginSo) {
    const std::vector<central::EdgeNote> notes{{.name = "north-*", .region = "north", .intake = ""},
                                               {.name = "north-2", .region = "coast", .intake = ""},
                                               {.name = "*", .region = "rest", .intake = ""}};
    EXPECT_EQ(central::note_of(notes, "north-1")->region, "north");
    EXPECT_EQ(central::note_of(notes, "north-2")->region, "coast");
    EXPECT_EQ(central::note_of(notes, "south")->region, "rest");
    EXPECT_EQ(central::note_of({}, "south"), nullptr);
}

TEST(CentralConfig, TheExamplesValuesAreTheDefaults) {
    const auto example = central::load_config("central/central.example.toml");
    ASSERT_TRUE(example.config) << example.errors.front();
    const central::CentralConfig& read = *example.config;
    const central::CentralConfig plain;
    EXPECT_EQ(read.log_level, plain.log_level);
    EXPECT_EQ(read.admin, plain.admin);
    EXPECT_EQ(read.listen.allow_plaintext, plain.listen.allow_plaintext);
    EXPECT_EQ(read.listen.connections_max, plain.listen.connections_max);
    EXPECT_EQ(read.listen.hello_ms_max, plain.listen.hello_ms_max);
    EXPECT_EQ(read.listen.silent_ms_max, plain.listen.silent_ms_max);
    EXPECT_EQ(read.listen.credit_bytes, plain.listen.credit_bytes);
    EXPECT_EQ(read.listen.frame_ms_max, plain.listen.frame_ms_max);
    EXPECT_EQ(read.listen.status_interval_ms, plain.listen.status_interval_ms);
    EXPECT_EQ(read.limits.credit_bytes_total, plain.limits.credit_bytes_total);
    EXPECT_EQ(read.limits.carries_max, plain.limits.carries_max);
    EXPECT_EQ(read.limits.turn_bytes, plain.limits.turn_bytes);
    EXPECT_EQ(read.limits.hellos_per_second, plain.limits.hellos_per_second);
    EXPECT_EQ(read.stream.clients_max, plain.stream.clients_max);
    EXPECT_EQ(read.stream.pushes_per_second, plain.stream.pushes_per_second);
    EXPECT_EQ(read.stream.beat_ms, plain.stream.beat_ms);
    EXPECT_EQ(read.stream.stalled_ms_max, plain.stream.stalled_ms_max);
    EXPECT_EQ(read.stream.events_clients_max, plain.stream.events_clients_max);
    EXPECT_EQ(read.stream.events_queue_bytes, plain.stream.events_queue_bytes);
    EXPECT_TRUE(read.edges.empty());
    EXPECT_TRUE(read.lanes.empty());
    EXPECT_EQ(read.journal.segment_bytes, plain.journal.segment_bytes);
    EXPECT_EQ(read.journal.group_bytes, plain.journal.group_bytes);
    EXPECT_EQ(read.journal.groups, plain.journal.groups);
    EXPECT_EQ(read.journal.checkpoint_ms, plain.journal.checkpoint_ms);
    EXPECT_EQ(read.journal.tick_ms, plain.journal.tick_ms);
    EXPECT_EQ(read.limits.edges_max, plain.limits.edges_max);
    EXPECT_EQ(read.limits.edge_journal_bytes_max, plain.limits.edge_journal_bytes_max);
    EXPECT_EQ(read.limits.edge_letters_bytes_max, plain.limits.edge_letters_bytes_max);
    EXPECT_EQ(read.limits.positions_max, plain.limits.positions_max);
    EXPECT_EQ(read.limits.types_max, plain.limits.types_max);
    EXPECT_EQ(read.limits.minutes_max, plain.limits.minutes_max);
    EXPECT_EQ(read.runtime.idle, plain.runtime.idle);
    EXPECT_EQ(read.runtime.idle_spin_us, plain.runtime.idle_spin_us);
    EXPECT_EQ(read.runtime.thread_plan, plain.runtime.thread_plan);
    EXPECT_EQ(read.runtime.receive_slots, plain.runtime.receive_slots);
    EXPECT_EQ(read.runtime.receive_slot_bytes, plain.runtime.receive_slot_bytes);
    EXPECT_FALSE(read.analytics.is_used());
    EXPECT_EQ(read.analytics.checkpoint_ms, plain.analytics.checkpoint_ms);
    EXPECT_EQ(read.analytics.commit_ms, plain.analytics.commit_ms);
    EXPECT_EQ(read.analytics.rows_max, plain.analytics.rows_max);
    EXPECT_EQ(read.analytics.query_ms_max, plain.analytics.query_ms_max);
    const auto& clock = read.analytics.definitions.clock;
    const analytics::EventClockSpec plain_clock;
    EXPECT_EQ(clock.future_ns_max, plain_clock.future_ns_max);
    EXPECT_EQ(clock.disorder_ns, plain_clock.disorder_ns);
    EXPECT_EQ(clock.idle_ns_max, plain_clock.idle_ns_max);
    EXPECT_EQ(clock.join_ns_max, plain_clock.join_ns_max);
    EXPECT_EQ(clock.standing_ns_max, plain_clock.standing_ns_max);
    EXPECT_EQ(clock.sources_max, plain_clock.sources_max);
}

TEST(CentralConfig, TheExamplesDefinitionsAreGoodWhenTheyAreSwitchedOn) {
    const TemporaryFile file(switched_on(read_text("central/central.example.toml")));
    const auto loaded = central::load_config(file.path());
    ASSERT_TRUE(loaded.config) << loaded.errors.front();
    const analytics::Definitions& told = loaded.config->analytics.definitions;
    ASSERT_EQ(told.windows.size(), 1U);
    const analytics::WindowDefinition plain;
    EXPECT_EQ(told.windows[0].spec.lateness_ns, plain.spec.lateness_ns);
    EXPECT_EQ(told.windows[0].spec.keys_max, plain.spec.keys_max);
    EXPECT_EQ(told.windows[0].spec.panes_max, plain.spec.panes_max);
    EXPECT_EQ(told.windows[0].spec.aggregate.percentiles, (std::vector<std::uint32_t>{50'000, 99'000, 99'900}));
    ASSERT_EQ(told.patterns.size(), 1U);
    EXPECT_EQ(told.patterns[0].limits.waiting_max, analytics::PatternLimits{}.waiting_max);
    ASSERT_EQ(told.anomalies.size(), 1U);
    EXPECT_EQ(told.anomalies[0].spec.members, analytics::AnomalySpec{}.members);
    ASSERT_EQ(told.alerts.size(), 1U);
    EXPECT_EQ(told.alerts[0].rule.group_ns, analytics::AlertRule{}.group_ns);
    const auto& sinks = loaded.config->analytics.sinks;
    ASSERT_EQ(sinks.size(), 2U);
    EXPECT_EQ(sinks[0].address, "127.0.0.1:9093");
    EXPECT_EQ(sinks[0].target, "/api/v2/alerts");
    EXPECT_EQ(sinks[0].timeout_ms, central::SinkConfig{}.timeout_ms);
    EXPECT_EQ(sinks[0].retry_ms_max, central::SinkConfig{}.retry_ms_max);
    EXPECT_EQ(sinks[0].keep_s, central::SinkConfig{}.keep_s);
    EXPECT_EQ(sinks[1].command, (std::vector<std::string>{"/usr/local/bin/page", "--team", "roads"}));
    // What is kept with results says the same again.
    const auto again = central::analytics_of_text(loaded.config->analytics.text);
    ASSERT_TRUE(again.ok()) << again.error().what;
    EXPECT_EQ(again.value().definitions.windows[0].spec.step_ns, told.windows[0].spec.step_ns);
    EXPECT_EQ(again.value().definitions.alerts.size(), 1U);
}

TEST(NearestName, IsTheClosestKnownOneOrNone) {
    const std::vector<std::string> known{"segment_bytes", "bytes_max", "batches_max", "checkpoint_ms"};
    EXPECT_EQ(control::nearest_name("segments_bytes", known), "segment_bytes");
    EXPECT_EQ(control::nearest_name("batchs_max", known), "batches_max");
    EXPECT_EQ(control::nearest_name("colour", known), "");
    EXPECT_EQ(control::nearest_name("x", {"ab"}), "");
}

TEST(Loopback, IsToldFromOtherAddresses) {
    for (const char* address : {"127.0.0.1:1", "127.8.9.1:1", "[::1]:1", "localhost:1", "unix:/x"}) {
        EXPECT_TRUE(control::is_loopback(address)) << address;
    }
    for (const char* address : {"0.0.0.0:1", "10.0.0.1:1", "[::]:1", "127.0.0.1.example.org:1", "example.org:1"}) {
        EXPECT_FALSE(control::is_loopback(address)) << address;
    }
}

}  // namespace
}  // namespace weir
