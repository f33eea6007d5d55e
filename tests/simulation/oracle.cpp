#include "tests/simulation/oracle.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "core/base/crc32c.hpp"
#include "core/journal/record.hpp"

namespace weir::sim {
namespace {

using Key = std::pair<std::string, std::uint64_t>;

std::string name(const Key& key) {
    return key.first + "#" + std::to_string(key.second);
}

void read_events(StoredBatch& batch, ConstBytes body, const std::map<std::string, Key>& junk) {
    if (batch.header.kind != wire::BatchKind::events) return;
    wire::for_each_frame(body, [&](const wire::FrameView& frame, std::uint32_t) {
        if (frame.header.kind == wire::FrameKind::dead_letter) {
            const ConstBytes original = frame.body.subspan(sizeof(wire::DeadLetterHead));
            const auto found = junk.find({reinterpret_cast<const char*>(original.data()), original.size()});
            batch.events.push_back(found == junk.end() ? Key{"unknown dead letter", 0} : found->second);
            return;
        }
        wire::EventView event;
        if (wire::verify_event(frame.body, event) != wire::Reason::none) {
            batch.events.emplace_back("no event", 0);
            return;
        }
        batch.events.emplace_back(std::string(event.source), std::stoull(std::string(event.id)));
    });
}

}  // namespace

std::vector<StoredBatch> read_batches(const Disk& disk, const std::string& directory,
                                      const std::vector<std::unique_ptr<SimProducer>>& producers) {
    std::map<std::string, Key> junk;
    for (const auto& producer : producers) {
        for (std::uint64_t number = 1; number <= producer->events.size(); ++number) {
            if (producer->events[number - 1].is_valid) continue;
            const auto bytes = producer->junk_of(number);
            junk[{reinterpret_cast<const char*>(bytes.data()), bytes.size()}] = {producer->options().name, number};
        }
    }
    std::vector<StoredBatch> batches;
    for (const auto& [path, inode] : disk.names()) {
        if (!path.starts_with(directory + "/") || !path.ends_with(".seg")) continue;
        if (path.find('/', directory.size() + 1) != std::string::npos) continue;  // set aside
        const ConstBytes file(inode->visible);
        if (file.size() < journal::segment_header_bytes) continue;
        const auto segment = wire::load<journal::SegmentHeader>(file);
        const std::uint64_t start = segment.segment_index * segment.segment_bytes;
        for (std::uint64_t at = journal::segment_header_bytes;
             at + sizeof(journal::RecordHeader) + sizeof(wire::BatchHeader) <= file.size();) {
            const auto record = wire::load<journal::RecordHeader>(file.subspan(at));
            const auto header = wire::load<wire::BatchHeader>(file.subspan(at + sizeof record));
            const bool is_record = record.magic == journal::record_magic && record.position == start + at &&
                                   record.crc == journal::record_crc(record, header) &&
                                   at + journal::record_bytes(record.batch_bytes) <= file.size();
            const ConstBytes body =
                is_record ? file.subspan(at + sizeof record + sizeof header, header.body_bytes) : ConstBytes{};
            if (!is_record || crc32c(0, body) != header.body_crc) {
                at = round_up(at + 1, journal::block_bytes);
                continue;
            }
            if (header.kind != wire::BatchKind::tick) {
                batches.push_back({.header = header, .position = record.position, .events = {}});
                read_events(batches.back(), body, junk);
            }
            at += journal::record_bytes(record.batch_bytes);
        }
    }
    return batches;
}

std::vector<StoredBatch> read_spool(const Disk& disk, const edge::EdgeConfig& config,
                                    const std::vector<std::unique_ptr<SimProducer>>& producers) {
    const std::string spool = edge::spool_directory(config.data_dir) + "/";
    std::set<std::string> directories;
    for (const auto& [path, inode] : disk.names()) {
        const auto end = path.find('/', spool.size());
        if (path.starts_with(spool) && end != std::string::npos) directories.insert(path.substr(0, end));
    }
    std::vector<StoredBatch> batches;
    for (const auto& directory : directories) {
        auto some = read_batches(disk, directory, producers);
        for (StoredBatch& batch : some) batch.directory = directory;
        batches.insert(batches.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
    }
    return batches;
}

std::vector<StoredBatch> Oracle::central_batches() const {
    auto batches = read_batches(central_.machine.disk, central::journal_directory(central_.config), producers_);
    auto letters = read_batches(central_.machine.disk, central::dead_letters_directory(central_.config), producers_);
    batches.insert(batches.end(), std::make_move_iterator(letters.begin()), std::make_move_iterator(letters.end()));
    return batches;
}

std::string Oracle::check_spooled(const EdgeNode& edge) const {
    std::set<Key> held;
    for (const auto& batch : read_spool(edge.machine.disk, edge.config, producers_)) {
        held.insert(batch.events.begin(), batch.events.end());
    }
    for (const auto& batch : central_batches()) held.insert(batch.events.begin(), batch.events.end());
    for (const auto& producer : producers_) {
        if (producer->options().to != edge.address() || producer->options().level == wire::AckLevel::received) continue;
        for (std::uint64_t number = 1; number <= producer->events.size(); ++number) {
            const Key key{producer->options().name, number};
            if (discarded_.contains(key) || losses_of_event(*producer, producer->events[number - 1]).any()) continue;
            if (producer->events[number - 1].fate != Sent::Fate::open && !held.contains(key)) {
                return "P1: " + name(key) + " was answered and is neither in the spool nor at central";
            }
        }
    }
    return {};
}

std::string Oracle::check_delivered() const {
    std::set<Key> held;
    for (const auto& batch : central_batches()) held.insert(batch.events.begin(), batch.events.end());
    for (const auto& producer : producers_) {
        if (producer->options().level != wire::AckLevel::delivered) continue;
        for (std::uint64_t number = 1; number <= producer->events.size(); ++number) {
            const Key key{producer->options().name, number};
            const Sent& event = producer->events[number - 1];
            if (discarded_.contains(key) || losses_of_event(*producer, event).any()) continue;
            if (event.is_valid && event.fate != Sent::Fate::open && !held.contains(key)) {
                return "P2: " + name(key) + " was answered as delivered and is not in central's journal";
            }
        }
    }
    return {};
}

std::string Oracle::find(const std::string& producer, std::uint64_t number) const {
    std::string text = producer + "#" + std::to_string(number) + ":";
    const auto look = [&](const std::string& directory, const std::vector<StoredBatch>& batches) {
        for (const auto& batch : batches) {
            if (std::find(batch.events.begin(), batch.events.end(), Key{producer, number}) == batch.events.end())
                continue;
            text += " " + directory + "@" + std::to_string(batch.position) + " lane " +
                    std::to_string(batch.header.lane) + " sequences " + std::to_string(batch.header.first_sequence) +
                    ".." + std::to_string(batch.header.last_sequence());
        }
    };
    for (const auto& directory :
         {central::journal_directory(central_.config), central::dead_letters_directory(central_.config)}) {
        look(directory, read_batches(central_.machine.disk, directory, producers_));
    }
    for (const auto& edge : edges_) {
        look(edge::spool_directory(edge->config.data_dir), read_spool(edge->machine.disk, edge->config, producers_));
    }
    for (const auto& one : producers_) {
        if (one->options().name == producer) {
            text += " fate " + std::to_string(static_cast<int>(one->events[number - 1].fate)) + " level " +
                    std::string(wire::text(one->options().level)) + (one->options().is_numbered ? " numbered" : "") +
                    (one->events[number - 1].is_valid ? "" : " invalid");
        }
    }
    return text;
}

void Oracle::central_is_restored() {
    for (const auto& batch : central_batches()) {
        const Stream stream = stream_of(batch.header);
        const Sequence first = batch.header.first_sequence, last = batch.header.last_sequence();
        for (Sequence sequence = first; sequence <= last; ++sequence) discarded_sequences_.insert({stream, sequence});
        for (const Key& key : batch.events) discarded_[key] = {stream, first, last};
    }
}

std::string Oracle::check_gap(const wire::BatchHeader& header) const {
    const Stream stream = stream_of(header);
    const std::string place = std::get<0>(stream) + " lane " + std::to_string(header.lane) + " sequences " +
                              std::to_string(header.first_sequence) + ".." + std::to_string(header.last_sequence());
    for (Sequence sequence = header.first_sequence; sequence <= header.last_sequence(); ++sequence) {
        if (!discarded_sequences_.contains({stream, sequence})) return "P7: a gap without a cause: " + place;
    }
    for (const auto& edge : edges_) {
        if (edge->config.edge_id != std::get<0>(stream)) continue;
        for (const auto& batch : read_spool(edge->machine.disk, edge->config, producers_)) {
            const bool is_same = stream_of(batch.header) == stream;
            const bool overlaps = batch.header.first_sequence <= header.last_sequence() &&
                                  batch.header.last_sequence() >= header.first_sequence;
            // What the edge had let go before it met this central may have come back with a power loss.
            const auto given_up = edge->given_up_before.find(batch.directory);
            const bool is_given_up = given_up != edge->given_up_before.end() && batch.position < given_up->second.value;
            if (is_same && overlaps && !is_given_up) {
                return "P7: a gap for what the spool still holds: " + place + ", of which " +
                       std::to_string(batch.header.first_sequence) + ".." +
                       std::to_string(batch.header.last_sequence()) + " lie at " + std::to_string(batch.position);
            }
        }
    }
    return {};
}

std::string Oracle::check_all() {
    const auto batches = central_batches();
    Counts counts, letters;
    std::set<std::pair<Stream, Sequence>> declared;
    for (const auto& batch : batches) {
        if (batch.header.kind == wire::BatchKind::gap) {
            const Stream stream = stream_of(batch.header);
            for (Sequence at = batch.header.first_sequence; at <= batch.header.last_sequence(); ++at)
                declared.insert({stream, at});
        }
        const bool is_letter = batch.header.lane == dead_letter_lane;
        for (const Key& key : batch.events) ++(is_letter ? letters : counts)[key];
    }
    if (auto wrong = take_given_up(batches); !wrong.empty()) return wrong;
    for (const auto& producer : producers_) {
        // `received` promises nothing beyond a crash; one that numbers its events learns what to send again.
        const bool may_lose = producer->options().level == wire::AckLevel::received && !producer->options().is_numbered;
        for (std::uint64_t number = 1; number <= producer->events.size(); ++number) {
            const Key key{producer->options().name, number};
            const Sent& event = producer->events[number - 1];
            ++judged_events;
            Counts& where = event.is_valid ? counts : letters;
            const std::uint32_t count = where[key];
            if (losses_of_event(*producer, event).any()) {
                if (auto wrong = check_lossy_event(*producer, number, count); !wrong.empty()) return wrong;
                where.erase(key);
                continue;
            }
            // An unnumbered dead letter has no identity: sent again, it is kept again.
            const bool may_repeat = !event.is_valid && !producer->options().is_numbered;
            const auto gone = discarded_.find(key);
            const bool is_declared = gone != discarded_.end() &&
                                     declared.contains({gone->second.stream, gone->second.first}) &&
                                     declared.contains({gone->second.stream, gone->second.last});
            if (count == 0 && !may_lose && !is_declared) return "P3: " + name(key) + " is lost";
            if (count > 1 && !may_repeat) return "P3: " + name(key) + " is stored " + std::to_string(count) + " times";
            where.erase(key);
        }
    }
    // No fault of a world rots what lies on a disk.
    for (const auto& edge : edges_) {
        for (const auto& [path, inode] : edge->machine.disk.names()) {
            if (path.find("/quarantine/") != std::string::npos) return "P9: a good segment was set aside: " + path;
        }
    }
    if (!counts.empty()) return "P3: stored, but never sent: " + name(counts.begin()->first);
    if (!letters.empty()) return "P13: a dead letter of a good event: " + name(letters.begin()->first);
    if (auto wrong = check_order(batches); !wrong.empty()) return wrong;
    if (auto wrong = check_missing(); !wrong.empty()) return wrong;
    if (auto wrong = check_accounts(batches); !wrong.empty()) return wrong;
    return check_ledger(batches);
}

std::string Oracle::check_order(const std::vector<StoredBatch>& batches) const {
    struct Lane {
        Sequence last = 0;
        std::uint32_t previous_crc = 0;
        bool is_after_gap = false;
        std::uint64_t epoch = 0;
        std::uint64_t shed_unsequenced = 0;
        std::map<std::string, std::uint64_t> numbers;
    };
    std::map<Stream, Lane> lanes;
    std::map<std::string, std::uint64_t> lineages;
    for (const auto& batch : batches) {
        const wire::BatchHeader& header = batch.header;
        const std::string edge(wire::name_of(header.edge_id));
        const std::string place =
            edge + " lane " + std::to_string(header.lane) + " sequence " + std::to_string(header.first_sequence);
        if (lineages.emplace(edge, header.lineage).first->second != header.lineage)
            return "P10: a second lineage of " + edge;
        const EdgeNode* node = edge_of(header);
        const LaneLosses losses = node == nullptr ? LaneLosses{} : losses_of_lane(*node, header);
        Lane& lane = lanes[stream_of(header)];
        if (header.first_sequence != lane.last + 1) {
            return "P4: " + place + " follows " + std::to_string(lane.last);
        }
        if (header.kind == wire::BatchKind::gap) {
            const bool is_policy = node != nullptr && node->watch != nullptr;
            if (auto wrong = is_policy ? check_policy_gap(header) : check_gap(header); !wrong.empty()) return wrong;
            lane.last = header.last_sequence();
            lane.is_after_gap = true;
            continue;
        }
        if (!lane.is_after_gap && header.previous_crc != lane.previous_crc)
            return "P4: " + place + " is chained to another batch";
        const bool is_new_life = std::exchange(lane.epoch, header.epoch) != header.epoch;
        // A number that was shed, or was in memory, and whose answer a crash took along comes after those behind it.
        // So does one that the other part of a live_first lane had not made durable: between its parts there is no order (P4), and what a crash
        // took from one may be sent again to the other.
        const bool has_parts = node != nullptr && has_two_parts(*node, header);
        if (is_new_life && (losses.at_intake || losses.by_crash || has_parts)) lane.numbers.clear();
        if (is_new_life && losses.by_crash) lane.shed_unsequenced = 0;
        const std::uint64_t shed = header.totals.shed_unsequenced(header.last_sequence());
        if (losses.at_intake && (header.totals.accepted < header.last_sequence() || shed < lane.shed_unsequenced)) {
            return "P6: " + place + " forgets what was shed";
        }
        lane.shed_unsequenced = shed;
        if (!losses.at_intake && header.totals.accepted != header.last_sequence() && header.lane != dead_letter_lane) {
            return "P6: " + place + " says that " + std::to_string(header.totals.accepted) + " were accepted, not " +
                   std::to_string(header.last_sequence());
        }
        lane.is_after_gap = false;
        lane.last = header.last_sequence();
        lane.previous_crc = header.header_crc;
        if (batch.events.size() != header.count) return "P6: " + place + " does not hold its count";
        for (const auto& producer : producers_) {
            if (!producer->options().is_numbered) continue;
            for (const Key& key : batch.events) {
                if (key.first != producer->options().name) continue;
                std::uint64_t& last = lane.numbers[key.first];
                if (key.second <= last && header.lane != dead_letter_lane) {
                    return "P4: " + name(key) + " comes after #" + std::to_string(last);
                }
                last = key.second;
            }
        }
    }
    return {};
}

std::string Oracle::check_ledger(const std::vector<StoredBatch>& batches) {
    std::map<std::tuple<std::string, LaneId, wire::Part>, std::uint64_t> stored;
    for (const auto& batch : batches) {
        if (batch.header.kind == wire::BatchKind::gap) continue;
        stored[{std::string(wire::name_of(batch.header.edge_id)), batch.header.lane, batch.header.part}] +=
            batch.header.count;
    }
    central::PositionTable& positions = central_.shared().positions;
    for (std::uint32_t index = 0; index < positions.row_count(); ++index) {
        const central::PositionRow& row = positions.row(index);
        const std::string place = std::string(wire::name_of(row.key.edge)) + " lane " + std::to_string(row.key.lane);
        if (row.received.get() != row.appended.get() + row.duplicates.get() + row.rejected.get()) {
            return "P6: central's equation does not hold for " + place;
        }
        const std::uint64_t count = stored[{std::string(wire::name_of(row.key.edge)), row.key.lane, row.key.part}];
        if (row.appended.get() != count) {
            return "P6: central counts " + std::to_string(row.appended.get()) + " of " + place + ", its journal has " +
                   std::to_string(count);
        }
    }
    for (const auto& edge : edges_) {
        const edge::IntakeCounters& intake = edge->counters().intake;
        if (intake.offered.get() != intake.accepted.get() + intake.duplicates.get() + intake.rejected.get()) {
            return "P6: " + edge->config.edge_id + ": offered " + std::to_string(intake.offered.get()) +
                   " is not accepted " + std::to_string(intake.accepted.get()) + " + duplicates " +
                   std::to_string(intake.duplicates.get()) + " + rejected " + std::to_string(intake.rejected.get());
        }
    }
    return {};
}

}  // namespace weir::sim
