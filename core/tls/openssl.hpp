// OpenSSL 3 (libssl-dev): enters weir here and nowhere else.
//
// Ownership The pointers free what they hold; OpenSSL's own reference counts are thread-safe.
#pragma once

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>

namespace weir::tls {

template <auto Free>
struct FreedBy {
    template <class T>
    void operator()(T* held) const {
        Free(held);
    }
};
using ContextPtr = std::unique_ptr<SSL_CTX, FreedBy<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, FreedBy<SSL_free>>;
using X509Ptr = std::unique_ptr<X509, FreedBy<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, FreedBy<EVP_PKEY_free>>;
using BioPtr = std::unique_ptr<BIO, FreedBy<BIO_free>>;

// The oldest error of this thread's queue as words ("certificate verify failed"), or `otherwise`; the queue is empty afterwards.
[[nodiscard]] std::string openssl_reason(std::string_view otherwise);

}  // namespace weir::tls
