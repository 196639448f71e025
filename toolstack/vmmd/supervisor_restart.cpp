// SPDX-License-Identifier: Apache-2.0
// The part of Supervisor that restarts domains: the successor is owed from the end of the one before until it
// is made, by a later daemon if need be.
#include "toolstack/base/log.hpp"
#include "toolstack/vmmd/domain_nodes.hpp"
#include "toolstack/vmmd/end_policy.hpp"
#include "toolstack/vmmd/supervisor.hpp"

#include <utility>

namespace vmm
{

Supervisor::Construction_ptr Supervisor::owe(Saved_restart restart)
{
    auto construction             = std::make_shared<Construction>();
    construction->id              = Creation_id{next_id_++};
    construction->creation.config = std::move(restart.config);
    construction->uuid            = restart.uuid;
    construction->generation      = restart.generation;
    construction->predecessor     = restart.predecessor;
    construction->reason          = std::move(restart.reason);
    construction->quick_ends      = restart.quick_ends;
    constructions_.push_back(construction);
    return construction;
}

// It is on file before the domain is lost to whoever reads the file. As long as the domain is there, as it
// was, a successor of this process sees its end once more instead.
Supervisor::Construction_ptr Supervisor::owe_successor(const Domain& domain)
{
    const std::string reason(name_of(domain.ended.value_or(Shutdown_reason::crash)));
    auto construction =
        owe({domain.config, domain.uuid, domain.generation, domain.id, reason, domain.quick_ends});
    save_state();
    return construction;
}

void Supervisor::restart(Domain& domain)
{
    const Construction_ptr construction = owe_successor(domain);
    take_apart(domain,
               [this, construction](Result<void> removed) { removed_for_restart(construction, removed); });
}

void Supervisor::removed_for_restart(const Construction_ptr& construction, Result<void> removed)
{
    if (construction->cancelled) {
        return; // finish() has been called
    }
    if (!removed) {
        constructions_.remove(construction);
        save_state();
        log::error(removed.error().message + "; it is not restarted");
        tell_waiters(*construction->predecessor, {Outcome::preserved, construction->reason, std::nullopt});
        return;
    }
    begin_restart(construction);
}

std::string Supervisor::free_name(const std::string& base) const
{
    for (unsigned n = 1;; ++n) {
        const std::string suffix = "-" + std::to_string(n);
        const std::string name   = base.substr(0, config::Limits::kMax_name_length - suffix.size()) + suffix;
        if (table_.check_name_free(name)) {
            return name;
        }
    }
}

void Supervisor::rename_and_restart(Domain& domain)
{
    const Construction_ptr construction = owe_successor(domain);
    domain.preserved                    = true;
    domain.config.name                  = free_name(domain.name());
    remove_domain_nodes(parts_.store, domain); // its /vm node is the successor's from now on
    domain.renamed_from = domain.uuid;
    domain.uuid         = config::Uuid::random();
    save_state(); // by either UUID a successor of this process knows it again
    auto renamed = parts_.control.set_uuid(domain.id, domain.uuid.bytes);
    if (renamed) {
        renamed = write_domain_nodes(parts_.store, domain);
    }
    if (!renamed) {
        log::warning(renamed.error().message);
    }
    log::info("domain " + to_string(domain.id) + " is kept as \"" + domain.name() + "\"");
    restart_beside(domain, construction);
}

// The successor is to have the disks, and what has ended needs none to be looked at.
void Supervisor::restart_beside(const Domain& kept, const Construction_ptr& construction)
{
    parts_.devices.unplug_all(kept.id, [this, construction] { removed_for_restart(construction, {}); });
}

void Supervisor::begin_restart(const Construction_ptr& construction)
{
    const auto delay = restart_delay(construction->quick_ends);
    if (delay.count() == 0) {
        prepare(construction);
        return;
    }
    log::warning("\"" + construction->creation.config.name + "\" has ended " +
                 std::to_string(construction->quick_ends) + " times in a row within " +
                 std::to_string(kQuickEnd.count()) + " s of its start: next restart in " +
                 std::to_string(delay.count()) + " s (its console log may tell why; xm destroy stops this)");
    construction->delay = parts_.loop.after(delay, [this, construction] {
        construction->delay.reset();
        prepare(construction);
    });
}

// As a former daemon left it.
void Supervisor::owe_restart(Saved_restart saved)
{
    const auto half = being_undone_.find(saved.uuid.to_string());
    if (half == being_undone_.end() && !check_free(saved.config, saved.uuid)) {
        return; // it was made, somebody made another, or the domain is still there
    }
    const Construction_ptr construction = owe(std::move(saved));
    if (half != being_undone_.end()) {
        half->second = construction; // begun by the former vmmd, and to be undone first
        return;
    }
    // By the UUID: the number may be another domain's by now.
    const Domain* const predecessor = table_.find(*construction->predecessor);
    if (predecessor != nullptr && predecessor->renamed_from == construction->uuid) {
        restart_beside(*predecessor, construction);
    } else {
        begin_restart(construction);
    }
}

} // namespace vmm
