// SPDX-License-Identifier: Apache-2.0
// Splits configuration text into tokens, as the configuration language of Xen's xl does: words, numbers,
// strings in either quote with C escapes, the marks = += [ ] , ; and line ends. `#` starts a comment. It
// holds a view of the text.
#pragma once

#include "toolstack/config/source.hpp"

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace vmm::config
{

enum class Token_kind { word, number, string, assign, append, open, close, comma, semicolon, line_end, end };

struct Token {
    Token_kind kind = Token_kind::end;
    Position at;
    std::string text; // word and number: as spelt; string: with escapes done
    std::uint64_t number = 0;

    [[nodiscard]] std::string describe() const; // for "expected ..., found <this>"
};

// The language's numbers: decimal, 0x hexadecimal, 0 octal. The error is a full clause.
[[nodiscard]] std::expected<std::uint64_t, std::string> parse_number(std::string_view text);

class Lexer
{
  public:
    explicit Lexer(std::string_view text);

    struct Bad {
        Position at;
        std::string message;
    };

    [[nodiscard]] std::expected<Token, Bad> next();

    // Everything from here to the end of the text, trimmed: the value of an argument that needs no quotes.
    [[nodiscard]] Token rest_as_string();
    void skip_blanks();
    [[nodiscard]] char peek() const { return offset_ < text_.size() ? text_[offset_] : '\0'; }

  private:
    void advance();
    std::string_view take_word();
    std::expected<Token, Bad> string_token(char quote);
    std::expected<char, Bad> escape();
    std::expected<Token, Bad> number_token();
    Token mark(Token_kind kind, unsigned length);

    std::string_view text_;
    std::size_t offset_ = 0;
    Position at_;
};

} // namespace vmm::config
