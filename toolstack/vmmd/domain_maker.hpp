// SPDX-License-Identifier: Apache-2.0
#pragma once
// Puts a domain together and takes it apart: hypervisor, store, console. begin() gives a paused domain
// without memory; furnish() adds what dom0 holds of one that has its memory and its rings. Whatever failed on
// the way, let_go() takes back what dom0 holds; the memory goes with the domain (destroyer.hpp).

#include "toolstack/base/error.hpp"
#include "toolstack/base/event_loop.hpp"
#include "toolstack/build/rings.hpp"
#include "toolstack/store/store_server.hpp"
#include "toolstack/vmmd/domain.hpp"
#include "toolstack/vmmd/guest_links.hpp"
#include "toolstack/xen/control.hpp"

#include <memory>
#include <optional>
#include <string>

namespace vmm
{

struct Console_logs {
    std::string directory; // empty: no logs
    Log_limits limits;
};

class Domain_maker
{
  public:
    Domain_maker(Event_loop& loop, Control& control, Guest_links& links, Store_server& store,
                 Console_logs logs)
        : loop_(loop), control_(control), links_(links), store_(store), logs_(std::move(logs))
    {
    }

    struct Frame {
        std::uint64_t static_max_kib = 0; // what it sees
        std::uint64_t target_kib     = 0;
        std::uint64_t overhead_kib   = 0; // on top of it, in the hypervisor's limit
    };
    // Of a new generation.
    [[nodiscard]] Result<std::unique_ptr<Domain>> begin(const config::Domain_config& config,
                                                        const config::Uuid& uuid, const Frame& frame);
    // What its config says of the processor: before it has any state.
    [[nodiscard]] Result<void> choose_processor(const Domain& domain);
    [[nodiscard]] Result<void> furnish(Domain& domain, const Built_domain& rings);
    // What dom0 has of it goes: views of its pages would keep them from being freed.
    void let_go(Domain& domain);

    // Takes up a domain that a former daemon made: its ring and console, and its store nodes if the store has
    // none.
    [[nodiscard]] Result<void> adopt(Domain& domain);

    // The store's channel to a domain, whoever made it.
    [[nodiscard]] Result<void> introduce(Domid id, Gfn page, Evtchn_port port);
    // The same of the console; its log is named after `name`, which is fit for a file name.
    [[nodiscard]] Result<std::unique_ptr<Console>> open_console(const Console::Place& place,
                                                                const std::string& name);

  private:
    Result<void> pin_vcpus(const Domain& domain);
    Result<void> set_clock(const Domain& domain);
    Result<unsigned> pool_for(const config::Domain_config& config);
    void open_console(Domain& domain);

    Event_loop& loop_;
    Control& control_;
    Guest_links& links_;
    Store_server& store_;
    Console_logs logs_;
    Terminal_watch terminals_{loop_};
};

} // namespace vmm
