// An audit trail's bytes, however they are cut; and a token file's.
//
// Input     1 byte: which. Of a trail the rest. What is changed in a good trail is found.
#include "core/control/audit_record.hpp"
#include "core/control/token_book.hpp"
#include "tests/fuzz/input.hpp"

namespace {
using namespace weir;
using namespace weir::control;

// The same comes out however the bytes are cut, and what was accepted hashes as it says.
void read_trail(std::string_view text) {
    std::vector<AuditRecord> records;
    AuditChecker whole({}, [&](const AuditRecord& record) { records.push_back(record); });
    whole.feed(text);
    AuditChecker pieces;
    for (std::size_t at = 0; at < text.size(); at += 7) pieces.feed(text.substr(at, 7));
    WEIR_ASSERT(whole.fault() == pieces.fault());
    WEIR_ASSERT(whole.head().records == pieces.head().records && whole.head().hash == pieces.head().hash);
    WEIR_ASSERT(whole.head().bytes <= text.size() && whole.head().records == records.size());
    tls::Digest previous{};
    for (std::size_t i = 0; i < records.size(); ++i) {
        WEIR_ASSERT(records[i].sequence == i + 1 && records[i].previous == previous);
        previous = records[i].hash;
    }
}

// Any texts make a line that is read back; and with one bit changed is not.
void write_trail(fuzz::Input& input) {
    AuditHead head;
    std::string trail;
    AuditEntry entry;
    for (int i = 0; i < 3; ++i) {
        entry.act = fuzz::text_of(input.take_bytes(input.take<std::uint8_t>()));
        entry.target = fuzz::text_of(input.take_bytes(input.take<std::uint16_t>() % 600));
        entry.reason = fuzz::text_of(input.take_bytes(input.take<std::uint16_t>() % 2000));
        entry.of = input.take<std::uint64_t>();
        tls::Digest hash{};
        const std::string line = audit_line(head, entry, {input.take<std::uint64_t>() % (1ULL << 62)}, hash);
        trail += line;
        head = {head.records + 1, hash, head.bytes + line.size()};
    }
    AuditChecker checker;
    checker.feed(trail);
    WEIR_ASSERT(checker.is_good() && checker.head().records == 3 && checker.head().hash == head.hash);
    WEIR_ASSERT(checker.head().bytes == trail.size() && checker.torn_bytes() == 0);
    const std::size_t at = input.take<std::uint64_t>() % (trail.size() - 1);
    trail[at] = static_cast<char>(trail[at] ^ 1);
    AuditChecker changed;
    changed.feed(trail);
    WEIR_ASSERT(!changed.is_good());
}

void read_tokens(std::string_view text) {
    const auto book = TokenBook::parse(text);
    if (!book) {
        WEIR_ASSERT(book.error().what.starts_with("line "));
        return;
    }
    WEIR_ASSERT(book.value().count() <= tokens_max);
    WEIR_ASSERT(book.value().find(text) == nullptr);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    fuzz::Input input(data, bytes);
    switch (input.take<std::uint8_t>() % 3) {
        case 0:
            read_trail(fuzz::text_of(input.rest()));
            break;
        case 1:
            write_trail(input);
            break;
        default:
            read_tokens(fuzz::text_of(input.rest()));
    }
    return 0;
}
