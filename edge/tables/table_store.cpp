#include "edge/tables/table_store.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "core/journal/checkpoint.hpp"
#include "core/journal/posix_file.hpp"

namespace weir::edge {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t version_digits = 16;

struct Found {
    std::string path;
    std::uint64_t version = 0;
    fs::file_time_type at;
};

bool is_version(std::string_view text) {
    return text.size() == version_digits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Newest first: two are there only when a crash came between the new one and the end of the old.
std::vector<Found> versions_of(const std::string& directory, const std::string& name) {
    std::vector<Found> found;
    std::error_code fault;
    for (const auto& entry : fs::directory_iterator(directory, fault)) {
        const std::string file = entry.path().filename().string();
        if (!file.starts_with(name + ".") || !is_version(std::string_view(file).substr(name.size() + 1))) continue;
        std::error_code ignored;
        found.push_back({entry.path().string(), std::strtoull(file.c_str() + name.size() + 1, nullptr, 16),
                         entry.last_write_time(ignored)});
    }
    std::sort(found.begin(), found.end(), [](const Found& a, const Found& b) { return a.at > b.at; });
    return found;
}

// nullptr, or why it is not what its name says.
const char* read_image(const Found& found, std::uint64_t bytes_max, std::vector<std::byte>& image,
                       wire::TableInfo& info) {
    const journal::PosixFile file(found.path, O_RDONLY);
    if (!file.is_open()) return std::strerror(errno);
    const std::uint64_t bytes = file.file_bytes();
    if (bytes > bytes_max) return "it is larger than tables.bytes_max";
    image.resize(bytes);
    if (file.read(image, 0) != static_cast<std::int64_t>(bytes)) return "it cannot be read whole";
    if (wire::table_version(image) != found.version) return "its bytes are not those of its name";
    return wire::check_table(image, info);
}

}  // namespace

std::string TableStore::file_name(const std::string& table, std::uint64_t version) {
    char digits[version_digits + 1];
    std::snprintf(digits, sizeof digits, "%016" PRIx64, version);
    return table + "." + digits;
}

LoadedTable TableStore::load(const std::string& name, std::uint64_t bytes_max) const {
    LoadedTable loaded;
    for (const Found& found : versions_of(directory_, name)) {
        std::vector<std::byte> image;
        wire::TableInfo info;
        const char* const why = read_image(found, bytes_max, image, info);
        std::error_code ignored;
        if (why != nullptr) {
            loaded.faults.push_back(found.path + ": " + why);
            fs::rename(found.path, directory_ + "/" + name + ".damaged", ignored);
        } else if (loaded.table == nullptr) {
            loaded.table = std::make_shared<const ReferenceTable>(name, std::move(image), std::move(info));
        } else {
            fs::remove(found.path, ignored);
        }
    }
    return loaded;
}

Status TableStore::store(const ReferenceTable& table) const {
    if (auto made = journal::make_directory(directory_); !made) return made;
    const std::string file_path = directory_ + "/" + file_name(table.name(), table.version());
    const std::string next_path = directory_ + "/" + table.name() + ".next";
    {
        const journal::PosixFile file(next_path, O_WRONLY | O_CREAT | O_TRUNC);
        if (!file.is_open()) return Error{errno, next_path};
        if (const int code = file.write(table.image(), 0); code != 0) return Error{code, next_path};
        if (const int code = file.sync(); code != 0) return Error{code, next_path};
    }
    std::error_code fault;
    fs::rename(next_path, file_path, fault);
    if (fault) return Error{fault.value(), file_path};
    if (auto synced = journal::sync_directory(directory_); !synced) return synced;
    for (const Found& found : versions_of(directory_, table.name())) {
        if (found.version != table.version()) fs::remove(found.path, fault);
    }
    return Done{};
}

}  // namespace weir::edge
