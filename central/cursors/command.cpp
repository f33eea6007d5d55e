#include "central/cursors/command.hpp"

#include <charconv>
#include <optional>
#include <ostream>

#include "central/cursors/cursor_reader.hpp"
#include "central/cursors/cursor_store.hpp"
#include "central/recovery/recovery.hpp"
#include "core/base/json_scan.hpp"
#include "core/control/tool_output.hpp"

namespace weir::central {
namespace {

constexpr int exit_wrong = 2;

std::optional<std::uint64_t> place_of(const CentralConfig& config, const std::string& text) {
    if (text.empty() || text == "first") return 0;
    if (text == "end") {
        auto scanner = journal::Scanner::open(journal_directory(config), {});
        if (!scanner) return std::nullopt;
        std::uint64_t end = 0;
        while (const auto record = scanner.value().next()) end = record->end.value;
        return end;
    }
    std::uint64_t place = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), place);
    if (fault != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return place;
}

int list(const CursorStore& store, std::ostream& out, std::ostream& err) {
    const auto groups = store.list();
    if (!groups) {
        err << groups.error().what << "\n";
        return exit_wrong;
    }
    for (const CursorGroup& group : groups.value()) {
        std::string line =
            "{\"group\":\"" + group.name + "\",\"generation\":" + std::to_string(group.generation) + ",\"places\":[";
        for (std::size_t at = 0; at < group.places.size(); ++at) {
            line += (at > 0 ? "," : "") + std::to_string(group.places[at]);
        }
        line += "],\"consumers\":[";
        for (std::size_t at = 0; at < group.consumers.size(); ++at) {
            line += (at > 0 ? ",\"" : "\"") + group.consumers[at].name + "\"";
        }
        out << line << "]}\n";
    }
    return 0;
}

int read(const CentralConfig& config, const CursorStore& store, const CursorOptions& options, std::ostream& out_stream,
         std::ostream& err) {
    const auto group = store.load(options.group);
    if (!group || options.partition >= group.value().places.size()) {
        err << (group ? "there is no such partition" : group.error().what) << "\n";
        return exit_wrong;
    }
    PartitionQuestion question;
    question.place = group.value().places[options.partition];
    question.partition = options.partition;
    question.partitions = static_cast<std::uint32_t>(group.value().places.size());
    question.events_max = options.limit;
    control::Output out(out_stream);
    const auto done = read_partition(journal_directory(config), question, [&](const FoundEvent& found) {
        std::string extra = ",\"edge\":";
        json_quote(wire::name_of(found.batch.edge_id), extra);
        extra += ",\"sequence\":" + std::to_string(found.sequence);
        wire::append_event_json(found.event, extra, out.text());
        out.end_line();
    });
    if (!done) {
        err << done.error().what << "\n";
        return exit_wrong;
    }
    const PartitionRead& told = done.value();
    out.text() += "{\"place\":" + std::to_string(told.place) + ",\"events\":" + std::to_string(told.events) +
                  ",\"at_end\":" + (told.is_at_end ? "true" : "false");
    if (told.gap_to) out.text() += ",\"gap_to\":" + std::to_string(*told.gap_to);
    if (told.damaged > 0) out.text() += ",\"damaged\":" + std::to_string(told.damaged);
    out.text() += "}";
    out.end_line();
    return 0;
}

}  // namespace

int cursors_command(const CentralConfig& config, const CursorOptions& options, std::ostream& out, std::ostream& err) {
    CursorStore store(config.data_dir);
    if (options.verb == "ls") return list(store, out, err);
    if (options.verb == "read") return read(config, store, options, out, err);
    const auto place = place_of(config, options.place);
    if (!place) {
        err << "place: must be a number, \"first\" or \"end\"\n";
        return exit_wrong;
    }
    Status done = Error{0, "must be ls, make, read, commit or drop, not \"" + options.verb + "\""};
    if (options.verb == "make") done = store.make(options.group, options.partitions, *place);
    if (options.verb == "commit") done = store.set(options.group, options.partition, *place);
    if (options.verb == "drop") done = store.remove(options.group);
    if (done) return 0;
    err << done.error().what << "\n";
    return exit_wrong;
}

}  // namespace weir::central
