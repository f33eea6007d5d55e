// SessionIo: an Io in memory with a peer at the other end of its sockets: the fuzz target is the peer, and nothing waits.
//
// Files begin empty and lie in memory only: every input finds the same. Writes and sends complete whole at the next wait(). What
// the peer says lies in slots, as with the real ones; all of them must come back.
//
// Thread    One.
#pragma once

#include <cerrno>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/assert.hpp"
#include "core/io/gathered.hpp"
#include "core/io/io.hpp"
#include "core/journal/segments.hpp"
#include "core/wire/splitter.hpp"
#include "tests/fuzz/input.hpp"

namespace weir::fuzz {

class SessionIo final : public io::Io {
  public:
    static constexpr std::uint32_t slots = 16;
    static constexpr std::uint32_t slot_bytes = 4096;

    SessionIo() : slabs_(std::size_t{slots} * slot_bytes) {
        for (std::uint32_t slot = slots; slot > 0; --slot) free_slots_.push_back(slot - 1);
    }

    // The peer's side.
    [[nodiscard]] io::Socket connect_to_listener() {
        if (!listener_.is_valid() || !end_of(listener_).is_open) return {};
        const io::Socket socket = make_socket();
        completions_.push_back({.token = end_of(listener_).token, .op = io::Op::accept, .socket = socket});
        return socket;
    }
    // The newest that the stage has connected and not closed; invalid if there is none.
    [[nodiscard]] io::Socket connected() const {
        for (std::size_t i = ends_.size(); i > 0; --i) {
            if (ends_[i - 1].is_open && ends_[i - 1].is_receiving) return io::Socket{static_cast<std::int32_t>(i - 1)};
        }
        return {};
    }
    [[nodiscard]] bool is_open(io::Socket socket) const {
        return socket.is_valid() && ends_[static_cast<std::size_t>(socket.handle)].is_open;
    }
    void say(io::Socket socket, ConstBytes bytes) {
        if (!is_open(socket)) return;
        std::vector<std::byte>& said = end_of(socket).said;
        said.insert(said.end(), bytes.begin(), bytes.end());
    }
    void finish(io::Socket socket) {
        if (is_open(socket)) end_of(socket).has_finished = true;
    }
    // All that the stage has sent on it, from the first byte.
    [[nodiscard]] ConstBytes heard(io::Socket socket) { return end_of(socket).heard; }
    [[nodiscard]] std::size_t free_slots() const { return free_slots_.size(); }
    void advance_ms(std::uint64_t ms) { now_ = now_.plus_ns(ms * ns_per_ms); }

    Result<io::Socket> listen(const io::Address&, io::Token token) override {
        listener_ = make_socket();
        end_of(listener_).token = token;
        return listener_;
    }
    std::string local_address(io::Socket) const override { return "unix:/fuzz"; }
    std::string peer_address(io::Socket) const override { return "unix:"; }
    Result<io::Socket> connect(const io::Address&, io::Token token) override {
        const io::Socket socket = make_socket();
        completions_.push_back({.token = token, .op = io::Op::connect, .socket = socket});
        return socket;
    }
    void receive(io::Socket socket, io::Token token) override {
        end_of(socket).token = token;
        end_of(socket).is_receiving = true;
    }
    void pause_receive(io::Socket socket, bool paused) override { end_of(socket).is_paused = paused; }
    void send(io::Socket socket, ConstBytes bytes, io::Token token) override {
        WEIR_ASSERT(!bytes.empty());
        End& end = end_of(socket);
        WEIR_ASSERT(end.is_open);
        end.heard.insert(end.heard.end(), bytes.begin(), bytes.end());
        completions_.push_back(
            {.token = token, .op = io::Op::send, .result = static_cast<std::int32_t>(bytes.size()), .socket = socket});
    }
    void close(io::Socket socket) override {
        WEIR_ASSERT(end_of(socket).is_open);
        end_of(socket).is_open = false;
    }
    void release(std::uint32_t slot) override {
        WEIR_ASSERT(slot < slots && free_slots_.size() < slots);
        free_slots_.push_back(slot);
    }

    Result<io::File> open(const std::string& path, io::FileOptions) override {
        handles_.push_back(&files_[path]);
        return io::File{static_cast<std::int32_t>(handles_.size() - 1)};
    }
    void close(io::File) override {}
    void write(io::File file, ConstBytes bytes, std::uint64_t offset, io::Token token) override {
        std::vector<std::byte>& content = *handles_[static_cast<std::size_t>(file.handle)];
        if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size());
        std::copy(bytes.begin(), bytes.end(), content.begin() + static_cast<std::ptrdiff_t>(offset));
        completions_.push_back(
            {.token = token, .op = io::Op::write, .result = static_cast<std::int32_t>(bytes.size()), .socket = {}});
    }
    void write_gathered(io::File file, std::span<const iovec> parts, std::uint64_t offset, io::Token token) override {
        std::vector<std::byte> all;
        for (const iovec& part : parts) {
            const ConstBytes bytes = io::bytes_of(part);
            all.insert(all.end(), bytes.begin(), bytes.end());
        }
        write(file, all, offset, token);
    }
    void read(io::File file, Bytes bytes, std::uint64_t offset, io::Token token) override {
        const ConstBytes content = *handles_[static_cast<std::size_t>(file.handle)];
        const ConstBytes rest = content.subspan(std::min<std::size_t>(offset, content.size()));
        const std::size_t count = std::min(rest.size(), bytes.size());
        std::copy_n(rest.begin(), count, bytes.begin());
        completions_.push_back(
            {.token = token, .op = io::Op::read, .result = static_cast<std::int32_t>(count), .socket = {}});
    }
    void sync(io::File, io::Token token) override {
        completions_.push_back({.token = token, .op = io::Op::sync, .socket = {}});
    }

