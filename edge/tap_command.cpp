#include "edge/tap_command.hpp"

#include <ostream>

#include "core/control/admin_client.hpp"

namespace weir::edge {

int run_tap(const TapArguments& arguments, std::ostream& out, std::ostream& err) {
    control::AdminQuestion question;
    question.address = arguments.admin;
    question.token_file = arguments.token_file;
    question.tls = arguments.tls;
    question.method = "POST";
    question.target = "/v1/tap?limit=" + std::to_string(arguments.limit) + "&rate=" + std::to_string(arguments.rate) +
                      "&format=" + arguments.format;
    question.body = arguments.where;
    std::string line;
    std::uint64_t events = 0;
    question.take = [&](std::string_view piece) {
        while (!piece.empty()) {
            const std::size_t end = piece.find('\n');
            line += piece.substr(0, end);
            if (end == piece.npos) break;
            piece.remove_prefix(end + 1);
            const bool is_count = line.starts_with("{\"tap\":") || line.starts_with("# tap:");
            (is_count ? err : out) << line << '\n';
            if (!is_count) ++events;
            line.clear();
        }
        out.flush();
        err.flush();
        return out.good();
    };
    const auto answer = control::ask_admin(question);
    if (!answer.ok()) {
        err << answer.error().what << '\n';
        return events > 0 ? 1 : 2;
    }
    err << answer.value().body;
    return answer.value().status == 200 ? 0 : 1;
}

}  // namespace weir::edge
