// What io.hpp promises, with TLS on every TCP socket, over io_uring and over epoll.
#include "tests/io/io_suite.hpp"
#include "core/io/epoll_io.hpp"
#include "core/io/uring_io.hpp"
#include "core/tls/tls_io.hpp"
#include "tests/tls/test_ca.hpp"

namespace weir::io {
namespace {

// Both ends of the suite's connections: an edge that connects to a central.
struct Ends {
    tls::TestCa ca;
    tls::Endpoint listen{tls::make_state(tls::Side::server, ca.central("main"), ca.pem(), "edge")};
    tls::Endpoint connect{tls::make_state(tls::Side::client, ca.edge("north"), ca.pem(), "central")};
};
Ends& ends() {
    static Ends both;
    return both;
}

}  // namespace

Result<std::unique_ptr<Io>> make_under_test(std::string_view name, const IoOptions& options) {
    const tls::TlsIoOptions tls{.listen = &ends().listen, .connect = &ends().connect};
    const IoOptions beneath = tls::inner_io_options(options, tls);
    auto inner = name == "tls_uring" ? make_uring_io(beneath) : make_epoll_io(beneath);
    if (!inner) return inner;
    return std::unique_ptr<Io>(std::make_unique<tls::TlsIo>(std::move(inner.value()), options, tls));
}

namespace {

INSTANTIATE_TEST_SUITE_P(Tls, IoTest, testing::Values("tls_uring", "tls_epoll"),
                         [](const auto& instance) { return std::string(instance.param); });

}  // namespace
}  // namespace weir::io
