// StateFile: the operators' state of one position, in a file beside the results that go up to it.
//
// Thread    Any; one at a time.
// Law       The whole state or the one before it: a new file takes the old one's name once it is synced. Damage is seen (CRC32C).
// Format    DATA_DIR/analytics.state: "WAS1", previous_crc (32 bits), then 64 bits each: journal, history, position, definitions,
//           definitions digest, four serials, state bytes; the state; CRC32C of all before it. Little-endian.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "central/analytics/state_copy.hpp"
#include "central/readmodel/result_store.hpp"

namespace weir::central {

struct StoredState {
    std::uint64_t journal_id = 0;
    std::uint64_t history = 0;       // of the results (ResultStore::history)
    std::uint64_t position = 0;      // all records that end at or before it are in it
    std::uint32_t previous_crc = 0;  // of the last of them
    std::uint64_t definitions = 0;   // how many sets of definitions the results knew
    std::uint64_t definitions_digest = 0;
    ResultSerials serials;
    std::string engine;  // Engine::save(); as it was read
};

[[nodiscard]] std::string state_path(const std::string& data_dir);
[[nodiscard]] Status write_state(const std::string& path, const StoredState& state);
// With `engine` in the place of the state's own.
[[nodiscard]] Status write_state(const std::string& path, const StoredState& state, const analytics::StateCopy& engine);
// nullopt: there is none. An error: it cannot be read, or is damaged.
[[nodiscard]] Result<std::optional<StoredState>> read_state(const std::string& path);
// Of a file's bytes; nullopt if they are no state.
[[nodiscard]] std::optional<StoredState> parse_state(std::string_view bytes);

}  // namespace weir::central
