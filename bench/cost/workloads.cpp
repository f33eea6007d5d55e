#include "bench/cost/workloads.hpp"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "bench/cost/feed_io.hpp"
#include "bench/event_template.hpp"
#include "core/journal/writer.hpp"
#include "core/wire/unverified.hpp"
#include "edge/intake/intake.hpp"

extern "C" [[gnu::noinline]] void weir_cost_measured(void (*work)(void*), void* context) {
    work(context);
    asm volatile("" ::: "memory");  // no tail call: what is counted ends here
}

namespace weir::bench {
namespace {

constexpr std::uint32_t payload_bytes = 80;  // an event of about 200 bytes
constexpr std::uint32_t run_number = 7;
constexpr std::size_t id_digits = 12;
constexpr std::uint64_t edge_events = 40'000;
constexpr std::uint32_t edge_ids_max = 16'384;  // the filter is full well before the end
constexpr int rounds = 40;

struct Directory {
    Directory() {
        std::string pattern = (std::filesystem::temp_directory_path() / "weir-cost-XXXXXX").string();
        WEIR_ASSERT(::mkdtemp(pattern.data()) != nullptr);
        path = pattern;
    }
    ~Directory() {
        std::error_code failed;
        std::filesystem::remove_all(path, failed);
    }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    std::string path;
};

std::vector<edge::LaneState> lanes_of(const edge::EdgeConfig& config) {
    std::vector<edge::LaneState> lanes;
    for (const auto& lane : config.lanes) {
        edge::LaneState& one = lanes.emplace_back();
        one.id = static_cast<LaneId>(lanes.size() - 1);
        one.name = lane.name;
        one.is_configured = true;
    }
    edge::LaneState& letters = lanes.emplace_back();
    letters.id = dead_letter_lane;
    letters.name = dead_letter_lane_name;
    letters.is_configured = true;
    return lanes;
}

// A sealed batch of 64 KiB of events behind the room for its record header; its bytes, and how many events.
std::uint32_t fill_batch(Bytes buffer, EventFeed& feed, std::uint32_t& events) {
    const ConstBytes frames = feed.next(64U << 10, events);
    const std::size_t body_at = edge::batch_body_at;
    std::memcpy(buffer.data() + body_at, frames.data(), frames.size());
    wire::BatchHeader header;
    header.edge_id = wire::name_field<wire::edge_id_bytes_max>("north");
    header.lane_name = wire::name_field<wire::lane_name_bytes_max>("default");
    header.lineage = 7;
    header.epoch = 1;
    header.first_sequence = 1;
    header.count = events;
    wire::seal(header, buffer.subspan(body_at, frames.size()));
    wire::store(buffer.subspan(sizeof(journal::RecordHeader)), header);
    return static_cast<std::uint32_t>(sizeof header + frames.size());
}

// Segments that are always there: FeedIo's files are names.
class NamedSegments final : public journal::SegmentStore {
  public:
    Status create_now(const journal::SegmentHeader&) override { return Done{}; }
    void prepare(const journal::SegmentHeader&) override {}
    const std::string* ready(std::uint64_t index) override { return &(path_ = path_of(index)); }
    void release(std::uint64_t) override {}
    int prepare_errno() const override { return 0; }
    std::string path_of(std::uint64_t index) const override { return std::to_string(index); }

  private:
    std::string path_;
};

// An edge's first runner, with the bench where its spool is: what it publishes is durable at once.
class FirstRunner {
  public:
    FirstRunner() : pool_(config().spool.batches_max), to_spool_(256), to_intake_(1024) {
        auto memory = edge::IntakeMemory::load(config(), directory_.path);
        WEIR_ASSERT(memory.ok());
        intake_.emplace(io_, std::uint8_t{0}, config(), edge::SpoolIdentity{"north", 7, 1, 9}, lanes_of(config()),
                        std::move(memory.value()), pool_, to_spool_.take_writer(), to_intake_.take_reader(), bell_,
                        counters_);
        WEIR_ASSERT(intake_->start().ok());
        from_intake_.emplace(to_spool_.take_reader());
        notes_.emplace(to_intake_.take_writer());
        io_.connect_one();
        step(false);
        hello();
        step(false);
    }
    std::uint64_t run() {
        for (std::uint64_t fed = 0; fed < edge_events;) {
            std::uint32_t events = 0;
            const bool is_fed = io_.feed(feed_.next(FeedIo::slot_bytes, events));
            WEIR_ASSERT(is_fed);
            fed += events;
            step(true);
        }
        step(true);
        step(true);
        WEIR_ASSERT(counters_.accepted.get() >= edge_events);
        WEIR_ASSERT(counters_.accepted.get() == counters_.offered.get());
        return counters_.accepted.get();
    }

