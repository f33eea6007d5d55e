// Alerts on their way out: what a webhook and a command get, retries, restarts, what is too old or too mild.
#include <chrono>
#include <mutex>

#include "central/sinks/alert_teller.hpp"
#include "core/control/admin.hpp"
#include "tests/analysis/world.hpp"

namespace weir::central::test {
namespace {

using std::chrono::steady_clock;

template <class Condition>
bool comes_true(Condition condition) {
    const auto give_up = steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
        if (steady_clock::now() > give_up) return false;
        std::this_thread::yield();
    }
    return true;
}

// Takes alerts as Alertmanager does, or answers with what it is told to first.
class Receiver {
  public:
    explicit Receiver(std::vector<unsigned> answers = {}) : answers_(std::move(answers)) {
        EXPECT_TRUE(server_.start().ok());
    }
    ~Receiver() { server_.stop(); }
    [[nodiscard]] SinkConfig sink() const {
        SinkConfig config;
        config.name = "hook";
        config.kind = SinkConfig::Kind::webhook;
        config.address = server_.bound_address();
        config.target = "/api/v2/alerts";
        config.retry_ms_max = 1;
        return config;
    }
    [[nodiscard]] std::string bodies() {
        const std::lock_guard lock(mutex_);
        return bodies_;
    }

  private:
    control::AdminResponse take(std::string_view target, std::string_view body) {
        const std::lock_guard lock(mutex_);
        EXPECT_EQ(target, "/api/v2/alerts");
        if (asked_ < answers_.size()) return {answers_[asked_++], "text/plain", "no"};
        bodies_.append(body);
        return {200, "text/plain", ""};
    }
    std::vector<unsigned> answers_;
    std::mutex mutex_;
    std::size_t asked_ = 0;
    std::string bodies_;
    control::AdminServer server_{"127.0.0.1:0",
                                 [](std::string_view, std::string_view) { return control::AdminResponse{}; },
                                 [this](const control::AdminAct& act) { return take(act.target, act.body); }};
};

std::size_t count_of(const std::string& text, const std::string& what) {
    std::size_t count = 0;
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
    return count;
}

std::uint64_t told_rows(const World& world, const std::string& more = "") {
    return static_cast<std::uint64_t>(world.number("SELECT count(*) FROM alerts WHERE fate = 'told'" + more));
}

TEST(AlertmanagerJson, HasLabelsAndTimesAndEndsAnEscalatedAlertsOldSeverity) {
    ToldAlert alert;
    alert.rule = "many";
    alert.key = "a\"b";
    alert.kind = "fired";
    alert.severity = analytics::Severity::warning;
    alert.since_ns = base_ns;
    alert.time_ns = base_ns + second;
    EXPECT_EQ(
        alertmanager_json({&alert, 1}),
        R"([{"labels":{"alertname":"many","key":"a\"b","severity":"warning"},"annotations":{"kind":"fired","count":"1"},)"
        R"("startsAt":"2023-11-14T22:13:20Z"}])");
    alert.kind = "resolved";
    EXPECT_NE(alertmanager_json({&alert, 1}).find(R"("endsAt":"2023-11-14T22:13:21Z"})"), std::string::npos);
    alert.kind = "escalated";
    alert.severity = analytics::Severity::critical;
    const std::string two = alertmanager_json({&alert, 1});
    EXPECT_LT(two.find(R"("severity":"warning")"), two.find(R"("endsAt")"));
    EXPECT_LT(two.find(R"("endsAt")"), two.find(R"("severity":"critical")"));
    EXPECT_EQ(count_of(two, "endsAt"), 1U);
}

TEST(AlertTeller, TellsAWebhookEachAlertOnceThroughFailuresAndRestarts) {
    World world(150);
    world.compute();
    Receiver receiver({503, 500, 429});
    const std::uint64_t alerts = told_rows(world);
    ASSERT_GT(alerts, 10U);
    {
        AlertTeller teller(receiver.sink(), world.config.data_dir, world.journal.durable);
        teller.start();
        EXPECT_TRUE(comes_true([&] { return teller.counters().told.get() == alerts; })) << teller.counters().told.get();
        EXPECT_EQ(teller.counters().failures.get(), 3U);
        teller.stop();
    }
    EXPECT_EQ(count_of(receiver.bodies(), "\"alertname\""), alerts);
    // Another life tells what came since: one more row.
    world.change(
        "INSERT INTO alerts SELECT (SELECT max(serial) FROM alerts) + 1, position + 8, arrival_ns, 'fresh', key, "
        "time_ns, "
        "since_ns, kind, 'told', severity, count, data FROM alerts ORDER BY serial DESC LIMIT 1");
    AlertTeller teller(receiver.sink(), world.config.data_dir, world.journal.durable + 4096);
    teller.start();
    EXPECT_TRUE(comes_true([&] { return teller.counters().told.get() == 1; }));
    teller.stop();
    EXPECT_EQ(count_of(receiver.bodies(), "\"alertname\""), alerts + 1);
    EXPECT_EQ(count_of(receiver.bodies(), "\"fresh\""), 1U);
    EXPECT_EQ(teller.counters().missed.get(), 0U);
}

