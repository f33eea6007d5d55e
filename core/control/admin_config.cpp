#include "core/control/admin_config.hpp"

namespace weir::control {

void read_admin(ConfigTable& table, AdminConfig& config) {
    AdminLimits& limits = config.limits;
    table.text("tokens", config.tokens);
    table.number("connections_max", config.connections_max, Bounds{1, 65'536, "connections"});
    table.number("requests_per_second", limits.requests_per_second, Bounds{10, 1'000'000, "requests"});
    table.number("failures_max", limits.failures_max, Bounds{1, 1000, "failures"});
    table.number("backoff_ms", limits.backoff_ms, Bounds{10, 600'000, "ms"});
    table.number("backoff_ms_max", limits.backoff_ms_max, Bounds{10, 3'600'000, "ms"});
    table.number("audit_bytes_max", config.audit_bytes_max, Bounds{1U << 20, 1ULL << 40, "bytes"});
    if (limits.backoff_ms_max < limits.backoff_ms) {
        table.fault("backoff_ms_max",
                    "must not be less than admin.backoff_ms, " + std::to_string(limits.backoff_ms) + " ms");
    }
}

}  // namespace weir::control
