// SPDX-License-Identifier: Apache-2.0
#include "base/format.hpp"

#include <charconv>
#include <iterator>

namespace vmm
{
namespace
{

class Writer
{
  public:
    explicit Writer(std::span<char> out) : out_(out) {}

    void put(char c)
    {
        if (used_ < out_.size())
            out_[used_++] = c;
    }
    void put(std::string_view text)
    {
        for (char c : text)
            put(c);
    }
    void put_number(u64 value, int base)
    {
        char digits[20];
        put(std::string_view(digits, std::to_chars(digits, std::end(digits), value, base).ptr));
    }
    [[nodiscard]] std::string_view text() const { return {out_.data(), used_}; }

  private:
    std::span<char> out_;
    std::size_t used_ = 0;
};

void put_argument(Writer& w, const Format_arg& arg, bool hex)
{
    if (arg.kind() == Format_arg::Kind::text) {
        w.put(arg.text());
        return;
    }
    u64 value = arg.number();
    if (hex) {
        w.put("0x");
        w.put_number(value, 16);
        return;
    }
    if (arg.kind() == Format_arg::Kind::signed_number && static_cast<s64>(value) < 0) {
        w.put('-');
        value = 0 - value;
    }
    w.put_number(value, 10);
}

} // namespace

std::string_view format_to(std::span<char> out, std::string_view format, std::span<const Format_arg> args)
{
    Writer w(out);
    std::size_t next = 0;
    for (std::size_t i = 0; i < format.size(); ++i) {
        const auto rest = format.substr(i);
        const bool hex  = rest.starts_with("{x}");
        if ((hex || rest.starts_with("{}")) && next < args.size()) {
            put_argument(w, args[next++], hex);
            i += hex ? 2 : 1;
        } else {
            w.put(format[i]);
        }
    }
    return w.text();
}

} // namespace vmm
