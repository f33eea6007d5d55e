#include "edge/intake/edit.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "core/base/json_scan.hpp"

namespace weir::edge {
namespace {

constexpr std::size_t members_max = 64;
// Beside its payload an event holds texts of bounded length and the FlatBuffer's own words.
constexpr std::size_t event_words_bytes = 4096;

FieldEdit field_edit(const PiiConfig& from) {
    FieldEdit edit;
    edit.how = from.how;
    edit.characters = from.characters;
    std::string_view rest = std::string_view(from.field).substr(std::min(data_prefix.size(), from.field.size()));
    for (std::size_t dot = 0; dot != std::string_view::npos; rest.remove_prefix(dot + 1)) {
        dot = rest.find('.');
        edit.steps.emplace_back(rest.substr(0, dot));
        if (dot == std::string_view::npos) break;
    }
    return edit;
}

// False for what has no JSON of its own: null, lists, objects.
bool put_value(const rules::Value& value, TextRoom& room) {
    std::array<char, 32> digits;
    const auto put_number = [&](auto number) {
        const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
        room.put({digits.data(), static_cast<std::size_t>(end - digits.data())});
    };
    switch (value.type) {
        case rules::Type::boolean:
            room.put(value.integer != 0 ? "true" : "false");
            return true;
        case rules::Type::integer:
        case rules::Type::time:
        case rules::Type::duration:
            put_number(value.integer);
            return true;
        case rules::Type::real:
            put_number(value.real);
            return true;
        case rules::Type::text:
            room.put_quoted(value.as_text());
            return true;
        case rules::Type::null:
        case rules::Type::list:
        case rules::Type::object:
        case rules::Type::any:
            return false;
    }
    return false;
}

}  // namespace

Edit::Edit(const EdgeConfig& config, const Expressions& expressions)
    : keeps_unverified_(config.pii.keep_unverified), key_(config.pii.key) {
    std::vector<FieldEdit> edits;
    for (const RemovalConfig& from : config.pii.remove) {
        OfPayload& payload = payloads_.emplace_back();
        payload.types = Patterns(from.types);
        for (const PiiConfig& pii : from.fields) {
            declares_pii_ = true;
            if (pii.field == "key") {
                payload.key = field_edit(pii);
            } else {
                payload.fields |= std::uint64_t{1} << edits.size();
                edits.push_back(field_edit(pii));
            }
        }
    }
    for (std::size_t index = 0; index < config.enrichments.size(); ++index) {
        const EnrichConfig& from = config.enrichments[index];
        OfEnrich& enrich = enrichments_.emplace_back();
        enrich.types = Patterns(from.types);
        enrich.when = expressions.enrichments()[index].when;
        for (const SetConfig& set : from.set) enrich.names.push_back(set.field.substr(data_prefix.size()));
        enrich.values = expressions.enrichments()[index].values;
    }
    if (!is_needed()) return;
    editor_.emplace(std::move(edits), key_, wire::event_bytes_max);
    builder_.emplace(wire::event_bytes_max + event_words_bytes);
    members_.resize(members_max);
    member_room_.resize(edit_growth_bytes_max);
    json_room_.resize(wire::event_bytes_max);
    edited_.resize(batch_body_capacity);
}

void Edit::apply(EventRef& event, rules::Judge* judge) noexcept {
    if (event.verdict != Verdict::admitted && event.verdict != Verdict::dead_letter) return;
    if (event.stage == wire::StageId::decode) {  // it was not verified
        if (declares_pii_ && !keeps_unverified_) withhold(event);
        return;
    }
    Wanted want = wanted(event, judge);
    if (want.fields == 0 && want.key == nullptr && want.members == 0) return;
    JsonFault fault;
    const bool is_json = rules::is_json(event.view.content_type) && json_parse(event.view.payload, fault).has_value();
    if (want.fields != 0 && !is_json && !event.view.payload.empty()) {
        if (event.verdict == Verdict::admitted) {
            event.fail(Verdict::dead_letter, wire::Reason::payload_not_json, wire::StageId::validate);
        }
        if (!keeps_unverified_) return withhold(event);
        want.fields = want.members = 0;
    } else if (!is_json) {
        if (want.members != 0) ++counts_.enrich_skipped;
        want.fields = want.members = 0;
    }
    if (rewrite(event, want)) return;
    ++counts_.too_large;
    if (event.verdict == Verdict::admitted) {
        event.fail(Verdict::dead_letter, wire::Reason::too_large, wire::StageId::validate);
    }
    want.members = 0;
    if (!rewrite(event, want)) withhold(event);
}

Edit::Wanted Edit::wanted(const EventRef& event, rules::Judge* judge) noexcept {
    Wanted want;
    for (const OfPayload& payload : payloads_) {
        if (!payload.types.matches(event.view.type)) continue;
        want.fields |= payload.fields;
        if (payload.key && (want.key == nullptr || payload.key->how < want.key->how)) want.key = &*payload.key;
    }
    if (event.view.key.empty()) want.key = nullptr;
    if (enriches_ && event.verdict == Verdict::admitted) gather_members(event, judge, want);
    return want;
}

void Edit::gather_members(const EventRef& event, rules::Judge* judge, Wanted& want) noexcept {
    std::size_t used = 0;
    for (const OfEnrich& enrich : enrichments_) {
        if (!enrich.types.matches(event.view.type)) continue;
        if (enrich.when && !judge->holds(*enrich.when)) continue;
        for (std::size_t index = 0; index < enrich.names.size() && want.members < members_.size(); ++index) {
            TextRoom room{std::span(member_room_).subspan(used)};
            if (!put_value(judge->value(enrich.values[index]), room)) continue;
            // A value that finds no room makes the event larger than it may get.
            members_[want.members++] = {enrich.names[index], room.is_over() ? std::string_view{} : room.text()};
            if (!room.is_over()) used += room.text().size();
        }
    }
}

// False: it would be too large. True: what is to be stored of it is known.
bool Edit::rewrite(EventRef& event, const Wanted& want) noexcept {
    wire::EventView view = event.view;
    bool is_changed = false;
    const std::span<const NewMember> members(members_.data(), want.members);
    if (std::any_of(members.begin(), members.end(), [](const NewMember& one) { return one.json.empty(); }))
        return false;
    if ((want.fields != 0 || want.members != 0) && !view.payload.empty()) {
        TextRoom room(json_room_);
        const auto outcome = editor_->write(view.payload, want.fields, members, room);
        if (outcome == JsonEditor::Outcome::over) return false;
        is_changed = outcome == JsonEditor::Outcome::changed;
        if (is_changed) view.payload = room.text();
    }
    if (want.key != nullptr) {
        view.key = edited_key(view.key, *want.key);
        is_changed = is_changed || view.key != event.view.key;
    }
    if (!is_changed) return true;
    const ConstBytes built = builder_->build(view);
    if (built.size() > wire::event_bytes_max || built.size() > event.body_bytes + edit_growth_bytes_max) return false;
    ++counts_.edited;
    if (want.members != 0) ++counts_.enriched;
    store(event, built);
    return true;
}

std::string_view Edit::edited_key(std::string_view key, const FieldEdit& edit) noexcept {
    if (edit.how == Removal::drop) return {};
    if (edit.how == Removal::truncate) return front_of(key, edit.characters);
    if (is_hash_text(key)) return key;
    TextRoom room(key_room_);
    room.put_hash(key_, key);
    return room.text();
}

void Edit::store(EventRef& event, ConstBytes body) noexcept {
    // No more than the vector's cost, which is bounded by this.
    WEIR_ASSERT(body.size() <= edited_.size() - used_bytes_);
    std::copy(body.begin(), body.end(), edited_.data() + used_bytes_);
    event.edited = ConstBytes(edited_).subspan(used_bytes_, body.size());
    event.is_edited = true;
    used_bytes_ += body.size();
}

void Edit::withhold(EventRef& event) noexcept {
    ++counts_.withheld;
    event.edited = {};
    event.is_edited = true;
}

}  // namespace weir::edge
