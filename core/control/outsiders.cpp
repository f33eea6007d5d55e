#include "core/control/outsiders.hpp"

#include <algorithm>

#include "core/base/clock.hpp"
#include "core/tls/endpoint.hpp"

namespace weir::control {
namespace {

template <std::size_t Count>
std::string text_of(const std::array<char, Count>& field) {
    return {field.data(), static_cast<std::size_t>(std::find(field.begin(), field.end(), '\0') - field.begin())};
}

}  // namespace

void record_outsiders(TlsWatch& watch, AdminGuard& guard) {
    watch.tell_outsiders([&guard](const tls::Note& note) {
        guard.note({.act = "identity." + std::string(tls::text(note.kind)),
                    .who = text_of(note.identity),
                    .from = text_of(note.address),
                    .outcome = text_of(note.what)},
                   monotonic_now());
    });
}

}  // namespace weir::control
