#include "central/api/problem.hpp"

#include "central/api/json_text.hpp"

namespace weir::central {
namespace {

std::string_view title_of(unsigned status) {
    switch (status) {
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 409:
            return "Conflict";
        case 410:
            return "Gone";
        case 503:
            return "Service Unavailable";
        default:
            return "Error";
    }
}

// FNV-1a: whether an answer is the one before, not whether somebody made it so.
std::uint64_t digest_of(std::string_view text) {
    std::uint64_t digest = 0xcbf29ce484222325ULL;
    for (const char c : text) digest = (digest ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    return digest;
}

}  // namespace

control::AdminResponse problem(unsigned status, std::string_view detail, std::string_view type) {
    ObjectText text;
    text.text("type", type).text("title", title_of(status)).number("status", status).text("detail", detail);
    control::AdminResponse answer;
    answer.status = status;
    answer.content_type = "application/problem+json";
    answer.body = text.end() + "\n";
    return answer;
}

control::AdminResponse json_answer(std::string body, unsigned status) {
    control::AdminResponse answer;
    answer.status = status;
    answer.content_type = "application/json";
    answer.body = std::move(body);
    answer.body += '\n';
    return answer;
}

control::AdminResponse tagged_answer(std::string body) {
    control::AdminResponse answer = json_answer(std::move(body));
    answer.etag = hex_text(digest_of(answer.body));
    return answer;
}

}  // namespace weir::central
