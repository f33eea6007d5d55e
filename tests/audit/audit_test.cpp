// The audit on journals as daemons leave them, and as somebody's hands left them afterwards.
#include <random>
#include <set>

#include "tests/audit/audit_bench.hpp"

namespace weir::central::audit {
namespace {

using Ranges = std::vector<Range>;

// The one fault of that kind: edge, lane and sequences must be the ones that were taken.
void expect_named(const Report& report, FaultKind kind, Range range) {
    for (const Fault& fault : report.faults) {
        if (fault.kind != kind || !fault.stream || !(fault.range == range)) continue;
        EXPECT_EQ(fault.stream->edge, "north");
        EXPECT_EQ(fault.stream->lineage, lineage);
        EXPECT_EQ(fault.lane_name, "main");
        return;
    }
    std::ostringstream out;
    print(report, false, out);
    ADD_FAILURE() << "not named: " << text(kind) << " " << range.first << ".." << range.last << " in\n" << out.str();
}

// FILE:OFFSET as the scan says it: behind the record before, whose block the next write group does not share.
bool is_place(const std::string& found, const std::string& place) {
    const auto colon = place.rfind(':');
    if (found.size() <= colon || found.compare(0, colon + 1, place, 0, colon + 1) != 0) return false;
    return round_up(std::stoull(found.substr(colon + 1)), journal::block_bytes) == std::stoull(place.substr(colon + 1));
}

void expect_place(const Report& report, FaultKind kind, const std::string& place) {
    for (const Fault& fault : report.faults) {
        if (fault.kind == kind && is_place(fault.place, place)) return;
    }
    std::ostringstream out;
    print(report, false, out);
    ADD_FAILURE() << "not named: " << text(kind) << " at " << place << " in\n" << out.str();
}

TEST_F(AuditBench, CleanJournalsAreAccounted) {
    LaneScript lane;
    for (int i = 0; i < 40; ++i) at_both(lane.events(3));  // several segments
    lay_out();
    store_central_checkpoint();
    store_edge_checkpoint(120);
    for (const bool with_edge : {false, true}) {
        const Report report = audit(with_edge);
        EXPECT_TRUE(report.is_accounted()) << text_of(report);
        EXPECT_TRUE(report.notes.empty()) << text_of(report);
        ASSERT_EQ(report.streams.size(), 1U);
        EXPECT_EQ(report.streams[0].events, 120U);
        EXPECT_EQ(report.streams[0].totals.accepted, 120U);
        EXPECT_EQ(report.streams[0].residue(), 0U);
        EXPECT_EQ(report.streams[0].has_spool, with_edge);
    }
}

// They are in central's journal, as dead letters of ingest: a term of their own, and no residue.
TEST_F(AuditBench, EventsThatCannotBeVerifiedAreCountedApartAndClose) {
    LaneScript lane;
    lane.poison = {2, 3, 9};
    at_both(lane.events(5));
    at_both(lane.events(5));
    at_edge(lane.events(2));
    lay_out();
    store_central_checkpoint();
    store_edge_checkpoint(10);
    const Report report = audit();
    EXPECT_TRUE(report.is_accounted()) << text_of(report);
    const StreamReport& one = report.streams.at(0);
    EXPECT_EQ(one.events, 7U);
    EXPECT_EQ(one.set_aside, (Ranges{{2, 3}, {9, 9}}));
    EXPECT_EQ(one.held, (Ranges{{11, 12}}));
    EXPECT_EQ(one.residue(), 0U);
    EXPECT_NE(text_of(report).find("set aside 3 (2..3 9..9)"), std::string::npos) << text_of(report);
    std::ostringstream json;
    print(report, true, json);
    EXPECT_NE(json.str().find("\"set_aside\":3,\"set_aside_ranges\":[[2,3],[9,9]]"), std::string::npos) << json.str();
}

TEST_F(AuditBench, HeldEventsAreNoFault) {
    LaneScript lane;
    at_both(lane.events(5));
    at_edge(lane.events(2));
    at_edge(lane.events(1));
    lay_out();
    store_central_checkpoint();
    store_edge_checkpoint(5);
    const Report report = audit();
    EXPECT_TRUE(report.is_accounted()) << text_of(report);
    EXPECT_EQ(report.streams.at(0).held, (Ranges{{6, 8}}));
    EXPECT_EQ(report.streams.at(0).residue(), 0U);
}

TEST_F(AuditBench, AnEventRemovedFromASpoolBeforeCentralHadItIsLostAndNamed) {
    LaneScript lane;
    at_both(lane.events(5));
    for (int i = 0; i < 3; ++i) at_edge(lane.events(1));
    lay_out();
    const std::string place = zero_record(spool(), 7);
    const Report report = audit();
    expect_named(report, FaultKind::lost, {7, 7});
    expect_place(report, FaultKind::damaged, place);
    EXPECT_NE(text_of(report).find("the next write group's place is offset 12288"), std::string::npos);
    EXPECT_EQ(report.streams.at(0).held, (Ranges{{6, 6}, {8, 8}}));
    EXPECT_EQ(report.streams.at(0).residue(), 1U);
}

TEST_F(AuditBench, AnEventRemovedFromASpoolThatCentralHasIsNamed) {
    LaneScript lane;
    for (int i = 0; i < 3; ++i) at_both(lane.events(1));
    lay_out();
    const std::string place = zero_record(spool(), 2);
    const Report report = audit();
    expect_named(report, FaultKind::missing_in_spool, {2, 2});
    expect_place(report, FaultKind::damaged, place);
    EXPECT_EQ(report.streams.at(0).residue(), 0U);
}

TEST_F(AuditBench, TheLastEventRemovedFromASpoolIsNamedWhenCentralKnowsIt) {
    LaneScript lane;
    for (int i = 0; i < 3; ++i) at_both(lane.events(1));
    lay_out();
    zero_record(spool(), 3);
    expect_named(audit(), FaultKind::missing_in_spool, {3, 3});
}

TEST_F(AuditBench, TheLastEventRemovedFromASpoolIsNamedWhenItsCheckpointKnowsIt) {
    LaneScript lane;
    at_both(lane.events(1));
    at_edge(lane.events(1));
    lay_out();
    store_edge_checkpoint(1);
    const std::string place = zero_record(spool(), 2);
    const Report report = audit();
    expect_named(report, FaultKind::lost, {2, 2});
    expect_place(report, FaultKind::checkpoint, place);
    EXPECT_EQ(report.streams.at(0).residue(), 1U);
}

TEST_F(AuditBench, AnEventRemovedFromCentralsJournalIsFoundAndNamed) {
    LaneScript lane;
    for (int i = 0; i < 4; ++i) at_both(lane.events(2));
    lay_out();
    const std::string place = zero_record(central_journal(), 3);
    for (const bool with_edge : {false, true}) {
        const Report report = audit(with_edge);
        expect_named(report, FaultKind::missing_at_central, {3, 4});
        expect_place(report, FaultKind::damaged, place);
        EXPECT_EQ(report.streams.at(0).events, 6U);
        EXPECT_EQ(report.streams.at(0).residue(), 2U);
    }
}

TEST_F(AuditBench, TheLastEventRemovedFromCentralsJournalIsNamedWhenItsCheckpointKnowsIt) {
    LaneScript lane;
    for (int i = 0; i < 3; ++i) at_central(lane.events(1));
    lay_out();
    store_central_checkpoint();
    zero_record(central_journal(), 3);
    expect_named(audit(false), FaultKind::missing_at_central, {3, 3});
}

TEST_F(AuditBench, TheLastEventRemovedFromCentralsJournalIsNamedWhenTheEdgeHadItsAck) {
    LaneScript lane;
    for (int i = 0; i < 3; ++i) at_both(lane.events(1));
    lay_out();
    store_edge_checkpoint(3);
    zero_record(central_journal(), 3);
    const Report report = audit();
    expect_named(report, FaultKind::missing_at_central, {3, 3});
    EXPECT_NE(text_of(report).find("spool still holds them"), std::string::npos) << text_of(report);
}

TEST_F(AuditBench, WhatIsLeftOfAJournalBehindACutIsFoundWithoutAnyCheckpoint) {
    LaneScript lane;
    for (int i = 0; i < 4; ++i) at_both(lane.events(1));
    lay_out();
    const std::string place = cut_out_group(central_journal(), 2);
    const Report alone = audit(false);
    expect_place(alone, FaultKind::damaged, place);
    expect_named(alone, FaultKind::missing_at_central, {2, 4});
    cut_out_group(spool(), 3);
    const Report both = audit();
    expect_named(both, FaultKind::missing_at_central, {2, 2});
    expect_named(both, FaultKind::missing_at_central, {3, 4});
    EXPECT_EQ(both.streams.at(0).residue(), 3U);
}

TEST_F(AuditBench, AMissingSegmentIsFoundAndItsSequencesAreNamed) {
    LaneScript lane;
    for (int i = 0; i < 40; ++i) at_central(lane.events(1));  // 15 records fill a segment
    lay_out();
    std::filesystem::remove(central_journal() + "/" + journal::segment_file_name(1));
    const Report report = audit(false);
    expect_named(report, FaultKind::missing_at_central, {16, 30});
    EXPECT_EQ(report.streams.at(0).residue(), 15U);
}

TEST_F(AuditBench, DuplicatesAreFoundAndNamed) {
    LaneScript lane;
    const Batch twice = lane.events(2);
    at_central(twice);
    at_central(lane.events(2));
    at_central(twice);
    lay_out();
    const Report report = audit(false);
    expect_named(report, FaultKind::duplicate, {1, 2});
    EXPECT_EQ(report.streams.at(0).duplicates, 2U);
    EXPECT_EQ(report.streams.at(0).events, 4U);
}

TEST_F(AuditBench, AGapIsAccountedForAlsoWithTheDamageThatItStandsFor) {
    LaneScript lane;
    at_both(lane.events(2));
    LaneScript lost = lane;
    at_edge(lane.events(3));
    at_central(lost.gap(3));
    at_both(lane.events(1));
    lay_out();
    const std::string place = zero_record(spool(), 3);
    const Report report = audit();
    EXPECT_TRUE(report.is_accounted()) << text_of(report);
    EXPECT_EQ(report.streams.at(0).gaps, (Ranges{{3, 5}}));
    EXPECT_EQ(report.streams.at(0).residue(), 0U);
    EXPECT_TRUE(std::any_of(report.notes.begin(), report.notes.end(), [&](const std::string& note) {
        return is_place(note.substr(0, note.find(": ")), place);
    })) << text_of(report);
}

TEST_F(AuditBench, WhatALanesPolicyGaveUpIsCountedByItsReasonWhetherCentralKnowsItYetOrNot) {
    LaneScript lane;
    at_both(lane.events(2));
    LaneScript shed = lane;
    at_edge(lane.events(3));
    at_central(shed.gap(3, wire::gap_shed));
    at_both(lane.events(1));
    LaneScript expired = lane;
    at_edge(lane.events(2));
    at_central(expired.gap(2, wire::gap_expired));
    at_edge(lane.events(4));
    at_edge(lane.events(1));
    lay_out();
    store_edge_checkpoint(8, 0, {.first_sequence = 9, .count = 4, .reason = wire::gap_shed});
    const Report report = audit();
    EXPECT_TRUE(report.is_accounted()) << text_of(report);
    const StreamReport& stream = report.streams.at(0);
    EXPECT_EQ(stream.gaps, Ranges{});
    EXPECT_EQ(stream.shed, (Ranges{{3, 5}, {9, 12}}));
    EXPECT_EQ(stream.expired, (Ranges{{7, 8}}));
    EXPECT_EQ(stream.held, (Ranges{{13, 13}})) << "what is given up is not held, though its bytes are still there";
    EXPECT_EQ(stream.residue(), 0U);
    EXPECT_NE(text_of(report).find("shed 7"), std::string::npos) << text_of(report);
}

TEST_F(AuditBench, ADamagedCheckpointIsNamedAndNoFault) {
    LaneScript lane;
    at_both(lane.events(2));
    lay_out();
    store_central_checkpoint();
    store_edge_checkpoint(2);
    for (const auto& path : {checkpoint_path(config) + ".1", edge_dir + "/spool-checkpoint.1"}) {
        auto content = journal::file_content(path);
        content.back() ^= std::byte{1};
        journal::put_file(path, content);
    }
    const Report report = audit();
    EXPECT_TRUE(report.is_accounted()) << text_of(report);
    EXPECT_NE(text_of(report).find("central-checkpoint.1: checksum does not match"), std::string::npos);
    EXPECT_NE(text_of(report).find("spool-checkpoint.1: checksum does not match"), std::string::npos);
}

TEST_F(AuditBench, ACheckpointAheadOfTheJournalIsAFault) {
    LaneScript lane;
    at_central(lane.events(1));
    at_central(lane.events(1));
    lay_out();
    store_central_checkpoint();
    zero_record(central_journal(), 2);
    const Report report = audit(false);
    EXPECT_TRUE(std::any_of(report.faults.begin(), report.faults.end(), [](const Fault& fault) {
        return fault.kind == FaultKind::checkpoint && !fault.place.empty();
    })) << text_of(report);
}

TEST_F(AuditBench, OtherEventsUnderTheSameSequencesAreNamed) {
    LaneScript lane;
    at_both(lane.events(2));
    LaneScript other = lane;
    other.epoch = 2;
    at_edge(lane.events(2));
    at_central(other.events(2));
    lay_out();
    expect_named(audit(), FaultKind::diverged, {3, 4});
}

TEST_F(AuditBench, TheCommandsExitCodeAndLinesSayWhatIsWrong) {
    LaneScript lane;
    for (int i = 0; i < 3; ++i) at_both(lane.events(1));
    lay_out();
    std::ostringstream good, bad, nothing, errors;
    EXPECT_EQ(audit_command(config, {edge_dir}, true, good, errors), 0);
    EXPECT_NE(good.str().find("\"kind\":\"sum\",\"accounted\":true"), std::string::npos) << good.str();
    zero_record(central_journal(), 2);
    EXPECT_EQ(audit_command(config, {edge_dir}, true, bad, errors), 1);
    EXPECT_NE(bad.str().find("\"fault\":\"missing-at-central\",\"edge\":\"north\",\"lineage\":\"0000000000000007\","
                             "\"lane\":\"main\",\"part\":\"live\",\"first_sequence\":2,\"last_sequence\":2"),
              std::string::npos)
        << bad.str();
    EXPECT_EQ(errors.str(), "");
    EXPECT_EQ(audit_command(config, {edge_dir + "/nowhere"}, false, nothing, errors), 2);
    EXPECT_NE(errors.str().find("nowhere"), std::string::npos) << errors.str();
}

// What no writer of a whole record can leave on a disk: the computation alone, on headers.
class AuditOfHeaders : public testing::Test {
  protected:
    AuditOfHeaders() {
        journal_ = audit_.add_journal("journal", false);
        spool_ = audit_.add_journal("spool", true);
    }
    void at_central(const wire::BatchHeader& header) {
        audit_.take(journal_, header, {.count = header.count}, next_place());
    }
    void at_edge(const wire::BatchHeader& header) {
        audit_.take(spool_, header, {.count = header.count}, next_place());
    }
    Position next_place() { return {place_ += 4096}; }

