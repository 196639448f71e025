// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/lexer.hpp"

#include "toolstack/config/shown.hpp"

#include <charconv>
#include <utility>

namespace vmm::config
{

namespace
{

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
// Wider than any word or number, so that "256M" or "vcpu-s" is one thing in the message that refuses it.
constexpr bool continues_word(char c) { return is_letter(c) || is_digit(c) || c == '-' || c == '.'; }
constexpr bool is_continuation_byte(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

int digit_value(char c, int base)
{
    int value = -1;
    if (is_digit(c))
        value = c - '0';
    else if (c >= 'a' && c <= 'f')
        value = c - 'a' + 10;
    else if (c >= 'A' && c <= 'F')
        value = c - 'A' + 10;
    return value < base ? value : -1;
}

} // namespace

std::string Token::describe() const
{
    switch (kind) {
    case Token_kind::word:
    case Token_kind::number: return "'" + shown(text) + "'";
    case Token_kind::string: return "the string \"" + shown(text) + "\"";
    case Token_kind::assign: return "'='";
    case Token_kind::append: return "'+='";
    case Token_kind::open: return "'['";
    case Token_kind::close: return "']'";
    case Token_kind::comma: return "','";
    case Token_kind::semicolon: return "';'";
    case Token_kind::line_end: return "the end of the line";
    case Token_kind::end: return "the end";
    }
    std::unreachable();
}

std::expected<std::uint64_t, std::string> parse_number(std::string_view text)
{
    int base                = 10;
    std::string_view digits = text;
    if (text.starts_with("0x") || text.starts_with("0X")) {
        base = 16;
        digits.remove_prefix(2);
    } else if (text.size() > 1 && text.front() == '0') {
        base = 8;
        digits.remove_prefix(1);
    }
    std::uint64_t value     = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (digits.empty() || error == std::errc::invalid_argument || end != digits.data() + digits.size())
        return std::unexpected("expected a number (decimal, 0x hexadecimal or 0 octal), found '" +
                               shown(text) + "'");
    if (error == std::errc::result_out_of_range)
        return std::unexpected("the number " + shown(text) + " does not fit in 64 bits");
    return value;
}

Lexer::Lexer(std::string_view text) : text_(text)
{
    if (text_.starts_with("\xef\xbb\xbf")) // a byte order mark some editors leave
        text_.remove_prefix(3);
}

void Lexer::advance()
{
    const char c = text_[offset_++];
    if (c == '\n')
        at_ = {at_.line + 1, 1};
    else if (offset_ >= text_.size() || !is_continuation_byte(text_[offset_]))
        ++at_.column;
}

void Lexer::skip_blanks()
{
    while (offset_ < text_.size()) {
        const char c = text_[offset_];
        if (c == '#') {
            while (offset_ < text_.size() && text_[offset_] != '\n')
                advance();
        } else if (c == ' ' || c == '\t' || c == '\r' || c == '\f') {
            advance();
        } else {
            return;
        }
    }
}

Token Lexer::mark(Token_kind kind, unsigned length)
{
    Token token{kind, at_, {}, 0};
    while (length-- > 0)
        advance();
    return token;
}

std::expected<Token, Lexer::Bad> Lexer::next()
{
    skip_blanks();
    if (offset_ >= text_.size())
        return Token{Token_kind::end, at_, {}, 0};
    const char c = text_[offset_];
    switch (c) {
    case '\n': return mark(Token_kind::line_end, 1);
    case '=': return mark(Token_kind::assign, 1);
    case '[': return mark(Token_kind::open, 1);
    case ']': return mark(Token_kind::close, 1);
    case ',': return mark(Token_kind::comma, 1);
    case ';': return mark(Token_kind::semicolon, 1);
    case '"':
    case '\'': return string_token(c);
    case '+':
        if (text_.substr(offset_).starts_with("+="))
            return mark(Token_kind::append, 2);
        break;
    default: break;
    }
    if (is_digit(c))
        return number_token();
    if (is_letter(c)) {
        const auto at = at_;
        return Token{Token_kind::word, at, std::string{take_word()}, 0};
    }
    return std::unexpected(Bad{at_, "unexpected " + shown(c)});
}

std::string_view Lexer::take_word()
{
    const auto start = offset_;
    while (offset_ < text_.size() && continues_word(text_[offset_]))
        advance();
    return text_.substr(start, offset_ - start);
}

std::expected<Token, Lexer::Bad> Lexer::number_token()
{
    Token token{Token_kind::number, at_, {}, 0};
    token.text       = take_word();
    const auto value = parse_number(token.text);
    if (!value)
        return std::unexpected(Bad{token.at, value.error() + "; text goes in quotes"});
    token.number = *value;
    return token;
}

std::expected<Token, Lexer::Bad> Lexer::string_token(char quote)
{
    Token token{Token_kind::string, at_, {}, 0};
    advance();
    for (;;) {
        if (offset_ >= text_.size() || text_[offset_] == '\n')
            return std::unexpected(
                Bad{token.at, std::string{"expected a closing "} + quote + " before the end of the line"});
        const char c = text_[offset_];
        if (c == quote) {
            advance();
            return token;
        }
        if (c == '\\') {
            const auto escaped = escape();
            if (!escaped)
                return std::unexpected(escaped.error());
            token.text += *escaped;
        } else {
            token.text += c;
            advance();
        }
    }
}

std::expected<char, Lexer::Bad> Lexer::escape()
{
    static constexpr std::string_view kLetters  = "abfnrtv\\'\"?";
    static constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v\\'\"?";
    const auto at                               = at_;
    const auto bad = [&](std::string message) { return std::unexpected(Bad{at, std::move(message)}); };
    advance();
    const char c = peek();
    if (const auto i = kLetters.find(c); i != std::string_view::npos) {
        advance();
        return kMeanings[i];
    }
    const int base = c == 'x' ? 16 : 8;
    const int most = c == 'x' ? 2 : 3;
    if (c == 'x')
        advance();
    int value = 0, count = 0;
    for (int digit = 0; count < most && (digit = digit_value(peek(), base)) >= 0; ++count) {
        value = value * base + digit;
        advance();
    }
    if (count == 0)
        return bad(std::string{"unknown escape '\\"} +
                   (c >= 0x20 && c < 0x7f ? std::string{c} : std::string{}) +
                   "'; a backslash itself is written \\\\");
    if (value == 0 || value > 0xff)
        return bad("the escape stands for no character (1 to 0xff)");
    return static_cast<char>(value);
}

Token Lexer::rest_as_string()
{
    skip_blanks();
    Token token{Token_kind::string, at_, {}, 0};
    while (offset_ < text_.size()) {
        token.text += text_[offset_];
        advance();
    }
    token.text.erase(token.text.find_last_not_of(" \t\r\n") + 1);
    return token;
}

} // namespace vmm::config
