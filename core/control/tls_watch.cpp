#include "core/control/tls_watch.hpp"

#include <algorithm>

#include "core/base/clock.hpp"
#include "core/base/time_text.hpp"
#include "core/control/log.hpp"
#include "core/control/metrics_text.hpp"
#include "core/tls/keeper.hpp"
#include "core/tls/tls_io.hpp"

namespace weir::control {
namespace {

LogLevel level_of(tls::NewsKind kind) {
    switch (kind) {
        case tls::NewsKind::taken:
        case tls::NewsKind::deny_list_taken:
            return LogLevel::info;
        case tls::NewsKind::ageing:
        case tls::NewsKind::not_yet_good:
            return LogLevel::warn;
        case tls::NewsKind::refused:
        case tls::NewsKind::deny_list_refused:
        case tls::NewsKind::expired:
            return LogLevel::error;
    }
    return LogLevel::error;
}

template <std::size_t Count>
std::string_view text_of(const std::array<char, Count>& field) {
    return {field.data(), static_cast<std::size_t>(std::find(field.begin(), field.end(), '\0') - field.begin())};
}

}  // namespace

TlsWatch::TlsWatch(std::string_view who, std::unique_ptr<tls::CredentialKeeper> keeper)
    : who_(who), keeper_(std::move(keeper)) {}

TlsWatch::~TlsWatch() = default;

Result<std::unique_ptr<TlsWatch>> TlsWatch::open(const tls::TlsFiles& files, std::string_view who,
                                                 std::string_view name) {
    if (!files.is_set()) return std::unique_ptr<TlsWatch>();
    auto keeper = tls::CredentialKeeper::open(
        {.files = files, .role = std::string(who), .name = std::string(name), .time_floor = tls::build_time()});
    if (!keeper) return Error{keeper.error().code, "tls: " + keeper.error().what};
    return std::unique_ptr<TlsWatch>(new TlsWatch(who, std::move(keeper.value())));
}

Result<std::unique_ptr<TlsWatch>> TlsWatch::open_admin(const tls::TlsFiles& files, std::string_view who,
                                                       tls::PeerRule rule) {
    if (!files.is_set()) return std::unique_ptr<TlsWatch>();
    auto keeper =
        tls::CredentialKeeper::open({.files = files, .role = {}, .name = {}, .time_floor = tls::build_time()});
    if (!keeper) return Error{keeper.error().code, "admin.certificate, key, client_ca: " + keeper.error().what};
    std::unique_ptr<TlsWatch> made(new TlsWatch(who, std::move(keeper.value())));
    made->subject_ = "the admin port's certificate";
    if (auto added = made->add(std::string(admin_label), tls::Side::server, std::move(rule)); !added) {
        return Error{added.error().code, "admin.certificate, key, client_ca: " + added.error().what};
    }
    return made;
}

Status TlsWatch::add(std::string label, tls::Side side, tls::PeerRule rule) {
    const auto endpoint = keeper_->add_endpoint(side, std::move(rule));
    if (!endpoint) return endpoint.error();
    labels_.push_back(std::move(label));
    return Done{};
}

tls::Endpoint* TlsWatch::endpoint(std::string_view label) const {
    const auto found = std::find(labels_.begin(), labels_.end(), label);
    if (found == labels_.end()) return nullptr;
    return keeper_->endpoints()[static_cast<std::size_t>(found - labels_.begin())].endpoint.get();
}

TlsWatch::MakeIo TlsWatch::io_maker(std::initializer_list<std::string_view> labels) const {
    tls::TlsIoOptions options;
    for (const std::string_view label : labels) {
        const auto found = std::find(labels_.begin(), labels_.end(), label);
        if (found == labels_.end()) continue;
        const auto& kept = keeper_->endpoints()[static_cast<std::size_t>(found - labels_.begin())];
        (kept.side == tls::Side::server ? options.listen : options.connect) = kept.endpoint.get();
    }
    if (options.listen == nullptr && options.connect == nullptr) return &io::make_io;
    return [options](io::IoChoice choice, const io::IoOptions& io_options) {
        return tls::make_tls_io(choice, io_options, options);
    };
}

void TlsWatch::look(bool is_asked) {
    for (const tls::News& news : keeper_->look(monotonic_now(), wall_now(), is_asked)) {
        log(level_of(news.kind), tls::text(news.kind), {{"of", subject_}, {"what", news.what}});
    }
    keeper_->take_notes([this](const tls::Note& note) {
        if (tell_outsider_) tell_outsider_(note);
        log(note.kind == tls::NoteKind::handshake_failed ? LogLevel::warn : LogLevel::error, tls::text(note.kind),
            {{"peer", text_of(note.address)}, {"identity", text_of(note.identity)}, {"what", text_of(note.what)}});
    });
}

std::string TlsWatch::metrics() const {
    MetricsText out;
    const std::string begin = "weir_" + who_ + "_tls_";
    const WallNs wall = wall_now();
    out.gauge(begin + "certificate_left_seconds", "Until the certificate in use runs out; below 0: since it has", {},
              static_cast<double>(keeper_->seconds_left(wall)));
    out.gauge(begin + "certificate_alarm", "1 when two thirds of the certificate's life are over", {},
              keeper_->is_ageing(wall) ? 1.0 : 0.0);
    out.counter(begin + "rotations_total", "Files taken in place of earlier ones", {}, keeper_->taken());
    out.counter(begin + "files_refused_total", "Files that changed and were not taken", {}, keeper_->refused());
    out.gauge(begin + "denied_certificates", "Entries of the deny list", {},
              static_cast<double>(keeper_->denied_count()));
    for (std::size_t i = 0; i < labels_.size(); ++i) {
        const tls::EndpointCounters& counters = keeper_->endpoints()[i].endpoint->counters;
        const auto total = [&](const char* name, const char* help, const Counter& value) {
            out.counter(begin + name + "_total", help, {{"of", labels_[i]}}, value.get());
        };
        total("handshakes", "Handshakes begun", counters.handshakes);
        total("handshakes_failed", "Of them, failed", counters.handshakes_failed);
        total("handshakes_late", "Connections closed because their handshake took too long", counters.handshakes_late);
        out.seconds_total(begin + "handshake_seconds_total", "Time that handshakes of those who came have taken",
                          {{"of", labels_[i]}}, counters.handshake_ns.get());
        total("accept_pauses",
              "Times that nobody new was accepted for a while: who came before had their share of time",
              counters.accept_pauses);
        total("handshakes_pushed_out", "Connections closed for newer ones: too many not agreed at once",
              counters.handshakes_pushed_out);
        total("sessions", "Connections agreed", counters.sessions);
        total("sessions_failed", "Of them, ended by a fault of their TLS", counters.sessions_failed);
        total("sessions_denied", "Of them, ended by the deny list", counters.sessions_denied);
        total("sessions_expired", "Of them, ended because the peer's certificate ran out", counters.sessions_expired);
        total("sessions_cut_short", "Of them, ended by the peer without its last word", counters.cut_short);
        total("false_claims", "Peers that called themselves what their certificate does not say",
              counters.false_claims);
        total("decrypted_bytes", "Plaintext received", counters.decrypted_bytes);
        total("encrypted_bytes", "Plaintext sent", counters.encrypted_bytes);
        total("notes_lost", "Notes for the log that found no room", counters.notes_lost);
    }
    return out.text();
}

std::string TlsWatch::health() const {
    const WallNs wall = wall_now();
    const std::string when = format_time(keeper_->not_after());
    if (keeper_->seconds_left(wall) <= 0) return "note: " + subject_ + " ran out at " + when + "; peers refuse it\n";
    if (keeper_->is_ageing(wall)) return "note: " + subject_ + " runs out at " + when + "\n";
    return {};
}

}  // namespace weir::control
