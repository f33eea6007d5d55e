#include "central/sinks/alert_teller.hpp"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "central/readmodel/result_store.hpp"
#include "core/base/clock.hpp"
#include "core/control/log.hpp"
#include "core/journal/checkpoint.hpp"

namespace weir::central {
namespace {

constexpr std::uint64_t look_ms = 250;  // where nobody wakes it
constexpr std::uint64_t cursor_ms_max = 500;
constexpr std::uint64_t retry_ms_min = 1000;
constexpr std::uint64_t query_ms_max = 5000;
constexpr std::size_t rows_max = 256;  // looked at for one batch

analytics::Severity severity_of(std::string_view text) {
    for (const auto severity :
         {analytics::Severity::critical, analytics::Severity::warning, analytics::Severity::info}) {
        if (analytics::text(severity) == text) return severity;
    }
    return analytics::Severity::critical;
}

}  // namespace

AlertTeller::AlertTeller(const SinkConfig& config, const std::string& data_dir, std::uint64_t durable,
                         const SilenceBook* silences)
    : config_(config),
      results_(results_path(data_dir)),
      cursor_path_(data_dir + "/sink-" + config.name),
      silences_(silences),
      sink_(make_sink(config)) {
    const auto loaded = journal::CheckpointFile::load(cursor_path_);
    if (loaded && loaded.value().exists && loaded.value().content.size() >= sizeof cursor_) {
        std::memcpy(&cursor_, loaded.value().content.data(), sizeof cursor_);
        cursor_file_serial_ = loaded.value().serial;
        if (cursor_.position > durable) cursor_ = {};
        stored_cursor_ = cursor_;
    }
    position_.set(cursor_.position);
}

void AlertTeller::start() {
    thread_ = std::thread([this] { work(); });
}

void AlertTeller::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_.store(true, std::memory_order_relaxed);
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void AlertTeller::wake() {
    {
        const std::lock_guard lock(mutex_);
        is_awake_ = true;
    }
    changed_.notify_all();
}

bool AlertTeller::nap(std::uint64_t ms, bool is_woken) {
    std::unique_lock lock(mutex_);
    const auto is_stopping = [this] { return stopping_.load(std::memory_order_relaxed); };
    changed_.wait_for(lock, std::chrono::milliseconds(ms), [&] { return is_stopping() || (is_woken && is_awake_); });
    if (is_woken) is_awake_ = false;
    return !is_stopping();
}

void AlertTeller::work() {
    pthread_setname_np(pthread_self(), "sink");
    while (!stopping_.load(std::memory_order_relaxed)) {
        const bool was_more = tell_next();
        if (!was_more || monotonic_now() >= cursor_stored_.plus_ns(cursor_ms_max * ns_per_ms)) store_cursor();
        if (!was_more && !nap(look_ms, true)) break;
    }
    store_cursor();
}

bool AlertTeller::tell_next() {
    auto read = read_next();
    if (!read) {
        database_.reset();  // it may not be there yet
        return false;
    }
    const Batch& batch = read.value();
    if (batch.end == cursor_) return false;
    if (batch.alerts.empty()) {
        // Nothing was told: a start may look at these again.
        if (stored_cursor_ == cursor_) stored_cursor_ = batch.end;
        move_to(batch.end);
        return true;
    }
    if (const auto told = sink_->tell(batch.alerts); !told) {
        counters_.failures.add(1);
        if (told.error().code != AlertSink::refused_code || ++refused_attempts_ < refused_attempts_max) {
            pause_after(told.error());
            return true;
        }
        counters_.refused.add(batch.alerts.size());
        control::log_error("alerts_refused", {{"sink", config_.name}, {"error", told.error().what}});
    } else {
        counters_.told.add(batch.alerts.size());
    }
    refused_attempts_ = 0;
    retry_ms_ = 0;
    move_to(batch.end);
    return true;
}

void AlertTeller::pause_after(const Error& error) {
    if (retry_ms_ == 0) control::log_warn("alert_sink_fails", {{"sink", config_.name}, {"error", error.what}});
    retry_ms_ = std::min(std::max(2 * retry_ms_, retry_ms_min), config_.retry_ms_max);
    static_cast<void>(nap(retry_ms_));
}

void AlertTeller::move_to(const Cursor& cursor) {
    cursor_ = cursor;
    position_.set(cursor.position);
}

void AlertTeller::store_cursor() {
    if (stored_cursor_ == cursor_) return;
    cursor_stored_ = monotonic_now();
    journal::CheckpointFile file(cursor_path_, cursor_file_serial_);
    if (const auto stored = file.store_now(std::as_bytes(std::span(&cursor_, 1))); !stored) {
        return control::log_warn("alert_sink_cursor", {{"sink", config_.name}, {"error", stored.error().what}});
    }
    stored_cursor_ = cursor_;
    ++cursor_file_serial_;
}

Result<AlertTeller::Batch> AlertTeller::read_next() {
    if (!database_) {
        auto opened = Database::open(results_, Database::Use::ask);
        if (!opened) return opened.error();
        database_.emplace(std::move(opened.value()));
    }
    database_->limit_ms(query_ms_max);
    auto asked = database_->prepare(
        "SELECT serial, position, arrival_ns, name, key, kind, severity, time_ns, since_ns, count, data, fate FROM "
        "alerts "
        "WHERE position >= ?1 AND (position > ?1 OR serial > ?2) ORDER BY position, serial LIMIT " +
        std::to_string(rows_max));
    if (!asked) return asked.error();
    Statement& row = asked.value();
    row.bind(cursor_.position).bind(cursor_.serial);
    Batch batch{{}, cursor_};
    const std::uint64_t oldest_ns = wall_now().value - std::min(wall_now().value, config_.keep_s * ns_per_second);
    while (batch.alerts.size() < batch_max) {
        const auto more = row.step();
        if (!more) return more.error();
        if (!more.value()) break;
        const auto number = [&](int column) { return static_cast<std::uint64_t>(row.number(column)); };
        const Cursor here{number(1), number(0)};
        if (batch.end.serial != 0 && here.serial > batch.end.serial + 1) {
            counters_.missed.add(here.serial - batch.end.serial - 1);
        }
        batch.end = here;
        const auto severity = severity_of(row.text(6));
        if (row.text(11) != analytics::text(analytics::Fate::told) || severity < config_.severity_min) continue;
        if (silences_ != nullptr && silences_->of(row.text(3), row.text(4), wall_now())) {
            counters_.silenced.add(1);
            continue;
        }
        if (number(2) < oldest_ns) {
            counters_.stale.add(1);
            continue;
        }
        batch.alerts.push_back({here.serial, here.position, number(2), std::string(row.text(3)),
                                std::string(row.text(4)), std::string(row.text(5)), severity, number(7), number(8),
                                number(9), std::string(row.text(10))});
    }
    return batch;
}

}  // namespace weir::central
