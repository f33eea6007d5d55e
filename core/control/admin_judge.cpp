// What a request of the admin server is answered: judged first, then given to a handler.
#include <boost/asio/co_spawn.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <exception>
#include <utility>

#include "core/base/clock.hpp"
#include "core/base/json_scan.hpp"
#include "core/control/admin_server.hpp"
#include "core/control/admin_target.hpp"
#include "core/control/config_reader.hpp"
#include "core/control/event_flow.hpp"
#include "core/control/log.hpp"
#include "core/tls/digest.hpp"

namespace weir::control {
namespace {

constexpr std::string_view token_protocol = "weir.token.";

void put_common(AdminAnswer& response) {
    response.version(11);
    response.set(http::field::cache_control, "no-store");
    response.set("X-Content-Type-Options", "nosniff");
    response.set("Content-Security-Policy",
                 "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'");
    response.set("X-Frame-Options", "DENY");
    response.set("Referrer-Policy", "no-referrer");
    response.set("Cross-Origin-Resource-Policy", "same-origin");
}

bool is_upgrade(const AdminRequest& request) {
    return beast::websocket::is_upgrade(request);
}

// A page cannot set a header on a WebSocket: its token comes as a sub-protocol.
std::string token_of_protocols(const AdminRequest& request) {
    std::string_view rest = field(request, http::field::sec_websocket_protocol);
    while (!rest.empty()) {
        std::string_view one = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(rest.size(), one.size() + 1));
        while (one.starts_with(' ')) one.remove_prefix(1);
        while (one.ends_with(' ')) one.remove_suffix(1);
        if (one.starts_with(token_protocol)) return "Bearer " + std::string(one.substr(token_protocol.size()));
    }
    return {};
}

class WipedText {
  public:
    explicit WipedText(std::string text) : text_(std::move(text)) {}
    ~WipedText() { tls::wipe({reinterpret_cast<std::byte*>(text_.data()), text_.size()}); }
    WipedText(const WipedText&) = delete;
    WipedText& operator=(const WipedText&) = delete;
    [[nodiscard]] std::string_view view() const { return text_; }

  private:
    std::string text_;
};

// With the headers of the answer that it stands for: a browser puts them in place of those it kept.
AdminReply make_304(std::string_view etag, const std::vector<AdminHeader>& headers) {
    AdminReply reply;
    reply.response.result(http::status::not_modified);
    put_common(reply.response);
    reply.response.set(http::field::etag, beast::string_view(etag.data(), etag.size()));
    for (const AdminHeader& header : headers) reply.response.set(header.name, header.value);
    return reply;
}

// One of a list of quoted tags, weak ones too, or '*'.
bool names_tag(std::string_view list, std::string_view quoted) {
    return list == "*" || list.find(quoted) != list.npos;
}

}  // namespace

AdminReply make_reply(AdminResponse answer) {
    AdminReply reply;
    put_common(reply.response);
    reply.response.result(answer.status);
    reply.response.set(http::field::content_type, answer.content_type);
    if (!answer.etag.empty()) reply.response.set(http::field::etag, '"' + answer.etag + '"');
    for (const AdminHeader& header : answer.headers) reply.response.set(header.name, header.value);
    reply.response.body() = std::move(answer.body);
    reply.flow = std::move(answer.flow);
    reply.stream = std::move(answer.stream);
    return reply;
}

AdminAnswer make_problem(http::status status, std::string_view why) {
    return make_reply(problem_of(status, why)).response;
}

AdminResponse problem_of(http::status status, std::string_view why) {
    AdminResponse response;
    response.status = static_cast<unsigned>(status);
    response.content_type = "application/problem+json";
    const auto title = http::obsolete_reason(status);
    std::string& body = response.body;
    body = "{\"type\":\"about:blank\",\"title\":";
    json_quote({title.data(), title.size()}, body);
    body += ",\"status\":" + std::to_string(static_cast<unsigned>(status)) + ",\"detail\":";
    json_quote(why, body);
    body += "}\n";
    return response;
}

