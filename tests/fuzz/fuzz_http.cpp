// What a connection to the admin port may send: the real server on loopback, with central's answers behind it. It answers with
// whole HTTP/1.1 responses or not at all, and with content only to a request that names this machine's loopback as its host.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <charconv>
#include <regex>
#include <string>

#include "central/daemon/api.hpp"
#include "core/control/admin.hpp"
#include "tests/fuzz/input.hpp"

namespace {
using namespace weir;

struct Central {
    Central() {
        const auto started = server.start();
        WEIR_ASSERT(started.ok());
        const std::string address = server.bound_address();
        const std::string_view port = std::string_view(address).substr(address.rfind(':') + 1);
        std::uint16_t number = 0;
        std::from_chars(port.data(), port.data() + port.size(), number);
        to.sin_family = AF_INET;
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        to.sin_port = htons(number);
    }
    central::CentralConfig config;
    central::IngestShared shared{config};
    central::ReadModel model{8, 8};
    std::atomic<std::uint64_t> durable{0};
    central::Reader reader{"/nowhere", durable, model};
    std::atomic<bool> is_draining{false};
    journal::ScrubCounters scrub;
    std::atomic<bool> is_alive{true};
    control::AdminServer server{"127.0.0.1:0", [this](std::string_view, std::string_view target) {
                                    return central::answer({.config = config,
                                                            .shared = shared,
                                                            .model = model,
                                                            .reader = reader,
                                                            .is_draining = is_draining,
                                                            .is_alive = is_alive,
                                                            .scrub = scrub,
                                                            .io_name = "test"},
                                                           target);
                                }};
    sockaddr_in to{};
};

// All that comes back to `request` on a connection of its own.
std::string answer_to(const Central& central, std::string_view request) {
    const int handle = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    WEIR_ASSERT(handle >= 0);
    const timeval patience{20, 0};
    ::setsockopt(handle, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    WEIR_ASSERT(::connect(handle, reinterpret_cast<const sockaddr*>(&central.to), sizeof central.to) == 0);
    while (!request.empty()) {
        const auto count = ::send(handle, request.data(), request.size(), MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) continue;  // a fuzzer's alarm
        if (count <= 0) break;                      // it has had enough of us
        request.remove_prefix(static_cast<std::size_t>(count));
    }
    ::shutdown(handle, SHUT_WR);
    std::string answer;
    char piece[4096];
    for (;;) {
        const auto count = ::recv(handle, piece, sizeof piece, 0);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) {
            WEIR_ASSERT(count == 0 || errno == ECONNRESET);  // and never silence
            break;
        }
        answer.append(piece, static_cast<std::size_t>(count));
    }
    ::close(handle);
    return answer;
}

bool names_loopback(const std::string& request) {
    static const std::regex host(R"((^|\n)host:[ \t]*([^\r\n]*?)[ \t]*(\r|\n|$))", std::regex::icase);
    static const std::regex loopback(R"((localhost|127\.\d+\.\d+\.\d+|\[::1\])(:[^:\]]*)?)");
    std::smatch found;
    return std::regex_search(request, found, host) && std::regex_match(found[2].str(), loopback);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    static const Central central;
    const std::string request(fuzz::text_of(std::as_bytes(std::span(data, bytes))));
    const std::string answer = answer_to(central, request);
    if (answer.empty()) return 0;
    WEIR_ASSERT(answer.starts_with("HTTP/1.1 "));
    WEIR_ASSERT(answer.find("\r\n\r\n") != answer.npos);
    WEIR_ASSERT(answer.find("X-Content-Type-Options: nosniff") != answer.npos);
    const std::string status = answer.substr(9, 3);
    static const std::regex known("200|400|403|404|405|413|431|503");
    WEIR_ASSERT(std::regex_match(status, known));
    // A field that goes on in the next line is the server's to put together, not ours.
    const bool is_folded = request.find("\n ") != request.npos || request.find("\n\t") != request.npos;
    if ((status == "200" || status == "404") && !is_folded) WEIR_ASSERT(names_loopback(request));
    return 0;
}
