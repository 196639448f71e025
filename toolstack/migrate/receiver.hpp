// SPDX-License-Identifier: Apache-2.0
#pragma once
// The target's half of a migration (sender.hpp): each step on a thread that may wait. Nothing runs before
// wait_for_word() succeeded; if it fails, the domain is the source's and what was received of it is to be
// destroyed. What the source waits for may take long, and so may what it sent to get here: it hears once a
// second that this side is alive, so that its silence means that it is not.

#include "toolstack/build/rings.hpp"
#include "toolstack/migrate/descriptor_stream.hpp"
#include "toolstack/migrate/pulse.hpp"
#include "toolstack/save/image_file.hpp"
#include "toolstack/save/memory_image.hpp"
#include "toolstack/save/saved_domain.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace vmm::migrate
{

class Receiver
{
  public:
    Receiver(std::unique_ptr<Descriptor_stream> stream, std::string peer)
        : stream_(std::move(stream)), peer_(std::move(peer))
    {
    }

    [[nodiscard]] Result<save::Saved_domain> introduction();
    // There is a place for it: `id`, new, paused, without memory. Returns when all of it has come.
    [[nodiscard]] Result<Built_domain> receive(Build_control& control, Domid id,
                                               const save::Saved_domain& domain);
    // All of it is here. Returns when the source has handed it over.
    [[nodiscard]] Result<void> wait_for_word();
    [[nodiscard]] Result<void> say_runs();
    // Instead of any of these.
    void refuse(const Error& why);

    void cancel() { stream_->cancel(); }

  private:
    [[nodiscard]] Result<void> answer(std::string_view word);

    std::unique_ptr<Descriptor_stream> stream_;
    std::string peer_;
    std::optional<save::Image_reader> in_;
    std::optional<save::Image_writer> out_;
    std::unique_ptr<Pulse> pulse_; // has out_ for itself while it is there and not held
};

} // namespace vmm::migrate