    Audit audit_;
    std::size_t journal_ = 0, spool_ = 0;
    std::uint64_t place_ = 0;
    LaneScript lane_;
};

TEST_F(AuditOfHeaders, ABodyWithAnEventLessThanItsHeaderSaysIsNamed) {
    const auto header = header_of(lane_.events(3));
    audit_.take(journal_, header, {.count = 2}, next_place());
    expect_named(audit_.close(), FaultKind::frames, {1, 3});
}

TEST_F(AuditOfHeaders, TotalsThatContradictTheSequencesOrShrinkAreNamed) {
    at_central(header_of(lane_.events(3)));
    auto wrong = lane_.header(2);
    wrong.totals.accepted = 4;
    at_central(header_of(lane_.seal(wrong, 2)));
    auto shrunk = lane_.header(2);
    shrunk.totals.rejected = 2;
    at_central(header_of(lane_.seal(shrunk, 2)));
    auto restarted = lane_.header(1);
    restarted.epoch = 2;
    restarted.totals.offered = 0;
    at_central(header_of(lane_.seal(restarted, 1)));
    const Report report = audit_.close();
    expect_named(report, FaultKind::totals, {4, 5});
    expect_named(report, FaultKind::totals, {6, 7});
    EXPECT_EQ(report.faults.size(), 2U);  // A crash may take back what no batch had carried: epoch 2 may begin lower.
}

TEST_F(AuditOfHeaders, WhatWasShedBeforeItHadASequenceIsPartOfTheAccountAndNeverShrinks) {
    at_central(header_of(lane_.events(3)));
    auto shed = lane_.header(2);
    shed.totals.accepted += 10;
    shed.totals.shed = 12;  // 10 without a sequence, and 2 of those that had one
    at_central(header_of(lane_.seal(shed, 2)));
    auto fewer = lane_.header(2);
    fewer.totals.accepted += 9;
    fewer.totals.shed = 12;
    at_central(header_of(lane_.seal(fewer, 2)));
    auto uncounted = lane_.header(2);
    uncounted.totals.accepted += 14;
    uncounted.totals.shed = 13;
    at_central(header_of(lane_.seal(uncounted, 2)));
    const Report report = audit_.close();
    expect_named(report, FaultKind::totals, {6, 7});
    expect_named(report, FaultKind::totals, {8, 9});
    EXPECT_EQ(report.faults.size(), 2U);
}

TEST_F(AuditOfHeaders, ABatchThatDoesNotChainToTheOneBeforeIsNamed) {
    at_central(header_of(lane_.events(1)));
    lane_.previous_crc ^= 1;
    at_central(header_of(lane_.events(2)));
    const Report report = audit_.close();
    expect_named(report, FaultKind::chain, {2, 3});
    EXPECT_EQ(report.faults.size(), 1U);
}

TEST_F(AuditOfHeaders, ACheckpointThatKnowsAnotherBatchThanTheJournalIsNamed) {
    const auto first = header_of(lane_.events(2));
    const auto second = header_of(lane_.events(2));
    for (const auto& header : {first, second}) {
        at_central(header);
        at_edge(header);
    }
    audit_.central_knows(key_of(first), "main", 2, first.header_crc ^ 1);
    audit_.edge_knows(spool_, key_of(second),
                      {.lane = 0,
                       .lane_name = "main",
                       .last_sequence = 4,
                       .delivered_sequence = 2,
                       .header_crc = second.header_crc ^ 1});
    const Report report = audit_.close();
    expect_named(report, FaultKind::checkpoint, {2, 2});
    expect_named(report, FaultKind::checkpoint, {4, 4});
    EXPECT_EQ(report.faults.size(), 2U);
}

TEST_F(AuditOfHeaders, WhatWasPromisedToALaneInMemoryIsCountedAsThatAndIsNoFault) {
    const auto first = header_of(lane_.events(5));
    at_central(first);
    EdgeLane edge{.lane = 0, .lane_name = "main", .last_sequence = 40, .delivered_sequence = 3};
    edge.in_memory = true;
    edge.given_up = {{.first_sequence = 11, .count = 10, .reason = wire::gap_shed}};
    audit_.edge_knows(std::nullopt, key_of(first), edge);
    const Report report = audit_.close();
    EXPECT_TRUE(report.is_accounted());
    ASSERT_EQ(report.streams.size(), 1U);
    EXPECT_EQ(report.streams[0].promised, (std::vector<Range>{{6, 10}, {21, 40}}));
    EXPECT_EQ(count_of(report.streams[0].shed), 10U);
    EXPECT_EQ(report.streams[0].residue(), 0U);
}

TEST_F(AuditOfHeaders, WhatALaneOnTheDiskKnowsAndNobodyHasIsLost) {
    const auto first = header_of(lane_.events(5));
    at_central(first);
    audit_.edge_knows(std::nullopt, key_of(first),
                      {.lane = 0, .lane_name = "main", .last_sequence = 40, .delivered_sequence = 3});
    expect_named(audit_.close(), FaultKind::lost, {6, 40});
}

TEST_F(AuditOfHeaders, SequencesThatComeBehindHigherOnesAreNamed) {
    const auto first = header_of(lane_.events(1));
    const auto second = header_of(lane_.events(1));
    at_central(second);
    at_central(first);
    expect_named(audit_.close(), FaultKind::order, {1, 1});
}

TEST_F(AuditOfHeaders, AHoleInDeliveredRecordsThatTheSpoolReleasedIsNoFault) {
    const auto released = header_of(lane_.events(5));
    const auto kept = header_of(lane_.events(5));
    at_central(released);
    at_central(kept);
    at_edge(kept);
    audit_.journal(spool_).kept_from = {8192};
    EXPECT_TRUE(audit_.close().is_accounted());
}

TEST_F(AuditOfHeaders, ARecordMissingBehindTheFrontOfATrimmedSpoolIsNamed) {
    const auto released = header_of(lane_.events(5));
    const auto kept = header_of(lane_.events(1));
    const auto taken = header_of(lane_.events(1));
    const auto last = header_of(lane_.events(1));
    for (const auto& header : {released, kept, taken, last}) at_central(header);
    at_edge(kept);
    at_edge(last);
    audit_.journal(spool_).kept_from = {8192};
    expect_named(audit_.close(), FaultKind::missing_in_spool, {7, 7});
}

TEST_F(AuditBench, WhatAnotherCentralHasIsAccountedApart) {
    LaneScript lane;
    at_central(lane.elsewhere(6));
    at_both(lane.events(2));  // 7 to 8
    at_edge(lane.events(3));  // 9 to 11: only the other one has acked them
    at_edge(lane.events(1));  // 12: held
    lay_out();
    store_edge_checkpoint(8, 11);
    const auto report = audit();
    EXPECT_TRUE(report.is_accounted());
    EXPECT_EQ(report.streams.at(0).elsewhere, (Ranges{{1, 6}, {9, 11}}));
    EXPECT_EQ(report.streams.at(0).gaps, Ranges{});
    EXPECT_EQ(report.streams.at(0).held, (Ranges{{12, 12}}));
    EXPECT_EQ(report.streams.at(0).events, 2U);
}

TEST_F(AuditBench, WhatThisCentralHadAckedIsMissingWhateverOthersHave) {
    LaneScript lane;
    at_both(lane.events(2));
    at_edge(lane.events(3));
    at_edge(lane.events(1));
    lay_out();
    store_edge_checkpoint(5, 6);
    const auto report = audit();
    ASSERT_FALSE(report.is_accounted());
    EXPECT_EQ(report.streams.at(0).missing, (Ranges{{3, 5}}));
    EXPECT_EQ(report.streams.at(0).elsewhere, (Ranges{{6, 6}}));
}

TEST_F(AuditOfHeaders, WhatCentralGotWhileTheAuditReadIsNoFault) {
    const auto first = header_of(lane_.events(1));
    const auto second = header_of(lane_.events(1));
    at_edge(first);
    at_central(first);
    audit_.central_was_read();
    at_central(second);  // The spool had it before, but was not read again behind it.
    EXPECT_TRUE(audit_.close().is_accounted());
}

TEST(EdgeCheckpoint, ReadsWhatTheEdgeWrites) {
    edge::SpoolCheckpoint written;
    written.lineage = 77;
    edge::SpoolLane lane;
    lane.journal.durable_end = {4096 * 9};
    ASSERT_TRUE(lane.marks.restore({.position = {4096}, .last_sequence = 45, .running_ms = 1}));
    lane.given_up[0] = {.first_sequence = 41, .count = 3, .reason = wire::gap_expired};
    lane.state.id = 3;
    lane.state.name = "bulk";
    lane.state.last_sequence = 50;
    lane.state.delivered_sequence = 40;
    lane.state.previous_crc = 0xabc;
    written.lanes = {lane, lane};
    written.lanes[1].state.id = dead_letter_lane;
    written.lanes[1].state.part = wire::Part::backlog;
    written.centrals = {.identities = {7, 9}, .count = 2};
    written.lanes[0].acked_by = {11, 12};
    written.lanes[1].acked_by = {13, 14};
    const auto content = edge::encode(written);
    const auto read = decode_edge_checkpoint(content);
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->lineage, 77U);
    ASSERT_EQ(read->lanes.size(), 2U);
    EXPECT_EQ(read->lanes[0].durable.value, 4096U * 9);
    EXPECT_EQ(read->lanes[1].part, wire::Part::backlog);
    ASSERT_EQ(read->lanes[0].given_up.size(), 1U);
    EXPECT_EQ(read->lanes[0].given_up[0].first_sequence, 41U);
    EXPECT_EQ(read->lanes[0].given_up[0].count, 3U);
    EXPECT_EQ(read->lanes[0].given_up[0].reason, wire::gap_expired);
    EXPECT_EQ(read->lanes[0].lane, 3);
    EXPECT_EQ(read->lanes[0].lane_name, "bulk");
    EXPECT_EQ(read->lanes[0].last_sequence, 50U);
    EXPECT_EQ(read->lanes[0].delivered_sequence, 40U);
    EXPECT_EQ(read->lanes[0].header_crc, 0xabcU);
    EXPECT_EQ(read->lanes[1].lane, dead_letter_lane);
    ASSERT_EQ(read->lanes[1].acks.size(), 2U);
    EXPECT_EQ(read->lanes[0].acks[1].identity, 9U);
    EXPECT_EQ(read->lanes[0].acks[1].last_sequence, 12U);
    EXPECT_EQ(read->lanes[1].acks[0].last_sequence, 13U);
    EXPECT_FALSE(decode_edge_checkpoint(ConstBytes(content).first(content.size() - 1)).has_value());
}

TEST(RangeSet, IsAsASetOfNumbers) {
    std::mt19937_64 random(11);
    for (int round = 0; round < 200; ++round) {
        RangeSet ranges;
        std::set<Sequence> model;
        for (int step = 0; step < 30; ++step) {
            const Sequence first = 1 + random() % 60;
            const Range range{first, first + random() % 8};
            std::uint64_t again = 0;
            for (Sequence one = range.first; one <= range.last; ++one) again += model.insert(one).second ? 0U : 1U;
            ASSERT_EQ(count_of(ranges.add(range)), again);
            ASSERT_EQ(ranges.count(), model.size());
            ASSERT_EQ(ranges.first(), *model.begin());
            ASSERT_EQ(ranges.last(), *model.rbegin());
        }
        const auto all = ranges.all();
        for (std::size_t i = 1; i < all.size(); ++i) ASSERT_GT(all[i].first, all[i - 1].last + 1);  // They never touch.
        Sequence next = 1;
        for (const Range& range : ranges.missing({1, 80})) {
            for (; next < range.first; ++next) ASSERT_TRUE(model.contains(next));
            for (; next <= range.last; ++next) ASSERT_FALSE(model.contains(next));
        }
        for (; next <= 80; ++next) ASSERT_TRUE(model.contains(next));
    }
}

}  // namespace
}  // namespace weir::central::audit
