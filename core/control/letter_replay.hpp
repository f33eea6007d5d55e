// LetterReplay: offers dead letters to their edge as a producer would, and says of each what became of it.
//
// Thread    Command lines only; blocks while the edge has no room.
// Law       Each letter offered gets one outcome. Whether it is applied is the edge's to know: a repeat, from whichever copy and after
//           whatever crash, is a duplicate there. Marks are written behind the answers and save work, no more.
// Bounds    One connection for each lineage among the letters; 4096 letters or 4 MiB of them unanswered on each.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "core/client/producer_client.hpp"
#include "core/control/dead_letters.hpp"
#include "core/control/letter_marks.hpp"
#include "core/control/tool_output.hpp"

namespace weir::control {

enum class ReplayOutcome : std::uint8_t {
    accepted,      // on the edge's disk, on its way as any event
    duplicate,     // applied before, or its source and id are known
    rejected,      // it still fails, or cannot be taken: the letter stays as it is
    not_an_event,  // its bytes cannot be decoded: there is nothing to offer
    refused,       // the edge takes no letters of this identity
    unanswered,    // may or may not be applied: to be offered again
    would_offer,   // --dry-run
};
inline constexpr std::size_t replay_outcomes = 7;
[[nodiscard]] std::string_view text(ReplayOutcome outcome) noexcept;

class LetterReplay {
  public:
    LetterReplay(const DeadLetterArguments& arguments, std::ostream& out, std::ostream& err);
    void offer(const DeadLetter& letter);
    // Waits for what is not answered yet, stores the marks, prints the sum. The exit code.
    [[nodiscard]] int finish();

  private:
    struct Session {
        std::string edge;
        std::uint64_t lineage = 0;
        std::unique_ptr<client::ProducerClient> client;  // absent once `fault` is set
        std::string fault;
        ReplayOutcome fault_outcome = ReplayOutcome::refused;
        std::set<Sequence> waiting;
        std::uint64_t acked = 0;
        MonotonicNs moved{};
    };
    [[nodiscard]] Session& session_of(const DeadLetter& letter);
    void pump(Session& session, std::uint64_t wait_ns);
    void give_up(Session& session, ReplayOutcome outcome, std::string why);
    void answered(Session& session, Sequence sequence, wire::AckStatus status, wire::Reason reason);
    void report(std::string_view edge, std::uint64_t lineage, Sequence sequence, ReplayOutcome outcome,
                std::string_view why);
    void store_marks();
    void print_sum();

    const DeadLetterArguments& arguments_;
    std::ostream& err_;
    Output out_;
    std::map<std::uint64_t, Session> sessions_;  // by lineage
    std::vector<LetterMark> marks_;              // not stored yet
    std::array<std::uint64_t, replay_outcomes> counts_{};
    std::map<std::string, std::uint64_t, std::less<>> reasons_;
    std::uint64_t count_ = 0;
    bool has_failed_ = false;  // a mark could not be stored
};

}  // namespace weir::control
