// ReloadDesk: how the admin port has the control thread read the configuration again, and is told what became of it.
//
// Thread    ask(): the admin port's. begin(), end(): the control thread. Control threads may lock.
// Pressure  ask() waits ask_ms_max at most. Requests that come while one is under way share the next.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace weir::edge {

struct ReloadOutcome {
    bool is_taken = false;
    std::uint64_t digest = 0;         // of the configuration that holds now
    std::vector<std::string> errors;  // why it was not taken, each with its place, as `check` prints them
    std::vector<std::string> warnings;
    // Of one that was taken.
    std::size_t rules = 0, routes = 0, lanes = 0, payloads = 0;
};

class ReloadDesk {
  public:
    static constexpr std::uint64_t ask_ms_max = 10'000;

    // `wake`: has the control thread look. nullopt: no answer in time.
    [[nodiscard]] std::optional<ReloadOutcome> ask(void (*wake)(), std::uint64_t ms_max = ask_ms_max);
    // Around the reading of the configuration: who asked before begin() is answered by end().
    void begin();
    void end(const ReloadOutcome& outcome);

  private:
    std::mutex mutex_;
    std::condition_variable answered_now_;
    std::uint64_t asked_ = 0;
    std::uint64_t begun_ = 0;
    std::uint64_t answered_ = 0;  // those who asked up to here
    ReloadOutcome outcome_;
};

// {"taken":true,"in_force":true,"digest":"..","rules":1,...,"warnings":[]}, or {"taken":false,"digest":"..","errors":[..]}.
[[nodiscard]] std::string reload_json(const ReloadOutcome& outcome, bool is_in_force);

}  // namespace weir::edge
