// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/supervisor.hpp"

#include "toolstack/base/log.hpp"
#include "toolstack/vmmd/boot_clock.hpp"
#include "toolstack/vmmd/domain_nodes.hpp"
#include "toolstack/vmmd/end_policy.hpp"

#include <algorithm>
#include <utility>

namespace vmm
{

namespace
{

constexpr std::size_t kRememberedEnds = 64;
constexpr std::uint64_t kLeastDom0Kib = 128 << 10;

std::string describe(const Domain& domain)
{
    return "domain " + to_string(domain.id) + " (\"" + domain.name() + "\")";
}

} // namespace

Result<void> Supervisor::write_state() const
{
    Unsettled rest{unfinished_, {}, {}, unread_, {}};
    for (const auto& [uuid, restart] : being_undone_) {
        rest.unfinished.insert(uuid);
    }
    for (const Construction_ptr& c : constructions_) {
        if (c->predecessor && !c->settled) {
            rest.restarts.push_back(
                {c->creation.config, c->uuid, c->generation, *c->predecessor, c->reason, c->quick_ends});
        }
        if (!c->in_place || c->settled) {
            continue; // a thread may be at its layers still
        }
        for (const Layer& layer : c->layers) {
            if (!layer->plan().aside.empty()) {
                rest.placed.push_back({layer->plan().image, layer->plan().aside});
            }
        }
    }
    for (const auto& [id, foreign] : foreign_) {
        rest.foreign.push_back({id, foreign.uuid, foreign.store_page, foreign.store_port});
    }
    return parts_.state.save(table_, rest);
}

void Supervisor::save_state()
{
    if (const auto saved = write_state(); !saved) {
        log::error(saved.error().message + "; a restart of vmmd would not find its domains again");
    }
}

void Supervisor::check_ends()
{
    const auto listed = parts_.control.list();
    if (!listed) {
        log::error(listed.error().message);
        return;
    }
    std::vector<std::pair<Domid, std::optional<Shutdown_reason>>> ended;
    for (const auto& [id, domain] : table_.all()) {
        const auto found =
            std::find_if(listed->begin(), listed->end(), [&](const Domain_info& i) { return i.id == id; });
        if (domain->leaving) {
            continue; // on its way out already
        }
        if (found == listed->end() || found->dying) {
            ended.emplace_back(id, std::nullopt);
        } else if (found->shutdown && !domain->ended) {
            ended.emplace_back(id, found->shutdown);
        }
    }
    for (const auto& [id, reason] : ended) {
        Domain* domain = table_.find(id);
        if (domain == nullptr) {
            continue;
        }
        if (reason == Shutdown_reason::suspend) {
            suspended(*domain);
        } else if (reason) {
            end_domain(*domain, *reason);
        } else {
            log::info(describe(*domain) + " was destroyed by another tool");
            take_apart(*domain, [this, id = id](const Result<void>&) { // nothing is left that could fail
                tell_waiters(id, {Outcome::gone, "destroyed", std::nullopt});
            });
        }
    }
    check_foreign(*listed);
}

void Supervisor::end_domain(Domain& domain, Shutdown_reason reason)
{
    const Domid id = domain.id;
    const std::string why(name_of(reason));
    const config::End_action action = end_action(domain.config, reason);
    log::info(describe(domain) + " ended: " + why + "; action: " + std::string(config::to_string(action)));
    domain.ended      = reason;
    domain.quick_ends = boot_seconds() - domain.started < kQuickEnd.count() ? domain.quick_ends + 1 : 0;
    if (domain.console) {
        domain.console->drain();
    }
    will_not_suspend(id, "it has ended instead: " + why);
    parts_.store.announce_shutdown(id);
    switch (action) {
    case config::End_action::destroy:
        take_apart(domain, [this, id, why](const Result<void>& removed) {
            if (!removed) {
                log::error(removed.error().message);
            }
            tell_waiters(id, {removed ? Outcome::gone : Outcome::preserved, why, std::nullopt});
        });
        break;
    case config::End_action::preserve:
        domain.preserved = true;
        save_state();
        tell_waiters(id, {Outcome::preserved, why, std::nullopt});
        break;
    case config::End_action::restart: restart(domain); break;
    case config::End_action::rename_restart: rename_and_restart(domain); break;
    }
}

// Its devices first, since their backends hold pages of it. It does not run meanwhile.
void Supervisor::take_apart(Domain& domain, std::function<void(Result<void>)> done)
{
    domain.leaving = true;
    will_not_suspend(domain.id, "it was destroyed meanwhile");
    stop(domain.id);
    parts_.devices.unplug_all(domain.id, [this, id = domain.id, done = std::move(done)] {
        Domain* const still_there = table_.find(id); // somebody else may have waited for the same
        if (still_there == nullptr) {
            done({});
            return;
        }
        unmake(*still_there, [this, id, done](Result<void> unmade) { done(removed(id, std::move(unmade))); });
    });
}

void Supervisor::stop(Domid id)
{
    if (const auto paused = parts_.control.pause(id); !paused) {
        log::debug(paused.error().message); // it has ended already, and destroying stops it anyway
    }
}

// It does not run and has no devices any more. Nothing of it is left in dom0; `done` is told when nothing is
// left at all.
void Supervisor::unmake(Domain& domain, Destroyer::Done done)
{
    parts_.maker.let_go(domain);
    destroyer_.destroy(domain.id, std::move(done));
}

// Forgets the domain. When it could not be unmade it stays, ended, for another `destroy`.
Result<void> Supervisor::removed(Domid id, Result<void> unmade)
{
    Domain* const domain = table_.find(id);
    if (domain == nullptr) {
        return unmade; // as somebody else has been told already
    }
    if (!unmade) {
        domain->preserved = true;
        domain->leaving   = false;
        save_state();
        return unmade;
    }
    recent_ends_.emplace_back(id, domain->ended ? std::string(name_of(*domain->ended)) : "destroyed");
    table_.take(id);
    if (recent_ends_.size() > kRememberedEnds) {
        recent_ends_.pop_front();
    }
    save_state();
    return {};
}

Supervisor::Wait_id Supervisor::wait(Domid id, End_callback callback)
{
    const Wait_id wait_id{next_id_++};
    const Domain* domain  = table_.find(id);
    const bool restarting = std::any_of(constructions_.begin(), constructions_.end(),
                                        [&](const Construction_ptr& c) { return c->predecessor == id; });
    if (domain != nullptr && domain->preserved && !restarting) {
        const std::string reason(domain->ended ? name_of(*domain->ended) : "unknown");
        callback({Outcome::preserved, reason, std::nullopt});
    } else if (domain != nullptr || restarting || foreign_.contains(id)) {
        waiters_.push_back({wait_id, id, std::move(callback)});
    } else {
        const auto end = std::find_if(recent_ends_.rbegin(), recent_ends_.rend(),
                                      [&](const auto& e) { return e.first == id; });
        callback({Outcome::gone, end == recent_ends_.rend() ? "unknown" : end->second, std::nullopt});
    }
    return wait_id;
}

void Supervisor::cancel_wait(Wait_id id)
{
    std::erase_if(waiters_, [&](const Waiter& w) { return w.id == id; });
}

void Supervisor::tell_waiters(Domid id, const End& end)
{
    std::vector<End_callback> callbacks;
    for (Waiter& waiter : waiters_) {
        if (waiter.domid == id) {
            callbacks.push_back(std::move(waiter.callback));
        }
    }
    std::erase_if(waiters_, [&](const Waiter& w) { return w.domid == id; });
    for (const End_callback& callback : callbacks) {
        callback(end);
    }
}

void Supervisor::destroy(Domid id, std::function<void(Result<void>)> done)
{
    Domain* const domain = table_.find(id);
    if (domain == nullptr) {
        destroy_foreign(id, std::move(done));
        return;
    }
    const auto restarting = std::find_if(constructions_.begin(), constructions_.end(),
                                         [&](const Construction_ptr& c) { return c->predecessor == id; });
    // Kept under another name, it has nothing to do with its successor any more.
    if (restarting != constructions_.end() && !domain->preserved) {
        cancel((*restarting)->id);
    }
    log::info(describe(*domain) + " is destroyed on request");
    domain->unwanted = true;
    save_state();
    take_apart(*domain, [this, id, done = std::move(done)](Result<void> removed) {
        if (removed) {
            tell_waiters(id, {Outcome::gone, "destroyed", std::nullopt});
        }
        done(std::move(removed));
    });
}

void Supervisor::set_config(Domid id, config::Domain_config config)
{
    if (Domain* const domain = table_.find(id)) {
        domain->config = std::move(config);
        save_state();
    }
}

Result<void> Supervisor::rename(Domid id, const std::string& name)
{
    Domain* domain = table_.find(id);
    if (domain == nullptr) {
        return fail(Errc::no_such_domain,
                    "domain " + to_string(id) + " was not made by vmmd and cannot be renamed");
    }
    if (const auto valid = config::check_name(name); !valid) {
        return fail(Errc::invalid, "name: " + valid.error());
    }
    if (name == domain->name()) {
        return {};
    }
    config::Domain_config renamed = domain->config;
    renamed.name                  = name;
    TRY(check_free(renamed, config::Uuid::random()));
    domain->config = std::move(renamed);
    TRY(write_name(parts_.store, *domain));
    save_state();
    return {};
}

Result<void> Supervisor::set_target(Domid id, std::uint64_t kib)
{
    Domain* domain = table_.find(id);
    if (domain != nullptr) {
        if (kib < config::Limits::kMin_memory_mib * 1024 || kib > domain->max_kib()) {
            return fail(Errc::out_of_range, "the memory of \"" + domain->name() + "\" can be from " +
                                                std::to_string(config::Limits::kMin_memory_mib) +
                                                " MiB to its maxmem of " +
                                                std::to_string(domain->config.maxmem_mib) + " MiB");
        }
        // The limit follows the target, so that the guest cannot take back what it was told to give.
        TRY(parts_.control.set_max_memory(id, kib + domain->overhead_kib));
        domain->target_kib = kib;
    } else if (id == kDom0 && kib < kLeastDom0Kib) {
        return fail(Errc::out_of_range, "Domain-0 needs " + std::to_string(kLeastDom0Kib / 1024) +
                                            " MiB at least: with less this host would stand still");
    }
    TRY(write_memory_target(parts_.store, id, kib));
    save_state();
    return {};
}

Result<void> Supervisor::set_max(Domid id, std::uint64_t kib)
{
    Domain* domain = table_.find(id);
    if (domain == nullptr) {
        return fail(Errc::no_such_domain,
                    "domain " + to_string(id) + " was not made by vmmd: its limit cannot be changed");
    }
    if (kib < domain->target_kib || kib > domain->static_max_kib) {
        return fail(Errc::out_of_range,
                    "maxmem of \"" + domain->name() + "\" can be from its present memory of " +
                        std::to_string(domain->target_kib / 1024) + " MiB to the " +
                        std::to_string(domain->static_max_kib / 1024) +
                        " MiB it was created with; for more, change its file and create it anew");
    }
    domain->config.maxmem_mib = kib / 1024;
    domain->config.memory_mib = std::min(domain->config.memory_mib, domain->config.maxmem_mib);
    save_state();
    return {};
}

} // namespace vmm
