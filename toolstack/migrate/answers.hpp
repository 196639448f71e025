// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the target of a migration says to its source: a word for each step that it has done, or why it gives
// up.

#include "toolstack/save/image_file.hpp"

#include <string>
#include <string_view>

namespace vmm::migrate
{

inline constexpr std::string_view kWorking  = "working";  // it is alive; once a second, whatever it does
inline constexpr std::string_view kPrepared = "prepared"; // there is a place for the domain
inline constexpr std::string_view kSoFar    = "so far";   // the source asks, too: what it sent has arrived
inline constexpr std::string_view kComplete = "complete"; // all of it is here, and paused
inline constexpr std::string_view kRuns     = "runs";

struct Answer {
    std::string word;
    std::string error; // not empty: instead of a word
};

[[nodiscard]] Result<Answer> read_answer(save::Image_reader& in);
[[nodiscard]] Result<void> put_answer(save::Image_writer& out, const Answer& answer);

} // namespace vmm::migrate