  private:
    const edge::EdgeConfig& config() {
        if (!config_.edge_id.empty()) return config_;
        config_.edge_id = "north";
        config_.data_dir = directory_.path;
        config_.listen.producers = {"unix:feed"};
        config_.cache.ids_max = edge_ids_max;
        config_.lanes = {edge::LaneConfig{.name = "default"}};
        config_.runtime.receive_slots = FeedIo::slots;
        return config_;
    }
    void hello() {
        wire::ProducerHello hello;
        hello.level = wire::AckLevel::spooled;
        std::array<std::byte, sizeof(wire::FrameHeader) + sizeof hello> frame{};
        wire::store(Bytes(frame), wire::FrameHeader{sizeof hello, 0, wire::FrameKind::producer_hello, 0, 0});
        wire::store(Bytes(frame).subspan(sizeof(wire::FrameHeader)), hello);
        WEIR_ASSERT(io_.feed(frame));
    }
    void step(bool is_counted) {
        io_.advance_ns(50 * ns_per_us);
        const auto completions = io_.wait({});
        auto cycle = [&] {
            for (const io::Completion& one : completions) intake_->on_completion(one, io_.now());
            (void)intake_->do_work(io_.now());
        };
        if (is_counted) {
            measured(cycle);
        } else {
            cycle();
        }
        from_intake_->consume_all([this](const edge::ToSpool& note) { make_durable(note); });
    }
    void make_durable(const edge::ToSpool& note) {
        if (note.kind != edge::ToSpool::Kind::batch) return;
        const auto header =
            wire::load<wire::BatchHeader>(pool_.buffer(note.buffer).subspan(sizeof(journal::RecordHeader)));
        position_.value += edge::batch_buffer_bytes;
        WEIR_ASSERT(notes_->publish({.kind = edge::ToIntake::Kind::durable,
                                     .stream = note.stream,
                                     .last_sequence = header.last_sequence(),
                                     .position = position_,
                                     .at = io_.now()}));
        WEIR_ASSERT(notes_->publish({.kind = edge::ToIntake::Kind::returned, .buffer = note.buffer}));
    }

