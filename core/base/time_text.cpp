#include "core/base/time_text.hpp"

#include <array>
#include <chrono>

namespace weir {
namespace {

constexpr int year_min = 1970;
constexpr int year_max = 2553;  // the last whole year before 2^64 ns
constexpr std::int64_t end_s =
    std::chrono::sys_days{std::chrono::year{year_max + 1} / 1 / 1}.time_since_epoch().count() * std::int64_t{86'400};

// Takes fixed-form text from the front; the first mismatch makes all that follows fail too.
class TimeReader {
  public:
    explicit TimeReader(std::string_view text) : rest_(text) {}
    [[nodiscard]] bool is_good() const { return good_; }
    [[nodiscard]] bool is_done() const { return good_ && rest_.empty(); }
    [[nodiscard]] char peek() const { return good_ && !rest_.empty() ? rest_.front() : '\0'; }

    int digits(std::size_t count) {
        if (!good_ || rest_.size() < count) return fail();
        int value = 0;
        for (std::size_t i = 0; i < count; ++i) {
            if (rest_[i] < '0' || rest_[i] > '9') return fail();
            value = value * 10 + (rest_[i] - '0');
        }
        rest_.remove_prefix(count);
        return value;
    }
    void expect(char wanted) {
        if (peek() != wanted) {
            fail();
            return;
        }
        rest_.remove_prefix(1);
    }
    // One to nine digits after the point, as nanoseconds.
    std::uint64_t fraction_ns() {
        std::uint64_t value = 0;
        std::size_t count = 0;
        for (; peek() >= '0' && peek() <= '9'; ++count) {
            if (count == 9) return static_cast<std::uint64_t>(fail());
            value = value * 10 + static_cast<std::uint64_t>(peek() - '0');
            rest_.remove_prefix(1);
        }
        if (count == 0) return static_cast<std::uint64_t>(fail());
        for (; count < 9; ++count) value *= 10;
        return value;
    }
    int fail() {
        good_ = false;
        return 0;
    }

  private:
    std::string_view rest_;
    bool good_ = true;
};

// Seconds to take off the local time to reach UTC.
std::int64_t read_offset_seconds(TimeReader& reader) {
    const char sign = reader.peek();
    if (sign == 'Z' || sign == 'z') {
        reader.expect(sign);
        return 0;
    }
    if (sign != '+' && sign != '-') return reader.fail();
    reader.expect(sign);
    const int hours = reader.digits(2);
    reader.expect(':');
    const int minutes = reader.digits(2);
    if (hours > 23 || minutes > 59) return reader.fail();
    const std::int64_t seconds = hours * 3600 + minutes * 60;
    return sign == '+' ? seconds : -seconds;
}

void append_digits(std::string& out, std::uint64_t value, std::size_t count) {
    std::array<char, 20> text{};
    for (std::size_t i = count; i > 0; --i, value /= 10) text[i - 1] = static_cast<char>('0' + value % 10);
    out.append(text.data(), count);
}

}  // namespace

std::optional<WallNs> parse_time(std::string_view text) noexcept {
    using namespace std::chrono;
    TimeReader reader(text);
    const int y = reader.digits(4);
    reader.expect('-');
    const int m = reader.digits(2);
    reader.expect('-');
    const int d = reader.digits(2);
    const char separator = reader.peek();
    if (separator != 'T' && separator != 't' && separator != ' ') return std::nullopt;
    reader.expect(separator);
    const int hours_of_day = reader.digits(2);
    reader.expect(':');
    const int minutes_of_hour = reader.digits(2);
    reader.expect(':');
    const int seconds_of_minute = reader.digits(2);
    std::uint64_t fraction_ns = 0;
    if (reader.peek() == '.') {
        reader.expect('.');
        fraction_ns = reader.fraction_ns();
    }
    const std::int64_t offset_seconds = read_offset_seconds(reader);
    if (!reader.is_done()) return std::nullopt;

    const year_month_day date{year{y}, month{static_cast<unsigned>(m)}, day{static_cast<unsigned>(d)}};
    if (y < year_min || y > year_max || !date.ok()) return std::nullopt;
    // A leap second has no place in 86,400-second days: 60 is refused, not silently moved.
    if (hours_of_day > 23 || minutes_of_hour > 59 || seconds_of_minute > 59) return std::nullopt;
    const std::int64_t seconds_of_day = hours_of_day * 3600 + minutes_of_hour * 60 + seconds_of_minute;
    const std::int64_t total = sys_days{date}.time_since_epoch().count() * std::int64_t{86'400} + seconds_of_day;
    // Before 1970 or behind year_max once in UTC: it could not be read back as it is printed.
    if (total < offset_seconds || total - offset_seconds >= end_s) return std::nullopt;
    return WallNs{static_cast<std::uint64_t>(total - offset_seconds) * ns_per_second + fraction_ns};
}

std::string format_time(WallNs time) {
    using namespace std::chrono;
    const std::uint64_t total_seconds = time.value / ns_per_second;
    std::uint64_t fraction = time.value % ns_per_second;
    const std::uint64_t seconds_of_day = total_seconds % 86'400;
    const year_month_day date{sys_days{days{static_cast<int>(total_seconds / 86'400)}}};

    std::string out;
    append_digits(out, static_cast<std::uint64_t>(static_cast<int>(date.year())), 4);
    out += '-';
    append_digits(out, static_cast<unsigned>(date.month()), 2);
    out += '-';
    append_digits(out, static_cast<unsigned>(date.day()), 2);
    out += 'T';
    append_digits(out, seconds_of_day / 3600, 2);
    out += ':';
    append_digits(out, seconds_of_day / 60 % 60, 2);
    out += ':';
    append_digits(out, seconds_of_day % 60, 2);
    if (fraction != 0) {
        std::size_t digits = 9;
        for (; fraction % 10 == 0; fraction /= 10) --digits;
        out += '.';
        append_digits(out, fraction, digits);
    }
    out += 'Z';
    return out;
}

}  // namespace weir
