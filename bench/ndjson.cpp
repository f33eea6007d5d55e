#include "bench/ndjson.hpp"

#include <algorithm>
#include <cerrno>

#include "core/base/json_scan.hpp"
#include "core/base/time_text.hpp"

namespace weir::bench {
namespace {

constexpr std::size_t line_bytes_max = 1U << 20;
constexpr unsigned piece_bytes = 64U << 10;

// Reads a text member; false if it is there but no text.
bool read_text(std::string_view object, std::string_view name, std::string& out) {
    out.clear();
    const auto value = json_member(object, name);
    return !value || json_text(*value, out);
}

}  // namespace

Result<NdjsonReader> NdjsonReader::open(const std::string& path) {
    gzFile file = ::gzopen(path.c_str(), "rb");
    if (file == nullptr) return error_from_errno(errno, "open " + path);
    ::gzbuffer(file, 1U << 18);
    return NdjsonReader(path, file);
}

// Only one that has not read yet is moved: out of open().
NdjsonReader::NdjsonReader(NdjsonReader&& other) noexcept : path_(std::move(other.path_)), file_(other.file_) {
    other.file_ = nullptr;
}

NdjsonReader::~NdjsonReader() {
    if (file_ != nullptr) ::gzclose(file_);
}

// False at the end of the file.
bool NdjsonReader::fill() {
    piece_.resize(piece_bytes);
    const int count = ::gzread(file_, piece_.data(), piece_bytes);
    piece_.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    piece_at_ = 0;
    return !piece_.empty();
}

bool NdjsonReader::read_line() {
    line_.clear();
    bool is_begun = false;
    while (piece_at_ < piece_.size() || fill()) {
        is_begun = true;
        const std::size_t end = piece_.find('\n', piece_at_);
        const std::size_t stop = std::min(end, piece_.size());
        // What is beyond the limit is read and forgotten: a line that reaches it is refused.
        line_.append(piece_, piece_at_, std::min(stop - piece_at_, line_bytes_max - line_.size()));
        piece_at_ = stop + 1;
        if (end != std::string::npos) break;
    }
    if (!is_begun) return false;
    ++line_number_;
    while (!line_.empty() && line_.back() == '\r') line_.pop_back();
    return true;
}

bool NdjsonReader::is_cut_short() const {
    int code = Z_OK;
    static_cast<void>(::gzerror(file_, &code));
    return code != Z_OK && code != Z_STREAM_END;
}

std::optional<NdjsonLine> NdjsonReader::next() {
    NdjsonLine line;
    do {
        if (is_at_end_) return std::nullopt;
        if (read_line()) continue;
        is_at_end_ = true;
        if (!is_cut_short()) return std::nullopt;
        line.fault = path_ + ":" + std::to_string(line_number_ + 1) + ": the file is cut short or damaged from here on";
        return line;
    } while (line_.find_first_not_of(" \t") == std::string::npos);
    if (const char* what = parse(line.event)) line.fault = path_ + ":" + std::to_string(line_number_) + ": " + what;
    return line;
}

// Null when it is an event, else what is wrong with it.
const char* NdjsonReader::parse(wire::EventView& event) {
    if (line_.size() >= line_bytes_max) return "the line is longer than 1 MiB";
    JsonFault fault;
    const auto value = json_parse(line_, fault);
    if (!value) {
        problem_ = "not JSON at byte " + std::to_string(fault.at + 1) + ": " + fault.what;
        return problem_.c_str();
    }
    if (value->kind != JsonKind::object) return "not a JSON object";
    for (const char* name : {"id", "type", "source", "time", "data"}) {
        if (json_member(value->raw, name)) continue;
        problem_ = std::string("field ") + name + " is missing";
        return problem_.c_str();
    }
    if (!read_text(value->raw, "id", id_) || id_.empty() || id_.size() > wire::id_bytes_max)
        return "field id is no text of 1 to 256 bytes";
    if (!read_text(value->raw, "type", type_) || type_.empty() || type_.size() > wire::type_bytes_max)
        return "field type is no text of 1 to 128 bytes";
    if (!read_text(value->raw, "source", source_) || source_.empty() || source_.size() > wire::source_bytes_max)
        return "field source is no text of 1 to 256 bytes";
    if (!read_text(value->raw, "key", key_) || key_.size() > wire::key_bytes_max)
        return "field key is no text of up to 256 bytes";
    if (!read_text(value->raw, "time", time_)) return "field time is no text";
    const auto time = parse_time(time_);
    if (!time) return "field time is no RFC 3339 time in UTC";
    event = wire::EventView{};
    event.id = id_;
    event.type = type_;
    event.source = source_;
    event.key = key_;
    event.time = *time;
    event.content_type = "application/json";
    event.payload = json_member(value->raw, "data")->raw;
    return nullptr;
}

}  // namespace weir::bench
