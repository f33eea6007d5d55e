// Lexer: an expression's text cut into words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace weir::rules {

struct Token {
    enum class Kind : std::uint8_t { end, name, text, integer, real, duration, symbol, wrong } kind = Kind::end;
    std::string_view written;
    std::size_t at = 0;         // byte of its start
    std::string text;           // of a text, escapes resolved; of a wrong one, what is wrong
    std::uint64_t integer = 0;  // of an integer or duration (ns); at most 2^63
    double real = 0;
};

class Lexer {
  public:
    explicit Lexer(std::string_view text) : text_(text) {}
    [[nodiscard]] Token next();

  private:
    [[nodiscard]] Token take(Token::Kind kind, std::size_t bytes);
    [[nodiscard]] Token wrong(std::size_t at, std::string what);
    [[nodiscard]] Token text_token();
    [[nodiscard]] Token number_token();
    [[nodiscard]] Token duration_token();

    std::string_view text_;
    std::size_t at_ = 0;
};

}  // namespace weir::rules
