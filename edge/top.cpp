#include "edge/top.hpp"

#include "edge/top_view.hpp"

namespace weir::edge {

int run_top(const control::TopArguments& arguments, std::ostream& out, std::ostream& err) {
    return control::run_top(arguments, {{"/api/v1/ledger"}}, top_table, out, err);
}

}  // namespace weir::edge
