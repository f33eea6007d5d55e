// ResultBoard: the newest results of analytics, as GET /api/v1/stream tells them.
//
// Thread    The collector's; redefine(): any.
// Bounds    rows_max windows, per_name_max of a definition; anomalies_max; alerts_max. A look reads look_rows_max rows of a kind.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "central/analytics_config.hpp"
#include "central/api/stream_state.hpp"
#include "central/readmodel/database.hpp"
#include "central/sinks/silence_book.hpp"

namespace weir::central {

class ResultBoard {
  public:
    using List = std::shared_ptr<const StreamState::List>;
    static constexpr std::size_t windows_max = 2000;
    static constexpr std::size_t per_name_max = 240;
    static constexpr std::size_t anomalies_max = 200;
    static constexpr std::size_t alerts_max = 500;
    static constexpr std::uint64_t look_rows_max = 5000;
    static constexpr std::uint64_t query_ms_max = 500;

    explicit ResultBoard(std::string path) : path_(std::move(path)) {}
    void redefine(const AnalyticsConfig& config);
    // Reads what was committed since; a failure is tried again at the next look. `commits` has not moved: nothing is read.
    void look(std::uint64_t commits, const std::vector<Silence>& silences);
    // The same objects while nothing has changed.
    [[nodiscard]] List windows() const { return windows_list_; }
    [[nodiscard]] List anomalies() const { return anomalies_list_; }
    [[nodiscard]] List alerts() const { return alerts_list_; }
    [[nodiscard]] std::uint64_t rows() const { return rows_; }  // read, ever

  private:
    struct Row {
        std::string id, name, text;
    };
    struct Alert {
        std::uint64_t serial = 0;
        std::string name, key, state, severity, kind, fate;
        std::uint64_t since_ms = 0, time_ms = 0, arrival_ms = 0, count = 0;
    };
    struct Series {
        std::string window, of;
    };
    [[nodiscard]] Status read_windows();
    [[nodiscard]] Status read_anomalies();
    [[nodiscard]] Status read_alerts();
    [[nodiscard]] Result<Statement> newer(const std::string& columns, const std::string& table, std::uint64_t& last,
                                          const std::string& where);
    void forget();
    void list_windows();
    void list_alerts(const std::vector<Silence>& silences);

    std::string path_;
    std::optional<Database> database_;
    std::uint64_t commits_ = UINT64_MAX;
    std::uint64_t rows_ = 0;
    std::uint64_t window_serial_ = 0, anomaly_serial_ = 0, alert_serial_ = 0;
    bool windows_changed_ = false, alerts_changed_ = false;
    std::map<std::uint64_t, Row> windows_;             // by serial
    std::map<std::string, std::uint64_t> window_ids_;  // to the serial that counts
    std::map<std::uint64_t, std::string> anomalies_;   // text by serial
    std::map<std::pair<std::string, std::string>, Alert> alerts_;
    std::string silences_text_;
    List windows_list_ = std::make_shared<StreamState::List>();
    List anomalies_list_ = std::make_shared<StreamState::List>();
    List alerts_list_ = std::make_shared<StreamState::List>();
    std::mutex mutex_;
    std::map<std::string, Series, std::less<>> series_;  // by an anomaly's name
};

}  // namespace weir::central
