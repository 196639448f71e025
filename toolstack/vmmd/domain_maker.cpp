// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/domain_maker.hpp"

#include "toolstack/base/log.hpp"
#include "toolstack/vmmd/boot_clock.hpp"
#include "toolstack/vmmd/domain_nodes.hpp"
#include "toolstack/vmmd/store_rings.hpp"

#include <algorithm>
#include <utility>

namespace vmm
{

namespace
{

std::vector<std::uint8_t> to_bitmap(const config::Cpu_set& set, unsigned cpus)
{
    std::vector<std::uint8_t> map((std::max(cpus, 1U) + 7) / 8, 0);
    for (unsigned cpu = 0; cpu < cpus; ++cpu) {
        if (set.contains(cpu)) {
            map[cpu / 8] |= static_cast<std::uint8_t>(1U << (cpu % 8));
        }
    }
    return map;
}

} // namespace

Result<std::unique_ptr<Domain>> Domain_maker::make(const config::Domain_config& config,
                                                   const config::Uuid& uuid, const Prepared_domain& prepared)
{
    const std::uint64_t static_max = config.maxmem_mib * 1024;
    auto domain                    = TRY(
                           begin(config, uuid, {static_max, config.memory_mib * 1024, prepared.max_memory_kib - static_max}));
    if (const auto built = build(*domain, prepared); !built) {
        const auto undone = unmake(*domain);
        if (!undone) {
            log::error("domain " + to_string(domain->id) + " is left over: " + undone.error().message);
        }
        return std::unexpected(built.error());
    }
    return domain;
}

Result<std::unique_ptr<Domain>> Domain_maker::begin(const config::Domain_config& config,
                                                    const config::Uuid& uuid, const Frame& frame)
{
    auto domain            = std::make_unique<Domain>();
    domain->config         = config;
    domain->uuid           = uuid;
    domain->static_max_kib = frame.static_max_kib;
    domain->target_kib     = frame.target_kib;
    domain->overhead_kib   = frame.overhead_kib;
    domain->started        = boot_seconds();
    domain->id =
        TRY(control_.create({uuid.bytes, config.maxvcpus, frame.static_max_kib + frame.overhead_kib}));
    return domain;
}

Result<void> Domain_maker::build(Domain& domain, const Prepared_domain& prepared)
{
    return furnish(domain, TRY(builder_.build(domain.id, prepared)));
}

Result<void> Domain_maker::furnish(Domain& domain, const Built_domain& rings)
{
    TRY(pin_vcpus(domain));
    domain.rings = rings;
    open_console(domain);
    TRY(write_domain_nodes(store_, domain));
    return introduce(domain.id, domain.rings.store_page, domain.rings.store_port);
}

Result<void> Domain_maker::pin_vcpus(const Domain& domain)
{
    if (domain.config.affinity.empty()) {
        return {};
    }
    const Host_info host = TRY(control_.host());
    for (unsigned vcpu = 0; vcpu < domain.config.affinity.size() && vcpu < domain.config.maxvcpus; ++vcpu) {
        const config::Cpu_set& wanted = domain.config.affinity[vcpu];
        if (wanted.is_all()) {
            continue;
        }
        const auto map = to_bitmap(wanted, host.max_cpu_id + 1);
        if (std::all_of(map.begin(), map.end(), [](std::uint8_t byte) { return byte == 0; })) {
            return fail(Errc::out_of_range, "cpus: this machine has no processor " + wanted.to_string() +
                                                "; it has 0 to " + std::to_string(host.max_cpu_id));
        }
        TRY(control_.set_affinity(domain.id, vcpu, map));
    }
    return {};
}

Result<std::unique_ptr<Console>> Domain_maker::open_console(const Console::Place& place,
                                                            const std::string& name)
{
    std::optional<Log_file> file;
    if (!logs_.directory.empty()) {
        auto opened = Log_file::open(logs_.directory + "/" + name + ".log", logs_.limits);
        if (opened) {
            file = std::move(*opened);
        } else {
            log::warning(opened.error().message + "; the console of \"" + name + "\" is not logged");
        }
    }
    return Console::create(loop_, links_, place, std::move(file));
}

// A domain without a console is still worth having, so what fails here goes to the log.
void Domain_maker::open_console(Domain& domain)
{
    auto console =
        open_console({domain.id, domain.rings.console_page, domain.rings.console_port}, domain.name());
    if (!console) {
        log::error("domain " + to_string(domain.id) + " has no console: " + console.error().message);
        return;
    }
    domain.console = std::move(*console);
}

Result<void> Domain_maker::introduce(Domid id, Gfn page, Evtchn_port port)
{
    auto ring = TRY(open_domain_ring(links_, id, page, port, [this, id] { store_.ring_event(id); }));
    return store_.introduce(id, std::move(ring));
}

Result<void> Domain_maker::adopt(Domain& domain)
{
    open_console(domain);
    if (store_.is_introduced(domain.id)) {
        TRY(write_console_tty(store_, domain));
    } else { // the store's journal was lost
        TRY(write_domain_nodes(store_, domain));
    }
    return introduce(domain.id, domain.rings.store_page, domain.rings.store_port);
}

// Views of the domain's pages would keep them from being freed, so they go first.
void Domain_maker::let_go(Domain& domain)
{
    if (domain.console) {
        domain.console->drain();
        domain.console.reset();
    }
    remove_domain_nodes(store_, domain);
    store_.release(domain.id);
}

Result<void> Domain_maker::unmake(Domain& domain)
{
    if (const auto paused = control_.pause(domain.id);
        !paused && paused.error().code != Errc::no_such_domain) {
        log::debug(paused.error().message); // destroying stops it anyway
    }
    let_go(domain);
    const auto destroyed = control_.destroy(domain.id);
    if (!destroyed && destroyed.error().code != Errc::no_such_domain) {
        return destroyed;
    }
    return {};
}

} // namespace vmm
