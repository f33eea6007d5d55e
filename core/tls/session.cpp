#include "core/tls/session.hpp"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <utility>

#include "core/base/assert.hpp"

namespace weir::tls {
namespace {

Session& session_of(BIO* bio) {
    return *static_cast<Session*>(BIO_get_data(bio));
}

int bio_read(BIO* bio, char* into, int bytes_max) {
    BIO_clear_retry_flags(bio);
    const int count = session_of(bio).take_input(into, bytes_max);
    if (count <= 0) BIO_set_retry_read(bio);
    return count;
}

int bio_write(BIO* bio, const char* from, int bytes) {
    BIO_clear_retry_flags(bio);
    const int count = session_of(bio).put_output(from, bytes);
    if (count <= 0) BIO_set_retry_write(bio);
    return count;
}

long bio_control(BIO*, int command, long, void*) {
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

// Made once, for as long as the process lives.
BIO_METHOD* bio_method() {
    static BIO_METHOD* const method = [] {
        BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weir session");
        WEIR_ASSERT(made != nullptr);
        BIO_meth_set_read(made, &bio_read);
        BIO_meth_set_write(made, &bio_write);
        BIO_meth_set_ctrl(made, &bio_control);
        return made;
    }();
    return method;
}

}  // namespace

std::unique_ptr<Session> Session::make(const TlsState& state, WallNs wall, std::uint32_t output_bytes) {
    WEIR_ASSERT(output_bytes >= output_bytes_min);
    std::unique_ptr<Session> made(new Session(output_bytes));
    ERR_clear_error();
    made->ssl_.reset(SSL_new(state.context.get()));
    BIO* bio = made->ssl_ ? BIO_new(bio_method()) : nullptr;
    if (bio == nullptr) return nullptr;
    BIO_set_data(bio, made.get());
    BIO_set_init(bio, 1);
    SSL_set_bio(made->ssl_.get(), bio, bio);  // one reference serves both directions
    SSL_set_app_data(made->ssl_.get(), made.get());
    const WallNs now = credible_wall(wall, state.time_floor);
    X509_VERIFY_PARAM_set_time(SSL_get0_param(made->ssl_.get()), static_cast<time_t>(now.value / ns_per_second));
    made->state_ = &state;
    if (state.side == Side::server) {
        SSL_set_accept_state(made->ssl_.get());
    } else {
        SSL_set_connect_state(made->ssl_.get());
    }
    return made;
}

void Session::wipe_what_was_read() {
    SSL_set_options(ssl_.get(), SSL_OP_CLEANSE_PLAINTEXT);
}

void Session::feed(ConstBytes ciphertext) {
    WEIR_ASSERT(input_.empty());
    input_ = ciphertext;
}

int Session::take_input(char* into, int bytes_max) {
    std::size_t count = std::min(input_.size(), static_cast<std::size_t>(std::max(bytes_max, 0)));
    if (!is_open_ && count > 0) {
        count = std::min<std::size_t>(count, handshake_bytes_max - handshake_bytes_);
        is_too_long_ = count == 0;
        handshake_bytes_ += static_cast<std::uint32_t>(count);
    }
    if (count == 0) return -1;
    std::memcpy(into, input_.data(), count);
    input_ = input_.subspan(count);
    return static_cast<int>(count);
}

int Session::put_output(const char* from, int bytes) {
    const std::size_t count = std::min(output_.size() - filled_, static_cast<std::size_t>(std::max(bytes, 0)));
    if (count == 0) return -1;
    std::memcpy(output_.data() + filled_, from, count);
    filled_ += count;
    return static_cast<int>(count);
}

ConstBytes Session::take_output() {
    if (is_output_under_way() || filled_ == flying_end_) return {};
    flying_begin_ = flying_end_;
    flying_end_ = filled_;
    return ConstBytes(output_).subspan(flying_begin_, flying_end_ - flying_begin_);
}

void Session::output_sent() {
    flying_begin_ = flying_end_;
    if (flying_end_ == filled_) flying_begin_ = flying_end_ = filled_ = 0;
}

Outcome Session::handshake() {
    WEIR_ASSERT(!is_open_);
    if (has_failed_) return Outcome::failed;
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    if (result != 1) return outcome_of(result);
    is_open_ = true;
    remember_peer();
    state_ = nullptr;
    return Outcome::done;
}

Outcome Session::outcome_of(int result) {
    switch (SSL_get_error(ssl_.get(), result)) {
        case SSL_ERROR_WANT_READ:
            return is_too_long_ ? fail("more than 16 KiB before the handshake was done") : Outcome::wants_input;
        case SSL_ERROR_WANT_WRITE:
            return Outcome::wants_room;
        case SSL_ERROR_ZERO_RETURN:
            return is_open_ ? Outcome::ended : fail("the peer ended the handshake");
        default:
            return fail("the peer broke the protocol");
    }
}

Outcome Session::fail(std::string_view otherwise) {
    has_failed_ = true;
    const std::string reason = openssl_reason(otherwise);
    const long verdict = is_open_ ? X509_V_OK : SSL_get_verify_result(ssl_.get());
    // Our own judgement of its name says more than OpenSSL's words for it.
    if (fault_.empty()) {
        fault_ = verdict == X509_V_OK
                     ? reason
                     : std::string("certificate verify failed: ") + X509_verify_cert_error_string(verdict);
    }
    return Outcome::failed;
}

int Session::on_verify(int is_good, X509_STORE_CTX* chain) {
    if (is_good != 1) return is_good;
    const auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx()));
    auto* session = static_cast<Session*>(SSL_get_app_data(ssl));
    WEIR_ASSERT(session != nullptr && session->state_ != nullptr);
    X509* certificate = X509_STORE_CTX_get_current_cert(chain);
    if (session->state_->denied.count() > 0 && session->state_->denied.contains(facts_of(certificate))) {
        session->fault_ = "the deny list names serial " + facts_of(certificate).serial;
        X509_STORE_CTX_set_error(chain, X509_V_ERR_CERT_REVOKED);
        return 0;
    }
    if (X509_STORE_CTX_get_error_depth(chain) > 0) return 1;
    session->fault_ = peer_fault(certificate, session->state_->rule);
    if (session->fault_.empty()) return 1;
    X509_STORE_CTX_set_error(chain, X509_V_ERR_HOSTNAME_MISMATCH);
    return 0;
}

