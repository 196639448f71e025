// SPDX-License-Identifier: Apache-2.0
#pragma once
// The memory of a domain to another host while it runs: all of it once, then, round by round, what was
// written since. It knows which frames the other side has and what is still to be sent, and does not decide
// when that is little enough (sender.hpp does). FORMAT.md of toolstack/save says what is sent.

#include "toolstack/save/image_file.hpp"
#include "toolstack/save/memory_image.hpp"
#include "toolstack/xen/build_control.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace vmm::migrate
{

class Memory_sender
{
  public:
    // Told after each piece; false ends the work with Errc::cancelled.
    using Progress = std::function<bool(std::uint64_t frames_left)>;

    Memory_sender(Domid id, const Guest_layout& layout);

    [[nodiscard]] Result<void> send_all(Build_control& control, save::Image_writer& out,
                                        const Progress& progress);
    // What was written since this was last done joins what is to be sent.
    [[nodiscard]] Result<void> take_log(Build_control& control);
    [[nodiscard]] std::uint64_t waiting() const { return waiting_; } // frames to be sent
    [[nodiscard]] Result<void> send_waiting(Build_control& control, save::Image_writer& out,
                                            const Progress& progress);

    [[nodiscard]] std::uint64_t frames() const;                            // there may be
    [[nodiscard]] std::uint64_t present() const { return present_count_; } // frames the other side has
    [[nodiscard]] std::uint64_t sent() const { return sent_; }             // with and without contents, ever

  private:
    enum class Content : std::uint8_t { absent, zero, data };

    Result<void> send(Build_control& control, save::Image_writer& out,
                      const std::vector<std::uint64_t>& frames);
    Result<std::vector<Content>> copy(Build_control& control, const std::vector<std::uint64_t>& frames);
    Result<void> tell_presence(save::Image_writer& out, const std::vector<std::uint64_t>& frames,
                               const std::vector<Content>& content);

    Domid id_;
    std::vector<save::Frame_range> ranges_;
    std::vector<bool> there_; // frames the other side has memory for
    std::vector<std::uint64_t> log_;
    std::vector<std::uint64_t> to_send_; // a bit each
    std::vector<std::byte> copy_;        // of a piece: what the domain writes meanwhile must not be in half
    std::uint64_t waiting_       = 0;
    std::uint64_t present_count_ = 0;
    std::uint64_t sent_          = 0;
};

} // namespace vmm::migrate
