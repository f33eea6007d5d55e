// Nodes: an edge, a central and a producer as the world runs them: production stages on simulated Ios, and lives that end at any
// instant and begin again from the machine's disk.
//
// Thread    One.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "central/ingest/ingest.hpp"
#include "central/recovery/recovery.hpp"
#include "core/journal/segment_files.hpp"
#include "core/wire/event.hpp"
#include "edge/intake/intake.hpp"
#include "edge/recovery.hpp"
#include "edge/spool/spool_stage.hpp"
#include "tests/simulation/lane_watch.hpp"
#include "tests/simulation/lanes.hpp"
#include "tests/simulation/sim_io.hpp"

namespace weir::sim {

// A segment store without a thread: what was asked for is made a little later, when the world gives it time.
class SimSegmentStore final : public journal::SegmentStore {
  public:
    // Before `given_up_before`, if there is one, everything was released: in this life or in one before.
    SimSegmentStore(Clock& clock, std::string directory, std::uint64_t segment_bytes, std::uint32_t recycled_max,
                    Position* given_up_before = nullptr)
        : clock_(clock),
          segment_bytes_(segment_bytes),
          given_up_before_(given_up_before),
          files_(std::move(directory), segment_bytes, recycled_max) {}
    [[nodiscard]] std::uint64_t next_event_ns() const {
        return wanted_.empty() && released_.empty() && damaged_.empty() ? UINT64_MAX : due_ns_;
    }
    void step();

    Status create_now(const journal::SegmentHeader& header) override { return files_.create(header); }
    void prepare(const journal::SegmentHeader& header) override;
    const std::string* ready(std::uint64_t segment_index) override;
    void release(std::uint64_t segment_index) override;
    void mark_damaged(std::uint64_t segment_index) override;
    std::uint64_t quarantined() const override { return files_.quarantined(); }
    int prepare_errno() const override { return prepare_errno_; }
    std::string path_of(std::uint64_t segment_index) const override { return files_.path_of(segment_index); }
    Status cut_after(Position end) override { return files_.cut_after(end); }
    std::uint64_t first_index() const override { return files_.first_index(); }

  private:
    Clock& clock_;
    std::uint64_t segment_bytes_;
    Position* given_up_before_;
    journal::SegmentFiles files_;
    std::vector<journal::SegmentHeader> wanted_;
    std::vector<std::uint64_t> released_;
    std::vector<std::uint64_t> damaged_;
    std::set<std::uint64_t> asked_, ready_;
    std::string ready_path_;
    std::uint64_t due_ns_ = 0;
    int prepare_errno_ = 0;
};

// One runner: an Io and a stage, given time by the world.
struct SimRunner {
    std::unique_ptr<SimIo> io;
    std::unique_ptr<Stage> stage;
    std::uint64_t not_before_ns = 0;
    bool is_busy = false;  // its last cycle found work

    [[nodiscard]] std::uint64_t next_ns(std::uint64_t now_ns) const;
    // One duty cycle; a hash of what it did.
    std::uint64_t step(Clock& clock);
};

struct Scale {  // the limits of a world, small so that they are reached
    std::uint64_t segment_bytes = 64U << 10;
    std::uint64_t spool_bytes_max = 1U << 20;
    std::uint32_t batches_max = 4;
    std::uint32_t batch_events = 16;
    std::uint64_t linger_us = 0;
    std::uint64_t checkpoint_ms = 500;
    std::uint64_t keep_delivered_ms = 0;
    std::uint64_t keep_delivered_bytes = 1U << 20;
    std::uint32_t credit_events = 64;
    std::uint64_t credit_bytes = 128U << 10;
    std::uint32_t slots = 8;
    std::uint32_t slot_bytes = 4096;
    std::uint32_t group_bytes = 64U << 10;
    std::uint32_t groups = 2;
    std::uint32_t ids_max = 4096;
    // Of every edge. Its batches are closed as `batch_events` and `linger_us` say.
    std::vector<edge::LaneConfig> lanes = durable_lanes();
    bool has_lossy_lanes = false;         // they are not the durable ones
    std::uint64_t lane_credit_bytes = 0;  // that central grants one of them; 0: no bound of its own
};

// How a life ends.
enum class End : std::uint8_t { kill, power_none, power_all, power_random };

class Node {
  public:
    Node(Clock& clock, Network& network, Random random, int number)
        : clock_(clock),
          network_(network),
          random_(random.fork()),
          machine{.number = number, .disk = Disk(random.fork())} {}
    virtual ~Node() = default;
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    [[nodiscard]] virtual bool is_up() const = 0;
    // Starts from what the disk holds. False if the start failed: `failure` says why (or the machine went down in it).
    [[nodiscard]] virtual bool start() = 0;
    [[nodiscard]] virtual std::uint64_t next_ns() const = 0;
    [[nodiscard]] virtual std::uint64_t step() = 0;
    // Ends this life, as it is, now.
    void end(End how);
    [[nodiscard]] virtual bool is_poisoned() const = 0;

    std::string failure;
    std::uint64_t restart_at_ns = 0;  // when it is down
    std::uint64_t paused_until_ns = 0;
    std::uint64_t lives = 0;

  protected:
    virtual void destroy() = 0;
    Clock& clock_;
    Network& network_;
    Random random_;

  public:
    Machine machine;
};

class EdgeNode final : public Node {
  public:
    EdgeNode(Clock& clock, Network& network, Random random, int number, const Scale& scale);
    ~EdgeNode() override;
    bool is_up() const override { return process_ != nullptr; }
    bool start() override;
    std::uint64_t next_ns() const override;
    std::uint64_t step() override;
    bool is_poisoned() const override;
    [[nodiscard]] const edge::EdgeCounters& counters() const;
    [[nodiscard]] const std::string& address() const { return config.listen.producers.front(); }
    // For a report of what hangs.
    [[nodiscard]] std::string state_text() const;
    [[nodiscard]] const std::vector<std::string>& faults() const { return faults_; }
    // As this life began; the index is that of SpoolCounters::lanes.
    [[nodiscard]] const std::vector<edge::LaneState>& streams() const;
    // The lane that events of a type go to.
    [[nodiscard]] const edge::LaneConfig& lane_of(std::string_view type) const;

    edge::EdgeConfig config;
    // By directory: up to where its journal was released. A power loss may bring a file back that was let go.
    std::map<std::string, Position> given_up_before;
    // Where lanes are not durable ones in order.
    std::unique_ptr<LaneWatch> watch;
    std::string complaint;  // of the watch

  private:
    struct Process;
    void destroy() override;
    void add_route(std::string_view lane, std::string_view type);
    void look_at_lanes();
    [[nodiscard]] int prepare_errno() const;
    std::unique_ptr<Process> process_;
    std::vector<std::string> faults_;  // that recoveries named
};

class CentralNode final : public Node {
  public:
    CentralNode(Clock& clock, Network& network, Random random, int number, const Scale& scale);
    ~CentralNode() override;
    bool is_up() const override { return process_ != nullptr; }
    bool start() override;
    std::uint64_t next_ns() const override;
    std::uint64_t step() override;
    bool is_poisoned() const override;
    [[nodiscard]] central::IngestShared& shared();

    central::CentralConfig config;

  private:
    struct Process;
    void destroy() override;
    std::unique_ptr<Process> process_;
};

}  // namespace weir::sim
