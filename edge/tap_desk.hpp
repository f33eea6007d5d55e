// TapDesk: opens taps for the admin port: compiles what they ask, hands them to intake, and has their events flow as text.
//
//   POST /v1/tap?limit=N&rate=N&format=json|text     the body is the expression; an empty one: every event
//
// Thread    slot(): any. open() and what it gives: the admin port's thread. use_schemas(), use_lanes(): the control thread.
// Bounds    One tap at a time; its ring and rate are in edge/intake/tap.hpp.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/control/admin.hpp"
#include "edge/config.hpp"
#include "edge/intake/tap.hpp"

namespace weir::edge {

class TapDesk {
  public:
    // `ring`: has intake look at the slot.
    TapDesk(const EdgeConfig& config, std::function<void()> ring);
    [[nodiscard]] TapSlot& slot() { return slot_; }
    // The lanes as intake numbers them, for taps to come.
    void use_lanes(std::vector<std::string> lanes) {
        const std::lock_guard lock(schemas_mutex_);
        lanes_ = std::move(lanes);
    }
    // Expressions of taps to come read payloads by these.
    void use_schemas(const EdgeConfig& config);
    // 200 and a flow of events; 400 for a wrong parameter, or an expression that does not compile: its text says where; 429 while
    // another tap is open.
    [[nodiscard]] control::AdminResponse open(std::string_view query, std::string_view expression);

  private:
    friend class TapFlow;
    [[nodiscard]] bool is_free();
    void close(Tap& tap);

    std::string edge_id_;
    std::function<void()> ring_;
    std::vector<std::string> lanes_;
    std::mutex schemas_mutex_;
    std::vector<rules::FlatSchema> schemas_;
    TapSlot slot_;
    bool is_open_ = false;  // a flow has it
    bool is_out_ = false;   // intake may still have it
};

enum class TapFormat : std::uint8_t { json, text };
// One line for one event, with its line end.
void append_tap_line(const TapCopy& event, std::string_view lane, TapFormat format, std::string& out);

}  // namespace weir::edge
