// Edit: what of an event is stored in place of what came: personal fields removed (pii), fields from reference data set (enrich).
//
//   validate, route (the original) ─▶ edit ─▶ duplicates, numbers (the original) ─▶ batch (the edited)
//
// An event that nothing changes is left alone: its frame is copied into its batch as it came. One that is changed is built anew,
// in memory of the edit's own, and lies there until the next vector.
//
// Thread    Intake runner; made and destroyed on a control thread, allocates only when made.
// Law       What is declared personal is never in what is stored. Where it cannot be removed, because the bytes are no event or
//           the payload is no JSON, they are not stored (unless pii.keep_unverified), only that they came and why they failed.
//           Edited again, nothing changes: a dead letter that is replayed keeps its hashes.
// Bounds    An edit makes an event edit_growth_bytes_max larger at most, and never larger than event_bytes_max; one that would
//           be becomes a dead letter (too_large), without what was to be set.
// Format    An event built anew has the fields of schemas/event.fbs that this version knows, no others.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/wire/event.hpp"
#include "edge/config.hpp"
#include "edge/expressions.hpp"
#include "edge/intake/event_vector.hpp"
#include "edge/intake/json_edit.hpp"
#include "edge/intake/patterns.hpp"

namespace weir::edge {

inline constexpr std::uint32_t edit_growth_bytes_max = 2048;

// Since they were last taken.
struct EditCounts {
    std::uint64_t edited = 0;          // built anew
    std::uint64_t enriched = 0;        // of them, with something set
    std::uint64_t withheld = 0;        // dead letters whose bytes were not kept
    std::uint64_t enrich_skipped = 0;  // nothing could be set: no JSON object
    std::uint64_t too_large = 0;
};

class Edit {
  public:
    Edit(const EdgeConfig& config, const Expressions& expressions);
    [[nodiscard]] bool is_needed() const { return declares_pii_ || !enrichments_.empty(); }
    // By how much it may make an event larger.
    [[nodiscard]] std::uint32_t growth_bytes_max() const { return is_needed() ? edit_growth_bytes_max : 0; }
    // What was edited before is forgotten.
    void begin_vector() noexcept { used_bytes_ = 0; }
    // Of an event whose verdict is known. `judge` is begun with it, if it was verified; null if there are no expressions.
    void apply(EventRef& event, rules::Judge* judge) noexcept;
    // Off: nothing is set. Removal knows no off.
    void enable_enrichment(bool is_enabled) { enriches_ = is_enabled; }
    [[nodiscard]] EditCounts take_counts() { return std::exchange(counts_, {}); }

  private:
    struct OfPayload {
        Patterns types;
        std::uint64_t fields = 0;  // bits: edits of the JSON editor
        std::optional<FieldEdit> key;
    };
    struct OfEnrich {
        Patterns types;
        Expressions::Number when;
        std::vector<std::string> names;
        std::vector<std::uint32_t> values;
    };
    struct Wanted {
        std::uint64_t fields = 0;
        const FieldEdit* key = nullptr;
        std::uint32_t members = 0;  // of members_
    };
    [[nodiscard]] Wanted wanted(const EventRef& event, rules::Judge* judge) noexcept;
    void gather_members(const EventRef& event, rules::Judge* judge, Wanted& want) noexcept;
    [[nodiscard]] bool rewrite(EventRef& event, const Wanted& want) noexcept;
    [[nodiscard]] std::string_view edited_key(std::string_view key, const FieldEdit& edit) noexcept;
    void store(EventRef& event, ConstBytes body) noexcept;
    void withhold(EventRef& event) noexcept;

    bool declares_pii_ = false;
    bool keeps_unverified_ = false;
    bool enriches_ = true;
    SipKey key_;
    std::vector<OfPayload> payloads_;
    std::vector<OfEnrich> enrichments_;
    std::optional<JsonEditor> editor_;
    std::optional<wire::EventBuilder> builder_;
    std::vector<NewMember> members_;
    std::vector<char> member_room_;  // values as JSON
    std::vector<char> json_room_;    // the payload as it will be
    std::array<char, wire::key_bytes_max> key_room_{};
    std::vector<std::byte> edited_;  // events of this vector, one behind the other
    std::size_t used_bytes_ = 0;
    EditCounts counts_;
};

}  // namespace weir::edge
