// SPDX-License-Identifier: Apache-2.0
#pragma once
// A domain's memory being filled, or on its way to a file or another host: on a thread of its own, with its
// own way to the hypervisor, so that the daemon's other work goes on. Whoever starts it hears how it ended on
// the event loop, once. It lives until then, whoever holds it.

#include "toolstack/base/error.hpp"
#include "toolstack/base/event_loop.hpp"
#include "toolstack/base/progress.hpp"
#include "toolstack/vmmd/worker.hpp"
#include "toolstack/xen/build_control.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

namespace vmm
{

// Another way to the hypervisor than the event loop's, for one other thread.
using Open_control = std::function<Result<std::shared_ptr<Build_control>>()>;

class Image_job
{
  public:
    // Runs on the thread: touches nothing but what it was given.
    using Work = std::function<Result<void>(Build_control& control, const Progress& progress)>;
    using Done = std::function<void(Result<void>)>;
    struct State {
        std::uint64_t pages = 0; // 0: not known yet
        std::uint64_t done  = 0;
    };

    // An error at once means that `done` will not be called.
    [[nodiscard]] static Result<std::shared_ptr<Image_job>>
    start(Event_loop& loop, const Open_control& open_control, Work work, Done done);

    // The work ends soon, with Errc::cancelled unless it was just done.
    void cancel() { cancelled_ = true; }
    // The same, and waits for it; `done` is not called any more.
    void abandon();
    [[nodiscard]] State state() const { return {pages_, done_}; }

  private:
    Image_job() = default;

    std::unique_ptr<Worker> worker_;
    std::atomic<bool> cancelled_      = false;
    std::atomic<std::uint64_t> pages_ = 0;
    std::atomic<std::uint64_t> done_  = 0;
};

} // namespace vmm
