#include "core/control/top_screen.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <ostream>
#include <utility>

#include "core/base/clock.hpp"
#include "core/control/admin_client.hpp"

namespace weir::control {
namespace {

constexpr const char* clear_to_end = "\x1b[J";
constexpr const char* home = "\x1b[H";
constexpr const char* clear_line = "\x1b[K\n";
constexpr const char* hide_cursor = "\x1b[?25l";
constexpr const char* show_cursor = "\x1b[?25h";

// Keys come one by one, unechoed, while it lives; interrupts stay what they are.
class RawKeys {
  public:
    RawKeys() : is_on_(::isatty(STDIN_FILENO) == 1 && ::tcgetattr(STDIN_FILENO, &before_) == 0) {
        if (!is_on_) return;
        termios raw = before_;
        raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG);
        ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    ~RawKeys() {
        if (is_on_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
    }
    RawKeys(const RawKeys&) = delete;
    RawKeys& operator=(const RawKeys&) = delete;
    // Waits so long; true: q, Ctrl-C or Ctrl-D was pressed.
    [[nodiscard]] bool ends_within(int ms) const {
        pollfd keys{STDIN_FILENO, POLLIN, 0};
        const int ready = ::poll(&keys, is_on_ ? 1 : 0, ms);
        char key = 0;
        if (ready <= 0 || ::read(STDIN_FILENO, &key, 1) != 1) return false;
        return key == 'q' || key == 'Q' || key == '\x03' || key == '\x04';
    }

  private:
    termios before_{};
    bool is_on_;
};

TopSize terminal_size() {
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return {.columns = columns_in_a_pipe};
    return {.columns = size.ws_col, .rows = size.ws_row > 1 ? size.ws_row - 1U : 1U};
}

struct Timed {
    TopLook look;
    MonotonicNs at{};
};

std::optional<Timed> look_at(const TopArguments& arguments, const std::vector<TopTarget>& targets, std::ostream& err) {
    const std::string& admin = arguments.admin;
    const auto get = [&](const TopTarget& one) -> std::optional<std::string> {
        auto answer = ask_admin(
            {.address = admin, .target = one.target, .token_file = arguments.token_file, .tls = arguments.tls});
        if (answer.ok() && answer.value().status == 200) return std::move(answer.value().body);
        if (answer.ok() && !one.is_needed) return std::string();
        err << (answer.ok() ? admin + ": " + one.target + " is answered " + std::to_string(answer.value().status)
                            : answer.error().what)
            << '\n';
        return std::nullopt;
    };
    Timed timed{{}, monotonic_now()};
    const auto metrics = get({"/metrics"});
    if (!metrics) return std::nullopt;
    timed.look.metrics = Metrics::read(*metrics);
    for (const TopTarget& one : targets) {
        auto answer = get(one);
        if (!answer) return std::nullopt;
        timed.look.answers.push_back(std::move(*answer));
    }
    return timed;
}

// Over what stood there: a screen that is cleared first would flicker.
void draw(const std::string& table, std::ostream& out) {
    out << home;
    for (std::size_t from = 0; from < table.size();) {
        const std::size_t end = table.find('\n', from);
        out << table.substr(from, end - from) << clear_line;
        from = end + 1;
    }
    out << clear_to_end;
}

}  // namespace

int run_top(const TopArguments& arguments, const std::vector<TopTarget>& targets, const TopView& view,
            std::ostream& out, std::ostream& err) {
    auto before = look_at(arguments, targets, err);
    if (!before) return 2;
    const bool is_screen = !arguments.is_once && ::isatty(STDOUT_FILENO) == 1;
    const RawKeys keys;
    if (is_screen) out << hide_cursor << home << clear_to_end << std::flush;
    int code = 0;
    while (!keys.ends_within(static_cast<int>(arguments.interval_s * 1000))) {
        auto now = look_at(arguments, targets, err);
        if (!now) {
            code = 1;
            break;
        }
        const double seconds = static_cast<double>(now->at.since(before->at)) / static_cast<double>(ns_per_second);
        const std::string table = view(now->look, &before->look, seconds,
                                       is_screen ? terminal_size() : TopSize{.columns = columns_in_a_pipe});
        if (is_screen) {
            draw(table, out);
        } else {
            out << table << (arguments.is_once ? "" : "\n");
        }
        out.flush();
        if (arguments.is_once || !out.good()) break;
        before = std::move(now);
    }
    if (is_screen) out << show_cursor << std::flush;
    return code;
}

}  // namespace weir::control
