// NdjsonReader: events from a file of JSON lines, plain or gzip: {"id","type","source","time","key","data"} a line.
//
// `data` is carried as its unchanged bytes. A line that is no such object is told by file, line and reason; the rest goes on.
// A file that cannot be read to its end (a gzip that is cut) is told the same way, behind its last line.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/result.hpp"
#include "core/wire/event.hpp"

namespace weir::bench {

struct NdjsonLine {
    wire::EventView event;  // valid until the next line
    std::string fault;      // "FILE:LINE: what" instead of an event
};

class NdjsonReader {
  public:
    [[nodiscard]] static Result<NdjsonReader> open(const std::string& path);
    NdjsonReader(NdjsonReader&& other) noexcept;
    NdjsonReader& operator=(NdjsonReader&&) = delete;
    ~NdjsonReader();
    // The next line that is not blank; nullopt at the end.
    [[nodiscard]] std::optional<NdjsonLine> next();

  private:
    NdjsonReader(std::string path, gzFile file) : path_(std::move(path)), file_(file) {}
    [[nodiscard]] bool read_line();
    [[nodiscard]] bool fill();
    [[nodiscard]] bool is_cut_short() const;
    [[nodiscard]] const char* parse(wire::EventView& event);

    std::string path_;
    gzFile file_;
    std::string piece_;  // read from the file; lines are taken from piece_at_ on
    std::size_t piece_at_ = 0;
    bool is_at_end_ = false;
    std::uint64_t line_number_ = 0;
    std::string line_;
    std::string problem_;
    std::string id_, type_, source_, key_, time_;
};

}  // namespace weir::bench
