#include "core/journal/checkpoint.hpp"

#include <algorithm>

#include <cstring>
#include <optional>

#include "core/base/crc32c.hpp"
#include "core/journal/posix_file.hpp"
#include "core/journal/record.hpp"
#include "core/wire/frame.hpp"

namespace weir::journal {
namespace {

constexpr std::uint64_t checkpoint_file_bytes =
    round_up(sizeof(CheckpointHeader) + checkpoint_content_bytes_max + sizeof(std::uint32_t), 4096);

constexpr std::uint64_t lengthen_bytes = 64U << 10;

// Returns the bytes used.
std::size_t encode(std::uint64_t serial, ConstBytes content, Bytes out) {
    CheckpointHeader header;
    header.content_bytes = static_cast<std::uint32_t>(content.size());
    header.serial = serial;
    wire::store(out, header);
    if (!content.empty()) std::memcpy(out.data() + sizeof header, content.data(), content.size());
    const std::size_t covered = sizeof header + content.size();
    wire::store(out.subspan(covered), crc32c(0, out.first(covered)));
    return covered + sizeof(std::uint32_t);
}

struct Copy {
    std::uint64_t serial = 0;
    std::vector<std::byte> content;
};

// nullopt: no such file, never written (all zeros at the front), or damaged; then `fault` says why.
std::optional<Copy> read_copy(const std::string& path, std::string& fault) {
    const PosixFile file(path, O_RDONLY);
    if (!file.is_open()) {
        if (errno != ENOENT) fault = error_from_errno(errno, path).what;
        return std::nullopt;
    }
    std::vector<std::byte> bytes(std::min(file.file_bytes(), checkpoint_file_bytes));
    const auto count = file.read(bytes, 0);
    if (count < 0) {
        fault = error_from_errno(static_cast<int>(-count), path).what;
        return std::nullopt;
    }
    bytes.resize(static_cast<std::size_t>(count));
    if (std::all_of(bytes.begin(), bytes.end(), [](std::byte value) { return value == std::byte{0}; })) {
        return std::nullopt;  // made ahead, or cut by a crash before its first store
    }
    if (bytes.size() < sizeof(CheckpointHeader) + sizeof(std::uint32_t)) {
        fault = path + ": cut short";
        return std::nullopt;
    }
    const auto header = wire::load<CheckpointHeader>(bytes);
    if (header.magic != checkpoint_magic) {
        fault = path + ": no checkpoint magic";
    } else if (header.version != checkpoint_version) {
        fault = path + ": unknown version " + std::to_string(header.version);
    } else if (header.content_bytes > bytes.size() - sizeof header - sizeof(std::uint32_t)) {
        fault = path + ": cut short";
    } else {
        const std::size_t covered = sizeof header + header.content_bytes;
        const ConstBytes all(bytes);
        if (wire::load<std::uint32_t>(all.subspan(covered)) == crc32c(0, all.first(covered))) {
            return Copy{header.serial,
                        {bytes.begin() + sizeof header, bytes.begin() + static_cast<std::ptrdiff_t>(covered)}};
        }
        fault = path + ": checksum does not match";
    }
    return std::nullopt;
}

// Zeros from `at` to the length of a copy: 0 or errno.
int lengthen(const PosixFile& file, std::uint64_t at) {
    const AlignedBytes zeros = make_aligned(lengthen_bytes);
    for (; at < checkpoint_file_bytes; at += lengthen_bytes) {
        const std::uint64_t part = std::min(lengthen_bytes, checkpoint_file_bytes - at);
        if (const int code = file.write({zeros.get(), part}, at); code != 0) return code;
    }
    return 0;
}

std::string parent_of(const std::string& path) {
    const auto slash = path.find_last_of('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

void CheckpointFile::FreeBlock::operator()(std::byte* block) const {
    std::free(block);
}

Result<LoadedCheckpoint> CheckpointFile::load(const std::string& path) {
    LoadedCheckpoint loaded;
    for (const char* suffix : {".0", ".1"}) {
        std::string fault;
        auto copy = read_copy(path + suffix, fault);
        if (!fault.empty()) loaded.faults.push_back(std::move(fault));
        if (!copy || (loaded.exists && copy->serial < loaded.serial)) continue;
        loaded.exists = true;
        loaded.serial = copy->serial;
        loaded.content = std::move(copy->content);
    }
    return loaded;
}

Status CheckpointFile::store_now(ConstBytes content) {
    WEIR_ASSERT(content.size() <= checkpoint_content_bytes_max);
    WEIR_ASSERT(!busy_);
    const std::string path = copy_path(serial_ + 1);
    std::vector<std::byte> bytes(sizeof(CheckpointHeader) + content.size() + sizeof(std::uint32_t));
    static_cast<void>(encode(serial_ + 1, content, bytes));
    const PosixFile file(path, O_RDWR | O_CREAT);
    int code = file.is_open() ? file.write(bytes, 0) : errno;
    if (code == 0) code = file.sync();
    last_errno_ = code;
    if (code != 0) return error_from_errno(code, "store " + path);
    if (auto synced = sync_directory(parent_of(path)); !synced) {
        last_errno_ = synced.error().code;
        return synced;
    }
    ++serial_;
    return Done{};
}

Status CheckpointFile::open(io::Io& io, io::Token token) {
    io_ = &io;
    token_ = token;
    // Not zeroed: only what a content needs of it is ever touched.
    block_.reset(static_cast<std::byte*>(std::aligned_alloc(block_bytes, checkpoint_file_bytes)));
    WEIR_ASSERT(block_ != nullptr);
    for (const std::uint64_t copy : {0U, 1U}) {
        const std::string path = copy_path(copy);
        const PosixFile file(path, O_RDWR | O_CREAT);
        if (!file.is_open()) return error_from_errno(errno, "open " + path);
        const std::uint64_t present = file.file_bytes();
        if (present < checkpoint_file_bytes) {
            // Written, not only sized: a store must not fail for want of space in the directory's file system.
            int code = lengthen(file, present);
            if (code == 0) code = file.sync();
            if (code != 0) return error_from_errno(code, "lengthen " + path);
        }
    }
    if (auto synced = sync_directory(parent_of(path_)); !synced) return synced;
    for (const std::uint64_t copy : {0U, 1U}) {
        // Past the page cache: where its pages are large, 4 KiB that change in one are as many as all of it.
        auto file = io.open(copy_path(copy), {.direct = true});
        if (!file) return file.error();
        files_[copy] = file.value();
    }
    return Done{};
}

bool CheckpointFile::begin_store(ConstBytes content) {
    WEIR_ASSERT(io_ != nullptr);
    WEIR_ASSERT(content.size() <= checkpoint_content_bytes_max);
    if (busy_) return false;
    const Bytes block(block_.get(), checkpoint_file_bytes);
    const std::size_t used = encode(serial_ + 1, content, block);
    block_bytes_ = round_up(used, 4096);
    std::memset(block.data() + used, 0, block_bytes_ - used);
    busy_ = true;
    syncing_ = false;
    io_->write(files_[(serial_ + 1) & 1], block.first(block_bytes_), 0, token_);
    return true;
}

bool CheckpointFile::on_completion(const io::Completion& completion) {
    WEIR_ASSERT(busy_);
    if (completion.result < 0) return finish(-completion.result);
    if (syncing_) return finish(0);
    if (static_cast<std::uint64_t>(completion.result) != block_bytes_) return finish(EIO);
    syncing_ = true;
    io_->sync(files_[(serial_ + 1) & 1], token_);
    return false;
}

bool CheckpointFile::finish(int code) {
    busy_ = false;
    syncing_ = false;
    last_errno_ = code;
    if (code != 0) return false;
    ++serial_;
    stored_bytes_ += block_bytes_;
    return true;
}

std::string CheckpointFile::copy_path(std::uint64_t serial) const {
    return path_ + ((serial & 1) == 0 ? ".0" : ".1");
}

Status make_directory(const std::string& path) {
    if (path.empty()) return error_from_errno(EINVAL, "make a directory without a name");
    for (std::size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
        const std::string part = path.substr(0, at);
        if (io::files().make_directory(part) == 0) {
            if (auto synced = sync_directory(parent_of(part)); !synced) return synced;
        } else if (errno != EEXIST) {
            return error_from_errno(errno, "mkdir " + part);
        }
        if (at == std::string::npos) break;
    }
    if (!io::files().is_directory(path)) return error_from_errno(ENOTDIR, path);
    return Done{};
}

Status sync_directory(const std::string& path) {
    const PosixFile directory(path, O_RDONLY | O_DIRECTORY);
    if (!directory.is_open()) return error_from_errno(errno, "open " + path);
    if (const int code = directory.sync(); code != 0) return error_from_errno(code, "fsync " + path);
    return Done{};
}

Result<int> lock_directory(const std::string& path) {
    const std::string file_path = path + "/lock";
    PosixFile file(file_path, O_RDWR | O_CREAT);
    if (!file.is_open()) return error_from_errno(errno, "open " + file_path);
    if (io::files().lock(file.handle()) != 0) {
        if (errno == EWOULDBLOCK)
            return Error{EWOULDBLOCK, path + ": another process holds this directory (lock file " + file_path + ")"};
        return error_from_errno(errno, "flock " + file_path);
    }
    return file.release();
}

}  // namespace weir::journal
