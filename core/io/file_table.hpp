// FileTable: the files that an Io has open, by handle; of its thread alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/io/io.hpp"

namespace weir::io {

class FileTable {
  public:
    static constexpr std::uint32_t files_max = 256;

    FileTable() = default;
    ~FileTable();  // closes what is open
    FileTable(const FileTable&) = delete;
    FileTable& operator=(const FileTable&) = delete;

    // Mode 0600 if created. O_DIRECT is left out where the file system refuses it. EMFILE when files_max are open.
    [[nodiscard]] Result<File> open(const std::string& path, FileOptions options);
    void close(File file);
    // Of a file that is open.
    [[nodiscard]] int descriptor(File file) const { return descriptors_[static_cast<std::size_t>(file.handle)]; }

  private:
    std::vector<int> descriptors_ = std::vector<int>(files_max, -1);
};

}  // namespace weir::io
