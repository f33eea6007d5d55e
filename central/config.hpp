// CentralConfig: everything weir-central can be told, with its defaults. Read from TOML by central/config.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/control/tls_config.hpp"
#include "core/pipeline/runner.hpp"

namespace weir::central {

struct CentralConfig {
    std::string data_dir;
    struct {
        std::vector<std::string> edges;  // a string or a list of strings in the file
        std::string admin;               // loopback only
        bool allow_plaintext = false;    // plain TCP beyond loopback
        std::uint32_t connections_max = 1024;
        std::uint64_t hello_ms_max = 5000;
        std::uint64_t silent_ms_max = 10'000;
        std::uint64_t credit_bytes = 8ULL << 20;  // batch bytes that one edge may have unacked
    } listen;
    control::TlsConfig tls;
    struct {
        std::uint64_t segment_bytes = 64ULL << 20;
        std::uint32_t group_bytes = 1U << 20;  // most that one write carries
        std::uint32_t groups = 4;              // group buffers: one filling, the others being written
        std::uint64_t checkpoint_ms = 5000;
        std::uint64_t tick_ms = 10'000;         // silence after which a TICK record is written
        std::uint64_t scrub_period_s = 21'600;  // between two readings of everything; 0: never
        std::uint64_t scrub_bytes_per_second = 8ULL << 20;
    } journal;
    struct {
        std::uint64_t keep_s = 86'400;         // of central's running time, from when their segment was full
        std::uint64_t bytes_max = 4ULL << 30;  // whole segments, the one that is written among them
    } dead_letters;
    struct {
        std::uint32_t edges_max = 1024;
        std::uint32_t positions_max = 65'536;  // (edge, lineage, lane, part)
        std::uint32_t types_max = 4096;        // of the read model; more are counted under "other"
        std::uint32_t minutes_max = 1440;      // of the per-type minute counts, newest kept
    } limits;
    struct {
        IdlePolicy idle = IdlePolicy::spin_then_park;
        std::uint64_t idle_spin_us = 2;
        std::string thread_plan = "auto";
        std::uint32_t receive_slots = 64;
        std::uint32_t receive_slot_bytes = 64U << 10;
    } runtime;
    std::string log_level = "warn";
    std::uint64_t digest = 0;  // XXH3 (64 bits) of the file's bytes
};

struct LoadedConfig {
    std::optional<CentralConfig> config;  // absent if there is any error
    std::vector<std::string> errors;      // FILE:LINE:COL: key: what
    std::vector<std::string> warnings;
};
// Reads and checks the file: what start and `weir-central check` both do.
[[nodiscard]] LoadedConfig load_config(const std::string& path);
// Every key that load_config knows, dotted: "listen.admin".
[[nodiscard]] std::vector<std::string> known_config_keys();

struct Budget {
    std::uint64_t memory_bytes = 0;
    std::uint64_t disk_bytes = 0;  // 0 = grows with what arrives (no retention yet)
    std::string text;
};
[[nodiscard]] Budget budget_of(const CentralConfig& config);

}  // namespace weir::central
