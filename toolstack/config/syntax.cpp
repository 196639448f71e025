// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/syntax.hpp"

#include "toolstack/config/lexer.hpp"

#include <algorithm>
#include <utility>

namespace vmm::config
{

namespace
{

bool is_key(std::string_view text)
{
    return std::ranges::none_of(text, [](char c) { return c == '-' || c == '.'; });
}

class Parser
{
  public:
    Parser(Source_ptr source, std::string_view text) : source_(std::move(source)), lexer_(text) {}

    std::expected<Settings, Diagnostic> settings();

  private:
    template <class T>
    using Parsed = std::expected<T, Diagnostic>;

    std::unexpected<Diagnostic> error(Position at, std::string message) const
    {
        return std::unexpected(Diagnostic{source_->place(at), std::move(message)});
    }
    std::unexpected<Diagnostic> expected(std::string what, const Token& found) const
    {
        return error(found.at, "expected " + std::move(what) + ", found " + found.describe());
    }

    Parsed<Token> next();
    Parsed<Token> next_past_line_ends();
    Parsed<Setting> setting(Token key);
    Parsed<Value> value(Token first, unsigned depth);
    Parsed<Value> list(Position at, unsigned depth);
    bool takes_bare_value();

    Source_ptr source_;
    Lexer lexer_;
};

Parser::Parsed<Token> Parser::next()
{
    auto token = lexer_.next();
    if (!token)
        return error(token.error().at, std::move(token.error().message));
    return *std::move(token);
}

Parser::Parsed<Token> Parser::next_past_line_ends()
{
    for (;;) {
        auto token = next();
        if (!token || token->kind != Token_kind::line_end)
            return token;
    }
}

std::expected<Settings, Diagnostic> Parser::settings()
{
    Settings result;
    for (;;) {
        auto token = next();
        if (!token)
            return std::unexpected(std::move(token.error()));
        switch (token->kind) {
        case Token_kind::end: return result;
        case Token_kind::line_end:
        case Token_kind::semicolon: continue;
        case Token_kind::word: break;
        default: return expected("the name of a setting", *token);
        }
        auto one = setting(std::move(*token));
        if (!one)
            return std::unexpected(std::move(one.error()));
        result.push_back(std::move(*one));

        token = next();
        if (!token)
            return std::unexpected(std::move(token.error()));
        if (token->kind == Token_kind::end)
            return result;
        if (token->kind != Token_kind::line_end && token->kind != Token_kind::semicolon)
            return expected("the end of the line or ';' after the value of " + result.back().key, *token);
    }
}

// Arguments only: what the shell hands over without quotes.
bool Parser::takes_bare_value()
{
    if (source_->kind != Source::Kind::argument)
        return false;
    lexer_.skip_blanks();
    const char c = lexer_.peek();
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '/' || c == '.';
}

Parser::Parsed<Setting> Parser::setting(Token key)
{
    if (!is_key(key.text))
        return error(key.at,
                     "expected the name of a setting (letters, digits and _), found " + key.describe());
    const auto sign = next();
    if (!sign)
        return std::unexpected(sign.error());
    if (sign->kind != Token_kind::assign && sign->kind != Token_kind::append)
        return expected("'=' after " + key.text, *sign);

    auto first = takes_bare_value() ? Parsed<Token>{lexer_.rest_as_string()} : next();
    if (!first)
        return std::unexpected(std::move(first.error()));
    auto parsed = value(std::move(*first), 0);
    if (!parsed)
        return std::unexpected(std::move(parsed.error()));
    const auto kind = sign->kind == Token_kind::assign ? Setting::Kind::assign : Setting::Kind::append;
    return Setting{std::move(key.text), key.at, kind, std::move(*parsed)};
}

Parser::Parsed<Value> Parser::value(Token first, unsigned depth)
{
    switch (first.kind) {
    case Token_kind::string: return Value{source_, first.at, std::move(first.text)};
    case Token_kind::number: return Value{source_, first.at, Number{first.number, std::move(first.text)}};
    case Token_kind::open: return list(first.at, depth);
    case Token_kind::word:
        return error(first.at, "expected a value (a number, \"text\" or a [list]), found " +
                                   first.describe() + "; text goes in quotes");
    default: return expected("a value (a number, \"text\" or a [list])", first);
    }
}

Parser::Parsed<Value> Parser::list(Position at, unsigned depth)
{
    if (depth == kMax_list_depth)
        return error(at, "lists are nested deeper than " + std::to_string(kMax_list_depth));
    std::vector<Value> entries;
    for (;;) {
        auto token = next_past_line_ends();
        if (!token)
            return std::unexpected(std::move(token.error()));
        if (token->kind == Token_kind::close)
            break;
        if (token->kind == Token_kind::end)
            return expected("']' to close the list opened at " + source_->place(at), *token);
        auto entry = value(std::move(*token), depth + 1);
        if (!entry)
            return std::unexpected(std::move(entry.error()));
        entries.push_back(std::move(*entry));

        token = next_past_line_ends();
        if (!token)
            return std::unexpected(std::move(token.error()));
        if (token->kind == Token_kind::close)
            break;
        if (token->kind != Token_kind::comma)
            return expected("',' or ']' in the list opened at " + source_->place(at), *token);
    }
    return Value{source_, at, std::move(entries)};
}

} // namespace

std::expected<Settings, Diagnostic> parse_settings(Source source, std::string_view text)
{
    return Parser{std::make_shared<const Source>(std::move(source)), text}.settings();
}

} // namespace vmm::config