// Why a page in a browser may not ask that; empty: it may, or it is none.
std::string_view AdminServer::Server::fault_of_page(const AdminRequest& request, bool is_act) const {
    constexpr std::string_view foreign = "not from a page of another origin in a browser";
    const bool has_origin = request.find(http::field::origin) != request.end();
    const std::string_view origin = field(request, http::field::origin);
    const std::string_view site = field(request, "Sec-Fetch-Site");
    if (has_origin && !is_own_origin(origin)) return foreign;
    if (!is_act && !is_upgrade(request)) {
        if (site != "cross-site" && site != "same-site") return {};
        // Someone followed a link to the page itself, which holds nothing but code.
        const bool is_visit = field(request, "Sec-Fetch-Mode") == "navigate" &&
                              field(request, "Sec-Fetch-Dest") == "document" &&
                              path_of({request.target().data(), request.target().size()}) == "/";
        return is_visit ? std::string_view{} : foreign;
    }
    if (!has_origin && site.empty()) return {};
    // Another port or loopback address of this machine is another origin, whoever listens there.
    const std::string own = std::string(scheme()) + std::string(field(request, http::field::host));
    if (origin != own || (!site.empty() && site != "same-origin")) return foreign;
    if (is_act && field(request, "X-Weir") != "1") return "a page acts with the header X-Weir: 1";
    return {};
}

// Why it is not even given to a handler.
std::optional<AdminAnswer> AdminServer::Server::refusal(const AdminRequest& request) const {
    if (request.count(http::field::host) != 1 || !is_own_host(field(request, http::field::host))) {
        return refused(AdminRefusal::host, http::status::forbidden,
                       options.tls == nullptr ? "the Host header must name this machine's loopback"
                                              : "the Host header must name what the certificate is for");
    }
    if (request.count(http::field::authorization) > 1) {
        return refused(AdminRefusal::token, http::status::bad_request, "more than one Authorization");
    }
    const bool is_act = request.method() == http::verb::post && options.acts;
    if (!is_act && request.method() != http::verb::get && request.method() != http::verb::head) {
        AdminAnswer response = refused(AdminRefusal::method, http::status::method_not_allowed,
                                       options.acts ? "GET, HEAD and POST only" : "GET and HEAD only");
        response.set(http::field::allow, options.acts ? "GET, HEAD, POST" : "GET, HEAD");
        return response;
    }
    if (const auto fault = fault_of_page(request, is_act); !fault.empty()) {
        return refused(AdminRefusal::origin, http::status::forbidden, fault);
    }
    if (const auto fault = target_fault({request.target().data(), request.target().size()}); !fault.empty()) {
        return refused(AdminRefusal::target, http::status::bad_request, fault);
    }
    return std::nullopt;
}

asio::awaitable<AdminReply> AdminServer::Server::respond(const AdminRequest& request, const AdminPeer& peer) {
    AdminReply reply;
    if (auto response = refusal(request)) {
        reply.response = std::move(*response);
        co_return reply;
    }
    try {
        reply = co_await let_in(request, peer);
    } catch (const std::exception& error) {
        log_error("admin_failed", {{"what", error.what()}});
        reply = {};
        reply.response = make_problem(http::status::internal_server_error, "the handler failed; the log says why");
    }
    co_return reply;
}

