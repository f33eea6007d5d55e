// FeedIo: an Io that costs nothing: what a bench feeds lies in slots at once, what is sent or written is done at the next wait().
//
// Time stands still but for advance_ns(). Files are names only. One connection is accepted.
//
// Thread    One.
#pragma once

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "core/base/assert.hpp"
#include "core/io/gathered.hpp"
#include "core/io/io.hpp"

namespace weir::bench {

class FeedIo final : public io::Io {
  public:
    static constexpr std::uint32_t slots = 64;
    static constexpr std::uint32_t slot_bytes = 64U << 10;

    FeedIo() : slabs_(std::size_t{slots} * slot_bytes) {
        completions_.reserve(4096);
        given_.reserve(4096);
        for (std::uint32_t slot = slots; slot > 0; --slot) free_.push_back(slot - 1);
    }
    // A producer has connected.
    void connect_one() { completions_.push_back({.token = accept_, .op = io::Op::accept, .socket = peer}); }
    // So many bytes have come from it; they fit a slot. False: no slot is free.
    [[nodiscard]] bool feed(ConstBytes bytes) {
        WEIR_ASSERT(bytes.size() <= slot_bytes);
        if (free_.empty()) return false;
        const std::uint32_t slot = free_.back();
        free_.pop_back();
        std::byte* const at = slabs_.data() + std::size_t{slot} * slot_bytes;
        std::memcpy(at, bytes.data(), bytes.size());
        completions_.push_back({.token = receive_,
                                .op = io::Op::receive,
                                .result = static_cast<std::int32_t>(bytes.size()),
                                .socket = peer,
                                .slot = slot,
                                .bytes = at});
        return true;
    }
    void advance_ns(std::uint64_t ns) { now_ = now_.plus_ns(ns); }
    [[nodiscard]] std::uint64_t sends() const { return sends_; }

    Result<io::Socket> listen(const io::Address&, io::Token token) override {
        accept_ = token;
        return io::Socket{0};
    }
    std::string local_address(io::Socket) const override { return "unix:/feed"; }
    std::string peer_address(io::Socket) const override { return "unix:"; }
    Result<io::Socket> connect(const io::Address&, io::Token) override { return Error{ENOTSUP, "FeedIo"}; }
    void receive(io::Socket, io::Token token) override { receive_ = token; }
    void pause_receive(io::Socket, bool) override {}
    void send(io::Socket socket, ConstBytes bytes, io::Token token) override {
        ++sends_;
        completions_.push_back(
            {.token = token, .op = io::Op::send, .result = static_cast<std::int32_t>(bytes.size()), .socket = socket});
    }
    void close(io::Socket) override {}
    void release(std::uint32_t slot) override { free_.push_back(slot); }

    Result<io::File> open(const std::string&, io::FileOptions) override { return io::File{files_++}; }
    void close(io::File) override {}
    void write(io::File, ConstBytes bytes, std::uint64_t, io::Token token) override {
        completions_.push_back(
            {.token = token, .op = io::Op::write, .result = static_cast<std::int32_t>(bytes.size()), .socket = {}});
    }
    void write_gathered(io::File, std::span<const iovec> parts, std::uint64_t, io::Token token) override {
        completions_.push_back({.token = token,
                                .op = io::Op::write,
                                .result = static_cast<std::int32_t>(io::gathered_bytes(parts)),
                                .socket = {}});
    }
    void read(io::File, Bytes, std::uint64_t, io::Token token) override {
        completions_.push_back({.token = token, .op = io::Op::read, .socket = {}});
    }
    void sync(io::File, io::Token token) override {
        completions_.push_back({.token = token, .op = io::Op::sync, .socket = {}});
    }
    std::span<const io::Completion> wait(MonotonicNs) override {
        given_.swap(completions_);
        completions_.clear();
        return given_;
    }
    void wake() noexcept override {}
    MonotonicNs now() const noexcept override { return now_; }
    WallNs wall() const noexcept override { return {1'500'000'000'000'000'000 + now_.value}; }
    std::string_view name() const noexcept override { return "feed"; }
    io::IoCounters counters() const noexcept override { return {}; }

  private:
    static constexpr io::Socket peer{1};
    std::vector<std::byte> slabs_;
    std::vector<std::uint32_t> free_;
    std::vector<io::Completion> completions_, given_;
    io::Token accept_, receive_;
    MonotonicNs now_{ns_per_second};
    std::int32_t files_ = 0;
    std::uint64_t sends_ = 0;
};

}  // namespace weir::bench
