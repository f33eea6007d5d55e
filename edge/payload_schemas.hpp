// PayloadSchemas: the schemas of payloads that a configuration names: read from their files with it, and what they are for.
//
// Thread    Control threads.
// Bounds    payloads_max schemas of schema_bytes_max each.
#pragma once

#include <string>
#include <vector>

#include "core/rules/flat_schema.hpp"
#include "edge/config.hpp"

namespace weir::edge {

inline constexpr std::size_t payloads_max = 64;
inline constexpr std::size_t schema_bytes_max = 1U << 20;

struct PayloadFault {
    std::string key;
    std::string what;  // empty: nothing is wrong
};
// What is wrong with what was written, before any file is opened.
[[nodiscard]] PayloadFault payload_fault(const PayloadConfig& payload);
// Fills in schema_bytes. A relative path begins at the configuration file's folder.
[[nodiscard]] PayloadFault load_schema(PayloadConfig& payload, const std::string& config_path);

// The schemas of a configuration that was read without a fault, in its order.
[[nodiscard]] std::vector<rules::FlatSchema> flat_schemas_of(const EdgeConfig& config);
// One line for each, for people: "payload   sensor.*   application/x   sensor.bfbs: table Reading, 5.2 KiB".
[[nodiscard]] std::string payloads_text(const EdgeConfig& config);

}  // namespace weir::edge
