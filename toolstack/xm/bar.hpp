// SPDX-License-Identifier: Apache-2.0
// A bar of progress on standard error, if that is a terminal: one line that the next one writes over, and
// that is gone in the end.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>

#include <unistd.h>

namespace vmm::xm
{

class Bar
{
  public:
    explicit Bar(std::ostream& err) : err_(err), shown_(::isatty(STDERR_FILENO) == 1) {}
    ~Bar()
    {
        if (drawn_)
            err_ << "\r\033[K" << std::flush;
    }
    Bar(const Bar&)            = delete;
    Bar& operator=(const Bar&) = delete;

    [[nodiscard]] bool shown() const { return shown_; }
    // `what` stands before it.
    void show(std::uint64_t done, std::uint64_t all, const std::string& what = {})
    {
        if (all == 0)
            return;
        const std::size_t filled = std::min<std::size_t>(kWidth * done / all, kWidth);
        err_ << "\r\033[K" << what << '[' << std::string(filled, '#') << std::string(kWidth - filled, ' ')
             << "] " << 100 * done / all << " %" << std::flush;
        drawn_ = true;
    }

  private:
    static constexpr std::size_t kWidth = 40;

    std::ostream& err_;
    bool shown_;
    bool drawn_ = false;
};

} // namespace vmm::xm
