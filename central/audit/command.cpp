#include "central/audit/command.hpp"

#include <cstdio>

#include "central/audit/reader.hpp"
#include "core/base/json_scan.hpp"

namespace weir::central::audit {
namespace {

std::string hex(std::uint64_t value) {
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
    return text;
}

// An object of one line, member by member.
class JsonLine {
  public:
    JsonLine& text(const char* name, std::string_view value) {
        begin(name);
        json_quote(value, line_);
        return *this;
    }
    JsonLine& number(const char* name, std::uint64_t value) {
        begin(name);
        line_ += std::to_string(value);
        return *this;
    }
    JsonLine& flag(const char* name, bool value) {
        begin(name);
        line_ += value ? "true" : "false";
        return *this;
    }
    JsonLine& ranges(const char* name, const std::vector<Range>& ranges) {
        begin(name);
        line_ += "[";
        for (const Range& range : ranges) {
            if (line_.back() == ']') line_ += ",";
            line_ += "[" + std::to_string(range.first) + "," + std::to_string(range.last) + "]";
        }
        line_ += "]";
        return *this;
    }
    JsonLine& stream(const StreamKey& key, std::string_view lane_name) {
        text("edge", key.edge).text("lineage", hex(key.lineage)).text("lane", lane_name);
        return text("part", key.part == wire::Part::live ? "live" : "backlog");
    }
    [[nodiscard]] std::string end() const { return line_ + "}\n"; }

