#include "core/tls/credentials.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/tls/session.hpp"

namespace weir::tls {
namespace {

constexpr int chain_depth_max = 4;

Result<std::string> read_whole(const std::string& path, std::size_t bytes_max, bool is_secret) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return error_from_errno(errno, path);
    const auto closed = [fd](Error error) {
        ::close(fd);
        return error;
    };
    struct stat facts {};
    if (::fstat(fd, &facts) != 0) return closed(error_from_errno(errno, path));
    if (!S_ISREG(facts.st_mode)) return closed({EINVAL, path + ": is no file"});
    if (is_secret && (facts.st_mode & 077U) != 0) {
        return closed({EPERM, path + ": others may read or write it: its mode must be 0600 or stricter"});
    }
    if (facts.st_size < 0 || static_cast<std::uint64_t>(facts.st_size) > bytes_max) {
        return closed({EFBIG, path + ": is larger than " + std::to_string(bytes_max) + " bytes"});
    }
    std::string text(static_cast<std::size_t>(facts.st_size), '\0');
    std::size_t filled = 0;
    while (filled < text.size()) {
        const ssize_t count = ::read(fd, text.data() + filled, text.size() - filled);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return closed(error_from_errno(errno, path));
        if (count == 0) break;
        filled += static_cast<std::size_t>(count);
    }
    ::close(fd);
    text.resize(filled);
    return text;
}

Result<std::vector<X509Ptr>> read_certificates(const std::string& path) {
    auto text = read_whole(path, credential_bytes_max, false);
    if (!text) return text.error();
    const BioPtr from(BIO_new_mem_buf(text.value().data(), static_cast<int>(text.value().size())));
    std::vector<X509Ptr> all;
    while (X509* one = PEM_read_bio_X509(from.get(), nullptr, nullptr, nullptr)) all.emplace_back(one);
    // The end of the file is an error to OpenSSL, of this kind; anything else is one to us as well.
    const bool is_at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    const std::string reason = openssl_reason("");
    if (!is_at_end) return Error{EINVAL, path + ": " + reason};
    if (all.empty()) return Error{EINVAL, path + ": holds no certificate in PEM"};
    return all;
}

Result<KeyPtr> read_key(const std::string& path) {
    auto text = read_whole(path, credential_bytes_max, true);
    if (!text) return text.error();
    const BioPtr from(BIO_new_mem_buf(text.value().data(), static_cast<int>(text.value().size())));
    // Asked for a password, there is none: nobody may have to stand by when a daemon starts.
    const auto no_password = [](char*, int, int, void*) { return -1; };
    KeyPtr key(PEM_read_bio_PrivateKey(from.get(), nullptr, no_password, nullptr));
    OPENSSL_cleanse(text.value().data(), text.value().size());
    const std::string reason = openssl_reason("");
    if (!key) return Error{EINVAL, path + ": holds no private key in PEM without a password: " + reason};
    return key;
}

Result<ContextPtr> new_context(Side side) {
    ContextPtr context(SSL_CTX_new(side == Side::server ? TLS_server_method() : TLS_client_method()));
    if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(context.get(), TLS1_3_VERSION) != 1) {
        return Error{ENOMEM, "TLS 1.3: " + openssl_reason("cannot be had")};
    }
    SSL_CTX_set_security_level(context.get(), 2);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    // Tickets would let a denied or expired certificate go on for as long as they live.
    SSL_CTX_set_num_tickets(context.get(), 0);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_max_cert_list(context.get(), handshake_bytes_max);
    SSL_CTX_set_verify_depth(context.get(), chain_depth_max);
    return context;
}

bool trust(SSL_CTX* context, const std::vector<X509Ptr>& authorities) {
    for (const X509Ptr& one : authorities) {
        if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), one.get()) != 1) return false;
    }
    return true;
}

Status check_authorities(const std::vector<X509Ptr>& authorities, const std::string& path) {
    for (const X509Ptr& one : authorities) {
        if (X509_check_ca(one.get()) == 0) {
            return Error{EINVAL, path + ": holds a certificate that is no CA's: serial " + facts_of(one.get()).serial};
        }
    }
    return Done{};
}

}  // namespace

std::string openssl_reason(std::string_view otherwise) {
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    return reason == nullptr ? std::string(otherwise) : std::string(reason);
}

