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
    // Ids are "load-RUN-INDEX": 8 hexadecimal and 12 decimal digits. The payload is JSON. The key is "load", or "key-NUMBER" with 10 digits;
    // with keys the payload has an "amount" of 100 to 999, drawn evenly by the index.
    EventTemplate(std::string_view type, std::string_view source, std::uint32_t run, std::uint32_t payload_bytes,
                  bool has_keys = false);
    // Valid until the next call.
    [[nodiscard]] ConstBytes stamp(std::uint64_t index, WallNs time);
    // Of one with keys, for the stamps from now on.
    void set_key(std::uint64_t number);

  private:
    std::vector<std::byte> bytes_;
    char* digits_ = nullptr;
    char* key_digits_ = nullptr;
    char* amount_ = nullptr;
    std::byte* time_ = nullptr;
};

}  // namespace weir::bench
