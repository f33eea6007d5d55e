// Letter filter: which dead letters a command is about, from the texts that its options gave.
//
// Thread    Command lines only.
// Law       A letter passes if every option that was given agrees. What is no event has neither type nor source: it passes
//           only where neither was asked for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.hpp"
#include "core/base/types.hpp"
#include "core/wire/batch.hpp"
#include "core/wire/event.hpp"
#include "core/wire/verdict.hpp"

namespace weir::control {

// As it stands in a journal; everything in it lies in the record that is being read.
struct DeadLetter {
    std::string_view edge;
    std::uint64_t lineage = 0;
    Sequence sequence = 0;
    // Empty: the edge set it aside, and the sequence is of its dead letters. Else central's ingest did, in a batch of this lane.
    std::string_view lane;
    wire::Part part = wire::Part::live;
    wire::DeadLetterHead head;
    ConstBytes original;
    // What the bytes are: an event, or why they are none.
    wire::Reason fault = wire::Reason::none;
    wire::EventView event;  // if fault is none

    // Where its marks stand: sequences of other lanes mean other letters.
    [[nodiscard]] std::string marks_place() const {
        std::string place(edge);
        if (!lane.empty()) place.append("/").append(lane).append(part == wire::Part::backlog ? ".backlog" : "");
        return place;
    }
};

// Texts as they were given; empty: not asked for.
struct LetterFilterTexts {
    std::string edge = {};      // exact
    std::string reason = {};    // "out_of_range"
    std::string stage = {};     // "validate"
    std::string type = {};      // '*' stands for any text, '?' for one character, "[ab]" for one of them
    std::string source = {};    // the same
    std::string since = {};     // RFC 3339, when the edge set it aside: from then on
    std::string until = {};     // and before then
    std::string sequence = {};  // "7", "7..9", "7.." or "..9"
};

class LetterFilter {
  public:
    LetterFilter() = default;
    // An error says which option is wrong, how, and what would be right.
    [[nodiscard]] static Result<LetterFilter> parse(const LetterFilterTexts& texts);
    [[nodiscard]] bool passes(const DeadLetter& letter) const;

  private:
    std::string edge_, type_, source_;
    std::optional<wire::Reason> reason_;
    std::optional<wire::StageId> stage_;
    std::uint64_t since_ns_ = 0;
    std::uint64_t until_ns_ = UINT64_MAX;  // not included
    Sequence first_ = 0;
    Sequence last_ = UINT64_MAX;
};

}  // namespace weir::control
