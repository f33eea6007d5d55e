// The seam of toml++ and of xxHash's whole-file digest.
#include "core/control/config_reader.hpp"

#include <arpa/inet.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>
#include <numeric>

#define TOML_HEADER_ONLY 0
#define TOML_SHARED_LIB 1
#include <toml++/toml.h>

#include "core/io/io.hpp"

namespace weir::control {
namespace {

ConfigPlace place_of(const toml::source_region& region) {
    if (region.begin.line == 0) return {};
    return {static_cast<std::uint32_t>(region.begin.line), static_cast<std::uint32_t>(region.begin.column)};
}

ConfigNode node_of(const toml::node& from) {
    ConfigNode node;
    node.at = place_of(from.source());
    if (const auto* table = from.as_table()) {
        node.kind = ConfigNode::Kind::table;
        for (const auto& [key, value] : *table) {
            node.members.emplace(std::string(key.str()), ConfigNode::Member{place_of(key.source()), node_of(value)});
        }
    } else if (const auto* list = from.as_array()) {
        node.kind = ConfigNode::Kind::list;
        for (const auto& item : *list) node.items.push_back(node_of(item));
    } else if (const auto* text = from.as_string()) {
        node.kind = ConfigNode::Kind::text;
        node.text = text->get();
    } else if (const auto* integer = from.as_integer()) {
        node.kind = ConfigNode::Kind::integer;
        node.integer = integer->get();
    } else if (const auto* decimal = from.as_floating_point()) {
        node.kind = ConfigNode::Kind::decimal;
        node.decimal = decimal->get();
    } else if (const auto* boolean = from.as_boolean()) {
        node.kind = ConfigNode::Kind::boolean;
        node.boolean = boolean->get();
    } else {
        node.kind = ConfigNode::Kind::date;
    }
    return node;
}

std::string_view kind_text(ConfigNode::Kind kind) {
    switch (kind) {
        case ConfigNode::Kind::text:
            return "a string";
        case ConfigNode::Kind::integer:
            return "a whole number";
        case ConfigNode::Kind::decimal:
            return "a decimal number";
        case ConfigNode::Kind::boolean:
            return "a boolean";
        case ConfigNode::Kind::date:
            return "a date or time";
        case ConfigNode::Kind::list:
            return "a list";
        case ConfigNode::Kind::table:
            return "a table";
    }
    return "";
}

bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

std::string quoted(std::string_view text) {
    return '"' + std::string(text) + '"';
}

std::size_t edit_distance(std::string_view left, std::string_view right) {
    std::vector<std::size_t> row(right.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < left.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i + 1;
        for (std::size_t j = 0; j < right.size(); ++j) {
            const std::size_t changed = diagonal + (left[i] == right[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
        }
    }
    return row.back();
}

std::string with_unit(std::uint64_t value, std::string_view unit) {
    std::string text = std::to_string(value);
    if (!unit.empty()) text.append(" ").append(unit);
    return text;
}

}  // namespace

std::vector<std::string> ConfigFile::error_lines() const {
    std::vector<const ConfigFault*> ordered;
    for (const ConfigFault& fault : faults) ordered.push_back(&fault);
    std::stable_sort(ordered.begin(), ordered.end(), [](const ConfigFault* left, const ConfigFault* right) {
        return std::pair(left->at.line, left->at.column) < std::pair(right->at.line, right->at.column);
    });
    std::vector<std::string> lines;
    for (const ConfigFault* fault : ordered) {
        std::string& line =
            lines.emplace_back(path + ':' + std::to_string(fault->at.line) + ':' + std::to_string(fault->at.column) +
                               ": " + fault->key + ": " + fault->what);
        // A key or text of the file may hold anything: one mistake stays one line, and no terminal obeys it.
        std::replace_if(line.begin(), line.end(), is_control, '?');
    }
    return lines;
}

std::uint64_t extend_digest(std::uint64_t digest, std::string_view bytes) noexcept {
    return XXH3_64bits_withSeed(bytes.data(), bytes.size(), digest);
}

ConfigFile read_config(const std::string& path) {
    ConfigFile unreadable;
    unreadable.path = path;
    unreadable.is_readable_ = false;
    errno = 0;
    std::ifstream stream(path, std::ios::binary);
    std::string text(config_bytes_max + 1, '\0');
    if (stream) stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (!stream.is_open() || stream.bad() || (stream.fail() && !stream.eof())) {
        unreadable.faults.push_back(
            {{}, "file", std::string("cannot be read: ") + std::strerror(errno != 0 ? errno : EIO)});
        return unreadable;
    }
    text.resize(static_cast<std::size_t>(stream.gcount()));
    if (text.size() > config_bytes_max) {
        unreadable.faults.push_back({{}, "file", "is longer than " + bytes_text(config_bytes_max)});
        return unreadable;
    }
    return parse_config(path, text);
}

ConfigFile parse_config(std::string path, std::string_view text) {
    ConfigFile file;
    file.path = std::move(path);
    file.text = text;
    file.digest = XXH3_64bits(text.data(), text.size());
    try {
        file.root = node_of(toml::parse(text, file.path));
        file.root.at = {};
    } catch (const toml::parse_error& error) {
        file.is_readable_ = false;
        std::string what(error.description());
        for (char& letter : what) letter = letter == '\n' ? ' ' : letter;
        file.faults.push_back({place_of(error.source()), "syntax", std::move(what)});
    }
    return file;
}

std::string_view nearest_name(std::string_view name, const std::vector<std::string>& known) {
    std::string_view nearest;
    std::size_t distance_min = name.size() / 3 + 2;
    for (const std::string& candidate : known) {
        const std::size_t distance = edit_distance(name, candidate);
        if (distance < distance_min && distance < candidate.size()) {
            distance_min = distance;
            nearest = candidate;
        }
    }
    return nearest;
}

ConfigTable::ConfigTable(ConfigFile& file, const ConfigNode& node, std::string name, std::string kind)
    : file_(file), node_(node), name_(std::move(name)), kind_(std::move(kind)) {}

ConfigTable::~ConfigTable() {
    for (const auto& [key, member] : node_.members) {
        if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
        std::string what = "unknown key";
        if (const auto nearest = nearest_name(key, known_); !nearest.empty()) {
            what.append("; did you mean ").append(quoted(nearest)).append("?");
        }
        file_.faults.push_back({member.key_at, name_of(key), std::move(what)});
    }
}

bool ConfigTable::has(std::string_view key) const {
    return node_.members.contains(key);
}

std::string ConfigTable::name_of(std::string_view key) const {
    return name_.empty() ? std::string(key) : name_ + '.' + std::string(key);
}

const ConfigNode* ConfigTable::find(std::string_view key) {
    known_.emplace_back(key);
    file_.known_keys.insert(kind_.empty() ? std::string(key) : kind_ + '.' + std::string(key));
    const auto found = node_.members.find(key);
    return found == node_.members.end() ? nullptr : &found->second.node;
}

void ConfigTable::fault(std::string_view key, std::string what) {
    const auto found = node_.members.find(key);
    file_.faults.push_back(
        {found == node_.members.end() ? node_.at : found->second.node.at, name_of(key), std::move(what)});
}

void ConfigTable::fault(std::string_view key, std::size_t index, std::string what) {
    const auto found = node_.members.find(key);
    if (found == node_.members.end() || index >= found->second.node.items.size()) return fault(key, std::move(what));
    file_.faults.push_back(
        {found->second.node.items[index].at, name_of(key) + '[' + std::to_string(index) + ']', std::move(what)});
}

void ConfigTable::table_fault(std::string_view table, std::string_view key, std::string what) {
    ConfigPlace at = node_.at;
    if (const auto outer = node_.members.find(table); outer != node_.members.end()) {
        at = outer->second.node.at;
        const auto& members = outer->second.node.members;
        if (const auto inner = members.find(key); inner != members.end()) at = inner->second.node.at;
    }
    file_.faults.push_back({at, name_of(table) + '.' + std::string(key), std::move(what)});
}

void ConfigTable::missing(std::string_view key) {
    fault(key, "is missing");
}

void ConfigTable::wrong_kind(std::string_view key, const ConfigNode& node, std::string_view wanted) {
    fault(key, "must be " + std::string(wanted) + ", not " + std::string(kind_text(node.kind)));
}

void ConfigTable::text(std::string_view key, std::string& into) {
    const ConfigNode* node = find(key);
    if (node == nullptr) return;
    if (node->kind != ConfigNode::Kind::text) return wrong_kind(key, *node, "a string");
    into = node->text;
}

void ConfigTable::needs_text(std::string_view key, std::string& into) {
    text(key, into);
    if (!has(key)) return missing(key);
    if (const ConfigNode& node = node_.members.find(key)->second.node;
        node.kind == ConfigNode::Kind::text && node.text.empty()) {
        fault(key, "must not be empty");
    }
}

void ConfigTable::texts(std::string_view key, std::vector<std::string>& into) {
    const ConfigNode* node = find(key);
    if (node == nullptr) return;
    if (node->kind == ConfigNode::Kind::text) {
        into = {node->text};
        return;
    }
    if (node->kind != ConfigNode::Kind::list) return wrong_kind(key, *node, "a string or a list of strings");
    into.clear();
    for (std::size_t index = 0; index < node->items.size(); ++index) {
        const ConfigNode& item = node->items[index];
        if (item.kind != ConfigNode::Kind::text) {
            fault(key, index, "must be a string, not " + std::string(kind_text(item.kind)));
        }
        into.push_back(item.text);
    }
}

void ConfigTable::numbers(std::string_view key, std::vector<std::uint32_t>& into, const Bounds& bounds) {
    WEIR_ASSERT(bounds.max <= UINT32_MAX);
    const ConfigNode* node = find(key);
    if (node == nullptr) return;
    if (node->kind != ConfigNode::Kind::list) return wrong_kind(key, *node, "a list of whole numbers");
    into.clear();
    for (std::size_t index = 0; index < node->items.size(); ++index) {
        const ConfigNode& item = node->items[index];
        const auto value = static_cast<std::uint64_t>(item.integer);
        if (item.kind != ConfigNode::Kind::integer) {
            fault(key, index, "must be a whole number, not " + std::string(kind_text(item.kind)));
        } else if (item.integer < 0 || value < bounds.min || value > bounds.max) {
            fault(key, index,
                  "must be " + std::to_string(bounds.min) + " to " + with_unit(bounds.max, bounds.unit) + ", not " +
                      std::to_string(item.integer));
        }
        into.push_back(static_cast<std::uint32_t>(value));
    }
}

void ConfigTable::needs_texts(std::string_view key, std::vector<std::string>& into) {
    texts(key, into);
    if (!has(key)) return missing(key);
    if (const ConfigNode& node = node_.members.find(key)->second.node;
        node.kind == ConfigNode::Kind::list && node.items.empty()) {
        fault(key, "must name at least one");
    }
}

void ConfigTable::flag(std::string_view key, bool& into) {
    const ConfigNode* node = find(key);
    if (node == nullptr) return;
    if (node->kind != ConfigNode::Kind::boolean) return wrong_kind(key, *node, "true or false");
    into = node->boolean;
}

void ConfigTable::decimal(std::string_view key, std::optional<double>& into) {
    const ConfigNode* node = find(key);
    if (node == nullptr) return;
    if (node->kind == ConfigNode::Kind::integer) {
        into = static_cast<double>(node->integer);
    } else if (node->kind != ConfigNode::Kind::decimal) {
        wrong_kind(key, *node, "a number");
    } else if (!std::isfinite(node->decimal)) {
        fault(key, "must be a finite number");
    } else {
        into = node->decimal;
    }
}

void ConfigTable::needs_scalar(std::string_view key, std::string& into) {
    const ConfigNode* node = find(key);
    if (node == nullptr) return missing(key);
    switch (node->kind) {
        case ConfigNode::Kind::text:
            into = node->text;
            return;
        case ConfigNode::Kind::integer:
            into = std::to_string(node->integer);
            return;
        case ConfigNode::Kind::boolean:
            into = node->boolean ? "true" : "false";
            return;
        // It is compared as written in the event, and 51.0 and 51 are one number here: let the file say which.
        case ConfigNode::Kind::decimal:
            return fault(key, "a decimal number is compared as written: put it in quotes");
        case ConfigNode::Kind::date:
        case ConfigNode::Kind::list:
        case ConfigNode::Kind::table:
            return wrong_kind(key, *node, "a string, a whole number or a boolean");
    }
}

void ConfigTable::table(std::string_view key, const std::function<void(ConfigTable&)>& read) {
    const ConfigNode* node = find(key);
    if (node != nullptr && node->kind != ConfigNode::Kind::table) return wrong_kind(key, *node, "a table");
    ConfigNode empty;
    empty.at = node_.at;
    const std::string kind = kind_.empty() ? std::string(key) : kind_ + '.' + std::string(key);
    ConfigTable inner(file_, node != nullptr ? *node : empty, name_of(key), kind);
    read(inner);
}

void ConfigTable::tables(std::string_view key, std::size_t count_max, const std::function<void(ConfigTable&)>& read) {
    const ConfigNode* node = find(key);
    const std::string kind = (kind_.empty() ? std::string(key) : kind_ + '.' + std::string(key)) + "[]";
    if (node == nullptr) {
        if (!file_.lists_keys) return;
        const ConfigNode empty;
        ConfigTable inner(file_, empty, kind, kind);
        return read(inner);
    }
    if (node->kind != ConfigNode::Kind::list) return wrong_kind(key, *node, "a list of tables");
    if (node->items.size() > count_max) fault(key, "has more than " + std::to_string(count_max) + " entries");
    for (std::size_t index = 0; index < node->items.size(); ++index) {
        const ConfigNode& item = node->items[index];
        if (item.kind != ConfigNode::Kind::table) {
            fault(key, index, "must be a table, not " + std::string(kind_text(item.kind)));
            continue;
        }
        ConfigTable inner(file_, item, name_of(key) + '[' + std::to_string(index) + ']', kind);
        read(inner);
    }
}

std::optional<std::uint64_t> ConfigTable::bounded(std::string_view key, const Bounds& bounds) {
    const ConfigNode* node = find(key);
    if (node == nullptr) return std::nullopt;
    if (node->kind != ConfigNode::Kind::integer) {
        wrong_kind(key, *node, "a whole number");
        return std::nullopt;
    }
    const auto value = static_cast<std::uint64_t>(node->integer);
    if (node->integer < 0 || value < bounds.min || value > bounds.max) {
        fault(key, "must be " + std::to_string(bounds.min) + " to " + with_unit(bounds.max, bounds.unit) + ", not " +
                       std::to_string(node->integer));
        return std::nullopt;
    }
    if (value % bounds.multiple != 0) {
        fault(key,
              "must be a multiple of " + with_unit(bounds.multiple, bounds.unit) + ", not " + std::to_string(value));
        return std::nullopt;
    }
    return value;
}

std::optional<std::size_t> ConfigTable::chosen(std::string_view key, const std::vector<std::string>& choices) {
    const ConfigNode* node = find(key);
    if (node == nullptr) return std::nullopt;
    std::string wanted = "one of";
    for (const std::string& choice : choices)
        wanted.append(choice == choices.front() ? " " : ", ").append(quoted(choice));
    if (node->kind != ConfigNode::Kind::text) {
        wrong_kind(key, *node, wanted);
        return std::nullopt;
    }
    const auto found = std::find(choices.begin(), choices.end(), node->text);
    if (found == choices.end()) {
        fault(key, "must be " + wanted + ", not " + quoted(node->text));
        return std::nullopt;
    }
    return static_cast<std::size_t>(found - choices.begin());
}

bool is_loopback(std::string_view address) {
    if (address.starts_with("unix:")) return true;
    const std::string_view host = address.substr(0, address.rfind(':'));
    if (host == "localhost" || host == "[::1]") return true;
    in_addr parsed{};
    return inet_pton(AF_INET, std::string(host).c_str(), &parsed) == 1 && (ntohl(parsed.s_addr) >> 24) == 127;
}

std::optional<std::string> address_fault(std::string_view address, const AddressRule& rule) {
    if (const Status status = io::check_address(address); !status) return status.error().what;
    if (rule.tcp_only && address.starts_with("unix:")) return "must be HOST:PORT, not a Unix path";
    if (is_loopback(address) || rule.allow_plaintext) return std::nullopt;
    if (rule.allow_key.empty()) return "must be a loopback address, not " + quoted(address);
    return "plain TCP beyond loopback: " + quoted(address) + " needs [tls], or " + std::string(rule.allow_key) +
           " = true";
}

void check_addresses(ConfigTable& table, std::string_view key, const std::vector<std::string>& addresses,
                     const AddressRule& rule) {
    for (std::size_t index = 0; index < addresses.size(); ++index) {
        if (const auto what = address_fault(addresses[index], rule)) {
            table.fault(key, index, *what);
        } else if (std::find(addresses.begin(), addresses.begin() + static_cast<std::ptrdiff_t>(index),
                             addresses[index]) != addresses.begin() + static_cast<std::ptrdiff_t>(index) &&
                   !addresses[index].ends_with(":0")) {
            table.fault(key, index, "is listed twice: " + quoted(addresses[index]));
        }
    }
}

std::string bytes_text(std::uint64_t bytes) {
    static constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    std::size_t unit = 0;
    auto value = static_cast<double>(bytes);
    while (value >= 1024 && unit + 1 < std::size(units)) {
        value /= 1024;
        ++unit;
    }
    char text[32];
    const bool is_whole = value == std::floor(value);
    std::snprintf(text, sizeof text, is_whole ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return text;
}

namespace {
std::string budget_line(std::string_view kind, std::uint64_t bytes, std::string_view what) {
    std::string amount = bytes_text(bytes);
    amount.insert(0, amount.size() < 12 ? 12 - amount.size() : 0, ' ');
    return std::string(kind) + amount + "  " + std::string(what) + '\n';
}
}  // namespace

void BudgetText::memory(std::string_view what, std::uint64_t bytes) {
    memory_bytes_ += bytes;
    text_ += budget_line("memory", bytes, what);
}

void BudgetText::disk(std::string_view what, std::uint64_t bytes) {
    disk_bytes_ += bytes;
    text_ += budget_line("disk  ", bytes, what);
}

void BudgetText::note(std::string_view what) {
    text_.append("note    ").append(what).append("\n");
}

std::string BudgetText::text() const {
    return text_ + budget_line("memory", memory_bytes_, "in all") +
           (disk_bytes_ > 0 ? budget_line("disk  ", disk_bytes_, "in all") : "");
}

}  // namespace weir::control
