#include "core/tls/keeper.hpp"

#include <sys/stat.h>

#include <cerrno>

#include "core/base/time_text.hpp"

namespace weir::tls {
namespace {

// Changes whenever the file does: another file in its place, other bytes in it, other rights.
std::string stamp_of(const std::string& path) {
    struct stat facts {};
    if (path.empty()) return "-";
    if (::stat(path.c_str(), &facts) != 0) return "errno " + std::to_string(errno);
    const auto number = [](auto value) { return std::to_string(value) + '.'; };
    return number(facts.st_dev) + number(facts.st_ino) + number(facts.st_size) + number(facts.st_mode) +
           number(facts.st_mtim.tv_sec) + number(facts.st_mtim.tv_nsec) + number(facts.st_ctim.tv_sec) +
           number(facts.st_ctim.tv_nsec);
}

std::string stamp_of(const TlsFiles& files) {
    return stamp_of(files.certificate) + ' ' + stamp_of(files.key) + ' ' + stamp_of(files.ca);
}

std::string facts_text(const CertificateFacts& facts) {
    return (facts.uri.empty() ? "" : facts.uri + ", ") + "serial " + facts.serial + ", good until " +
           format_time(facts.not_after);
}

}  // namespace

std::string_view text(NewsKind kind) noexcept {
    switch (kind) {
        case NewsKind::taken:
            return "tls_rotated";
        case NewsKind::refused:
            return "tls_files_refused";
        case NewsKind::deny_list_taken:
            return "tls_deny_list";
        case NewsKind::deny_list_refused:
            return "tls_deny_list_refused";
        case NewsKind::ageing:
            return "tls_certificate_ageing";
        case NewsKind::expired:
            return "tls_certificate_expired";
        case NewsKind::not_yet_good:
            return "tls_certificate_not_yet_good";
    }
    return "tls";
}

Result<std::unique_ptr<CredentialKeeper>> CredentialKeeper::open(Options options) {
    std::unique_ptr<CredentialKeeper> made(new CredentialKeeper(std::move(options)));
    const Options& kept = made->options_;
    made->taken_stamp_ = made->seen_stamp_ = stamp_of(kept.files);
    made->deny_stamp_ = stamp_of(kept.files.deny_list);
    auto denied = load_deny_list(kept.files.deny_list);
    if (!denied) return denied.error();
    made->denied_ = std::move(denied.value());
    made->denied_count_.set(made->denied_.count());
    auto credentials = Credentials::load(kept.files, kept.role, kept.name);
    if (!credentials) return credentials.error();
    made->take(std::move(credentials.value()));
    return made;
}

void CredentialKeeper::take(std::unique_ptr<Credentials> next) {
    credentials_ = std::move(next);
    not_before_.store(credentials_->facts().not_before.value, std::memory_order_relaxed);
    not_after_.store(credentials_->facts().not_after.value, std::memory_order_relaxed);
    told_age_.reset();
}

Result<std::unique_ptr<TlsState>> CredentialKeeper::make_state(const Credentials& from, Side side,
                                                               const PeerRule& rule) const {
    auto context = from.make_context(side, rule);
    if (!context) return context.error();
    auto state = std::make_unique<TlsState>();
    state->side = side;
    state->context = std::move(context.value());
    state->rule = rule;
    state->denied = denied_;
    state->time_floor = options_.time_floor;
    return state;
}

Result<Endpoint*> CredentialKeeper::add_endpoint(Side side, PeerRule rule) {
    auto state = make_state(*credentials_, side, rule);
    if (!state) return state.error();
    kept_.push_back({side, std::move(rule), std::make_unique<Endpoint>(std::move(state.value()))});
    return kept_.back().endpoint.get();
}

// All endpoints get what is new, or none does.
Status CredentialKeeper::offer(const Credentials& from) {
    std::vector<std::unique_ptr<TlsState>> states;
    for (const Kept& one : kept_) {
        auto state = make_state(from, one.side, one.rule);
        if (!state) return state.error();
        states.push_back(std::move(state.value()));
    }
    for (std::size_t i = 0; i < kept_.size(); ++i) kept_[i].endpoint->offer(std::move(states[i]));
    return Done{};
}

std::vector<News> CredentialKeeper::look(MonotonicNs now, WallNs wall, bool is_asked) {
    std::vector<News> news;
    if (!is_asked && now < next_look_) return news;
    next_look_ = now.plus_ns(look_ns);
    for (const Kept& one : kept_) one.endpoint->take_back();
    look_at_deny_list(news);
    look_at_credentials(wall, is_asked, news);
    look_at_age(wall, news);
    return news;
}

// Certificate and key are two files: they are read when nothing about them has changed between two looks.
void CredentialKeeper::look_at_credentials(WallNs wall, bool is_asked, std::vector<News>& news) {
    const std::string stamp = stamp_of(options_.files);
    const bool has_settled = stamp == std::exchange(seen_stamp_, stamp);
    const bool is_known = stamp == taken_stamp_ || stamp == refused_stamp_;
    if (!is_asked && (is_known || !has_settled)) return;
    if (stamp == taken_stamp_) return;
    const auto refuse = [&](const std::string& why) {
        refused_stamp_ = stamp;
        refused_.add(1);
        news.push_back({NewsKind::refused, why});
    };
    auto next = Credentials::load(options_.files, options_.role, options_.name);
    if (!next) return refuse(next.error().what);
    if (const auto fault = fault_of(*next.value(), wall); !fault.empty()) return refuse(fault);
    if (const auto offered = offer(*next.value()); !offered) return refuse(offered.error().what);
    taken_stamp_ = stamp;
    refused_stamp_.clear();
    taken_.add(1);
    news.push_back({NewsKind::taken, facts_text(next.value()->facts())});
    take(std::move(next.value()));
}

// A certificate that nobody would take is not put in the place of one that may still be good.
std::string CredentialKeeper::fault_of(const Credentials& next, WallNs wall) const {
    const WallNs now = credible_wall(wall, options_.time_floor);
    const std::string& file = options_.files.certificate;
    if (next.facts().not_after <= now) return file + ": ran out at " + format_time(next.facts().not_after);
    if (next.facts().not_before > now) return file + ": is good only from " + format_time(next.facts().not_before);
    return {};
}

void CredentialKeeper::look_at_deny_list(std::vector<News>& news) {
    const std::string stamp = stamp_of(options_.files.deny_list);
    if (stamp == std::exchange(deny_stamp_, stamp)) return;
    auto next = load_deny_list(options_.files.deny_list);
    if (!next) {
        refused_.add(1);
        news.push_back({NewsKind::deny_list_refused, next.error().what});
        return;
    }
    denied_ = std::move(next.value());
    denied_count_.set(denied_.count());
    if (const auto offered = offer(*credentials_); !offered) {
        news.push_back({NewsKind::deny_list_refused, offered.error().what});
        return;
    }
    news.push_back({NewsKind::deny_list_taken, std::to_string(denied_.count()) + " certificates"});
}

void CredentialKeeper::look_at_age(WallNs wall, std::vector<News>& news) {
    const WallNs now = credible_wall(wall, options_.time_floor);
    std::optional<NewsKind> age;
    if (now < credentials_->facts().not_before) {
        age = NewsKind::not_yet_good;
    } else if (seconds_left(wall) <= 0) {
        age = NewsKind::expired;
    } else if (is_ageing(wall)) {
        age = NewsKind::ageing;
    }
    if (age == told_age_) return;
    told_age_ = age;
    if (age) news.push_back({*age, facts_text(credentials_->facts())});
}

std::int64_t CredentialKeeper::seconds_left(WallNs wall) const noexcept {
    const std::uint64_t now = credible_wall(wall, options_.time_floor).value / ns_per_second;
    return static_cast<std::int64_t>(not_after().value / ns_per_second) - static_cast<std::int64_t>(now);
}

bool CredentialKeeper::is_ageing(WallNs wall) const noexcept {
    const std::uint64_t from = not_before_.load(std::memory_order_relaxed);
    const std::uint64_t life = not_after().value - std::min(from, not_after().value);
    return credible_wall(wall, options_.time_floor).value >= from + life / 3 * 2;
}

}  // namespace weir::tls
