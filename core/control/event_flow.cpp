#include "core/control/event_flow.hpp"

#include <algorithm>

namespace weir::control {
namespace {

constexpr std::string_view event_type = "text/event-stream";

// A line end within a message would end the event: each line is a "data:" of its own, which the client puts together again.
void append_event(std::string_view message, std::string& out) {
    for (bool is_last = false; !is_last;) {
        const std::size_t end = message.find('\n');
        is_last = end == message.npos;
        out += "data: ";
        out += message.substr(0, end);
        out += '\n';
        if (!is_last) message.remove_prefix(end + 1);
    }
    out += '\n';
}

}  // namespace

bool EventFlow::take(std::string& out) {
    while (out.size() < piece_bytes_max) {
        const AdminStream::Text message = stream_->take();
        if (!message) break;
        append_event(*message, out);
    }
    return true;
}

bool accepts_events(std::string_view accept) {
    while (!accept.empty()) {
        std::string_view one = accept.substr(0, accept.find(','));
        accept.remove_prefix(std::min(accept.size(), one.size() + 1));
        one = one.substr(0, one.find(';'));
        while (one.starts_with(' ')) one.remove_prefix(1);
        while (one.ends_with(' ')) one.remove_suffix(1);
        if (one == event_type) return true;
    }
    return false;
}

}  // namespace weir::control
