#include "core/control/journal_tools.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <vector>

#include "core/base/json_scan.hpp"
#include "core/base/time_text.hpp"
#include "core/control/tool_output.hpp"
#include "core/journal/scan.hpp"
#include "core/wire/event.hpp"
#include "core/wire/verdict.hpp"

namespace weir::control {
namespace {

using journal::RecordView;

struct SegmentTotals {
    std::uint64_t records = 0, events = 0, bytes = 0, first_position = 0, end_position = 0;
    std::uint64_t first_wall_ns = 0, last_wall_ns = 0;

    void add(const RecordView& record) {
        if (records++ == 0) {
            first_position = record.position.value;
            first_wall_ns = record.header.arrival_wall_ns;
        }
        end_position = record.end.value;
        last_wall_ns = record.header.arrival_wall_ns;
        if (record.batch_header.kind == wire::BatchKind::events) events += record.batch_header.count;
        bytes += record.end.value - record.position.value;
    }
};

void print_segment(const journal::SegmentInfo& info, const SegmentTotals& totals, bool json, Output& out) {
    std::string& text = out.text();
    if (json) {
        text += "{\"file\":";
        json_quote(info.path, text);
        text += ",\"segment\":" + number(info.header.segment_index) +
                ",\"first_position\":" + number(totals.first_position) +
                ",\"end_position\":" + number(totals.end_position) + ",\"records\":" + number(totals.records) +
                ",\"events\":" + number(totals.events) + ",\"bytes\":" + number(totals.bytes);
        if (totals.records > 0) {
            text += ",\"first_time\":\"" + format_time({totals.first_wall_ns}) + "\",\"last_time\":\"" +
                    format_time({totals.last_wall_ns}) + "\"";
        }
        text += "}";
    } else {
        text += info.path + "  positions " + number(totals.first_position) + ".." + number(totals.end_position) +
                "  records " + number(totals.records) + "  events " + number(totals.events) + "  bytes " +
                number(totals.bytes);
        if (totals.records > 0) {
            text += "  " + format_time({totals.first_wall_ns}) + " .. " + format_time({totals.last_wall_ns});
        }
    }
    out.end_line();
}

int list_journals(const std::vector<std::string>& paths, bool json, std::ostream& out_stream, std::ostream& err) {
    Output out(out_stream);
    std::map<std::pair<std::string, std::uint64_t>, SegmentTotals> totals;
    std::map<std::string, journal::SegmentList> lists;
    for (const auto& path : paths) {
        if (auto listed = journal::list_segments(path)) lists.emplace(path, std::move(listed.value()));
    }
    const int code = scan_all(paths, err, [&](const std::string& path, const RecordView& record) {
        const auto& segments = lists[path].segments;
        if (segments.empty()) return true;
        totals[{path, record.position.value / segments.front().header.segment_bytes}].add(record);
        return true;
    });
    for (const auto& [path, list] : lists) {
        for (const auto& info : list.segments) {
            print_segment(info, totals[{path, info.header.segment_index}], json, out);
        }
    }
    return code;
}

void print_event(const wire::BatchHeader& batch, const wire::FrameView& frame, Sequence sequence, std::string& extra,
                 bool json, Output& out) {
    std::string& text = out.text();
    wire::EventView event;
    const wire::Reason reason = wire::verify_event(frame.body, event);
    if (!json) {
        text.append(wire::name_of(batch.edge_id)).append(" ").append(wire::name_of(batch.lane_name));
        text += batch.part == wire::Part::backlog ? " backlog " : " ";
        text += number(sequence) + " ";
        if (reason == wire::Reason::none) {
            text += event.time.value == 0 ? std::string("-") : format_time(event.time);
            text.append(" ")
                .append(event.source)
                .append(" ")
                .append(event.type)
                .append(" ")
                .append(event.id)
                .append(" ");
            append_printable(event.payload, text);
        } else {
            text.append("unreadable: ").append(wire::text(reason));
        }
        return out.end_line();
    }
    const std::size_t fixed = extra.size();
    extra += number(sequence);
    if (reason == wire::Reason::none) {
        wire::append_event_json(event, extra, text);
    } else {
        text.append("{\"unreadable\":\"").append(wire::text(reason)).append("\",\"base64\":\"");
        append_base64(frame.body, text);
        text.append("\"").append(extra).append("}");
    }
    extra.resize(fixed);
    out.end_line();
}

int cat_journals(const std::vector<std::string>& paths, bool json, std::ostream& out_stream, std::ostream& err) {
    Output out(out_stream);
    std::string extra;
    bool is_all_readable = true;
    const int code = scan_all(paths, err, [&](const std::string&, const RecordView& record) {
        const wire::BatchHeader& batch = record.batch_header;
        if (batch.kind != wire::BatchKind::events) return out.is_good();
        if (!is_plain(record)) {
            err << "position " << record.position.value << ": compressed or encrypted, not shown\n";
            is_all_readable = false;
            return out.is_good();
        }
        extra = ",\"edge\":";
        json_quote(wire::name_of(batch.edge_id), extra);
        extra += ",\"lane\":";
        json_quote(wire::name_of(batch.lane_name), extra);
        if (batch.part == wire::Part::backlog) extra += ",\"part\":\"backlog\"";
        extra += ",\"sequence\":";
        wire::for_each_frame(record.body(), [&](const wire::FrameView& frame, std::uint32_t index) {
            if (frame.header.kind != wire::FrameKind::event) return;
            print_event(batch, frame, batch.first_sequence + index, extra, json, out);
        });
        return out.is_good();
    });
    return is_all_readable ? code : 1;
}

using StreamKey =
    std::tuple<std::string, std::string, std::uint64_t, LaneId, wire::Part>;  // journal, edge, lineage, lane, part

struct StreamState {
    std::string lane_name;
    Sequence first = 0, last = 0;
    std::uint64_t events = 0, gap = 0;
    bool is_cut = false;  // something was released beside us since `last`
};

struct Verification {
    std::map<StreamKey, StreamState> streams;
    std::uint64_t records = 0, events = 0, bytes = 0, breaks = 0;