    Directory directory_;
    edge::EdgeConfig config_;
    FeedIo io_;
    EventFeed feed_;
    edge::BatchPool pool_;
    Ring<edge::ToSpool> to_spool_;
    Ring<edge::ToIntake> to_intake_;
    Doorbell bell_;
    edge::IntakeCounters counters_;
    std::optional<edge::Intake> intake_;
    std::optional<RingReader<edge::ToSpool>> from_intake_;
    std::optional<RingWriter<edge::ToIntake>> notes_;
    Position position_{};
};

}  // namespace

EventFeed::EventFeed() {
    for (const char* type : {"violation.submitted", "violation.citation", "ride.started", "sensor.reading"}) {
        EventTemplate made(type, "weir-cost", run_number, payload_bytes);
        const ConstBytes body = made.stamp(0, WallNs{1'500'000'000'000'000'000});
        const auto body_bytes = static_cast<std::uint32_t>(body.size());
        std::vector<std::byte>& frame = templates_.emplace_back(wire::frame_bytes(body_bytes));
        wire::store(Bytes(frame), wire::FrameHeader{.body_bytes = body_bytes, .kind = wire::FrameKind::event});
        std::memcpy(frame.data() + sizeof(wire::FrameHeader), body.data(), body.size());
        const std::string digits(id_digits, '0');
        const std::string_view text(reinterpret_cast<const char*>(frame.data()), frame.size());
        digits_at_.push_back(text.find("-" + digits) + 1);
    }
    out_.resize(edge::batch_body_capacity);
}

ConstBytes EventFeed::next(std::size_t bytes_max, std::uint32_t& events) {
    std::size_t used = 0;
    for (events = 0;; ++events, ++index_) {
        const std::size_t which = index_ % templates_.size();
        const std::vector<std::byte>& frame = templates_[which];
        if (used + frame.size() > std::min(bytes_max, out_.size())) break;
        std::memcpy(out_.data() + used, frame.data(), frame.size());
        std::uint64_t rest = index_;
        for (std::size_t digit = id_digits; digit > 0; --digit, rest /= 10) {
            out_[used + digits_at_[which] + digit - 1] = static_cast<std::byte>('0' + rest % 10);
        }
        used += frame.size();
    }
    return ConstBytes(out_).first(used);
}

std::uint64_t edge_first_runner() {
    return FirstRunner().run();
}

std::uint64_t edge_rules() {
    edge::EdgeConfig config;
    config.lanes = {edge::LaneConfig{.name = "default"}, edge::LaneConfig{.name = "urgent"}};
    for (const char* when : {R"(type like "violation.*")", R"(source == "nobody")"}) {
        edge::RuleConfig rule;
        rule.when = when;
        rule.must = R"(has(data.pad) && data.pad != "y")";
        config.rules.push_back(rule);
        rule.must = R"(priority <= 3 && default(data.fine, 0) < 1000)";
        config.rules.push_back(rule);
    }
    for (const char* when : {"data.fine > 100", "priority > 3"}) {
        edge::RouteConfig route;
        route.lane = "urgent";
        route.when = when;
        config.routes.push_back(route);
    }
    edge::Judgement judgement(config, lanes_of(config));
    EventFeed feed;
    auto vector = std::make_unique<edge::EventVector>();
    std::uint64_t judged = 0;
    for (int round = 0; round < rounds; ++round) {
        std::uint32_t events = 0;
        vector->clear();
        const ConstBytes frames = feed.next(12'000, events);
        wire::for_each_frame(frames, [&](const wire::FrameView& frame, std::uint32_t) {
            edge::EventRef& event = vector->push(frame.header.body_bytes);
            event.frame = frame.body.data() - sizeof(wire::FrameHeader);
            WEIR_ASSERT(wire::verify_event(event.body(), event.view) == wire::Reason::none);
        });
        measured([&] {
            judgement.begin_vector();
            judgement.judge(vector->events(), WallNs{1'500'000'000'000'000'000});
        });
        for (const edge::EventRef& event : vector->events()) WEIR_ASSERT(event.verdict == edge::Verdict::admitted);
        judged += events;
    }
    return judged;
}

std::uint64_t journal_append() {
    FeedIo io;
    NamedSegments segments;
    journal::JournalOptions options;
    options.directory = "feed";
    options.journal_id = 7;
    options.segment_bytes = 64ULL << 20;
    options.group_bytes_max = edge::batch_buffer_bytes;
    journal::JournalWriter writer(io, segments, options, journal::Tail{}, io::Token{});
    WEIR_ASSERT(writer.open().ok());
    edge::BatchPool pool(1);
    EventFeed feed;
    std::uint64_t appended = 0;
    for (int round = 0; round < rounds; ++round) {
        std::uint32_t events = 0;
        const Bytes buffer = pool.buffer(0);
        std::memset(buffer.data(), 0, buffer.size());
        const journal::RecordSlot slot{.at = 0, .batch_bytes = fill_batch(buffer, feed, events)};
        const Bytes group = buffer.first(round_up(journal::record_bytes(slot.batch_bytes), journal::block_bytes));
        measured([&] {
            WEIR_ASSERT(writer.append(group, {&slot, 1}, WallNs{1}).has_value());
            for (const io::Completion& one : io.wait({})) writer.on_completion(one);
        });
        appended += events;
    }
    return appended;
}

std::uint64_t central_check() {
    edge::BatchPool pool(1);
    EventFeed feed;
    std::uint64_t checked = 0;
    for (int round = 0; round < rounds; ++round) {
        std::uint32_t events = 0;
        const Bytes buffer = pool.buffer(0);
        const std::uint32_t bytes = fill_batch(buffer, feed, events);
        const ConstBytes batch = buffer.subspan(sizeof(journal::RecordHeader), bytes);
        measured([&] {
            wire::BatchHeader header;
            WEIR_ASSERT(wire::check_batch(batch, header) == wire::BatchFault::none);
            WEIR_ASSERT(wire::count_unverified(header, batch.subspan(sizeof header)) == 0);
        });
        checked += events;
    }
    return checked;
}

std::vector<Workload> workloads() {
    return {{"edge_first_runner", &edge_first_runner},
            {"edge_rules", &edge_rules},
            {"journal_append", &journal_append},
            {"central_check", &central_check}};
}

}  // namespace weir::bench
