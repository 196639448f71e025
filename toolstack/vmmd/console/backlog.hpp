// SPDX-License-Identifier: Apache-2.0
#pragma once
// The newest output of a console that nobody has read yet, at most a fixed number of bytes: what is older
// goes first.

#include <cstddef>
#include <string>
#include <string_view>

namespace vmm
{

class Backlog
{
  public:
    explicit Backlog(std::size_t limit) : limit_(limit) {}

    void append(std::string_view text)
    {
        text_.append(text);
        // Cut only when it is twice too long, so that a steady stream does not move the text for every line.
        if (text_.size() > 2 * limit_) {
            text_.erase(0, text_.size() - limit_);
        }
    }
    [[nodiscard]] std::string_view text() const
    {
        const std::string_view all = text_;
        return all.substr(all.size() > limit_ ? all.size() - limit_ : 0);
    }
    [[nodiscard]] bool empty() const { return text_.empty(); }
    // The first `count` bytes of text() have been read.
    void consume(std::size_t count) { text_.erase(0, text_.size() - text().size() + count); }

  private:
    std::size_t limit_;
    std::string text_;
};

} // namespace vmm