Result<std::unique_ptr<Credentials>> Credentials::load(const TlsFiles& files, std::string_view role,
                                                       std::string_view name) {
    ERR_clear_error();
    auto made = std::make_unique<Credentials>();
    auto own = read_certificates(files.certificate);
    if (!own) return own.error();
    made->certificate_ = std::move(own.value().front());
    for (std::size_t i = 1; i < own.value().size(); ++i) made->chain_.push_back(std::move(own.value()[i]));
    auto key = read_key(files.key);
    if (!key) return key.error();
    made->key_ = std::move(key.value());
    if (!files.ca.empty()) {
        auto authorities = read_certificates(files.ca);
        if (!authorities) return authorities.error();
        if (auto good = check_authorities(authorities.value(), files.ca); !good) return good.error();
        made->authorities_ = std::move(authorities.value());
    }
    if (X509_check_private_key(made->certificate_.get(), made->key_.get()) != 1) {
        ERR_clear_error();
        return Error{EINVAL, files.key + ": is not the key of " + files.certificate};
    }
    made->facts_ = facts_of(made->certificate_.get());
    if (role.empty()) return made;
    PeerRule self{files.trust_domain, std::string(role), {}};
    if (!name.empty()) self.names.emplace_back(name);
    if (const auto fault = peer_fault(made->certificate_.get(), self); !fault.empty()) {
        return Error{EINVAL, files.certificate + ": " + fault};
    }
    return made;
}

Result<ContextPtr> Credentials::make_context(Side side, const PeerRule& rule) const {
    auto context = new_context(side);
    if (!context) return context;
    SSL_CTX* made = context.value().get();
    bool is_good = SSL_CTX_use_certificate(made, certificate_.get()) == 1 &&
                   SSL_CTX_use_PrivateKey(made, key_.get()) == 1 && trust(made, authorities_);
    for (const X509Ptr& one : chain_) is_good = is_good && SSL_CTX_add1_chain_cert(made, one.get()) == 1;
    if (!is_good) return Error{EINVAL, "certificate, key or CA: " + openssl_reason("cannot be used")};
    if (!rule.is_asked) return context;
    const int must = rule.is_optional ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(made, SSL_VERIFY_PEER | must, &Session::on_verify);
    return context;
}

Result<ContextPtr> make_anonymous_client(const std::string& ca_file, const std::string& host) {
    TlsFiles files;
    files.ca = ca_file;
    return make_host_client(files, host);
}

Result<ContextPtr> make_host_client(const TlsFiles& files, const std::string& host) {
    ERR_clear_error();
    auto authorities = read_certificates(files.ca);
    if (!authorities) return authorities.error();
    auto context = new_context(Side::client);
    if (files.is_set()) {
        TlsFiles shown = files;
        shown.ca.clear();
        auto own = Credentials::load(shown, "", "");
        if (!own) return own.error();
        context =
            own.value()->make_context(Side::client, {.trust_domain = {}, .role = {}, .names = {}, .is_asked = false});
    }
    if (!context) return context;
    X509_VERIFY_PARAM* wanted = SSL_CTX_get0_param(context.value().get());
    in6_addr address{};
    const bool is_address =
        ::inet_pton(AF_INET, host.c_str(), &address) == 1 || ::inet_pton(AF_INET6, host.c_str(), &address) == 1;
    const bool is_set = is_address ? X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str()) == 1
                                   : X509_VERIFY_PARAM_set1_host(wanted, host.data(), host.size()) == 1;
    if (!is_set || !trust(context.value().get(), authorities.value())) {
        return Error{EINVAL, files.ca + ": " + openssl_reason("cannot be used")};
    }
    X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    SSL_CTX_set_verify(context.value().get(), SSL_VERIFY_PEER, nullptr);
    return context;
}

bool serves_host(const TlsState& state, const std::string& host) {
    X509* const own = SSL_CTX_get0_certificate(state.context.get());
    return own != nullptr && names_host(own, host);
}

Result<DenyList> load_deny_list(const std::string& path) {
    if (path.empty()) return DenyList{};
    auto text = read_whole(path, deny_list_bytes_max, false);
    if (!text) return text.error();
    auto list = DenyList::parse(text.value());
    if (!list) return Error{list.error().code, path + ": " + list.error().what};
    return list;
}

}  // namespace weir::tls