// If it may.
asio::awaitable<AdminReply> AdminServer::Server::let_in(const AdminRequest& request, const AdminPeer& peer) {
    const bool is_act = request.method() == http::verb::post;
    const bool wants_stream = !is_act && is_upgrade(request);
    const WipedText offered(wants_stream ? token_of_protocols(request) : std::string());
    const std::string_view told = field(request, http::field::authorization);
    const AdminCall call{.is_act = is_act,
                         .target = {request.target().data(), request.target().size()},
                         .from = peer.from,
                         .authorization = told.empty() ? offered.view() : told,
                         .certificate = peer.certificate,
                         .reason = field(request, "Weir-Reason")};
    AdminVerdict verdict;
    if (options.guard != nullptr) verdict = options.guard->judge(call, monotonic_now());
    AdminReply reply;
    if (verdict.status != 0) {
        reply.response = make_problem(static_cast<http::status>(verdict.status), verdict.why);
        if (verdict.status == 401) reply.response.set(http::field::www_authenticate, "Bearer realm=\"weir\"");
        if (verdict.retry_s != 0) reply.response.set(http::field::retry_after, std::to_string(verdict.retry_s));
        co_return reply;
    }
    if (is_act) co_return make_reply(co_await act(call, verdict, request.body()));
    AdminResponse answer = options.handler("GET", call.target);
    if (answer.stream && !wants_stream && accepts_events(field(request, http::field::accept))) {
        answer.content_type = "text/event-stream";
        answer.flow = std::make_unique<EventFlow>(std::move(answer.stream));
    }
    if (answer.stream && !wants_stream) {
        reply.response = make_problem(http::status::upgrade_required,
                                      "this is a WebSocket; or, with Accept: text/event-stream, server-sent events");
        reply.response.set(http::field::upgrade, "websocket");
        co_return reply;
    }
    if (answer.stream && stream_count.load(std::memory_order_relaxed) >= options.streams_max) {
        reply.response = refused(AdminRefusal::connections, http::status::service_unavailable,
                                 "there are as many WebSockets as there may be");
        co_return reply;
    }
    if (!answer.etag.empty() && answer.status == 200) {
        const std::string quoted = '"' + answer.etag + '"';
        if (names_tag(field(request, http::field::if_none_match), quoted)) {
            co_return make_304(quoted, answer.headers);
        }
    }
    co_return make_reply(std::move(answer));
}

// With a guard it is written down before it is done, and its outcome before it is answered.
asio::awaitable<AdminResponse> AdminServer::Server::act(const AdminCall& call, const AdminVerdict& verdict,
                                                        std::string_view body) {
    AdminGuard* const guard = options.guard;
    const AdminAct asked{.target = call.target, .body = body, .reason = call.reason};
    if (guard == nullptr) co_return co_await do_act(asked);
    const auto begun = guard->begin_act(call, verdict);
    if (!begun) {
        co_return problem_of(http::status::service_unavailable, "not done: the audit trail cannot be written");
    }
    AdminAct named = asked;
    named.who = verdict.who;
    named.role = verdict.role;
    AdminResponse answer;
    try {
        answer = co_await do_act(named);
    } catch (...) {
        static_cast<void>(guard->end_act(begun.value(), call, verdict, 500));
        throw;
    }
    if (guard->end_act(begun.value(), call, verdict, answer.status)) co_return answer;
    co_return problem_of(http::status::internal_server_error, "done, answered " + std::to_string(answer.status) +
                                                                  ", but its outcome could not be written down");
}

asio::awaitable<AdminResponse> AdminServer::Server::do_act(const AdminAct& asked) {
    if (!acts_apart) co_return options.acts(asked);
    const auto work = [this, &asked]() -> asio::awaitable<AdminResponse> { co_return options.acts(asked); };
    co_return co_await asio::co_spawn(acts_apart->get_executor(), work, asio::use_awaitable);
}

// Of a page that this very port gave.
bool AdminServer::Server::is_own_origin(std::string_view origin) const {
    if (!origin.starts_with(scheme())) return false;
    origin.remove_prefix(scheme().size());
    const auto port = bound_address.substr(bound_address.rfind(':'));
    // A browser leaves the port out where it is the scheme's own.
    const bool is_plain_port = port == (options.tls == nullptr ? ":80" : ":443");
    const bool has_none = origin.rfind(':') == origin.npos || origin.ends_with(']');
    return (origin.ends_with(port) || (is_plain_port && has_none)) && is_own_host(origin);
}

std::string_view AdminServer::Server::scheme() const {
    return options.tls == nullptr ? "http://" : "https://";
}

bool AdminServer::Server::is_own_host(std::string_view host) const {
    const auto colon = host.rfind(':');
    const auto bracket = host.rfind(']');
    const bool has_port = colon != host.npos && (bracket == host.npos || colon > bracket);
    std::string name(has_port ? host.substr(0, colon) : host);
    if (name == bound_host) return true;
    if (options.tls != nullptr && is_named(name)) return true;
    name += ":0";
    return !name.starts_with("unix:") && is_loopback(name);  // a Unix path is no host: "unix" is a name like any other
}

}  // namespace weir::control
