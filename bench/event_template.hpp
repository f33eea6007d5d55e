// EventTemplate: an event built once; each use of it gets its own id and time in place, so that making events costs little.
//
// Thread    One.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/base/types.hpp"

namespace weir::bench {

class EventTemplate {
  public:
    // Ids are "load-RUN-INDEX": 8 hexadecimal and 12 decimal digits. The payload is JSON. With `keys` each event has one of so many keys
    // ("vehicle-" and 6 digits) and an "amount" of 100 to 999 in its payload, both drawn evenly by its index; without, the key is "load".
    EventTemplate(std::string_view type, std::string_view source, std::uint32_t run, std::uint32_t payload_bytes,
                  std::uint32_t keys = 0);
    // Valid until the next call.
    [[nodiscard]] ConstBytes stamp(std::uint64_t index, WallNs time);

  private:
    [[nodiscard]] char* inside(std::string_view text);

    std::vector<std::byte> bytes_;
    std::uint32_t keys_;
    char* digits_ = nullptr;
    char* key_ = nullptr;
    char* amount_ = nullptr;
    std::byte* time_ = nullptr;
};

}  // namespace weir::bench
