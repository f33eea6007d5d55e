// Judgement: all by which intake judges events, from one configuration: rules, routes, how the lanes' batches close, the digest
// that goes into every batch. Made whole on a control thread, swapped in whole between two vectors.
//
// Thread    Made and destroyed on a control thread; used by the intake runner alone.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "edge/config.hpp"
#include "edge/expressions.hpp"
#include "edge/intake/edit.hpp"
#include "edge/intake/rate_quota.hpp"
#include "edge/intake/route.hpp"
#include "edge/intake/validate.hpp"
#include "edge/tables/table_set.hpp"

namespace weir::edge {

// Of a stream.
struct BatchLimits {
    std::array<char, wire::lane_name_bytes_max> lane_name{};  // all zeros: a spare stream
    bool is_in_use = false;                                   // its lane may open batches
    std::uint32_t batch_bytes = 0;
    std::uint32_t batch_events = 0;
    std::uint64_t linger_ns = 0;
};

// What a lane does when it is full.
struct ShedRule {
    bool is_best_effort = false;
    ShedPolicy policy = ShedPolicy::oldest;
};

class Judgement {
  public:
    // `tables`: what lookups read; a share of them goes with the judgement.
    Judgement(const EdgeConfig& config, const std::vector<LaneState>& lanes, TableShare tables = {});
    // What was to be stored of the events of the vector before is forgotten.
    void begin_vector() noexcept { edit_.begin_vector(); }
    // Judges those that are still admitted, gives each that passes its lane, and makes what is to be stored of each.
    void judge(std::span<EventRef> events, WallNs wall) noexcept;
    [[nodiscard]] const std::vector<BatchLimits>& batch_limits() const { return batch_limits_; }  // by stream
    [[nodiscard]] const std::vector<ShedRule>& shed_rules() const { return shed_rules_; }         // by stream
    [[nodiscard]] const LadderConfig& ladder() const { return ladder_; }
    [[nodiscard]] const RateQuota& rate_quota() const { return rate_quota_; }  // of each connection
    [[nodiscard]] const DeadLettersConfig& dead_letters() const { return dead_letters_; }
    [[nodiscard]] Edit& edit() { return edit_; }
    [[nodiscard]] std::uint64_t digest() const { return digest_; }

  private:
    Judgement(const EdgeConfig& config, const std::vector<LaneState>& lanes, TableShare tables,
              Expressions expressions);

    TableShare tables_;  // expressions read them
    Expressions expressions_;
    PayloadForms forms_;
    std::optional<rules::Judge> judge_;
    Validate validate_;
    Route route_;
    Edit edit_;
    std::optional<std::uint8_t> passes_all_into_;  // nothing is asked of any event, and this is their lane
    std::vector<BatchLimits> batch_limits_;
    LadderConfig ladder_;
    RateQuota rate_quota_;
    DeadLettersConfig dead_letters_;
    std::vector<ShedRule> shed_rules_;
    std::uint64_t digest_;
};

// JudgementSlot: the way of a new judgement from the control thread to intake, and of the one before it back, to be destroyed
// where that may take its time.
//
// Thread    offer, take_back: one control thread. take, give_back: intake. Nobody waits.
class JudgementSlot {
  public:
    JudgementSlot() = default;
    ~JudgementSlot() {
        delete next_.load();
        delete old_.load();
    }
    JudgementSlot(const JudgementSlot&) = delete;
    JudgementSlot& operator=(const JudgementSlot&) = delete;

    // In place of one that was offered and not taken yet.
    void offer(std::unique_ptr<Judgement> next) { delete next_.exchange(next.release(), std::memory_order_acq_rel); }
    // Nothing is on its way to intake.
    [[nodiscard]] bool is_taken() const { return next_.load(std::memory_order_acquire) == nullptr; }
    void take_back() { delete old_.exchange(nullptr, std::memory_order_acq_rel); }

    // Null if there is none, or the last old one was not taken back yet.
    [[nodiscard]] Judgement* take() noexcept {
        if (next_.load(std::memory_order_relaxed) == nullptr || old_.load(std::memory_order_relaxed) != nullptr) {
            return nullptr;
        }
        return next_.exchange(nullptr, std::memory_order_acq_rel);
    }
    void give_back(Judgement* old) noexcept { old_.store(old, std::memory_order_release); }

  private:
    std::atomic<Judgement*> next_{nullptr};
    std::atomic<Judgement*> old_{nullptr};
};

// What differs between two configurations and cannot be changed while the edge runs, as keys: "spool.bytes_max". Empty: `next` can
// be loaded, as far as its lanes can (edge/lane_changes.hpp).
[[nodiscard]] std::vector<std::string> keys_that_need_a_restart(const EdgeConfig& now, const EdgeConfig& next);
// All that are looked at for that.
[[nodiscard]] std::vector<std::string> fixed_config_keys();

}  // namespace weir::edge
