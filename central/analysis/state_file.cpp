#include "central/analysis/state_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <span>

#include "central/analytics/state_io.hpp"
#include "core/base/crc32c.hpp"
#include "core/journal/checkpoint.hpp"
#include "core/journal/posix_file.hpp"

namespace weir::central {
namespace {

constexpr std::uint32_t magic = 0x31534157;  // "WAS1"
constexpr std::size_t head_bytes = 2 * 4 + 10 * 8;
constexpr std::size_t piece_bytes = 1U << 20;  // of one write

ConstBytes bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text));
}

std::string head_of(const StoredState& state, std::size_t engine_bytes) {
    analytics::StateWriter out;
    out.put(magic);
    out.put(state.previous_crc);
    for (const std::uint64_t number :
         {state.journal_id, state.history, state.position, state.definitions, state.definitions_digest}) {
        out.put(number);
    }
    for (const std::uint64_t serial : state.serials.last) out.put(serial);
    out.put(static_cast<std::uint64_t>(engine_bytes));
    return out.take();
}

// Small pieces to a file, in large writes, and the checksum of all of them behind.
class PieceWriter {
  public:
    explicit PieceWriter(const journal::PosixFile& file) : file_(file) { held_.reserve(piece_bytes); }
    void put(std::string_view piece) {
        for (; piece.size() > piece_bytes - held_.size(); write_held()) {
            const std::string_view first = piece.substr(0, piece_bytes - held_.size());
            held_.append(first);
            piece.remove_prefix(first.size());
        }
        held_.append(piece);
    }
    // The first fault; 0: none.
    [[nodiscard]] int finish() {
        write_held();
        held_.assign(reinterpret_cast<const char*>(&crc_), sizeof crc_);
        write_held();
        return fault_;
    }

  private:
    void write_held() {
        crc_ = crc32c(crc_, bytes_of(held_));
        if (fault_ == 0) fault_ = file_.write(bytes_of(held_), at_);
        at_ += held_.size();
        held_.clear();
    }

    const journal::PosixFile& file_;
    std::string held_;
    std::uint32_t crc_ = 0;
    std::uint64_t at_ = 0;
    int fault_ = 0;
};

}  // namespace

std::string state_path(const std::string& data_dir) {
    return data_dir + "/analytics.state";
}

Status write_state(const std::string& path, const StoredState& state) {
    analytics::StateCopy engine;
    engine.head = state.engine;
    return write_state(path, state, engine);
}

Status write_state(const std::string& path, const StoredState& state, const analytics::StateCopy& engine) {
    const std::string fresh = path + ".tmp";
    {
        const journal::PosixFile file(fresh, O_WRONLY | O_CREAT | O_TRUNC);
        if (!file.is_open()) return error_from_errno(errno, "open " + fresh);
        PieceWriter out(file);
        out.put(head_of(state, engine.bytes()));
        engine.write([&](std::string_view piece) { out.put(piece); });
        int fault = out.finish();
        if (fault == 0) fault = file.sync();
        if (fault != 0) return error_from_errno(fault, "write " + fresh);
    }
    std::error_code failed;
    std::filesystem::rename(fresh, path, failed);
    if (failed) return Error{failed.value(), "rename " + fresh + ": " + failed.message()};
    return journal::sync_directory(std::filesystem::path(path).parent_path().string());
}

std::optional<StoredState> parse_state(std::string_view bytes) {
    if (bytes.size() < head_bytes + sizeof(std::uint32_t)) return std::nullopt;
    const std::string_view covered = bytes.substr(0, bytes.size() - sizeof(std::uint32_t));
    analytics::StateReader in(bytes);
    StoredState state;
    in.require(in.get<std::uint32_t>() == magic);
    state.previous_crc = in.get<std::uint32_t>();
    for (std::uint64_t* number :
         {&state.journal_id, &state.history, &state.position, &state.definitions, &state.definitions_digest,
          &state.serials.last[0], &state.serials.last[1], &state.serials.last[2], &state.serials.last[3]}) {
        *number = in.get<std::uint64_t>();
    }
    in.require(in.get<std::uint64_t>() == covered.size() - head_bytes);
    if (!in.is_ok()) return std::nullopt;
    std::uint32_t crc = 0;
    std::memcpy(&crc, bytes.data() + covered.size(), sizeof crc);
    if (crc != crc32c(0, bytes_of(covered))) return std::nullopt;
    state.engine = covered.substr(head_bytes);
    return state;
}

Result<std::optional<StoredState>> read_state(const std::string& path) {
    const journal::PosixFile file(path, O_RDONLY);
    if (!file.is_open()) {
        if (errno == ENOENT) return std::optional<StoredState>();
        return error_from_errno(errno, "open " + path);
    }
    std::string text(file.file_bytes(), '\0');
    const std::int64_t read = file.read(std::as_writable_bytes(std::span(text)), 0);
    if (read < 0) return error_from_errno(static_cast<int>(-read), "read " + path);
    text.resize(static_cast<std::size_t>(read));
    auto state = parse_state(text);
    if (!state) return Error{EINVAL, "no state of analytics, or not all of it"};
    return state;
}

}  // namespace weir::central
