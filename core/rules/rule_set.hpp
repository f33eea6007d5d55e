// RuleSet: many programs compiled together, so that an event costs what it needs and not what there is.
//
// Equal sub-expressions of different rules are worked out once per event; the payload is read once, for all rules, and only when a
// rule that could still hold asks for it. For each event type and each prefix of types that the rules name, the set keeps the rules
// that could hold for it, with `type` already put in: rules for other types cost nothing.
//
// Thread    A RuleSet is immutable: shared by any number of judges, which it outlives, unmoved. A Judge belongs to one thread.
// Bounds    RuleSetLimits; a Judge allocates when it is made and never after. Work per event: at most every node once, the payload once.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/rules/compile.hpp"
#include "core/rules/flat_schema.hpp"
#include "core/rules/json_paths.hpp"
#include "core/wire/event.hpp"

namespace weir::rules {

struct RuleSetLimits {
    std::uint32_t rules_max = 4096;
    std::uint32_t nodes_max = 65'536;
    std::uint32_t paths_max = 1024;
    std::uint32_t types_max = 1024;  // event types, and prefixes of types, that they name
};

struct RuleSetOptions {
    const Tables* tables = nullptr;  // outlives the set; without it every lookup is null
    std::span<const FlatSchema> schemas =
        {};  // of FlatBuffers payloads: the first that is for an event; needed only by build()
    RuleSetLimits limits = {};
};

class RuleSet {
  public:
    // Rules are numbered from 0 as given.
    [[nodiscard]] static Result<RuleSet> build(std::span<const Program> programs, const RuleSetOptions& options = {});
    [[nodiscard]] std::uint32_t rule_count() const { return static_cast<std::uint32_t>(roots_.size()); }
    [[nodiscard]] std::size_t node_count() const { return graph_.node_count(); }
    [[nodiscard]] std::size_t path_count() const { return graph_.paths().size(); }
    // How many rules are looked at for an event of this type.
    [[nodiscard]] std::size_t candidate_count(std::string_view type) const;

  private:
    friend class Judge;
    struct Candidate {
        std::uint32_t rule = 0;
        NodeId node = none;  // what is left of the rule
    };
    struct TypeEntry {
        std::string_view text;
        std::uint32_t begin = 0;  // of its candidates
        std::uint32_t end = 0;
        std::uint32_t shorter = none;  // of a prefix: the longest other one that it begins with
    };
    // A node as it is run.
    struct Step {
        Op op = Op::constant;
        std::uint32_t memo = none;  // none: worked out wherever it stands
        std::uint32_t a = 0;        // as in Node; of a path its slot
        std::uint32_t b = 0;
    };
    RuleSet() = default;
    [[nodiscard]] Status take(std::span<const Program> programs, const RuleSetLimits& limits);
    [[nodiscard]] Status index_types(const RuleSetLimits& limits);
    [[nodiscard]] TypeEntry specialise(const Graph::Known& known);
    [[nodiscard]] const TypeEntry& entry_of(std::string_view type) const noexcept;
    void make_steps();
    [[nodiscard]] std::map<NodeId, std::uint32_t> uses_of(std::span<const Candidate> candidates) const;
    [[nodiscard]] std::span<const Candidate> candidates_of(std::string_view type) const noexcept;

    Graph graph_;
    std::vector<NodeId> roots_;
    std::vector<Candidate> general_;     // rules that never look at `type`, in order
    std::vector<Candidate> candidates_;  // of all types, each type's in order
    std::vector<TypeEntry> types_;       // open addressing; no text: free
    std::vector<TypeEntry> prefixes_;    // in order
    TypeEntry other_;                    // for a type that no rule names in any way
    std::vector<Step> steps_;            // by node
    std::uint32_t memo_count_ = 0;
    PathTree paths_;
    std::vector<FlatPaths> flat_paths_;  // by slot
    const Tables* tables_ = nullptr;
    std::vector<std::optional<std::uint32_t>> columns_;  // as `tables` numbers them
};

// What is judged: an event, and where it is, as far as that is decided. Empty texts are null.
struct Subject {
    const wire::EventView& event;
    std::string_view edge = {};
    std::string_view lane = {};
    std::string_view part = {};
    std::string_view verdict = {};
    std::string_view reason = {};
};

enum class PayloadState : std::uint8_t {
    unread,  // no rule needed it so far
    json,    // read
    flat,    // a FlatBuffer of a known schema
    broken,  // not what its content type says
    other,   // another content type
};

class Judge {
  public:
    // Room for texts that are made while judging one event.
    static constexpr std::size_t scratch_bytes_default = 64U << 10;

    explicit Judge(const RuleSet& set, std::size_t scratch_bytes = scratch_bytes_default);
    // Takes the next event. Its bytes stay unchanged until the next begin().
    void begin(const Subject& subject) noexcept;

    // About the event begun; each may be asked as often as wanted, and says the same each time.
    // Bit `rule % 64` of word `rule / 64`: the rules before `rules_end` that hold. Valid until the next call.
    [[nodiscard]] std::span<const std::uint64_t> matches(std::uint32_t rules_end = UINT32_MAX) noexcept;
    // The first rule in [rules_begin, rules_end) that holds.
    [[nodiscard]] std::optional<std::uint32_t> first_match(std::uint32_t rules_begin, std::uint32_t rules_end) noexcept;
    [[nodiscard]] bool holds(std::uint32_t rule) noexcept;
    // Of a rule that gives a value. A text stays until the next begin().
    [[nodiscard]] Value value(std::uint32_t rule) noexcept;
    [[nodiscard]] PayloadState payload_state() const noexcept { return payload_; }

  private:
    struct Memo {
        Value value;
        std::uint32_t round = 0;  // it holds in this one
    };
    [[nodiscard]] bool truth_of(NodeId id) noexcept;
    [[nodiscard]] bool work_out_truth(const RuleSet::Step& step) noexcept;
    [[nodiscard]] Value value_of(NodeId id) noexcept;
    [[nodiscard]] Value operand(NodeId id) noexcept;
    [[nodiscard]] Value work_out(const RuleSet::Step& step) noexcept;
    [[nodiscard]] Value field_of(Field field) noexcept;
    [[nodiscard]] Value at_slot(std::uint32_t slot) noexcept;
    [[nodiscard]] bool is_member(const Value& value, const std::vector<Value>& list) const noexcept;
    [[nodiscard]] Value lookup(std::uint32_t column, const Value& key) const noexcept;
    [[nodiscard]] Value trace_text() noexcept;
    void read_payload() noexcept;
    void read_slot(std::uint32_t number) noexcept;
    [[nodiscard]] Value change_case(const Value& value, bool to_lower) noexcept;
    // Empty if there is not so much left.
    [[nodiscard]] std::span<char> claim_scratch(std::size_t bytes) noexcept;

    const RuleSet* set_;
    const RuleSet::Step* steps_;
    const NodeId* operands_;
    const Value* constants_;
    const wire::EventView* event_ = nullptr;
    std::string_view edge_, lane_, part_, verdict_, reason_;
    std::span<const RuleSet::Candidate> of_type_;
    std::uint32_t round_ = 0;  // counts begin()
    PayloadState payload_ = PayloadState::unread;
    const FlatPaths* flat_ = nullptr;  // of this event's payload
    std::size_t scratch_used_ = 0;
    std::vector<char> scratch_;
    std::vector<std::uint64_t> matched_;
    std::vector<Memo> memos_;
    std::vector<Slot> slots_;
};

}  // namespace weir::rules
