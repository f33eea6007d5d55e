// A TlsIo that listens, and peers that a test drives by hand, good or bad: a socket, and a Session or bare bytes.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "core/base/clock.hpp"
#include "core/io/address.hpp"
#include "core/tls/tls_io.hpp"
#include "tests/tls/test_ca.hpp"

namespace weir::tls {

inline constexpr std::uint64_t patience_ns = 20 * ns_per_second;

// The far end of a connection.
class Peer {
  public:
    explicit Peer(const std::string& address, const TlsState* state = nullptr, std::size_t piece_bytes = SIZE_MAX)
        : piece_bytes_(piece_bytes) {
        const auto parsed = io::parse_address(address);
        WEIR_ASSERT(parsed.ok());
        fd_ = ::socket(parsed.value().family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
        WEIR_ASSERT(::connect(fd_, parsed.value().get(), parsed.value().bytes) == 0);
        WEIR_ASSERT(::fcntl(fd_, F_SETFL, O_NONBLOCK) == 0);
        if (state != nullptr) session_ = Session::make(*state, wall_now(), output_bytes_min);
    }
    ~Peer() { hang_up(); }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    void hang_up() {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
    }
    void half_close() { ::shutdown(fd_, SHUT_WR); }
    void say_bytes(std::string_view bytes) { static_cast<void>(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL)); }
    void say(std::string_view plain) { unsent_ += plain; }
    void finish() { wants_finish_ = true; }
    // A little of everything that can be done now.
    void pump() {
        if (fd_ < 0) return;
        receive();
        if (!session_ || session_->has_failed()) return;
        if (!is_open_) {
            feed();
            is_open_ = session_->handshake() == Outcome::done;
        } else {
            read();
            write();
        }
        if (session_->is_output_under_way() == false) flying_ = session_->take_output();
        send_flying();
    }

    [[nodiscard]] bool is_open() const { return is_open_; }
    [[nodiscard]] bool has_ended() const { return has_ended_; }        // TCP's end
    [[nodiscard]] bool has_finished() const { return has_finished_; }  // TLS's
    [[nodiscard]] const std::string& heard() const { return heard_; }
    [[nodiscard]] Session& session() { return *session_; }

  private:
    void receive() {
        std::array<std::byte, 65'536> bytes{};
        const ssize_t count = ::recv(fd_, bytes.data(), std::min(bytes.size(), piece_bytes_), 0);
        if (count > 0) cipher_.insert(cipher_.end(), bytes.begin(), bytes.begin() + count);
        if (count == 0 || (count < 0 && errno != EAGAIN)) has_ended_ = true;
    }
    void feed() {
        if (!session_->unread().empty()) return;
        fed_.swap(cipher_);
        cipher_.clear();
        session_->feed(fed_);
    }
    void read() {
        for (;;) {
            feed();
            std::array<std::byte, 20'000> plain{};
            std::size_t count = 0;
            const Outcome outcome = session_->read(plain, count);
            heard_.append(reinterpret_cast<const char*>(plain.data()), count);
            if (outcome == Outcome::ended) has_finished_ = true;
            if (outcome != Outcome::done) return;
        }
    }
    void write() {
        if (session_->has_failed()) return;
        std::size_t taken = 0;
        if (!unsent_.empty()) static_cast<void>(session_->write(std::as_bytes(std::span(unsent_)), taken));
        unsent_.erase(0, taken);
        if (unsent_.empty() && std::exchange(wants_finish_, false)) session_->finish();
    }
    void send_flying() {
        while (!flying_.empty()) {
            const ssize_t count = ::send(fd_, flying_.data(), std::min(flying_.size(), piece_bytes_), MSG_NOSIGNAL);
            if (count <= 0) return;
            flying_ = flying_.subspan(static_cast<std::size_t>(count));
            if (flying_.empty()) session_->output_sent();
            if (piece_bytes_ != SIZE_MAX) return;
        }
    }

    std::size_t piece_bytes_;
    int fd_ = -1;
    std::unique_ptr<Session> session_;
    bool is_open_ = false, has_ended_ = false, has_finished_ = false, wants_finish_ = false;
    std::vector<std::byte> cipher_, fed_;
    ConstBytes flying_;
    std::string unsent_, heard_;
};

// Listens with `server`; takes what comes and keeps it.
class TlsBench {
  public:
    TlsBench(io::IoChoice choice, Endpoint* listen, TlsIoOptions tls = {}, Endpoint* connect = nullptr) {
        tls.listen = listen;
        tls.connect = connect;
        auto made =
            make_tls_io(choice, {.slots = 8, .slot_bytes = 16U << 10, .sockets_max = 64, .operations_max = 64}, tls);
        WEIR_ASSERT(made.ok());
        io = std::move(made.value());
        auto listening = io->listen({"127.0.0.1:0"}, {.kind = listen_kind});
        WEIR_ASSERT(listening.ok());
        address = io->local_address(listening.value());
    }
    enum Kind : std::uint8_t { listen_kind = 1, connect_kind, receive_kind, send_kind };
    struct Connection {
        io::Socket socket;
        std::string heard;
        std::optional<std::int32_t> end;
        std::optional<std::int32_t> sent;
    };

    // One round of everything.
    void turn(const std::vector<Peer*>& peers = {}) {
        for (Peer* peer : peers) peer->pump();
        for (const io::Completion& one : io->wait(monotonic_now().plus_ns(ns_per_ms))) take(one);
    }
    [[nodiscard]] bool run_until(const std::function<bool()>& is_so, const std::vector<Peer*>& peers = {}) {
        const MonotonicNs give_up = monotonic_now().plus_ns(patience_ns);
        while (!is_so()) {
            if (monotonic_now() > give_up) return false;
            turn(peers);
        }
        return true;
    }
    void send(std::size_t index, std::string_view text) {
        sending = text;
        accepted[index].sent.reset();
        io->send(accepted[index].socket, std::as_bytes(std::span(sending)),
                 {.kind = send_kind, .index = static_cast<std::uint32_t>(index)});
    }
    void close(std::size_t index) { io->close(accepted[index].socket); }

    std::unique_ptr<io::Io> io;
    std::string address;
    std::vector<Connection> accepted;
    std::string sending;
    std::optional<std::int32_t> connected;
    bool receives = true;

  private:
    void take(const io::Completion& one) {
        if (one.token.kind == listen_kind) {
            accepted.push_back({one.socket, {}, {}, {}});
            const auto index = static_cast<std::uint32_t>(accepted.size() - 1);
            if (receives) io->receive(one.socket, {.kind = receive_kind, .index = index});
        } else if (one.token.kind == connect_kind) {
            connected = one.result;
        } else if (one.token.kind == send_kind) {
            accepted[one.token.index].sent = one.result;
        } else if (one.result > 0) {
            accepted[one.token.index].heard.append(reinterpret_cast<const char*>(one.bytes),
                                                   static_cast<std::size_t>(one.result));
            io->release(one.slot);
        } else {
            accepted[one.token.index].end = one.result;
        }
    }
};

inline std::vector<Note> notes_of(Endpoint& endpoint) {
    std::vector<Note> notes;
    endpoint.take_notes([&](const Note& note) { notes.push_back(note); });
    return notes;
}

}  // namespace weir::tls