TEST(AlertTeller, LeavesOutWhatIsMildOldOrPrunedAndCountsIt) {
    World world(150);
    world.compute();
    Receiver receiver;
    SinkConfig sink = receiver.sink();
    sink.severity_min = analytics::Severity::critical;
    world.change("UPDATE alerts SET severity = 'critical' WHERE serial > 10");
    world.change("UPDATE alerts SET arrival_ns = 1 WHERE serial BETWEEN 11 AND 20");
    world.change("DELETE FROM alerts WHERE serial = 5");
    const std::uint64_t told = told_rows(world, " AND serial > 20");
    ASSERT_GT(told, 0U);  // else nothing is waited for
    AlertTeller teller(sink, world.config.data_dir, world.journal.durable);
    teller.start();
    EXPECT_TRUE(comes_true([&] { return teller.counters().told.get() == told; })) << teller.counters().told.get();
    teller.stop();
    EXPECT_EQ(teller.counters().stale.get(), told_rows(world, " AND serial BETWEEN 11 AND 20"));
    EXPECT_EQ(teller.counters().missed.get(), 1U);
    EXPECT_EQ(count_of(receiver.bodies(), "\"warning\""), 0U);
}

TEST(AlertTeller, GivesUpWhatIsRefusedAndGoesOn) {
    World world(100);
    world.compute();
    Receiver receiver({400, 400, 400});
    AlertTeller teller(receiver.sink(), world.config.data_dir, world.journal.durable);
    const std::uint64_t alerts = told_rows(world);
    teller.start();
    EXPECT_TRUE(comes_true([&] { return teller.counters().told.get() + teller.counters().refused.get() == alerts; }));
    teller.stop();
    EXPECT_EQ(teller.counters().refused.get(), std::min<std::uint64_t>(alerts, AlertTeller::batch_max));
}

TEST(RunCommand, GivesItsInputAndIsJudgedByItsEnd) {
    const Directory directory;
    const std::string path = directory.path() + "/said";
    EXPECT_TRUE(run_command({"/bin/sh", "-c", "cat > \"$0\"; env >> \"$0\"; ls /proc/self/fd | wc -l >> \"$0\"", path},
                            "one\ntwo\n", 5000)
                    .ok());
    std::ostringstream said;
    said << std::ifstream(path).rdbuf();
    EXPECT_TRUE(said.str().starts_with("one\ntwo\n")) << said.str();
    EXPECT_EQ(said.str().find("HOME="), std::string::npos) << said.str();
    EXPECT_EQ(run_command({"/bin/sh", "-c", "exit 3"}, "", 5000).error().what, "/bin/sh: ended with 3");
    EXPECT_EQ(run_command({"/bin/sh", "-c", "kill -TERM $$"}, "", 5000).error().what, "/bin/sh: ended with signal 15");
    EXPECT_FALSE(run_command({"/nowhere/page"}, "", 5000).ok());
    // What does not read its input is no matter.
    EXPECT_TRUE(run_command({"/bin/true"}, std::string(1U << 20, 'x'), 5000).ok());
}

TEST(RunCommand, IsKilledWithAllThatItStartedWhenItTakesTooLong) {
    const Directory directory;
    const std::string path = directory.path() + "/child";
    pid_t child = 0;
    // On a busy machine a shell may not get as far as to start anything within the first of these.
    for (const std::uint64_t ms : {300U, 1000U, 4000U, 16'000U}) {
        const auto begun = steady_clock::now();
        const auto ended = run_command({"/bin/sh", "-c", "sleep 1000 & echo $! > \"$0\"; wait", path}, "", ms);
        ASSERT_FALSE(ended.ok());
        EXPECT_EQ(ended.error().what, "/bin/sh: took more than " + std::to_string(ms) + " ms");
        EXPECT_LT(steady_clock::now() - begun, std::chrono::milliseconds(ms) + std::chrono::seconds(30));
        if (std::ifstream(path) >> child) break;
    }
    ASSERT_GT(child, 0);
    // Gone, or dead and not yet buried by init.
    EXPECT_TRUE(comes_true([&] {
        std::string name, state;
        std::ifstream stat("/proc/" + std::to_string(child) + "/stat");
        stat >> name >> name >> state;
        return !stat || state == "Z";
    }));
}

}  // namespace
}  // namespace weir::central::test
