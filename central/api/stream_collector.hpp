// StreamCollector: gathers the state for GET /api/v1/stream, as often as it may be told, while somebody listens.
//
// Thread    One of its own, of lower priority than ingest. start/stop/redefine: a control thread. letter_milestones(): any.
// Cost      Nobody listens: the dead letters are counted twice a second, no more.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <thread>

#include "central/api/answers.hpp"
#include "central/api/letter_board.hpp"
#include "central/api/result_board.hpp"
#include "central/api/stream_hub.hpp"

namespace weir::central {

class StreamCollector {
  public:
    // Above so many edges their rows are told once a second.
    static constexpr std::size_t lively_edges_max = 64;
    static constexpr std::uint64_t idle_ms = 500;
    static constexpr std::uint64_t rates_ns = ns_per_second;

    // `wake` after each state or beat that is to be told.
    StreamCollector(const ApiSources& sources, StreamHub& hub, std::function<void()> wake);
    ~StreamCollector() { stop(); }
    StreamCollector(const StreamCollector&) = delete;
    StreamCollector& operator=(const StreamCollector&) = delete;
    void start();
    void stop();
    void redefine(const AnalyticsConfig& config) { results_.redefine(config); }
    [[nodiscard]] const Milestones& letter_milestones() const { return letters_.milestones(); }

  private:
    struct Sample {
        MonotonicNs at{};
        Account totals;
        std::uint64_t batches = 0, bytes = 0, results = 0;
        std::map<std::string, std::uint64_t> edges, lanes;  // appended
    };
    void run();
    void push(MonotonicNs now);
    [[nodiscard]] StreamState gather(MonotonicNs now);
    [[nodiscard]] Sample sample(MonotonicNs now, const std::vector<EdgeFacts>& edges,
                                const std::vector<LaneFacts>& lanes) const;
    [[nodiscard]] std::string rates_text() const;
    [[nodiscard]] std::string positions_text();
    [[nodiscard]] std::string hops_text() const;
    [[nodiscard]] double rate_of(const std::string& name, std::map<std::string, std::uint64_t> Sample::*of) const;
    void list_edges(const std::vector<EdgeFacts>& edges);
    void list_lanes(const std::vector<LaneFacts>& lanes);

    const ApiSources& sources_;
    StreamHub& hub_;
    std::function<void()> wake_;
    LetterBoard letters_;
    ResultBoard results_;
    std::deque<Sample> samples_;  // of the last rates_ns, the oldest first
    std::uint64_t durable_ = 0, durable_ms_ = 0;
    MonotonicNs told_{}, edges_listed_{};
    std::shared_ptr<const StreamState::List> edges_ = std::make_shared<StreamState::List>();
    std::shared_ptr<const StreamState::List> lanes_ = edges_;
    std::shared_ptr<const StreamState::List> silences_ = edges_;
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

}  // namespace weir::central
