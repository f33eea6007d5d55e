#include "central/api/page.hpp"

#include <algorithm>

#include "central/api/problem.hpp"
#include "central/page/assets.hpp"

namespace weir::central {
namespace {

constexpr std::string_view policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src "
    "'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

}  // namespace

std::optional<control::AdminResponse> answer_page(std::string_view target) {
    const std::string_view path = target.substr(0, target.find('?'));
    if (path != "/" && !path.starts_with("/assets/")) return std::nullopt;
    const auto all = assets();
    const auto found = std::find_if(all.begin(), all.end(), [&](const Asset& one) { return one.path == path; });
    if (found == all.end()) return problem(404, "there is no such part of the page");
    control::AdminResponse answer;
    answer.content_type = found->content_type;
    answer.body = found->bytes;
    answer.etag = found->etag;
    answer.headers.push_back({"Content-Security-Policy", std::string(policy)});
    // Asked for each time, and sent only where it has changed.
    answer.headers.push_back({"Cache-Control", "no-cache"});
    return answer;
}

}  // namespace weir::central
