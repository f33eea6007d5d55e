#include "central/top/top.hpp"

#include "central/top/top_view.hpp"
#include "core/base/clock.hpp"

namespace weir::central {

int run_top(const control::TopArguments& arguments, std::ostream& out, std::ostream& err) {
    return control::run_top(
        arguments, {{"/api/v1/ledger"}, {"/api/v1/edges?limit=1000"}, {"/api/v1/alerts?limit=5", false}},
        [](const control::TopLook& now, const control::TopLook* before, double seconds, const control::TopSize& size) {
            return top_table(now, before, seconds, wall_now(), size);
        },
        out, err);
}

}  // namespace weir::central
