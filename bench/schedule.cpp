#include "bench/schedule.hpp"

#include <sys/prctl.h>

#include <cerrno>
#include <charconv>
#include <cmath>
#include <string>

namespace weir::bench {
namespace {

Error not_a_rate(std::string_view text) {
    return Error{EINVAL, std::string(text) + ": must be max, N, A..B, A,B,C or N@MSms (events per second)"};
}

bool read_number(std::string_view text, std::uint64_t& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc() && end == text.data() + text.size() && out > 0 &&
           static_cast<double>(out) <= Schedule::rate_max;
}

}  // namespace

Result<Schedule> Schedule::parse(std::string_view text, std::uint64_t warmup_ns, std::uint64_t steady_ns) {
    Schedule made;
    if (text == "max") return made;
    if (read_number(text, made.rate_)) {
        made.kind_ = Kind::constant;
        return made;
    }
    if (const auto at = text.find('@'); at != std::string_view::npos) {
        std::uint64_t every_ms = 0;
        if (!text.ends_with("ms") || !read_number(text.substr(0, at), made.burst_events_) ||
            !read_number(text.substr(at + 1, text.size() - at - 3), every_ms))
            return not_a_rate(text);
        made.kind_ = Kind::bursts;
        made.burst_every_ns_ = every_ms * ns_per_ms;
        return made;
    }
    const bool is_ramp = text.find("..") != std::string_view::npos;
    std::vector<double> rates;
    for (std::string_view rest = text;;) {
        const auto end = rest.find(is_ramp ? ".." : ",");
        std::uint64_t rate = 0;
        if (!read_number(rest.substr(0, end), rate)) return not_a_rate(text);
        rates.push_back(static_cast<double>(rate));
        if (end == std::string_view::npos) break;
        rest.remove_prefix(end + (is_ramp ? 2 : 1));
    }
    if (rates.size() < 2 || rates.size() > steps_max || (is_ramp && rates.size() != 2)) return not_a_rate(text);
    if (const Status taken = made.take_pieces(rates, is_ramp, warmup_ns, steady_ns); !taken) return taken.error();
    return made;
}

Status Schedule::take_pieces(const std::vector<double>& rates, bool is_ramp, std::uint64_t warmup_ns,
                             std::uint64_t steady_ns) {
    if (steady_ns == 0) return Error{EINVAL, "a ramp, or steps, need to be told for how many seconds"};
    kind_ = Kind::pieces;
    const auto add = [this](double length_ns, double rate_begin, double rate_end) {
        Piece next{0, length_ns, 0, rate_begin, rate_end};
        if (!pieces_.empty()) {
            const Piece& last = pieces_.back();
            next.begin_ns = last.begin_ns + last.length_ns;
            next.first_index = last.first_index + (last.rate_begin + last.rate_end) / 2 * last.length_ns / 1e9;
        }
        pieces_.push_back(next);
    };
    if (warmup_ns > 0) add(static_cast<double>(warmup_ns), rates[0], rates[0]);
    const auto steady = static_cast<double>(steady_ns);
    if (is_ramp) {
        add(steady, rates[0], rates[1]);
    } else {
        for (const double rate : rates) add(steady / static_cast<double>(rates.size()), rate, rate);
    }
    return Done{};
}

// rate(t) = a + (b - a) t / T, so events(t) = a t + (b - a) t^2 / 2T; this is its inverse, written so that nothing cancels.
double Schedule::due_within(const Piece& piece, double index) {
    const double seconds = piece.length_ns / 1e9;
    const double events = index - piece.first_index;
    const double slope = (piece.rate_end - piece.rate_begin) / seconds;
    const double root = std::sqrt(std::max(0.0, piece.rate_begin * piece.rate_begin + 2 * slope * events));
    return piece.begin_ns + 2 * events / (piece.rate_begin + root) * 1e9;
}

std::uint64_t Schedule::due_ns(std::uint64_t index) const {
    switch (kind_) {
        case Kind::flat_out:
            return 0;
        case Kind::constant:
            return index / rate_ * ns_per_second + index % rate_ * ns_per_second / rate_;
        case Kind::bursts:
            return index / burst_events_ * burst_every_ns_;
        case Kind::pieces:
            break;
    }
    const auto wanted = static_cast<double>(index);
    for (const Piece& piece : pieces_) {
        const double events = (piece.rate_begin + piece.rate_end) / 2 * piece.length_ns / 1e9;
        if (wanted < piece.first_index + events) return static_cast<std::uint64_t>(due_within(piece, wanted));
    }
    const Piece& last = pieces_.back();  // past the end: on at the last rate
    const double events = (last.rate_begin + last.rate_end) / 2 * last.length_ns / 1e9;
    const double beyond = (wanted - last.first_index - events) / last.rate_end * 1e9;
    return static_cast<std::uint64_t>(last.begin_ns + last.length_ns + beyond);
}

double Schedule::mean_rate() const {
    switch (kind_) {
        case Kind::flat_out:
            return 0;
        case Kind::constant:
            return static_cast<double>(rate_);
        case Kind::bursts:
            return static_cast<double>(burst_events_) * 1e9 / static_cast<double>(burst_every_ns_);
        case Kind::pieces:
            break;
    }
    double events = 0;
    double ns = 0;
    for (const Piece& piece : pieces_) {
        events += (piece.rate_begin + piece.rate_end) / 2 * piece.length_ns / 1e9;
        ns += piece.length_ns;
    }
    return events * 1e9 / ns;
}

void wake_when_due() noexcept {
    constexpr unsigned long slack_ns = 1;  // 0 means the default
    ::prctl(PR_SET_TIMERSLACK, slack_ns);
}

}  // namespace weir::bench
