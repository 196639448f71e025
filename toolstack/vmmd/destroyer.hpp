// SPDX-License-Identifier: Apache-2.0
#pragma once
// Domains on their way out of the hypervisor, each on a thread of its own: giving back their memory takes
// seconds where there is much of it.

#include "toolstack/vmmd/image_job.hpp"

#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace vmm
{

class Destroyer
{
  public:
    using Done = std::function<void(Result<void>)>;

    Destroyer(Event_loop& loop, Open_control open_control)
        : loop_(loop), open_control_(std::move(open_control))
    {
    }
    Destroyer(const Destroyer&)            = delete;
    Destroyer& operator=(const Destroyer&) = delete;
    ~Destroyer(); // waits for those under way; nobody hears of them any more

    // `done` is called on the event loop; from inside where there is no thread to be had. That the domain is
    // not there is no error. One that is under way is waited for, whoever asks.
    void destroy(Domid id, Done done);

  private:
    struct Under_way {
        std::shared_ptr<Image_job> job;
        std::vector<Done> waiting;
    };

    [[nodiscard]] Result<void> destroy_here(Domid id) const;
    void ended(Domid id, const Result<void>& result);

    Event_loop& loop_;
    Open_control open_control_;
    std::map<Domid, Under_way> under_way_;
};

} // namespace vmm
