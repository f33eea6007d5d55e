#include "edge/intake/payload_forms.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "edge/intake/patterns.hpp"
#include "edge/payload_schemas.hpp"

namespace weir::edge {
namespace {

rules::Path path_of(std::string_view dotted) {
    rules::Path path;
    for (std::size_t from = 0; from <= dotted.size();) {
        const std::size_t dot = std::min(dotted.find('.', from), dotted.size());
        path.push_back({std::string(dotted.substr(from, dot - from))});
        from = dot + 1;
    }
    return path;
}

}  // namespace

PayloadForms::PayloadForms(const EdgeConfig& config) {
    const auto add = [&](const std::string& path) {
        if (path.starts_with(data_prefix)) paths_.push_back(path.substr(data_prefix.size()));
    };
    for (const RuleConfig& rule : config.rules) {
        for (const std::string& path : rule.require) add(path);
        for (const RangeConfig& range : rule.ranges) add(range.path);
    }
    for (const RouteConfig& route : config.routes) {
        for (const FieldEquals& equals : route.equals) add(equals.path);
    }
    std::sort(paths_.begin(), paths_.end());
    paths_.erase(std::unique(paths_.begin(), paths_.end()), paths_.end());
    std::vector<rules::Path> paths;
    for (const std::string& path : paths_) paths.push_back(path_of(path));
    for (const rules::FlatSchema& schema : flat_schemas_of(config)) forms_.emplace_back(schema, paths);
}

std::uint32_t PayloadForms::number_of(std::string_view path) const {
    const auto found = std::lower_bound(paths_.begin(), paths_.end(), path);
    WEIR_ASSERT(found != paths_.end() && *found == path);
    return static_cast<std::uint32_t>(found - paths_.begin());
}

}  // namespace weir::edge
