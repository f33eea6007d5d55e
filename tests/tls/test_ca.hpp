// A certificate authority in memory: certificates of any name and time, good or bad, written to files where those are wanted.
#pragma once

#include <stdlib.h>
#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/base/assert.hpp"
#include "core/base/clock.hpp"
#include "core/tls/credentials.hpp"
#include "core/tls/session.hpp"

namespace weir::tls {

inline constexpr char test_domain[] = "weir.test";

// A directory that goes with its test.
class TestDirectory {
  public:
    TestDirectory() {
        char name[] = "/tmp/weir-tls-XXXXXX";
        WEIR_ASSERT(::mkdtemp(name) != nullptr);
        path_ = name;
    }
    ~TestDirectory() { std::filesystem::remove_all(path_); }
    TestDirectory(const TestDirectory&) = delete;
    TestDirectory& operator=(const TestDirectory&) = delete;
    [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }
    std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) const {
        // Beside it and moved into its place, as those who rotate do.
        const std::string path = file(name);
        std::ofstream(path + ".new", std::ios::binary) << text;
        WEIR_ASSERT(::chmod((path + ".new").c_str(), mode) == 0);
        std::filesystem::rename(path + ".new", path);
        return path;
    }

  private:
    std::string path_;
};

struct TestCertificate {
    X509Ptr certificate;
    KeyPtr key;
    [[nodiscard]] std::string pem() const {
        const BioPtr out(BIO_new(BIO_s_mem()));
        WEIR_ASSERT(PEM_write_bio_X509(out.get(), certificate.get()) == 1);
        return text_of(out.get());
    }
    [[nodiscard]] std::string key_pem() const {
        const BioPtr out(BIO_new(BIO_s_mem()));
        WEIR_ASSERT(PEM_write_bio_PrivateKey(out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
        return text_of(out.get());
    }

  private:
    static std::string text_of(BIO* out) {
        char* bytes = nullptr;
        const long count = BIO_get_mem_data(out, &bytes);
        return {bytes, static_cast<std::size_t>(count)};
    }
};

class TestCa {
  public:
    explicit TestCa(const std::string& name = "weir test CA") : self_(make(name, "", nullptr, -3600, 86'400)) {}

    // `names`: as OpenSSL has them: "URI:spiffe://weir.test/edge/north,IP:127.0.0.1". Times in seconds from now.
    [[nodiscard]] TestCertificate issue(const std::string& names, long from_s = -3600, long until_s = 86'400) const {
        return make("leaf", names, &self_, from_s, until_s);
    }
    [[nodiscard]] TestCertificate edge(const std::string& name) const {
        return issue("URI:spiffe://weir.test/edge/" + name + ",DNS:localhost,IP:127.0.0.1");
    }
    [[nodiscard]] TestCertificate central(const std::string& name) const {
        return issue("URI:spiffe://weir.test/central/" + name + ",DNS:localhost,IP:127.0.0.1");
    }
    [[nodiscard]] std::string pem() const { return self_.pem(); }

  private:
    static TestCertificate make(const std::string& common_name, const std::string& names, const TestCertificate* issuer,
                                long from_s, long until_s) {
        static std::uint64_t serial = 0x1000;
        TestCertificate made{X509Ptr(X509_new()), KeyPtr(EVP_EC_gen("P-256"))};
        X509* one = made.certificate.get();
        X509_set_version(one, X509_VERSION_3);
        ASN1_INTEGER_set_uint64(X509_get_serialNumber(one), ++serial);
        X509_gmtime_adj(X509_getm_notBefore(one), from_s);
        X509_gmtime_adj(X509_getm_notAfter(one), until_s);
        X509_set_pubkey(one, made.key.get());
        X509_NAME* subject = X509_get_subject_name(one);
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                   reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1, 0);
        X509* by = issuer == nullptr ? one : issuer->certificate.get();
        X509_set_issuer_name(one, X509_get_subject_name(by));
        X509V3_CTX context;
        X509V3_set_ctx(&context, by, one, nullptr, nullptr, 0);
        add(one, context, NID_basic_constraints, issuer == nullptr ? "critical,CA:TRUE" : "CA:FALSE");
        add(one, context, NID_subject_key_identifier, "hash");
        if (!names.empty()) add(one, context, NID_subject_alt_name, names);
        EVP_PKEY* signs = issuer == nullptr ? made.key.get() : issuer->key.get();
        WEIR_ASSERT(X509_sign(one, signs, EVP_sha256()) > 0);
        return made;
    }
    static void add(X509* certificate, X509V3_CTX& context, int kind, const std::string& value) {
        X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
        WEIR_ASSERT(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1);
        X509_EXTENSION_free(extension);
    }

    TestCertificate self_;
};

// The files of one node, named after it.
inline TlsFiles write_files(const TestDirectory& directory, const std::string& name, const TestCertificate& certificate,
                            const std::string& ca) {
    TlsFiles files;
    files.certificate = directory.write(name + ".crt", certificate.pem(), 0644);
    files.key = directory.write(name + ".key", certificate.key_pem());
    files.ca = directory.write(name + ".ca", ca, 0644);
    files.trust_domain = test_domain;
    return files;
}

inline std::unique_ptr<TlsState> make_state(Side side, const Credentials& credentials, PeerRule rule,
                                            DenyList denied = {}) {
    auto state = std::make_unique<TlsState>();
    state->side = side;
    auto context = credentials.make_context(side, rule);
    WEIR_ASSERT(context.ok());
    state->context = std::move(context.value());
    state->rule = std::move(rule);
    state->denied = std::move(denied);
    return state;
}

// Whoever shows `certificate`, on `side`, to a peer that must be of `role` and come from `ca`. One that Credentials would not take is
// shown all the same: peers must see through it.
inline std::unique_ptr<TlsState> make_state(Side side, const TestCertificate& certificate, const std::string& ca,
                                            const std::string& role, DenyList denied = {}) {
    const TestDirectory directory;
    TlsFiles files = write_files(directory, "one", certificate, ca);
    const std::string uri = facts_of(certificate.certificate.get()).uri;
    if (const auto identity = parse_identity(uri)) {
        files.trust_domain = identity->trust_domain;
        auto credentials = Credentials::load(files, identity->role, "");
        WEIR_ASSERT(credentials.ok());
        return make_state(side, *credentials.value(), {test_domain, role, {}}, std::move(denied));
    }
    auto state = std::make_unique<TlsState>();
    state->side = side;
    state->rule = {test_domain, role, {}};
    state->context.reset(SSL_CTX_new(side == Side::server ? TLS_server_method() : TLS_client_method()));
    SSL_CTX* context = state->context.get();
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    WEIR_ASSERT(SSL_CTX_use_certificate(context, certificate.certificate.get()) == 1);
    WEIR_ASSERT(SSL_CTX_use_PrivateKey(context, certificate.key.get()) == 1);
    WEIR_ASSERT(SSL_CTX_load_verify_locations(context, files.ca.c_str(), nullptr) == 1);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, &Session::on_verify);
    return state;
}

}  // namespace weir::tls
