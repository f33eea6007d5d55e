// TableStore: the tables on the edge's disk, so that it starts with them when no central is there.
//
// DIR/tables/NAME.V is the image of table NAME in version V (16 hexadecimal digits): the name says what the bytes must give.
//
// Thread    Control thread; blocking.
// Law       A name is there once all of its bytes are (written, synced, renamed, directory synced). What does not match its name is
//           set aside as NAME.damaged and not used.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "edge/tables/table_set.hpp"

namespace weir::edge {

struct LoadedTable {
    ReferenceTableShare table;        // null: none is there
    std::vector<std::string> faults;  // "PATH: why"
};

class TableStore {
  public:
    explicit TableStore(std::string data_dir) : directory_(std::move(data_dir) + "/tables") {}
    // The newest good version of this name.
    [[nodiscard]] LoadedTable load(const std::string& name, std::uint64_t bytes_max) const;
    // In place of every other version of it.
    [[nodiscard]] Status store(const ReferenceTable& table) const;
    [[nodiscard]] static std::string file_name(const std::string& table, std::uint64_t version);

  private:
    std::string directory_;
};

}  // namespace weir::edge
