// MemoryIo: an Io whose files lie in memory and whose writes complete when, in which order and how a test says.
//
// A file starts with what the path holds on disk. A write stays pending until complete() lets it land whole; tear() lets only
// some of its blocks land and it never completes (a crash); fail() completes it with an error and lands nothing.
// save_to() puts what has landed into real files, for readers that read the disk. Sockets are not offered.
//
// Thread    One.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "core/base/assert.hpp"
#include "core/io/gathered.hpp"
#include "core/io/io.hpp"

namespace weir::test {

class MemoryIo final : public io::Io {
  public:
    struct Pending {
        io::Op op = io::Op::write;
        io::File file;
        std::vector<ConstBytes> parts;  // write
        Bytes room;                     // read
        std::uint64_t offset = 0;
        io::Token token;
    };

    // Pending operations in the order in which they were asked for.
    [[nodiscard]] std::size_t pending_count() const { return pending_.size(); }
    [[nodiscard]] const Pending& pending(std::size_t index) const { return pending_[index]; }

    io::Completion complete(std::size_t index) {
        const Pending operation = take(index);
        std::vector<std::byte>& content = files_[static_cast<std::size_t>(operation.file.handle)].content;
        std::uint64_t at = operation.offset;
        io::Completion completion{.token = operation.token, .op = operation.op, .result = 0, .socket = {}};
        switch (operation.op) {
            case io::Op::write:
                for (const ConstBytes part : operation.parts) {
                    land(content, part, at);
                    at += part.size();
                }
                completion.result = static_cast<std::int32_t>(at - operation.offset);
                break;
            case io::Op::read: {
                const std::uint64_t begin = std::min<std::uint64_t>(operation.offset, content.size());
                const std::size_t count = std::min<std::size_t>(operation.room.size(), content.size() - begin);
                std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(begin), count, operation.room.begin());
                completion.result = static_cast<std::int32_t>(count);
                break;
            }
            case io::Op::sync:
            case io::Op::accept:
            case io::Op::connect:
            case io::Op::receive:
            case io::Op::send:
                break;
        }
        return completion;
    }
    io::Completion fail(std::size_t index, int code) {
        const Pending operation = take(index);
        return {.token = operation.token, .op = operation.op, .result = -code, .socket = {}};
    }
    // lands(i) says whether the write's i-th unit of `unit_bytes` reaches the file.
    template <class Lands>
    void tear(std::size_t index, std::size_t unit_bytes, Lands&& lands) {
        const Pending operation = take(index);
        std::vector<std::byte>& content = files_[static_cast<std::size_t>(operation.file.handle)].content;
        std::uint64_t begin = operation.offset;
        std::size_t unit = 0;
        for (const ConstBytes part : operation.parts) {
            for (std::size_t at = 0; at < part.size(); at += unit_bytes, ++unit) {
                if (!lands(unit)) continue;
                land(content, part.subspan(at, std::min(unit_bytes, part.size() - at)), begin + at);
            }
            begin += part.size();
        }
    }
    // Writes the content of each file to DIRECTORY/its file name; of a closed one once, because its owner may have
    // renamed or deleted it since.
    void save_to(const std::string& directory) {
        for (auto& file : files_) {
            if (!file.is_open && file.is_saved_closed) continue;
            file.is_saved_closed = !file.is_open;
            const std::string path = directory + "/" + std::filesystem::path(file.path).filename().string();
            // A segment exists before it is opened; one that was released meanwhile does not come back by this.
            const bool is_segment = path.ends_with(".seg");
            std::ofstream out(path, is_segment ? std::ios::binary | std::ios::in | std::ios::out : std::ios::binary);
            out.write(reinterpret_cast<const char*>(file.content.data()),
                      static_cast<std::streamsize>(file.content.size()));
        }
    }
    [[nodiscard]] std::size_t open_count() const {
        return static_cast<std::size_t>(
            std::count_if(files_.begin(), files_.end(), [](const auto& f) { return f.is_open; }));
    }
    void set_wall(WallNs wall) { wall_ = wall; }

