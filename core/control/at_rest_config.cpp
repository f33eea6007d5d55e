#include "core/control/at_rest_config.hpp"

#include "core/journal/at_rest.hpp"

namespace weir::control {

void read_at_rest(ConfigTable& table, AtRestConfig& config) {
    table.text("key_dir", config.key_dir);
    table.number("key", config.key, Bounds{0, UINT32_MAX, ""});
    if (config.key == 0) return;  // the start reads them, and says what is wrong
    if (config.key_dir.empty()) return table.fault("key", "needs key_dir, where its file is");
    const auto keys = journal::Keyring::load(config.key_dir);
    if (!keys) return table.fault("key_dir", keys.error().what);
    if (!keys.value().holds(config.key)) {
        table.fault("key",
                    "is not in key_dir: there is no " + config.key_dir + "/" + std::to_string(config.key) + ".key");
    }
}

Status open_keys(std::span<const std::string> key_dirs) {
    journal::Keyring all;
    for (const std::string& key_dir : key_dirs) {
        auto keys = journal::Keyring::load(key_dir);
        if (!keys) return keys.error();
        if (const auto taken = all.merge(std::move(keys.value()))) {
            return Error{0, key_dir + ": another directory has a different key " + std::to_string(*taken)};
        }
    }
    static_cast<void>(journal::use_keyring(std::move(all)));
    return Done{};
}

Status open_keys(const AtRestConfig& config) {
    if (config.key_dir.empty()) return Done{};
    return open_keys(std::span(&config.key_dir, 1));
}

Status renew_keys(const AtRestConfig& config) {
    if (config.key_dir.empty()) return Done{};
    auto keys = journal::Keyring::load(config.key_dir);
    if (!keys) return keys.error();
    if (config.key != 0 && !keys.value().holds(config.key)) {
        return Error{0, config.key_dir + ": there is no " + std::to_string(config.key) + ".key"};
    }
    if (const auto changed = journal::extend_keyring(std::move(keys.value()))) {
        return Error{0, config.key_dir + ": key " + std::to_string(*changed) + " is another one than before"};
    }
    if (config.key != 0) journal::use_sealing_key(config.key);
    return Done{};
}

bool is_at_rest_fixed(const AtRestConfig& now, const AtRestConfig& next) {
    return now.key_dir != next.key_dir || (now.key == 0) != (next.key == 0);
}

}  // namespace weir::control