    void add(const std::string& path, const RecordView& record, std::ostream& err);
};

void Verification::add(const std::string& path, const RecordView& record, std::ostream& err) {
    const wire::BatchHeader& batch = record.batch_header;
    ++records;
    bytes += record.end.value - record.position.value;
    if (record.is_after_trim) {
        for (auto& [key, known] : streams) known.is_cut = known.is_cut || std::get<0>(key) == path;
    }
    if (batch.kind == wire::BatchKind::tick || batch.count == 0) return;
    StreamState& stream =
        streams[{path, std::string(wire::name_of(batch.edge_id)), batch.lineage, batch.lane, batch.part}];
    if (stream.last == 0) {
        stream.lane_name = wire::name_of(batch.lane_name);
        stream.first = batch.first_sequence;
    } else if (!std::exchange(stream.is_cut, false) && batch.first_sequence != stream.last + 1) {
        ++breaks;
        err << path << ": position " << record.position.value << ": edge " << wire::name_of(batch.edge_id) << " lane "
            << wire::name_of(batch.lane_name) << " goes on with sequence " << batch.first_sequence << " after "
            << stream.last << "\n";
    }
    stream.last = batch.last_sequence();
    if (batch.kind == wire::BatchKind::events) {
        stream.events += batch.count;
        events += batch.count;
    } else {
        stream.gap += batch.count;
    }
}

int verify_journals(const std::vector<std::string>& paths, bool json, std::ostream& out_stream, std::ostream& err) {
    Verification sums;
    const int code = scan_all(paths, err, [&](const std::string& path, const RecordView& record) {
        sums.add(path, record, err);
        return true;
    });
    const bool is_whole = code == 0 && sums.breaks == 0;
    Output out(out_stream);
    std::string& text = out.text();
    for (const auto& [key, stream] : sums.streams) {
        const auto& [path, edge, lineage, lane, part] = key;
        if (json) {
            text += "{\"journal\":";
            json_quote(path, text);
            text += ",\"edge\":";
            json_quote(edge, text);
            text += ",\"lineage\":\"";
            append_hex(lineage, 16, text);
            text += "\",\"lane\":";
            json_quote(stream.lane_name, text);
            text += std::string(",\"part\":\"") + (part == wire::Part::live ? "live" : "backlog") +
                    "\",\"first_sequence\":" + number(stream.first) + ",\"last_sequence\":" + number(stream.last) +
                    ",\"events\":" + number(stream.events) + ",\"gap\":" + number(stream.gap) + "}";
        } else {
            text += path + "  edge " + edge + "  lineage ";
            append_hex(lineage, 16, text);
            text += "  lane " + stream.lane_name + (part == wire::Part::live ? "" : " (backlog)") + "  sequences " +
                    number(stream.first) + ".." + number(stream.last) + "  events " + number(stream.events) + "  gap " +
                    number(stream.gap);
        }
        out.end_line();
    }
    if (json) {
        text += std::string("{\"whole\":") + (is_whole ? "true" : "false") + ",\"records\":" + number(sums.records) +
                ",\"events\":" + number(sums.events) + ",\"bytes\":" + number(sums.bytes) +
                ",\"sequence_breaks\":" + number(sums.breaks) + "}";
    } else {
        text += std::string(is_whole ? "whole" : "DAMAGED") + ": records " + number(sums.records) + "  events " +
                number(sums.events) + "  bytes " + number(sums.bytes) + "  sequence breaks " + number(sums.breaks);
    }
    out.end_line();
    return is_whole ? 0 : 1;
}

}  // namespace

int journal_command(std::string_view verb, const std::string& directory, bool json, std::ostream& out,
                    std::ostream& err) {
    const bool wants_events_only = verb == "cat";
    const auto paths = wants_events_only ? journals_of(directory, {"spool", "journal"})
                                         : journals_of(directory, {"spool", "journal", "dead-letters"});
    if (verb != "ls" && verb != "cat" && verb != "verify") {
        err << "journal: unknown verb '" << verb << "' (ls, cat, verify)\n";
        return 2;
    }
    if (!holds_any(directory, {"spool", "journal", "dead-letters"})) {
        err << directory << ": holds no journal (no spool, journal or dead-letters directory)\n";
        return 2;
    }
    if (verb == "ls") return list_journals(paths, json, out, err);
    if (verb == "cat") return cat_journals(paths, json, out, err);
    return verify_journals(paths, json, out, err);
}

}  // namespace weir::control
