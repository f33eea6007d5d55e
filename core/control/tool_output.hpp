// What the tools that read a daemon's files share: collected output, bytes as text, and a walk over journals.
//
// Thread    Command lines only. Allocates.
#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <initializer_list>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.hpp"
#include "core/io/files.hpp"
#include "core/journal/scan.hpp"

namespace weir::control {

inline constexpr std::size_t output_buffer_bytes = 1U << 20;
inline constexpr std::size_t prefix_bytes_max = 48;

// Collects text and hands it on a megabyte at a time.
class Output {
  public:
    explicit Output(std::ostream& out) : out_(out) { text_.reserve(output_buffer_bytes + (64U << 10)); }
    ~Output() { flush(); }
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;
    [[nodiscard]] std::string& text() { return text_; }
    void end_line() {
        text_ += '\n';
        if (text_.size() >= output_buffer_bytes) flush();
    }
    // False once nobody reads any more (a closed pipe): then reading on is of no use.
    [[nodiscard]] bool is_good() const { return out_.good(); }

  private:
    void flush() {
        out_.write(text_.data(), static_cast<std::streamsize>(text_.size()));
        out_.flush();
        text_.clear();
    }
    std::ostream& out_;
    std::string text_;
};

inline bool is_directory(const std::string& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

// Of the journals called `names` in a data_dir those that are there; of an edge's spool each stream's.
inline std::vector<std::string> journals_of(const std::string& directory, std::initializer_list<const char*> names) {
    std::vector<std::string> found;
    for (const char* name : names) {
        const std::string path = directory + "/" + name;
        if (!is_directory(path)) continue;
        if (std::string_view(name) != "spool") {
            found.push_back(path);
            continue;
        }
        std::vector<std::string> streams;
        static_cast<void>(io::files().list(path, streams));
        std::sort(streams.begin(), streams.end());
        for (const std::string& stream : streams) {
            if (stream != "quarantine" && is_directory(path + "/" + stream)) found.push_back(path + "/" + stream);
        }
    }
    return found;
}

inline bool holds_any(const std::string& directory, std::initializer_list<const char*> names) {
    return std::any_of(names.begin(), names.end(),
                       [&](const char* name) { return is_directory(directory + "/" + name); });
}

inline std::string number(std::uint64_t value) {
    return std::to_string(value);
}

inline std::string_view as_text(ConstBytes bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline void append_printable(std::string_view text, std::string& out) {
    for (const char value : text.substr(0, prefix_bytes_max)) out += value >= ' ' && value <= '~' ? value : '.';
}

inline void append_base64(ConstBytes bytes, std::string& out) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        const std::size_t count = std::min<std::size_t>(3, bytes.size() - at);
        std::uint32_t three = 0;
        for (std::size_t i = 0; i < 3; ++i) {
            three = three << 8 | (i < count ? std::to_integer<std::uint32_t>(bytes[at + i]) : 0U);
        }
        for (std::size_t i = 0; i < 4; ++i) out += i <= count ? digits[three >> (18 - 6 * i) & 63] : '=';
    }
}

inline void append_hex(std::uint64_t value, int width, std::string& out) {
    for (int shift = 4 * (width - 1); shift >= 0; shift -= 4) out += "0123456789abcdef"[value >> shift & 15];
}

inline void append_hex_dump(ConstBytes bytes, Output& out) {
    for (std::size_t at = 0; at < bytes.size(); at += 16) {
        const ConstBytes line = bytes.subspan(at, std::min<std::size_t>(16, bytes.size() - at));
        std::string& text = out.text();
        text += "  ";
        append_hex(at, 8, text);
        text += ' ';
        for (std::size_t i = 0; i < 16; ++i) {
            text += i == 8 ? "  " : " ";
            if (i < line.size()) {
                append_hex(std::to_integer<std::uint64_t>(line[i]), 2, text);
            } else {
                text += "  ";
            }
        }
        text += "  ";
        append_printable(as_text(line), text);
        out.end_line();
    }
}

// Whether the journal was read to its end without damage; says what was not whole.
inline bool report_fault(const std::string& path, const journal::Scanner& scanner, std::ostream& err) {
    if (scanner.damaged_records() == 0 && scanner.fault().empty()) return true;
    err << path << ": damaged places " << scanner.damaged_records() << ": " << scanner.fault() << "\n";
    return false;
}

// Reads each journal from its first record; visit(record) until it says false. The exit code.
template <class Visit>
int scan_all(const std::vector<std::string>& paths, std::ostream& err, Visit&& visit) {
    int code = 0;
    for (const auto& path : paths) {
        auto scanner = journal::Scanner::open(path, {});
        if (!scanner) {
            err << scanner.error().what << "\n";
            code = 1;
            continue;
        }
        while (const auto record = scanner.value().next()) {
            if (!visit(path, *record)) return code;
        }
        if (!report_fault(path, scanner.value(), err)) code = 1;
    }
    return code;
}

// The body if it can be read in place, which a compressed or encrypted one cannot.
inline bool is_plain(const journal::RecordView& record) {
    return record.batch_header.codec == wire::Codec::none && record.batch_header.key_id == 0;
}

}  // namespace weir::control
