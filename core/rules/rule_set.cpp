#include "core/rules/rule_set.hpp"

#include <algorithm>
#include <bit>
#include <set>

namespace weir::rules {
namespace {

// Names come from the configuration; what an event brings is only looked up, and never makes a chain longer.
std::uint32_t hash_of(std::string_view text) noexcept {
    std::uint64_t hash = text.size() * 0x9e3779b97f4a7c15ULL;
    while (text.size() >= 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, text.data(), sizeof word);
        hash = (hash ^ word) * 0xbf58476d1ce4e5b9ULL;
        hash ^= hash >> 32U;
        text.remove_prefix(8);
    }
    std::uint64_t word = 0;
    for (const char c : text) word = word << 8U | static_cast<unsigned char>(c);
    hash = (hash ^ word) * 0xbf58476d1ce4e5b9ULL;
    return static_cast<std::uint32_t>(hash >> 32U);
}

}  // namespace

Result<RuleSet> RuleSet::build(std::span<const Program> programs, const RuleSetOptions& options) {
    RuleSet set;
    set.tables_ = options.tables;
    if (Status taken = set.take(programs, options.limits); !taken) return taken.error();
    if (Status indexed = set.index_types(options.limits); !indexed) return indexed.error();
    const std::vector<Path>& paths = set.graph_.paths();
    set.paths_ = PathTree(paths);
    set.make_steps();
    std::vector<Path> by_slot(paths.size());
    for (std::uint32_t path = 0; path < paths.size(); ++path) by_slot[set.paths_.slot_of(path)] = paths[path];
    for (const FlatSchema& schema : options.schemas) set.flat_paths_.emplace_back(schema, by_slot);
    for (const Column& column : set.graph_.columns()) {
        set.columns_.push_back(options.tables == nullptr ? std::nullopt
                                                         : options.tables->find_column(column.table, column.name));
    }
    return set;
}

Status RuleSet::take(std::span<const Program> programs, const RuleSetLimits& limits) {
    if (programs.size() > limits.rules_max) return Error{0, "more than " + std::to_string(limits.rules_max) + " rules"};
    for (const Program& program : programs) {
        std::map<NodeId, NodeId> done;
        roots_.push_back(graph_.copy(program.graph(), program.root(), {}, done));
        if (graph_.node_count() > limits.nodes_max) {
            return Error{0, "rules of more than " + std::to_string(limits.nodes_max) + " nodes together"};
        }
    }
    if (graph_.paths().size() > limits.paths_max) {
        return Error{0, "rules with more than " + std::to_string(limits.paths_max) + " payload paths together"};
    }
    return Done{};
}

// For every type that is compared with, and every prefix: what is left of the rules that look at the type, once that is known. Of a
// type that is not named, the longest prefix it begins with says which others it begins with too.
Status RuleSet::index_types(const RuleSetLimits& limits) {
    std::set<std::string_view> names;
    std::set<std::string_view> prefixes;
    const auto name = [&](const Value& value) {
        if (value.type == Type::text) names.insert(value.as_text());
    };
    for (const Node& node : graph_.nodes()) {
        if (node.op != Op::equal && node.op != Op::member && node.op != Op::like) continue;
        if (graph_.at(node.a).op != Op::field || !graph_.at(node.a).reads_type) continue;
        if (node.op == Op::like) {
            prefixes.insert(graph_.patterns()[node.b].text);
        } else if (node.op == Op::member) {
            for (const Value& value : graph_.lists()[node.b]) name(value);
        } else if (const auto value = graph_.constant_of(node.b)) {
            name(*value);
        }
    }
    if (names.size() + prefixes.size() > limits.types_max) {
        return Error{0, "rules that name more than " + std::to_string(limits.types_max) + " event types"};
    }
    for (std::uint32_t rule = 0; rule < roots_.size(); ++rule) {
        if (!graph_.at(roots_[rule]).reads_type) general_.push_back({rule, roots_[rule]});
    }
    const auto is_too_large = [&] { return graph_.node_count() > limits.nodes_max; };
    types_.resize(std::bit_ceil(2 * names.size() + 1));
    for (const std::string_view type : names) {
        std::size_t at = hash_of(type) & (types_.size() - 1);
        while (types_[at].text.data() != nullptr) at = (at + 1) & (types_.size() - 1);
        types_[at] = specialise({Graph::Known::Type::exactly, type});
        if (is_too_large()) break;
    }
    for (const std::string_view prefix : prefixes) {
        if (is_too_large()) break;
        TypeEntry entry = specialise({Graph::Known::Type::unnamed, prefix});
        // In order, what a text begins with stands before it: the nearest such one is the longest.
        for (std::uint32_t i = 0; i < prefixes_.size(); ++i) {
            if (prefix.starts_with(prefixes_[i].text)) entry.shorter = i;
        }
        prefixes_.push_back(entry);
    }
    other_ = specialise({Graph::Known::Type::foreign, {}});
    if (!is_too_large()) return Done{};
    return Error{0, "rules of more than " + std::to_string(limits.nodes_max) + " nodes together, by event type"};
}

