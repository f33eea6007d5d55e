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

Result<RuleSet> RuleSet::build(std::span<const Program> programs, const Tables* tables, const RuleSetLimits& limits) {
    RuleSet set;
    set.tables_ = tables;
    if (Status taken = set.take(programs, limits); !taken) return taken.error();
    if (Status indexed = set.index_types(limits); !indexed) return indexed.error();
    set.paths_ = PathTree(set.graph_.paths());
    set.make_steps();
    for (const Column& column : set.graph_.columns()) {
        set.columns_.push_back(tables == nullptr ? std::nullopt : tables->find_column(column.table, column.name));
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

// For every type that is compared with: what is left of the rules that look at the type, once it is known.
Status RuleSet::index_types(const RuleSetLimits& limits) {
    std::set<std::string_view> names;
    const auto name = [&](const Value& value) {
        if (value.type == Type::text) names.insert(value.as_text());
    };
    for (const Node& node : graph_.nodes()) {
        if ((node.op != Op::equal && node.op != Op::member) || graph_.at(node.a).op != Op::field) continue;
        if (!graph_.at(node.a).reads_type) continue;
        if (node.op == Op::member) {
            for (const Value& value : graph_.lists()[node.b]) name(value);
        } else if (const auto value = graph_.constant_of(node.b)) {
            name(*value);
        }
    }
    if (names.size() > limits.types_max) {
        return Error{0, "rules that name more than " + std::to_string(limits.types_max) + " event types"};
    }
    for (std::uint32_t rule = 0; rule < roots_.size(); ++rule) {
        if (!graph_.at(roots_[rule]).reads_type) general_.push_back({rule, roots_[rule]});
    }
    types_.resize(std::bit_ceil(2 * names.size() + 1));
    for (const std::string_view type : names) {
        std::size_t at = hash_of(type) & (types_.size() - 1);
        while (types_[at].type.data() != nullptr) at = (at + 1) & (types_.size() - 1);
        types_[at] = specialise(type);
        if (graph_.node_count() > limits.nodes_max) {
            return Error{0, "rules of more than " + std::to_string(limits.nodes_max) + " nodes together, by event type"};
        }
    }
    other_ = specialise(std::nullopt);
    return Done{};
}

RuleSet::TypeEntry RuleSet::specialise(std::optional<std::string_view> type) {
    TypeEntry entry{type.value_or(std::string_view{}), static_cast<std::uint32_t>(candidates_.size()), 0};
    std::map<NodeId, NodeId> done;
    for (std::uint32_t rule = 0; rule < roots_.size(); ++rule) {
        if (!graph_.at(roots_[rule]).reads_type) continue;
        const NodeId left = graph_.copy(graph_, roots_[rule], {true, type}, done);
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

std::span<const RuleSet::Candidate> RuleSet::candidates_of(std::string_view type) const noexcept {
    const TypeEntry* entry = &other_;
    for (std::size_t at = hash_of(type) & (types_.size() - 1); types_[at].type.data() != nullptr;
         at = (at + 1) & (types_.size() - 1)) {
        if (types_[at].type == type) {
            entry = &types_[at];
            break;
        }
    }
    return {candidates_.data() + entry->begin, entry->end - entry->begin};
}

std::size_t RuleSet::candidate_count(std::string_view type) const {
    return general_.size() + candidates_of(type).size();
}

}  // namespace weir::rules