    std::span<const io::Completion> wait(MonotonicNs) override {
        deliver_all();
        given_.swap(completions_);
        completions_.clear();
        return given_;
    }
    void wake() noexcept override {}
    MonotonicNs now() const noexcept override { return now_; }
    WallNs wall() const noexcept override { return {1'500'000'000'000'000'000 + now_.value}; }
    std::string_view name() const noexcept override { return "fuzz"; }
    io::IoCounters counters() const noexcept override { return {}; }

  private:
    struct End {
        bool is_open = true;
        bool is_receiving = false;
        bool is_paused = false;
        bool has_finished = false;
        io::Token token;
        std::vector<std::byte> said;
        std::vector<std::byte> heard;
    };

    [[nodiscard]] End& end_of(io::Socket socket) { return ends_[static_cast<std::size_t>(socket.handle)]; }
    io::Socket make_socket() {
        ends_.emplace_back();
        return io::Socket{static_cast<std::int32_t>(ends_.size() - 1)};
    }
    void deliver_all() {
        for (std::size_t i = 0; i < ends_.size(); ++i) {
            End& end = ends_[i];
            const io::Socket socket{static_cast<std::int32_t>(i)};
            while (end.is_open && end.is_receiving && !end.is_paused && !end.said.empty() && !free_slots_.empty()) {
                const std::uint32_t slot = free_slots_.back();
                free_slots_.pop_back();
                std::byte* const bytes = slabs_.data() + std::size_t{slot} * slot_bytes;
                const std::size_t count = std::min<std::size_t>(end.said.size(), slot_bytes);
                std::memcpy(bytes, end.said.data(), count);
                end.said.erase(end.said.begin(), end.said.begin() + static_cast<std::ptrdiff_t>(count));
                completions_.push_back({.token = end.token,
                                        .op = io::Op::receive,
                                        .result = static_cast<std::int32_t>(count),
                                        .socket = socket,
                                        .slot = slot,
                                        .bytes = bytes});
            }
            if (end.is_open && end.is_receiving && !end.is_paused && end.said.empty() && end.has_finished) {
                end.is_receiving = false;
                completions_.push_back({.token = end.token, .op = io::Op::receive, .socket = socket});
            }
        }
    }

    std::vector<std::byte> slabs_;
    std::vector<std::uint32_t> free_slots_;
    std::deque<End> ends_;
    io::Socket listener_{};
    std::map<std::string, std::vector<std::byte>> files_;
    std::vector<std::vector<std::byte>*> handles_;
    std::vector<io::Completion> completions_;
    std::vector<io::Completion> given_;
    MonotonicNs now_{ns_per_second};
};

// Segment files that are ready when they are asked for; SessionIo holds what is in them.
class SessionSegments final : public journal::SegmentStore {
  public:
    explicit SessionSegments(std::string directory) : directory_(std::move(directory)) {}
    Status create_now(const journal::SegmentHeader&) override { return Done{}; }
    void prepare(const journal::SegmentHeader&) override {}
    const std::string* ready(std::uint64_t segment_index) override { return &(path_ = path_of(segment_index)); }
    void release(std::uint64_t) override {}
    int prepare_errno() const override { return 0; }
    std::string path_of(std::uint64_t segment_index) const override {
        return directory_ + "/" + journal::segment_file_name(segment_index);
    }

  private:
    std::string directory_;
    std::string path_;
};

inline void append_frame(std::vector<std::byte>& out, wire::FrameKind kind, ConstBytes body, std::uint64_t number = 0) {
    const std::size_t at = out.size();
    out.resize(at + wire::frame_bytes(static_cast<std::uint32_t>(body.size())));
    wire::store(
        Bytes(out).subspan(at),
        wire::FrameHeader{.body_bytes = static_cast<std::uint32_t>(body.size()), .kind = kind, .number = number});
    std::copy(body.begin(), body.end(), out.begin() + static_cast<std::ptrdiff_t>(at + sizeof(wire::FrameHeader)));
}

// Calls take(header, body) for each frame that a stage has sent: whole frames, and nothing else. `says_life`: the pongs before its first other
// frame may name its process.
template <class Take>
void for_each_sent(ConstBytes heard, Take&& take, bool says_life = false) {
    while (!heard.empty()) {
        WEIR_ASSERT(heard.size() >= sizeof(wire::FrameHeader));
        const auto header = wire::load<wire::FrameHeader>(heard);
        WEIR_ASSERT(wire::is_known(header.kind) && header.flags == 0);
        says_life = says_life && header.kind == wire::FrameKind::pong;
        WEIR_ASSERT(header.tag == 0 || says_life);
        const std::uint64_t bytes = wire::frame_bytes(header.body_bytes);
        WEIR_ASSERT(bytes <= heard.size());
        take(header, heard.subspan(sizeof header, header.body_bytes));
        heard = heard.subspan(bytes);
    }
}

}  // namespace weir::fuzz