  private:
    void begin(const char* name) {
        line_ += line_.size() == 1 ? "\"" : ",\"";
        line_ += name;
        line_ += "\":";
    }
    std::string line_ = "{";
};

std::string stream_text(const StreamKey& key, std::string_view lane_name) {
    std::string text = "edge " + key.edge + "  lineage " + hex(key.lineage) + "  lane ";
    text += lane_name;
    return text + (key.part == wire::Part::live ? "" : " (backlog)");
}

// "3 (5..7)", the ranges only where there are any, at most so many of them.
std::string ranges_text(const std::vector<Range>& ranges) {
    constexpr std::size_t shown_max = 8;
    std::string text = std::to_string(count_of(ranges));
    if (ranges.empty()) return text;
    text += " (";
    for (std::size_t i = 0; i < ranges.size() && i < shown_max; ++i) {
        text += (i == 0 ? "" : " ") + std::to_string(ranges[i].first) + ".." + std::to_string(ranges[i].last);
    }
    return text + (ranges.size() > shown_max ? " ...)" : ")");
}

bool is_dead_lane(const StreamReport& one) {
    return one.key.lane == dead_letter_lane;
}

std::string stream_line(const StreamReport& one, bool json) {
    const wire::LedgerTotals& totals = one.totals;
    if (json) {
        JsonLine line;
        line.text("kind", "stream").stream(one.key, one.lane_name);
        line.number("events", is_dead_lane(one) ? 0 : one.events)
            .number("dead_letters", is_dead_lane(one) ? one.events : 0);
        line.number("set_aside", count_of(one.set_aside)).ranges("set_aside_ranges", one.set_aside);
        line.number("batches", one.batches).number("gap", count_of(one.gaps)).ranges("gap_ranges", one.gaps);
        line.number("shed", count_of(one.shed)).ranges("shed_ranges", one.shed);
        line.number("expired", count_of(one.expired));
        line.number("elsewhere", count_of(one.elsewhere)).ranges("elsewhere_ranges", one.elsewhere);
        line.number("duplicates", one.duplicates);
        line.number("missing", count_of(one.missing)).ranges("missing_ranges", one.missing);
        line.number("last_sequence", one.last_sequence).number("known_sequence", one.known_sequence);
        line.flag("spool_read", one.has_spool).number("held", count_of(one.held)).ranges("held_ranges", one.held);
        line.number("promised", count_of(one.promised)).ranges("promised_ranges", one.promised);
        line.number("spool_first_sequence", one.spool_first_sequence);
        line.number("spool_last_sequence", one.spool_last_sequence);
        line.number("edge_accepted", totals.accepted).number("edge_offered", totals.offered);
        line.number("edge_duplicates", totals.duplicates).number("edge_rejected", totals.rejected);
        line.number("edge_dead_lettered", totals.dead_lettered).number("edge_shed", totals.shed);
        line.number("edge_expired", totals.expired).number("edge_gap", totals.gap);
        return line.number("residue", one.residue()).end();
    }
    const auto plain = [](const char* name, std::uint64_t value) {
        return std::string("  ") + name + " " + std::to_string(value);
    };
    std::string text = stream_text(one.key, one.lane_name);
    text += plain(is_dead_lane(one) ? "dead letters" : "events", one.events) + plain("batches", one.batches);
    if (!one.set_aside.empty()) text += "  set aside " + ranges_text(one.set_aside);
    text += "  gap " + ranges_text(one.gaps);
    if (!one.shed.empty()) text += "  shed " + ranges_text(one.shed);
    if (!one.expired.empty()) text += "  expired " + ranges_text(one.expired);
    text += plain("duplicates", one.duplicates);
    if (!one.elsewhere.empty()) text += "  elsewhere " + ranges_text(one.elsewhere);
    text += "  missing " + ranges_text(one.missing);
    text += one.has_spool ? "  held " + ranges_text(one.held) : "  held ?";
    if (!one.promised.empty()) text += "  in memory or lost with it " + ranges_text(one.promised);
    text += plain("residue", one.residue()) + "\n    the edge's totals: accepted " + std::to_string(totals.accepted);
    text += plain("offered", totals.offered) + plain("duplicates", totals.duplicates);
    text += plain("rejected", totals.rejected) + plain("dead-lettered", totals.dead_lettered);
    text += plain("shed", totals.shed) + plain("expired", totals.expired) + plain("gap", totals.gap);
    if (one.spool_last_sequence > 0) {
        text += "; its spool keeps " + std::to_string(one.spool_first_sequence) + ".." +
                std::to_string(one.spool_last_sequence);
    }
    return text + "\n";
}

std::string fault_line(const Fault& fault, bool json) {
    if (json) {
        JsonLine line;
        line.text("kind", "fault").text("fault", text(fault.kind));
        if (fault.stream) {
            line.stream(*fault.stream, fault.lane_name);
            line.number("first_sequence", fault.range.first).number("last_sequence", fault.range.last);
        }
        return line.text("place", fault.place).text("what", fault.what).end();
    }
    std::string line = "FAULT " + std::string(text(fault.kind)) + ": ";
    if (fault.stream) {
        line += stream_text(*fault.stream, fault.lane_name) + "  sequences " + std::to_string(fault.range.first) +
                ".." + std::to_string(fault.range.last) + " (" + std::to_string(fault.range.count()) + ")";
        if (!fault.place.empty()) line += ", " + fault.place;
    } else {
        line += fault.place;
    }
    return line + ": " + fault.what + "\n";
}

std::string sum_line(const Report& report, bool json) {
    std::uint64_t events = 0, letters = 0, gap = 0, elsewhere = 0, duplicates = 0, missing = 0, held = 0, expired = 0,
                  shed = 0, set_aside = 0, promised = 0;
    for (const StreamReport& one : report.streams) {
        (is_dead_lane(one) ? letters : events) += one.events;
        set_aside += count_of(one.set_aside);
        gap += count_of(one.gaps);
        elsewhere += count_of(one.elsewhere);
        duplicates += one.duplicates;
        missing += count_of(one.missing);
        held += count_of(one.held);
        promised += count_of(one.promised);
        expired += count_of(one.expired);
        shed += count_of(one.shed);
    }
    if (json) {
        JsonLine line;
        line.text("kind", "sum").flag("accounted", report.is_accounted()).number("records", report.records);
        line.number("events", events).number("dead_letters", letters).number("gap", gap).number("held", held);
        line.number("set_aside", set_aside)
            .number("shed", shed)
            .number("expired", expired)
            .number("elsewhere", elsewhere)
            .number("promised", promised);
        line.number("duplicates", duplicates).number("missing", missing).number("faults", report.faults.size());
        return line.number("residue", missing).end();
    }
    const auto plain = [](const char* name, std::uint64_t value) {
        return std::string("  ") + name + " " + std::to_string(value);
    };
    return std::string(report.is_accounted() ? "accounted:" : "NOT ACCOUNTED:") + plain("events", events) +
           plain("dead letters", letters) + (set_aside > 0 ? plain("set aside", set_aside) : "") + plain("gap", gap) +
           (elsewhere > 0 ? plain("elsewhere", elsewhere) : "") + (shed > 0 ? plain("shed", shed) : "") +
           (expired > 0 ? plain("expired", expired) : "") + plain("held", held) +
           (promised > 0 ? plain("in memory or lost with it", promised) : "") + plain("duplicates", duplicates) +
           plain("missing", missing) + plain("faults", report.faults.size()) + plain("residue", missing) + "\n";
}

}  // namespace

void print(const Report& report, bool json, std::ostream& out) {
    for (const StreamReport& one : report.streams) out << stream_line(one, json);
    for (const auto& note : report.notes) {
        out << (json ? JsonLine().text("kind", "note").text("what", note).end() : "note: " + note + "\n");
    }
    for (const Fault& fault : report.faults) out << fault_line(fault, json);
    out << sum_line(report, json);
    out.flush();
}

int audit_command(const CentralConfig& config, const std::vector<std::string>& edge_dirs, bool json, std::ostream& out,
                  std::ostream& err) {
    const auto report = read_and_audit(config, edge_dirs);
    if (!report) {
        err << report.error().what << "\n";
        return 2;
    }
    print(report.value(), json, out);
    return report.value().is_accounted() ? 0 : 1;
}

}  // namespace weir::central::audit
