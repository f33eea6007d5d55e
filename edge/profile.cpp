#include "edge/profile.hpp"

#include <type_traits>

namespace weir::edge {
namespace {

constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t mib = 1024 * kib;

// Calls visit(key, field, what it is in the profile "small").
template <class Config, class Visit>
void for_each_setting(Config& config, Visit&& visit) {
    visit("listen.connections_max", config.listen.connections_max, 64);
    visit("listen.waiting_bytes_max", config.listen.waiting_bytes_max, mib);
    visit("listen.ack_runs_max", config.listen.ack_runs_max, 8192);
    visit("listen.cut_frames_max", config.listen.cut_frames_max, 4);
    visit("admin.connections_max", config.admin.connections_max, 8);
    visit("uplink.readers_max", config.uplink.readers_max, 1);
    visit("uplink.reader_bytes", config.uplink.reader_bytes, 512 * kib);
    visit("cache.ids_max", config.cache.ids_max, 64 * kib);
    visit("cache.producers_max", config.cache.producers_max, 256);
    visit("cache.keys_max", config.cache.keys_max, 4096);
    visit("spool.segment_bytes", config.spool.segment_bytes, 4 * mib);
    visit("spool.bytes_max", config.spool.bytes_max, 512 * mib);
    visit("spool.batches_max", config.spool.batches_max, 12);
    visit("spool.keep_delivered_bytes", config.spool.keep_delivered_bytes, 64 * mib);
    visit("runtime.idle_spin_us", config.runtime.idle_spin_us, 0);
    visit("runtime.rest_us", config.runtime.rest_us, 2000);
    visit("runtime.receive_slots", config.runtime.receive_slots, 16);
    visit("runtime.receive_slot_bytes", config.runtime.receive_slot_bytes, 16 * kib);
    visit("runtime.notes_max", config.runtime.notes_max, 2048);
    visit("tables.bytes_max", config.tables.bytes_max, mib);
    visit("lanes[].linger_us", config.lane_defaults.linger_us, 100'000);
}

}  // namespace

std::string_view text(Profile profile) noexcept {
    switch (profile) {
        case Profile::standard:
            return "standard";
        case Profile::small:
            return "small";
    }
    return "";
}

void apply_profile(EdgeConfig& config) {
    if (config.profile == Profile::standard) return;
    for_each_setting(config, [](std::string_view, auto& field, std::uint64_t small) {
        field = static_cast<std::remove_reference_t<decltype(field)>>(small);
    });
}

std::vector<ProfileValue> profile_values(const EdgeConfig& config) {
    std::vector<ProfileValue> values;
    for_each_setting(config, [&](std::string_view key, const auto& field, std::uint64_t small) {
        values.push_back({.key = key, .small = small, .in_force = field});
    });
    std::size_t index = 0;
    const EdgeConfig standard;
    for_each_setting(standard,
                     [&](std::string_view, const auto& field, std::uint64_t) { values[index++].standard = field; });
    return values;
}

std::string profile_text(const EdgeConfig& config) {
    std::string lines = "profile     " + std::string(text(config.profile)) + '\n';
    if (config.profile == Profile::standard) return lines;
    for (const ProfileValue& value : profile_values(config)) {
        lines += "profile     " + std::string(value.key) + " = " + std::to_string(value.in_force);
        if (value.in_force != value.small) lines += ", by the file; small: " + std::to_string(value.small);
        lines += "; standard: " + std::to_string(value.standard) + '\n';
    }
    return lines;
}

}  // namespace weir::edge
