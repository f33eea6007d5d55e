#include "core/control/tls_config.hpp"

#include "core/tls/identity.hpp"

namespace weir::control {
namespace {

void check_central_names(ConfigTable& table, const std::vector<std::string>& names) {
    if (names.size() > central_names_max) {
        table.fault("central_names", "has more than " + std::to_string(central_names_max) + " entries");
    }
    for (std::size_t index = 0; index < names.size(); ++index) {
        const std::string& name = names[index];
        const bool is_host =
            (name.starts_with("dns:") && name.size() > 4) || (name.starts_with("ip:") && name.size() > 3);
        if (is_host || tls::parse_identity("spiffe://any/central/" + name)) continue;
        table.fault("central_names", index, "must be a name of a-z, 0-9 and '-', \"dns:NAME\" or \"ip:ADDRESS\"");
    }
}

}  // namespace

void read_tls(ConfigTable& table, TlsConfig& config, bool is_edge) {
    auto& files = config.files;
    table.text("certificate", files.certificate);
    table.text("key", files.key);
    table.text("ca", files.ca);
    table.text("trust_domain", files.trust_domain);
    table.text("deny_list", files.deny_list);
    if (is_edge) {
        table.flag("uplink", config.uplink);
        table.flag("producers", config.producers);
        table.texts("central_names", config.central_names);
        check_central_names(table, config.central_names);
    }
    const std::pair<std::string_view, const std::string*> together[] = {{"certificate", &files.certificate},
                                                                        {"key", &files.key},
                                                                        {"ca", &files.ca},
                                                                        {"trust_domain", &files.trust_domain}};
    bool is_any_set = !files.deny_list.empty() || config.producers;
    for (const auto& [key, value] : together) is_any_set = is_any_set || !value->empty();
    if (!is_any_set) return;
    for (const auto& [key, value] : together) {
        if (value->empty()) table.fault(key, "is missing: certificate, key, ca and trust_domain go together");
    }
    if (!files.trust_domain.empty() && !tls::is_trust_domain(files.trust_domain)) {
        table.fault("trust_domain", "must be of a-z, 0-9, '.', '-' and '_'");
    }
}

}  // namespace weir::control