    Result<io::File> open(const std::string& path, io::FileOptions options) override {
        std::ifstream in(path, std::ios::binary);
        if (!in && !options.create) return error_from_errno(ENOENT, "open " + path);
        const std::string text{std::istreambuf_iterator<char>(in), {}};
        Opened file{.path = path,
                    .content = std::vector<std::byte>(text.size()),
                    .is_open = true,
                    .is_direct = options.direct,
                    .is_saved_closed = false};
        if (!text.empty()) std::memcpy(file.content.data(), text.data(), text.size());
        files_.push_back(std::move(file));
        return io::File{static_cast<std::int32_t>(files_.size() - 1)};
    }
    void close(io::File file) override {
        WEIR_ASSERT(files_[static_cast<std::size_t>(file.handle)].is_open);
        files_[static_cast<std::size_t>(file.handle)].is_open = false;
    }
    [[nodiscard]] bool is_direct(io::File file) const {
        return files_[static_cast<std::size_t>(file.handle)].is_direct;
    }
    void write(io::File file, ConstBytes bytes, std::uint64_t offset, io::Token token) override {
        add_write(file, {bytes}, offset, token);
    }
    void write_gathered(io::File file, std::span<const iovec> parts, std::uint64_t offset, io::Token token) override {
        std::vector<ConstBytes> all;
        for (const iovec& part : parts) all.push_back(io::bytes_of(part));
        add_write(file, std::move(all), offset, token);
    }
    void read(io::File file, Bytes bytes, std::uint64_t offset, io::Token token) override {
        pending_.push_back(
            {.op = io::Op::read, .file = file, .parts = {}, .room = bytes, .offset = offset, .token = token});
    }
    void sync(io::File file, io::Token token) override {
        pending_.push_back({.op = io::Op::sync, .file = file, .parts = {}, .room = {}, .offset = 0, .token = token});
    }
    // Completes everything that is pending, in order.
    std::span<const io::Completion> wait(MonotonicNs) override {
        completions_.clear();
        while (!pending_.empty()) completions_.push_back(complete(0));
        return completions_;
    }
    void wake() noexcept override {}
    MonotonicNs now() const noexcept override { return {1}; }
    WallNs wall() const noexcept override { return wall_; }
    std::string_view name() const noexcept override { return "memory"; }
    io::IoCounters counters() const noexcept override { return {}; }

    Result<io::Socket> listen(const io::Address&, io::Token) override { return no_sockets(); }
    std::string local_address(io::Socket) const override { return {}; }
    std::string peer_address(io::Socket) const override { return {}; }
    Result<io::Socket> connect(const io::Address&, io::Token) override { return no_sockets(); }
    void receive(io::Socket, io::Token) override { WEIR_ASSERT(false); }
    void pause_receive(io::Socket, bool) override { WEIR_ASSERT(false); }
    void send(io::Socket, ConstBytes, io::Token) override { WEIR_ASSERT(false); }
    void close(io::Socket) override { WEIR_ASSERT(false); }
    void release(std::uint32_t) override { WEIR_ASSERT(false); }

  private:
    struct Opened {
        std::string path;
        std::vector<std::byte> content;
        bool is_open = false;
        bool is_direct = false;
        bool is_saved_closed = false;
    };

    void add_write(io::File file, std::vector<ConstBytes> parts, std::uint64_t offset, io::Token token) {
        const Opened& opened = files_[static_cast<std::size_t>(file.handle)];
        WEIR_ASSERT(opened.is_open && !parts.empty());
        for (const ConstBytes part : parts) {
            if (opened.is_direct) WEIR_ASSERT(offset % 4096 == 0 && part.size() % 4096 == 0);
        }
        pending_.push_back({.op = io::Op::write,
                            .file = file,
                            .parts = std::move(parts),
                            .room = {},
                            .offset = offset,
                            .token = token});
    }
    static Error no_sockets() { return error_from_errno(ENOTSUP, "MemoryIo has no sockets"); }
    static void land(std::vector<std::byte>& content, ConstBytes bytes, std::uint64_t offset) {
        if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size());
        std::copy(bytes.begin(), bytes.end(), content.begin() + static_cast<std::ptrdiff_t>(offset));
    }
    Pending take(std::size_t index) {
        WEIR_ASSERT(index < pending_.size());
        Pending operation = std::move(pending_[index]);
        pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(index));
        return operation;
    }

    std::vector<Opened> files_;
    std::deque<Pending> pending_;
    std::vector<io::Completion> completions_;
    WallNs wall_{1'500'000'000'000'000'000};
};

}  // namespace weir::test
