// ConfigReader: a TOML file read into structs, with every mistake in it named by place and key.
//
// read_config() parses; a ConfigTable then takes values out of one table, each with its bounds. What nobody took is an
// unknown key. Nothing stops at the first mistake: all are collected, in the order of the file.
//
// Thread    Start and control threads. Allocates.
// Bounds    Files of config_bytes_max at most.
// Format    A mistake is one line: FILE:LINE:COL: dotted.key: what
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/base/assert.hpp"

namespace weir::control {

inline constexpr std::size_t config_bytes_max = 1U << 20;

// 1-based; columns count bytes' characters as TOML does.
struct ConfigPlace {
    std::uint32_t line = 1;
    std::uint32_t column = 1;
};

struct ConfigNode {
    enum class Kind : std::uint8_t { text, integer, decimal, boolean, date, list, table };
    struct Member;
    Kind kind = Kind::table;
    ConfigPlace at;  // of the value
    std::string text;
    std::int64_t integer = 0;
    double decimal = 0;
    bool boolean = false;
    std::vector<ConfigNode> items;
    std::map<std::string, Member, std::less<>> members;
};
struct ConfigNode::Member {
    ConfigPlace key_at;
    ConfigNode node;
};

struct ConfigFault {
    ConfigPlace at;
    std::string key;
    std::string what;
};

// One parsed file and what is wrong with it.
struct ConfigFile {
    std::string path;
    ConfigNode root;
    std::string text;          // the file's bytes
    std::uint64_t digest = 0;  // XXH3 (64 bits) of them
    std::vector<ConfigFault> faults;
    std::set<std::string> known_keys;  // every key that was asked for: "listen.admin", "lanes[].name"
    bool lists_keys = false;           // visit each kind of [[table]] once even where the file has none

    [[nodiscard]] bool is_readable() const { return is_readable_; }
    // The mistakes as lines, in the file's order.
    [[nodiscard]] std::vector<std::string> error_lines() const;

    bool is_readable_ = true;  // false: no file, or no TOML; `faults` says why
};

// The digest of a configuration that `bytes` of another file belong to as well.
[[nodiscard]] std::uint64_t extend_digest(std::uint64_t digest, std::string_view bytes) noexcept;

[[nodiscard]] ConfigFile read_config(const std::string& path);
[[nodiscard]] ConfigFile parse_config(std::string path, std::string_view text);

// Inclusive bounds and the unit that an error names.
struct Bounds {
    std::uint64_t min = 0;
    std::uint64_t max = 0;
    std::string_view unit = "";
    std::uint64_t multiple = 1;
};

// The known name that `name` was most likely meant to be: at most a third of its letters (and one) differ. Empty if
// none.
[[nodiscard]] std::string_view nearest_name(std::string_view name, const std::vector<std::string>& known);

class ConfigTable {
  public:
    explicit ConfigTable(ConfigFile& file) : ConfigTable(file, file.root, "", "") {}
    ~ConfigTable();  // refuses the keys that nobody asked for
    ConfigTable(const ConfigTable&) = delete;
    ConfigTable& operator=(const ConfigTable&) = delete;