void Session::remember_peer() {
    X509* certificate = SSL_get0_peer_certificate(ssl_.get());
    if (certificate == nullptr) return;
    peer_ = facts_of(certificate);
    if (const auto identity = parse_identity(peer_.uri)) identity_ = identity->path;
}

Outcome Session::read(Bytes room, std::size_t& count) {
    WEIR_ASSERT(is_open_);
    count = 0;
    while (count < room.size()) {
        if (has_failed_) return Outcome::failed;
        std::size_t taken = 0;
        ERR_clear_error();
        const int result = SSL_read_ex(ssl_.get(), room.data() + count, room.size() - count, &taken);
        if (result != 1) return outcome_of(result);
        count += taken;
    }
    return Outcome::done;
}

bool Session::has_plain() const {
    return SSL_pending(ssl_.get()) > 0;
}

Outcome Session::write(ConstBytes plain, std::size_t& count) {
    WEIR_ASSERT(is_open_ && !is_finished_);
    count = 0;
    while (count < plain.size()) {
        if (has_failed_) return Outcome::failed;
        const std::size_t piece = std::min<std::size_t>(plain.size() - count, record_plain_bytes_max);
        if (output_.size() - filled_ < piece + record_overhead_bytes + output_reserve_bytes) return Outcome::wants_room;
        ERR_clear_error();
        if (++records_ >= records_per_key_max) {
            records_ = 0;
            if (SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_NOT_REQUESTED) != 1) return fail("the key cannot be renewed");
        }
        std::size_t taken = 0;
        const int result = SSL_write_ex(ssl_.get(), plain.data() + count, piece, &taken);
        if (result != 1) return outcome_of(result);
        count += taken;
    }
    return Outcome::done;
}

void Session::finish() {
    if (std::exchange(is_finished_, true) || has_failed_ || !is_open_) return;
    ERR_clear_error();
    static_cast<void>(SSL_shutdown(ssl_.get()));  // queues close_notify; the peer's is not waited for
    ERR_clear_error();
}

}  // namespace weir::tls
