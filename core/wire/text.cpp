// The names of every enum of the wire: for logs, metrics, tools and people. Never parsed back.
#include "core/wire/batch.hpp"
#include "core/wire/control.hpp"
#include "core/wire/splitter.hpp"
#include "core/wire/status.hpp"
#include "core/wire/verdict.hpp"

namespace weir::wire {
namespace {
constexpr std::string_view unknown = "unknown";
}  // namespace

bool is_known(FrameKind kind) noexcept {
    return text(kind).data() != unknown.data();
}

std::string_view text(FrameKind kind) noexcept {
    switch (kind) {
        case FrameKind::event:
            return "event";
        case FrameKind::dead_letter:
            return "dead_letter";
        case FrameKind::producer_hello:
            return "producer_hello";
        case FrameKind::producer_welcome:
            return "producer_welcome";
        case FrameKind::producer_ack:
            return "producer_ack";
        case FrameKind::refusal:
            return "refusal";
        case FrameKind::goodbye:
            return "goodbye";
        case FrameKind::ping:
            return "ping";
        case FrameKind::pong:
            return "pong";
        case FrameKind::edge_hello:
            return "edge_hello";
        case FrameKind::edge_welcome:
            return "edge_welcome";
        case FrameKind::batch:
            return "batch";
        case FrameKind::edge_ack:
            return "edge_ack";
        case FrameKind::credit:
            return "credit";
        case FrameKind::status_ask:
            return "status_ask";
        case FrameKind::edge_status:
            return "edge_status";
        case FrameKind::table_offers:
            return "table_offers";
        case FrameKind::table_pull:
            return "table_pull";
        case FrameKind::table_chunk:
            return "table_chunk";
        case FrameKind::row_ask:
            return "row_ask";
        case FrameKind::row_answer:
            return "row_answer";
        case FrameKind::table_changed:
            return "table_changed";
    }
    return unknown;
}

std::string_view text(BatchKind kind) noexcept {
    switch (kind) {
        case BatchKind::events:
            return "events";
        case BatchKind::gap:
            return "gap";
        case BatchKind::tick:
            return "tick";
    }
    return unknown;
}

std::string_view text(Part part) noexcept {
    switch (part) {
        case Part::live:
            return "live";
        case Part::backlog:
            return "backlog";
    }
    return unknown;
}

std::string_view text(BatchFault fault) noexcept {
    switch (fault) {
        case BatchFault::none:
            return "none";
        case BatchFault::short_header:
            return "short_header";
        case BatchFault::magic:
            return "magic";
        case BatchFault::version:
            return "version";
        case BatchFault::header_crc:
            return "header_crc";
        case BatchFault::bytes:
            return "bytes";
        case BatchFault::body_crc:
            return "body_crc";
        case BatchFault::frame:
            return "frame";
        case BatchFault::names:
            return "names";
    }
    return unknown;
}

std::string_view text(AckLevel level) noexcept {
    switch (level) {
        case AckLevel::received:
            return "received";
        case AckLevel::spooled:
            return "spooled";
        case AckLevel::delivered:
            return "delivered";
    }
    return unknown;
}

std::string_view text(AckStatus status) noexcept {
    switch (status) {
        case AckStatus::accepted:
            return "accepted";
        case AckStatus::duplicate:
            return "duplicate";
        case AckStatus::dead_lettered:
            return "dead_lettered";
        case AckStatus::rejected:
            return "rejected";
        case AckStatus::shed:
            return "shed";
    }
    return unknown;
}

std::string_view text(Rung rung) noexcept {
    switch (rung) {
        case Rung::healthy:
            return "healthy";
        case Rung::degraded:
            return "degraded";
        case Rung::critical:
            return "critical";
    }
    return unknown;
}

std::string_view text(LaneClass lane_class) noexcept {
    switch (lane_class) {
        case LaneClass::durable:
            return "durable";
        case LaneClass::best_effort:
            return "best_effort";
        case LaneClass::dead_letters:
            return "dead_letters";
    }
    return unknown;
}

std::string_view text(RefusalReason reason) noexcept {
    switch (reason) {
        case RefusalReason::protocol:
            return "protocol";
        case RefusalReason::version:
            return "version";
        case RefusalReason::too_large:
            return "too_large";
        case RefusalReason::name:
            return "name";
        case RefusalReason::number_gap:
            return "number_gap";
        case RefusalReason::fenced:
            return "fenced";
        case RefusalReason::diverged:
            return "diverged";
        case RefusalReason::checksum:
            return "checksum";
        case RefusalReason::limit:
            return "limit";
        case RefusalReason::draining:
            return "draining";
        case RefusalReason::sequence_gap:
            return "sequence_gap";
        case RefusalReason::busy:
            return "busy";
        case RefusalReason::storage:
            return "storage";
    }
    return unknown;
}

std::string_view text(StageId stage) noexcept {
    switch (stage) {
        case StageId::ingress:
            return "ingress";
        case StageId::decode:
            return "decode";
        case StageId::validate:
            return "validate";
        case StageId::cache:
            return "cache";
        case StageId::route:
            return "route";
        case StageId::batch:
            return "batch";
        case StageId::ingest:
            return "ingest";
    }
    return unknown;
}

std::string_view text(Reason reason) noexcept {
    switch (reason) {
        case Reason::none:
            return "none";
        case Reason::not_flatbuffer:
            return "not_flatbuffer";
        case Reason::wrong_identifier:
            return "wrong_identifier";
        case Reason::too_deep:
            return "too_deep";
        case Reason::logical_bytes:
            return "logical_bytes";
        case Reason::too_large:
            return "too_large";
        case Reason::empty:
            return "empty";
        case Reason::text_length:
            return "text_length";
        case Reason::field_missing:
            return "field_missing";
        case Reason::out_of_range:
            return "out_of_range";
        case Reason::type_not_allowed:
            return "type_not_allowed";
        case Reason::time_skew:
            return "time_skew";
        case Reason::payload_not_json:
            return "payload_not_json";
        case Reason::rule_failed:
            return "rule_failed";
        case Reason::schema_mismatch:
            return "schema_mismatch";
        case Reason::schema_newer:
            return "schema_newer";
        case Reason::no_lane:
            return "no_lane";
        case Reason::number_gap:
            return "number_gap";
        case Reason::protocol:
            return "protocol";
        case Reason::replay_holes:
            return "replay_holes";
        case Reason::lane_full:
            return "lane_full";
        case Reason::shed_random:
            return "shed_random";
        case Reason::shed_critical:
            return "shed_critical";
        case Reason::memory_lost:
            return "memory_lost";
        case Reason::shed_oldest:
            return "shed_oldest";
        case Reason::letter_quota:
            return "letter_quota";
        case Reason::poison:
            return "poison";
    }
    return unknown;
}

std::string_view text(SplitFault fault) noexcept {
    switch (fault) {
        case SplitFault::none:
            return "none";
        case SplitFault::too_large:
            return "too_large";
        case SplitFault::unknown_kind:
            return "unknown_kind";
        case SplitFault::header:
            return "header";
        case SplitFault::padding:
            return "padding";
    }
    return unknown;
}

}  // namespace weir::wire
