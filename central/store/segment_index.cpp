#include "central/store/segment_index.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <span>

#include "central/analytics/hashed_key.hpp"
#include "central/analytics/state_io.hpp"
#include "core/base/crc32c.hpp"
#include "core/journal/checkpoint.hpp"
#include "core/journal/posix_file.hpp"

namespace weir::central {
namespace {

constexpr std::uint32_t magic = 0x31584449;  // "IDX1"
constexpr std::uint32_t filter_bits = 8 * KeyFilter::bytes;
constexpr int filter_hashes = 4;  // a block of 1000 keys: one in 40 that is not there may be
constexpr std::size_t index_bytes_max = 64U << 20;
constexpr std::size_t name_bytes_max = 1024;

std::uint32_t crc_of(std::string_view bytes) {
    return crc32c(0, std::as_bytes(std::span(bytes)));
}

void put(const NameSet& set, analytics::StateWriter& out) {
    out.put(set.is_open ? UINT32_MAX : static_cast<std::uint32_t>(set.names.size()));
    if (set.is_open) return;
    for (const std::string& name : set.names) out.text(name);
}

void get(NameSet& set, analytics::StateReader& in) {
    const auto count = in.get<std::uint32_t>();
    set.is_open = count == UINT32_MAX;
    if (set.is_open) return;
    in.require(count <= NameSet::names_max);
    for (std::uint32_t name = 0; name < count && in.is_ok(); ++name) set.names.emplace_back(in.text(name_bytes_max));
}

std::string path_of(const std::string& directory, std::uint64_t segment_index) {
    std::array<char, 32> name{};
    std::snprintf(name.data(), name.size(), "/%020llu.idx", static_cast<unsigned long long>(segment_index));
    return directory + name.data();
}

}  // namespace

void KeyFilter::add(std::string_view text) {
    std::uint64_t hash = analytics::hash_of(text);
    for (int turn = 0; turn < filter_hashes; ++turn, hash >>= 16U) {
        const auto bit = static_cast<std::uint32_t>(hash & 0xffffU) % filter_bits;
        bits_[bit / 8] = static_cast<std::uint8_t>(bits_[bit / 8] | 1U << bit % 8);
    }
}

bool KeyFilter::may_hold(std::string_view text) const {
    std::uint64_t hash = analytics::hash_of(text);
    for (int turn = 0; turn < filter_hashes; ++turn, hash >>= 16U) {
        const auto bit = static_cast<std::uint32_t>(hash & 0xffffU) % filter_bits;
        if ((bits_[bit / 8] >> bit % 8 & 1U) == 0) return false;
    }
    return true;
}

void NameSet::add(std::string_view name) {
    if (is_open) return;
    const auto at = std::lower_bound(names.begin(), names.end(), name);
    if (at != names.end() && *at == name) return;
    if (names.size() == names_max || name.size() > name_bytes_max) {
        is_open = true;
        names.clear();
        return;
    }
    names.emplace(at, name);
}

void SegmentIndex::begin_record(const journal::RecordView& record) {
    if (blocks.empty() || record.end.value - blocks.back().position > block_bytes) {
        IndexBlock block;
        block.position = record.position.value;
        block.previous_crc = record.header.previous_crc;
        blocks.push_back(std::move(block));
    }
    end = record.end.value;
}

void SegmentIndex::add(const wire::EventView& event, std::string_view edge, std::uint64_t time_ns) {
    IndexBlock& block = blocks.back();
    block.least_ns = std::min(block.least_ns, time_ns);
    block.greatest_ns = std::max(block.greatest_ns, time_ns);
    block.types.add(event.type);
    block.edges.add(edge);
    block.keys.add(event.key);
}

std::string SegmentIndex::bytes() const {
    analytics::StateWriter out;
    out.put(magic);
    out.count(blocks.size());
    for (const std::uint64_t number : {journal_id, segment_index, end}) out.put(number);
    for (const IndexBlock& block : blocks) {
        for (const std::uint64_t number : {block.position, block.least_ns, block.greatest_ns}) out.put(number);
        out.put(block.previous_crc);
        put(block.types, out);
        put(block.edges, out);
        for (const std::uint8_t byte : block.keys.bits()) out.put(byte);
    }
    out.put(crc_of(out.bytes()));
    return out.take();
}

std::optional<SegmentIndex> SegmentIndex::parse(std::string_view bytes) {
    std::uint32_t crc = 0;
    if (bytes.size() < sizeof crc) return std::nullopt;
    const std::string_view covered = bytes.substr(0, bytes.size() - sizeof crc);
    std::memcpy(&crc, bytes.data() + covered.size(), sizeof crc);
    if (crc != crc_of(covered)) return std::nullopt;
    analytics::StateReader in(covered);
    SegmentIndex index;
    in.require(in.get<std::uint32_t>() == magic);
    const std::uint32_t blocks = in.count(covered.size() / KeyFilter::bytes);
    index.journal_id = in.get<std::uint64_t>();
    index.segment_index = in.get<std::uint64_t>();
    index.end = in.get<std::uint64_t>();
    for (std::uint32_t number = 0; number < blocks && in.is_ok(); ++number) {
        IndexBlock block;
        block.position = in.get<std::uint64_t>();
        block.least_ns = in.get<std::uint64_t>();
        block.greatest_ns = in.get<std::uint64_t>();
        block.previous_crc = in.get<std::uint32_t>();
        get(block.types, in);
        get(block.edges, in);
        for (std::uint8_t& byte : block.keys.bits()) byte = in.get<std::uint8_t>();
        in.require(index.blocks.empty() || index.blocks.back().position < block.position);
        index.blocks.push_back(std::move(block));
    }
    in.require(index.blocks.empty() || index.blocks.back().position < index.end);
    if (!in.is_done()) return std::nullopt;
    return index;
}

std::string index_directory(const std::string& data_dir) {
    return data_dir + "/index";
}

std::optional<SegmentIndex> load_index(const std::string& directory, const journal::SegmentInfo& segment) {
    const journal::PosixFile file(path_of(directory, segment.header.segment_index), O_RDONLY);
    if (!file.is_open() || file.file_bytes() > index_bytes_max) return std::nullopt;
    std::string bytes(file.file_bytes(), '\0');
    if (file.read(std::as_writable_bytes(std::span(bytes)), 0) != static_cast<std::int64_t>(bytes.size())) {
        return std::nullopt;
    }
    auto index = SegmentIndex::parse(bytes);
    if (!index || index->journal_id != segment.header.journal_id) return std::nullopt;
    if (index->segment_index != segment.header.segment_index) return std::nullopt;
    return index;
}

Status store_index(const std::string& directory, const SegmentIndex& index) {
    if (auto made = journal::make_directory(directory); !made) return made;
    const std::string path = path_of(directory, index.segment_index);
    const std::string fresh = path + "." + std::to_string(::getpid()) + ".tmp";
    const std::string bytes = index.bytes();
    {
        const journal::PosixFile file(fresh, O_WRONLY | O_CREAT | O_TRUNC);
        if (!file.is_open()) return error_from_errno(errno, "open " + fresh);
        // Not synced: what a power loss leaves of it does not match its checksum, and is made anew.
        if (const int fault = file.write(std::as_bytes(std::span(bytes)), 0); fault != 0) {
            return error_from_errno(fault, "write " + fresh);
        }
    }
    std::error_code failed;
    std::filesystem::rename(fresh, path, failed);
    if (failed) return Error{failed.value(), "rename " + fresh + ": " + failed.message()};
    return Done{};
}

}  // namespace weir::central