RuleSet::TypeEntry RuleSet::specialise(const Graph::Known& known) {
    TypeEntry entry{known.text, static_cast<std::uint32_t>(candidates_.size()), 0};
    std::map<NodeId, NodeId> done;
    for (std::uint32_t rule = 0; rule < roots_.size(); ++rule) {
        if (!graph_.at(roots_[rule]).reads_type) continue;
        const NodeId left = graph_.copy(graph_, roots_[rule], known, done);
        const auto value = graph_.constant_of(left);
        if (!value || value->is_true()) candidates_.push_back({rule, left});
    }
    entry.end = static_cast<std::uint32_t>(candidates_.size());
    return entry;
}

// In how many places of the given candidates each node stands. (Of a shared node the inside counts once.)
std::map<NodeId, std::uint32_t> RuleSet::uses_of(std::span<const Candidate> candidates) const {
    std::map<NodeId, std::uint32_t> uses;
    std::vector<NodeId> open;
    for (const Candidate& candidate : candidates) open.push_back(candidate.node);
    while (!open.empty()) {
        const NodeId id = open.back();
        open.pop_back();
        if (++uses[id] > 1) continue;
        const auto operands = graph_.operands_of(id);
        open.insert(open.end(), operands.begin(), operands.end());
    }
    return uses;
}

// The nodes as they are run. Only what several rules that meet, or several places of one, need is worth remembering.
void RuleSet::make_steps() {
    std::vector<bool> is_shared(graph_.node_count(), false);
    const auto general = uses_of(general_);
    for (const auto& [id, count] : general) is_shared[id] = count > 1;
    const auto share = [&](const TypeEntry& entry) {
        for (const auto& [id, count] : uses_of({candidates_.data() + entry.begin, entry.end - entry.begin})) {
            if (count > 1 || general.contains(id)) is_shared[id] = true;
        }
    };
    std::for_each(types_.begin(), types_.end(), share);
    std::for_each(prefixes_.begin(), prefixes_.end(), share);
    share(other_);
    for (NodeId id = 0; id < graph_.node_count(); ++id) {
        const Node& node = graph_.at(id);
        Step step{node.op, none, node.a, node.b};
        if (node.op == Op::path) step.a = paths_.slot_of(node.a);
        const bool is_leaf = node.op == Op::constant || node.op == Op::field || node.op == Op::path;
        // A text is made once per event, however often it is asked for: the room for it is bounded.
        const bool makes_text = node.op == Op::lower || node.op == Op::upper ||
                                (node.op == Op::field && static_cast<Field>(node.a) == Field::trace);
        if (makes_text || (is_shared[id] && !is_leaf)) step.memo = memo_count_++;
        steps_.push_back(step);
    }
}

const RuleSet::TypeEntry& RuleSet::entry_of(std::string_view type) const noexcept {
    for (std::size_t at = hash_of(type) & (types_.size() - 1); types_[at].text.data() != nullptr;
         at = (at + 1) & (types_.size() - 1)) {
        if (types_[at].text == type) return types_[at];
    }
    // The last prefix that is not behind `type`, or one that this one begins with, or none.
    const auto after =
        std::upper_bound(prefixes_.begin(), prefixes_.end(), type,
                         [](std::string_view text, const TypeEntry& entry) { return text < entry.text; });
    auto at = after == prefixes_.begin() ? none : static_cast<std::uint32_t>(after - prefixes_.begin() - 1);
    while (at != none && !type.starts_with(prefixes_[at].text)) at = prefixes_[at].shorter;
    return at == none ? other_ : prefixes_[at];
}

std::span<const RuleSet::Candidate> RuleSet::candidates_of(std::string_view type) const noexcept {
    const TypeEntry& entry = entry_of(type);
    return {candidates_.data() + entry.begin, entry.end - entry.begin};
}

std::size_t RuleSet::candidate_count(std::string_view type) const {
    return general_.size() + candidates_of(type).size();
}

}  // namespace weir::rules
