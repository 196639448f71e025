// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/domain_maker.hpp"

#include "toolstack/base/log.hpp"
#include "toolstack/vmmd/affinity.hpp"
#include "toolstack/vmmd/domain_nodes.hpp"
#include "toolstack/vmmd/pools.hpp"
#include "toolstack/vmmd/store_rings.hpp"

#include <xen/domctl.h>

#include <ctime>
#include <optional>
#include <string_view>
#include <utility>

namespace vmm
{

namespace
{

const config::Cpu_set* wanted_of(const std::vector<config::Cpu_set>& list, unsigned vcpu)
{
    return vcpu < list.size() && !list[vcpu].is_all() ? &list[vcpu] : nullptr;
}

// Of the host's time zone against UTC, now, in seconds.
std::int64_t local_time_offset()
{
    ::tzset(); // the administrator may have chosen another since
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    return ::localtime_r(&now, &local) != nullptr ? local.tm_gmtoff : 0;
}

Result<std::optional<Cpu_bits>> bits_of(std::string_view key, const config::Cpu_set* wanted,
                                        const Host_info& host)
{
    if (wanted == nullptr) {
        return std::nullopt;
    }
    auto bits = to_bits(*wanted, host);
    if (!bits) {
        return fail(bits.error().code, std::string(key) + ": " + bits.error().message);
    }
    return *std::move(bits);
}

} // namespace

Result<std::unique_ptr<Domain>> Domain_maker::begin(const config::Domain_config& config,
                                                    const config::Uuid& uuid, const Frame& frame)
{
    const unsigned pool    = TRY(pool_for(config));
    auto domain            = std::make_unique<Domain>();
    domain->config         = config;
    domain->uuid           = uuid;
    domain->static_max_kib = frame.static_max_kib;
    domain->target_kib     = frame.target_kib;
    domain->overhead_kib   = frame.overhead_kib;
    if (config.generation_id) {
        domain->generation = config::Generation_id::random();
    }
    domain->id = TRY(
        control_.create({uuid.bytes, config.maxvcpus, frame.static_max_kib + frame.overhead_kib, pool,
                         config.max_event_channels, config.max_grant_frames, config.max_maptrack_frames}));
    return domain;
}

Result<void> Domain_maker::furnish(Domain& domain, const Built_domain& rings)
{
    TRY(pin_vcpus(domain));
    TRY(set_clock(domain));
    TRY(set_shares(control_, domain.id, domain.config));
    domain.rings = rings;
    open_console(domain);
    TRY(write_domain_nodes(store_, domain));
    return introduce(domain.id, domain.rings.store_page, domain.rings.store_port);
}

Result<void> Domain_maker::choose_processor(const Domain& domain)
{
    if (domain.config.cpuid == cpu::Wanted_features()) {
        return {};
    }
    auto policy = TRY(control_.cpu_policy(domain.id));
    cpu::set_features(policy, TRY(domain.config.cpuid.out_of(cpu::features_of(policy))));
    return control_.set_cpu_policy(domain.id, policy);
}

Result<void> Domain_maker::pin_vcpus(const Domain& domain)
{
    const config::Domain_config& config = domain.config;
    if (config.affinity.empty() && config.soft_affinity.empty()) {
        return {};
    }
    const Host_info host = TRY(control_.host());
    for (unsigned vcpu = 0; vcpu < config.maxvcpus; ++vcpu) {
        const Affinity affinity{TRY(bits_of("cpus", wanted_of(config.affinity, vcpu), host)),
                                TRY(bits_of("cpus_soft", wanted_of(config.soft_affinity, vcpu), host))};
        if (affinity.hard || affinity.soft) {
            TRY(control_.set_affinity(domain.id, vcpu, affinity));
        }
    }
    return {};
}

Result<void> Domain_maker::set_clock(const Domain& domain)
{
    const std::int64_t offset =
        domain.config.rtc_timeoffset + (domain.config.localtime ? local_time_offset() : 0);
    return offset == 0 ? Result<void>() : control_.set_time_offset(domain.id, offset);
}

Result<unsigned> Domain_maker::pool_for(const config::Domain_config& config)
{
    const auto pool = find_pool(control_, store_, config.pool);
    if (!pool) {
        return fail(pool.error().code == Errc::not_found ? Errc::invalid : pool.error().code,
                    "pool: " + pool.error().message);
    }
    TRY(check_room(control_, store_, *pool, config.vcpus, config.name));
    return pool->id;
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
    return Console::create(loop_, links_, terminals_, place, std::move(file));
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

void Domain_maker::let_go(Domain& domain)
{
    if (domain.console) {
        domain.console->drain();
        domain.console.reset();
    }
    remove_domain_nodes(store_, domain);
    store_.release(domain.id);
}

} // namespace vmm
