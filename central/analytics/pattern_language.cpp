#include "central/analytics/pattern_language.hpp"

#include <algorithm>
#include <utility>

#include "core/base/types.hpp"
#include "core/rules/lexer.hpp"

namespace weir::analytics {
namespace {

using rules::Token;

struct Refused {
    std::size_t at = 0;
    std::string what;
};

// NAME, blanks, ':' at the start of a line: where a definition begins. 0: this line is none.
std::size_t name_bytes(std::string_view line) {
    const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    std::size_t bytes = 0;
    while (bytes < line.size() && (is_letter(line[bytes]) || (bytes > 0 && is_digit(line[bytes])))) ++bytes;
    const std::size_t colon = line.find_first_not_of(" \t", bytes);
    return colon != std::string_view::npos && line[colon] == ':' ? bytes : 0;
}

struct Definition {
    std::string_view name;
    std::size_t at = 0;  // of the name
    std::size_t begin = 0;
    std::size_t end = 0;  // of its expression
    std::uint32_t condition = UINT32_MAX;
};

class PatternReader {
  public:
    PatternReader(std::string_view text, const rules::Tables* tables)
        : text_(text), tables_(tables), head_(cut()), lexer_(text.substr(0, head_)) {}

    Pattern read() {
        advance();
        read_sequence();
        if (!is_word("within")) refuse("within and a duration must say how long this may take");
        advance();
        if (token_.kind != Token::Kind::duration) refuse("a duration: 10m, 1h30m");
        if (token_.integer == 0 || token_.integer > pattern_within_ns_max) refuse("from 1ns to 31 days");
        pattern_.within_ns = token_.integer;
        advance();
        if (is_word("by")) {
            const std::size_t begin = token_.at + token_.written.size();
            const std::size_t last = text_.substr(0, head_).find_last_not_of(" \t\r\n");
            pattern_.key = compile(begin, last + 1, false);
        } else if (token_.kind != Token::Kind::end) {
            refuse("by, or the end, is expected here");
        }
        for (const Definition& one : definitions_) {
            if (one.condition == UINT32_MAX) throw Refused{one.at, "the pattern has no step of this name"};
        }
        return std::move(pattern_);
    }

  private:
    // Finds the definitions; what is before the first is the pattern itself.
    std::size_t cut() {
        std::size_t head = text_.size();
        for (std::size_t at = 0; at < text_.size();) {
            const std::size_t newline = std::min(text_.find('\n', at), text_.size());
            const std::string_view line = text_.substr(at, newline - at);
            const std::size_t blanks = std::min(line.find_first_not_of(" \t"), line.size());
            if (const std::size_t bytes = name_bytes(line.substr(blanks)); bytes > 0) {
                if (definitions_.empty()) head = at;
                if (!definitions_.empty()) definitions_.back().end = at;
                Definition made;
                made.name = line.substr(blanks, bytes);
                made.at = at + blanks;
                made.begin = text_.find(':', made.at) + 1;
                made.end = text_.size();
                definitions_.push_back(made);
            }
            at = newline + 1;
        }
        return head;
    }

    void advance() {
        token_ = lexer_.next();
        if (token_.kind == Token::Kind::wrong) throw Refused{token_.at, token_.text};
    }
    [[noreturn]] void refuse(std::string what) const { throw Refused{token_.at, std::move(what)}; }
    [[nodiscard]] bool is_word(std::string_view word) const {
        return token_.kind == Token::Kind::name && token_.written == word;
    }
    [[nodiscard]] bool is_symbol(std::string_view symbol) const {
        return token_.kind == Token::Kind::symbol && token_.written == symbol;
    }

    void read_sequence() {
        std::uint32_t guards = 0;
        for (;;) {
            if (pattern_.steps.size() == pattern_steps_max) refuse("more than 16 steps");
            if (is_symbol("!")) {
                if (pattern_.steps.empty()) refuse("nothing has begun before this: an absence follows an event");
                advance();
                guards |= 1U << condition_of();
            } else {
                pattern_.steps.push_back({read_elements(), std::exchange(guards, 0)});
            }
            if (!is_symbol("-")) break;
            advance();
            if (!is_symbol(">")) refuse("-> is expected here");
            advance();
        }
        if (guards != 0) pattern_.steps.push_back({{}, guards});
    }

    std::vector<PatternElement> read_elements() {
        std::vector<PatternElement> elements;
        for (;;) {
            if (elements.size() == pattern_elements_max) refuse("more than 4 joined by and");
            PatternElement element;
            if (token_.kind == Token::Kind::integer) {
                if (token_.integer == 0 || token_.integer > pattern_repeats_max) refuse("from 1 to 256 times");
                element.count = static_cast<std::uint32_t>(token_.integer);
                advance();
                if (!is_word("x")) refuse("x is expected here: 5 x name");
                advance();
            }
            element.condition = condition_of();
            elements.push_back(element);
            if (!is_word("and")) return elements;
            advance();
        }
    }

    // The condition that the word here names; compiled when it is first met.
    std::uint32_t condition_of() {
        if (token_.kind != Token::Kind::name) refuse("the name of a condition is expected here");
        const auto found = std::find_if(definitions_.begin(), definitions_.end(),
                                        [&](const Definition& one) { return one.name == token_.written; });
        if (found == definitions_.end()) refuse("there is no line \"" + std::string(token_.written) + ": ...\"");
        const auto again = std::find_if(found + 1, definitions_.end(),
                                        [&](const Definition& one) { return one.name == token_.written; });
        if (again != definitions_.end()) throw Refused{again->at, "defined twice"};
        if (found->condition == UINT32_MAX) {
            if (pattern_.conditions.size() == pattern_conditions_max) refuse("more than 32 conditions");
            found->condition = static_cast<std::uint32_t>(pattern_.conditions.size());
            pattern_.conditions.push_back(compile(found->begin, found->end, true));
        }
        advance();
        return found->condition;
    }

    rules::Program compile(std::size_t begin, std::size_t end, bool gives_condition) const {
        rules::CompileOptions options;
        options.is_placed = true;
        options.gives_condition = gives_condition;
        options.tables = tables_;
        const std::string_view expression = text_.substr(begin, end - begin);
        rules::Compiled compiled = rules::compile(expression, options);
        if (compiled.program) return std::move(*compiled.program);
        // Back to a byte of the whole text.
        std::size_t at = begin;
        for (std::uint32_t line = 1; line < compiled.fault.line; ++line) at = text_.find('\n', at) + 1;
        throw Refused{at + compiled.fault.column - 1, compiled.fault.what};
    }

    std::string_view text_;
    const rules::Tables* tables_;
    std::vector<Definition> definitions_;
    std::size_t head_;
    rules::Lexer lexer_;
    Token token_;
    Pattern pattern_;
};

}  // namespace

CompiledPattern compile_pattern(std::string_view text, const rules::Tables* tables) {
    CompiledPattern made;
    try {
        made.pattern = PatternReader(text, tables).read();
    } catch (const Refused& refused) {
        const std::string_view before = text.substr(0, std::min(refused.at, text.size()));
        const std::size_t newline = before.rfind('\n');
        made.fault.line = static_cast<std::uint32_t>(1 + std::count(before.begin(), before.end(), '\n'));
        made.fault.column =
            static_cast<std::uint32_t>(newline == std::string_view::npos ? before.size() + 1 : before.size() - newline);
        made.fault.what = refused.what;
    }
    return made;
}

}  // namespace weir::analytics
