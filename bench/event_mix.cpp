#include "bench/event_mix.hpp"

#include <sys/random.h>

#include <cerrno>
#include <charconv>
#include <cmath>

#include "core/base/assert.hpp"

namespace weir::bench {
namespace {

constexpr std::size_t range_sizes = 8;
bool read_size(std::string_view text, std::uint32_t& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc() && end == text.data() + text.size() && out >= EventMix::payload_bytes_min &&
           out <= EventMix::payload_bytes_max;
}

}  // namespace

Result<std::vector<std::uint32_t>> payload_sizes(std::string_view text) {
    const Error wrong{EINVAL, "payload bytes " + std::string(text) + ": must be N, N,M or N..M, each 10 to 200000"};
    std::vector<std::uint32_t> sizes;
    if (const auto dots = text.find(".."); dots != std::string_view::npos) {
        std::uint32_t low = 0;
        std::uint32_t high = 0;
        if (!read_size(text.substr(0, dots), low) || !read_size(text.substr(dots + 2), high) || low >= high)
            return wrong;
        for (std::size_t i = 0; i < range_sizes; ++i) {
            const double part = static_cast<double>(i) / static_cast<double>(range_sizes - 1);
            sizes.push_back(
                static_cast<std::uint32_t>(std::lround(low * std::pow(static_cast<double>(high) / low, part))));
        }
        return sizes;
    }
    for (std::string_view rest = text;;) {
        const auto comma = rest.find(',');
        std::uint32_t size = 0;
        if (!read_size(rest.substr(0, comma), size) || sizes.size() == EventMix::sizes_max) return wrong;
        sizes.push_back(size);
        if (comma == std::string_view::npos) return sizes;
        rest.remove_prefix(comma + 1);
    }
}

Result<EventMix> EventMix::make(const EventMixOptions& options) {
    const auto sizes = payload_sizes(options.payload_bytes);
    if (!sizes) return sizes.error();
    std::uint32_t run = 0;
    WEIR_ASSERT(::getrandom(&run, sizeof run, 0) == sizeof run);
    auto keys = KeyDraw::make(options.keys, options.key_distribution, run);
    if (!keys) return keys.error();
    EventMix mix(std::move(keys.value()));
    for (const std::uint32_t size : sizes.value()) {
        for (const char* type : event_types)
            mix.templates_.emplace_back(type, options.source, run, size, options.keys > 0);
    }
    double bytes = 0;
    for (auto& one : mix.templates_) bytes += static_cast<double>(one.stamp(0, WallNs{0}).size());
    mix.mean_bytes_ = bytes / static_cast<double>(mix.templates_.size());
    return mix;
}

ConstBytes EventMix::event(std::uint64_t index, WallNs time) {
    EventTemplate& one = templates_[index % templates_.size()];
    if (keys_.has_keys()) one.set_key(keys_.next());
    return one.stamp(index, time);
}

}  // namespace weir::bench
