// Acts: what others may have central do: POST of openapi.yaml.
//
// Thread    One at a time; not the admin server's: an act on dead letters waits for an edge.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "central/api/sources.hpp"
#include "core/control/admin.hpp"
#include "core/control/roles.hpp"

namespace weir::central {

// What the port asks of whom; what is not named here a viewer may read, and only an admin do.
[[nodiscard]] const std::vector<control::AccessRule>& access_rules();

class Acts {
  public:
    // `wake` after a change that the ingest runner must see.
    Acts(const ApiSources& sources, std::function<void()> wake) : sources_(sources), wake_(std::move(wake)) {}
    [[nodiscard]] control::AdminResponse act(const control::AdminAct& asked);

  private:
    [[nodiscard]] control::AdminResponse hold_lane(std::string_view target);
    [[nodiscard]] control::AdminResponse on_letters(const control::AdminAct& asked);
    [[nodiscard]] control::AdminResponse silence(const control::AdminAct& asked);
    [[nodiscard]] control::AdminResponse end_silence(std::string_view target);

    const ApiSources& sources_;
    std::function<void()> wake_;
};

}  // namespace weir::central
