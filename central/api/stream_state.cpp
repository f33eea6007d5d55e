#include "central/api/stream_state.hpp"

#include "central/api/json_text.hpp"

namespace weir::central {
namespace {

constexpr std::uint64_t format = 1;

std::string rows_text(const StreamState::List& list) {
    ListText rows;
    for (const auto& [id, row] : list) rows.add(row);
    return rows.end();
}

// {"rows":[..],"gone":[..]}; nullopt: nothing differs. Both are in order of their ids.
std::optional<std::string> difference(const StreamState::List& before, const StreamState::List& after) {
    ListText rows, gone;
    bool has_rows = false, has_gone = false;
    auto old = before.begin();
    for (const auto& [id, row] : after) {
        for (; old != before.end() && old->first < id; ++old) {
            gone.add_text(old->first);
            has_gone = true;
        }
        const bool is_known = old != before.end() && old->first == id;
        if (!is_known || old->second != row) {
            rows.add(row);
            has_rows = true;
        }
        if (is_known) ++old;
    }
    for (; old != before.end(); ++old) {
        gone.add_text(old->first);
        has_gone = true;
    }
    if (!has_rows && !has_gone) return std::nullopt;
    ObjectText text;
    if (has_rows) text.raw("rows", rows.end());
    if (has_gone) text.raw("gone", gone.end());
    return text.end();
}

ObjectText head_text(std::string_view type, const StreamHead& head) {
    ObjectText text;
    text.text("type", type).number("sequence", head.sequence);
    return text;
}

}  // namespace

std::string state_text(const StreamState& state, const StreamHead& head) {
    ObjectText objects, lists;
    for (const auto& [name, text] : state.objects) objects.raw(name, text);
    for (const auto& [name, list] : state.lists) lists.raw(name, rows_text(*list));
    return head_text("state", head)
        .number("now_ms", head.now.value / ns_per_ms)
        .number("made_ns", head.now.value)
        .number("format", format)
        .number("pushes_per_second", head.pushes_per_second)
        .raw("objects", objects.end())
        .raw("lists", lists.end())
        .end();
}

std::optional<std::string> delta_text(const StreamState& before, const StreamState& after, const StreamHead& head) {
    ObjectText objects, lists;
    bool differs = false;
    for (const auto& [name, text] : after.objects) {
        const auto old = before.objects.find(name);
        if (old != before.objects.end() && old->second == text) continue;
        objects.raw(name, text);
        differs = true;
    }
    for (const auto& [name, list] : after.lists) {
        const auto old = before.lists.find(name);
        if (old != before.lists.end() && old->second == list) continue;
        const auto changed = difference(old == before.lists.end() ? StreamState::List() : *old->second, *list);
        if (!changed) continue;
        lists.raw(name, *changed);
        differs = true;
    }
    if (!differs) return std::nullopt;
    return head_text("delta", head)
        .number("base", head.base)
        .number("now_ms", head.now.value / ns_per_ms)
        .number("made_ns", head.now.value)
        .raw("objects", objects.end())
        .raw("lists", lists.end())
        .end();
}

std::string beat_text(std::uint64_t sequence, WallNs now) {
    return head_text("beat", {.sequence = sequence}).number("now_ms", now.value / ns_per_ms).end();
}

}  // namespace weir::central