    // Each leaves `into` as it is where the key is absent or wrong. `needs`: absence is a mistake.
    void text(std::string_view key, std::string& into);
    void needs_text(std::string_view key, std::string& into);
    void texts(std::string_view key, std::vector<std::string>& into);  // a list of strings, or one string
    void needs_texts(std::string_view key, std::vector<std::string>& into);
    void flag(std::string_view key, bool& into);
    void decimal(std::string_view key, std::optional<double>& into);
    // A string, whole number or boolean, as text.
    void needs_scalar(std::string_view key, std::string& into);
    template <class Integer>
    requires(std::is_unsigned_v<Integer>) void number(std::string_view key, Integer& into, const Bounds& bounds) {
        WEIR_ASSERT(bounds.max <= std::numeric_limits<Integer>::max());
        WEIR_ASSERT(into >= bounds.min && into <= bounds.max && into % bounds.multiple == 0);
        if (const auto value = bounded(key, bounds)) into = static_cast<Integer>(*value);
    }
    void numbers(std::string_view key, std::vector<std::uint32_t>& into,
                 const Bounds& bounds);  // a list of whole numbers
    template <class Enum>
    void choice(std::string_view key, Enum& into, std::initializer_list<std::pair<std::string_view, Enum>> choices) {
        std::vector<std::string> names;
        for (const auto& [name, value] : choices) names.emplace_back(name);
        if (const auto index = chosen(key, names)) into = (choices.begin() + *index)->second;
    }
    void choice(std::string_view key, std::string& into, const std::vector<std::string>& choices) {
        if (const auto index = chosen(key, choices)) into = choices[*index];
    }
    // [key]; read as empty where it is absent, so that what it needs is missed. [[key]] or key = [{..}], at most
    // `count_max`.
    void table(std::string_view key, const std::function<void(ConfigTable&)>& read);
    void tables(std::string_view key, std::size_t count_max, const std::function<void(ConfigTable&)>& read);

    [[nodiscard]] bool has(std::string_view key) const;
    // A mistake in this key's value, or in its item `index` of a list.
    void fault(std::string_view key, std::string what);
    void fault(std::string_view key, std::size_t index, std::string what);
    // A mistake in `key` of the sub-table `table`, found when the whole file is known.
    void table_fault(std::string_view table, std::string_view key, std::string what);

  private:
    ConfigTable(ConfigFile& file, const ConfigNode& node, std::string name, std::string kind);
    [[nodiscard]] const ConfigNode* find(std::string_view key);
    [[nodiscard]] std::string name_of(std::string_view key) const;
    void missing(std::string_view key);
    void wrong_kind(std::string_view key, const ConfigNode& node, std::string_view wanted);
    [[nodiscard]] std::optional<std::uint64_t> bounded(std::string_view key, const Bounds& bounds);
    [[nodiscard]] std::optional<std::size_t> chosen(std::string_view key, const std::vector<std::string>& choices);

    ConfigFile& file_;
    const ConfigNode& node_;
    std::string name_;  // "listen", "lanes[2]"
    std::string kind_;  // "listen", "lanes[]": as known_keys has it
    std::vector<std::string> known_;
};

// True for unix: paths, 127.0.0.0/8, [::1] and localhost.
[[nodiscard]] bool is_loopback(std::string_view address);

// What every listening or dialled address of a configuration must be, else why not. `allow_key` names the switch that
// admits plain TCP beyond loopback; empty if there is none.
struct AddressRule {
    bool allow_plaintext = false;  // or TLS is spoken there
    std::string_view allow_key{};
    bool tcp_only = false;
};
[[nodiscard]] std::optional<std::string> address_fault(std::string_view address, const AddressRule& rule);
// Checks each of `addresses`, the value of `key`: at least one, each good, none twice.
void check_addresses(ConfigTable& table, std::string_view key, const std::vector<std::string>& addresses,
                     const AddressRule& rule);

// "4194304" -> "4 MiB" where it is whole, else one decimal.
[[nodiscard]] std::string bytes_text(std::uint64_t bytes);

// A budget's terms: adds each up and writes one line for it.
class BudgetText {
  public:
    // "memory      8.1 MiB  batch buffers: 32 of 260 KiB (spool.batches_max)"
    void memory(std::string_view what, std::uint64_t bytes);
    void disk(std::string_view what, std::uint64_t bytes);
    void note(std::string_view what);
    [[nodiscard]] std::uint64_t memory_bytes() const { return memory_bytes_; }
    [[nodiscard]] std::uint64_t disk_bytes() const { return disk_bytes_; }
    // The lines, and a total of each kind that has terms.
    [[nodiscard]] std::string text() const;

  private:
    std::uint64_t memory_bytes_ = 0;
    std::uint64_t disk_bytes_ = 0;
    std::string text_;
};

}  // namespace weir::control
