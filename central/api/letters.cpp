// Dead letters that central keeps: GET /api/v1/dead-letters.
#include "central/api/letter_text.hpp"

#include "central/api/answers.hpp"
#include "central/api/json_text.hpp"
#include "central/api/problem.hpp"
#include "central/api/record_page.hpp"
#include "central/recovery/recovery.hpp"
#include "core/control/letter_reader.hpp"

namespace weir::central {
namespace {

constexpr std::uint64_t letters_max = 1000;

}  // namespace

std::string id_of(const control::DeadLetter& letter) {
    return std::string(letter.edge) + '/' + hex_text(letter.lineage) + '/' + std::string(letter.lane) + '/' +
           std::to_string(letter.sequence);
}

std::string text_of(const control::DeadLetter& letter, control::LetterState state) {
    const bool is_event = letter.fault == wire::Reason::none;
    ObjectText text;
    text.text("id", id_of(letter)).text("edge", letter.edge).text("lineage", hex_text(letter.lineage));
    text.text("lane", letter.lane).number("sequence", letter.sequence);
    text.text("reason", wire::text(letter.head.reason)).text("stage", wire::text(letter.head.stage));
    text.text_or_null("type", is_event ? std::optional<std::string>(letter.event.type) : std::nullopt);
    text.text_or_null("source", is_event ? std::optional<std::string>(letter.event.source) : std::nullopt);
    text.number("time_ms", letter.head.received_wall_ns / ns_per_ms).number("bytes", letter.original.size());
    return text.text("producer", wire::name_of(letter.head.producer)).text("state", control::text(state)).end();
}

control::AdminResponse answer_letters(const ApiSources& sources, std::string_view target) {
    Query query(target, {"edge", "reason", "stage", "type", "source", "since", "until", "sequence", "newest", "limit",
                         "cursor"});
    control::LetterFilterTexts texts;
    const auto take = [&](std::string_view name, std::string& into) { into = query.text(name).value_or(""); };
    take("edge", texts.edge);
    take("reason", texts.reason);
    take("stage", texts.stage);
    take("type", texts.type);
    take("source", texts.source);
    take("since", texts.since);
    take("until", texts.until);
    take("sequence", texts.sequence);
    const std::uint64_t limit = query.number("limit", 1, letters_max).value_or(limit_default);
    const bool is_newest = query.choice("newest", {"1"}).has_value();
    const auto cursor = query.cursor_first('d');
    if (auto refused = refusal_of(query, 0)) return std::move(*refused);
    if (is_newest && cursor) return problem(400, "newest: not with cursor");
    const auto filter = control::LetterFilter::parse(texts);
    if (!filter) return problem(400, filter.error().what);
    std::vector<std::string> faults;
    const auto marks = control::LetterMarks::load(sources.config.data_dir, faults);
    if (!marks) return problem(503, marks.error().what);
    ObjectText answer;
    answer.raw("as_of", as_of_text(sources));
    const std::uint64_t durable = sources.shared.letters_durable.load(std::memory_order_acquire);
    RecordPage::Place from{cursor.value_or(0), query.cursor_second()};
    if (is_newest && sources.letter_milestones != nullptr) {
        from.position = sources.letter_milestones->before(durable, newest_bytes);
    }
    RecordPage page(dead_letters_directory(sources.config), durable, sources.config.journal.segment_bytes);
    ListText letters;
    std::uint64_t found = 0;
    const auto walked =
        page.walk(from, cursor.has_value(), [&](const journal::RecordView& record, std::uint64_t first) {
            std::optional<std::uint64_t> rest;
            // What cannot be read is told by the command line, which names its place.
            static_cast<void>(
                control::for_each_letter(record, [&](const control::DeadLetter& letter, std::uint32_t index) {
                    if (rest || index < first || !filter.value().passes(letter)) return;
                    if (found++ == limit) {
                        rest = index;
                        return;
                    }
                    letters.add(
                        text_of(letter, marks.value().state_of(letter.marks_place(), letter.lineage, letter.sequence)));
                }));
            return rest;
        });
    if (!walked && walked.error().code == RecordPage::gone_code) return problem(410, walked.error().what, problem_gone);
    if (!walked) return problem(503, walked.error().what);
    answer.raw("letters", letters.end()).number("scanned_bytes", page.scanned_bytes());
    const auto next = page.next();
    answer.text_or_null("next", next ? std::optional(make_cursor('d', next->position, next->index)) : std::nullopt);
    return json_answer(answer.end());
}

}  // namespace weir::central
