// TopText: what the tables of `weir-edge top` and `weir-central top` are made of: two looks at a daemon, and words for numbers.
//
// Thread    Any: plain text in, plain text out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/control/metrics_reader.hpp"

namespace weir::control {

struct TopLook {
    Metrics metrics;                   // of /metrics
    std::vector<std::string> answers;  // of what else was asked, in its order; empty: it was not answered with 200
    // Empty where there is none of that index.
    [[nodiscard]] std::string_view answer(std::size_t index) const {
        return index < answers.size() ? std::string_view(answers[index]) : std::string_view();
    }
};
struct TopSize {
    std::size_t columns = 100;
    std::size_t rows = 0;  // 0: as many as there are
};

// What grew between two looks. `before` null or no time between them: there are no rates.
class TopGrowth {
  public:
    TopGrowth(const TopLook& now, const TopLook* before, double seconds)
        : now_(now.metrics), before_(before == nullptr ? nullptr : &before->metrics), seconds_(seconds) {}
    [[nodiscard]] bool is_known() const { return before_ != nullptr && seconds_ > 0; }
    [[nodiscard]] double value(std::string_view name, std::string_view label = {}, std::string_view is = {}) const {
        return now_.value(name, label, is);
    }
    // Of all of a name, those whose label is that, added up.
    [[nodiscard]] double sum(std::string_view name, std::string_view label = {}, std::string_view is = {}) const;
    [[nodiscard]] double grown(std::string_view name, std::string_view label = {}, std::string_view is = {}) const;
    // A second, as a number; "-" where it is not known.
    [[nodiscard]] std::string rate(std::string_view name, std::string_view label = {}, std::string_view is = {}) const;
    [[nodiscard]] std::string sum_rate(std::string_view name, std::string_view label = {},
                                       std::string_view is = {}) const;
    [[nodiscard]] std::string byte_rate(std::string_view name) const;
    [[nodiscard]] const Metrics& now() const { return now_; }
    [[nodiscard]] const Metrics* before() const { return before_; }
    [[nodiscard]] double seconds() const { return seconds_; }

  private:
    const Metrics& now_;
    const Metrics* before_;
    double seconds_;
};

[[gnu::format(printf, 1, 2)]] std::string printed(const char* format, ...);
[[nodiscard]] std::string number_text(double value);  // 1,234,567
// What another process says may be any number.
[[nodiscard]] std::uint64_t whole_number(double value);
[[nodiscard]] std::string size_text(double bytes);                // 1.2 GiB
[[nodiscard]] std::string share_text(double part, double whole);  // 12.5 %, - of nothing
[[nodiscard]] std::string duration_text(double seconds);          // 250 us, 12.5 ms, 1.25 s, 5 min, 3 h, 2 d
// Names come from a running process: nothing in them moves the cursor.
[[nodiscard]] std::string plain_text(std::string_view text);
// The lines, each ended and cut where the terminal ends; where there are more than it has, the last one says how many.
[[nodiscard]] std::string fitted(std::vector<std::string> lines, const TopSize& size);

}  // namespace weir::control
