// SPDX-License-Identifier: Apache-2.0
// The part of Supervisor that forks domains: the parent suspends as for a save, the new domain gets its
// memory, in common with it, and its processors, and the parent finds that nothing came of the suspension.
// From its devices on the new domain is as one that was restored. Disks that both are to write are frozen in
// between, and each goes on with an image of its own over what was frozen.
#include "toolstack/base/log.hpp"
#include "toolstack/vmmd/handed_over.hpp"
#include "toolstack/vmmd/supervisor.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

namespace vmm
{

namespace
{

std::string quoted(const Domain& domain) { return "\"" + domain.name() + "\""; }

// What a running system keeps is as it was: only the outside may be another one.
Result<void> check_inside_is_same(const Domain& parent, const config::Domain_config& child)
{
    config::Domain_config same = parent.config;
    same.name                  = child.name;
    same.uuid                  = child.uuid;
    same.generation_id         = child.generation_id;
    same.disks                 = child.disks;
    same.vifs                  = child.vifs;
    same.affinity              = child.affinity;
    same.soft_affinity         = child.soft_affinity;
    same.cpu_weight            = child.cpu_weight;
    same.cap                   = child.cap;
    same.pool                  = child.pool;
    same.on_poweroff           = child.on_poweroff;
    same.on_reboot             = child.on_reboot;
    same.on_crash              = child.on_crash;
    same.on_watchdog           = child.on_watchdog;
    if (same == child) {
        return {};
    }
    return fail(
        Errc::invalid,
        "a fork has the memory, the processors and the kernel of " + quoted(parent) +
            ": only name, uuid, disk, vif, ms_vm_genid, cpus, cpus_soft, cpu_weight, cap, pool and the on_ "
            "actions may be others");
}

Result<void> check_addresses(const Domain& parent, const config::Domain_config& child)
{
    for (const config::Vif_config& own : child.vifs) {
        const auto same = std::ranges::find(parent.config.vifs, own.mac, &config::Vif_config::mac);
        if (own.mac && same != parent.config.vifs.end()) {
            return fail(Errc::invalid, "the address " + own.mac->to_string() + " is that of " +
                                           quoted(parent) +
                                           ": leave mac= out of vif and the fork gets one of its own");
        }
    }
    return {};
}

// Disks that the parent writes and the fork is to go on from: the fork's get places of their own, which are
// told by the vdev of the parent's.
Result<std::map<std::string, std::string>> branch_disks(const Domain& parent, config::Domain_config& child)
{
    using config::Disk_access;
    std::map<std::string, std::string> branches;
    for (config::Disk& disk : child.disks) {
        const auto same = std::ranges::find(parent.config.disks, disk.target, &config::Disk::target);
        if (disk.is_empty() || same == parent.config.disks.end() ||
            (same->access == Disk_access::read_only && disk.access == Disk_access::read_only)) {
            continue;
        }
        const std::string way_out = "give the fork disks of its own with disk=[...], or none with --no-disks";
        if (same->access != Disk_access::read_write || disk.access != Disk_access::read_write) {
            return fail(Errc::invalid, "disk " + disk.vdev + " (" + disk.target + ") is writable, and " +
                                           quoted(parent) + " has it: " + way_out);
        }
        if (const auto can = disk::check_can_freeze(*same); !can) {
            return fail(can.error().code, can.error().message + ", or " + way_out);
        }
        const std::string place = disk::branch_name(disk.target, child.name);
        if (std::error_code error; std::filesystem::exists(std::filesystem::symlink_status(place, error))) {
            return fail(Errc::exists, "disk " + disk.vdev + " of the fork would be " + place +
                                          ", which exists: move it away, or " + way_out);
        }
        branches[same->vdev] = place;
        disk.target          = place;
    }
    return branches;
}

} // namespace

Result<Domain_info> Supervisor::check_can_fork(Domid parent, const config::Domain_config& child) const
{
    const Domain* domain = table_.find(parent);
    if (domain == nullptr) {
        return fail(Errc::no_such_domain,
                    "domain " + to_string(parent) + " was not made by vmmd and cannot be forked");
    }
    TRY(check_stays(parent));
    const Domain_info info = TRY(parts_.control.info(parent));
    if (info.shutdown || domain->leaving) {
        return fail(Errc::busy, quoted(*domain) + " is not running any more");
    }
    TRY(parts_.devices.check_settled(parent));
    TRY(check_inside_is_same(*domain, child));
    TRY(check_addresses(*domain, child));
    return info;
}

Result<Supervisor::Creation_id> Supervisor::fork(Domid parent, Creation creation)
{
    const Domain_info info = TRY(check_can_fork(parent, creation.config));
    auto branches          = TRY(branch_disks(*table_.find(parent), creation.config));
    const auto child       = std::make_shared<Construction>();
    child->uuid            = creation.config.uuid.value_or(config::Uuid::random());
    TRY(check_free(creation.config, child->uuid));
    child->id          = Creation_id{next_id_++};
    child->creation    = std::move(creation);
    const auto save    = std::make_shared<Save_under_way>();
    save->saving.id    = parent;
    save->saving.after = After_save::run;
    save->saving.done  = [this, child](const Result<Frozen_disks>& result) {
        forked(child, result ? Result<void>() : std::unexpected(result.error()));
    };
    save->branches    = std::move(branches);
    save->child       = child;
    save->pause_again = info.paused;
    if (info.paused) { // only for as long as it takes to suspend
        TRY(parts_.control.unpause(parent));
    }
    if (auto asked = ask_to_suspend(save); !asked) {
        if (info.paused) {
            static_cast<void>(parts_.control.pause(parent));
        }
        return std::unexpected(std::move(asked.error()));
    }
    saves_.emplace(parent, save);
    constructions_.push_back(child);
    log::info("domain " + to_string(parent) + " (" + quoted(*table_.find(parent)) +
              ") is to be forked into \"" + child->creation.config.name + "\"");
    return child->id;
}

Supervisor::Save_ptr Supervisor::fork_into(const Construction_ptr& child) const
{
    const auto found =
        std::ranges::find(saves_, child, [](const auto& entry) { return entry.second->child; });
    return found == saves_.end() ? nullptr : found->second;
}

Result<void> Supervisor::begin_fork(Domain& parent, const Save_ptr& save)
{
    const Construction_ptr child = save->child;
    if (parent.console) {
        parent.console->drain();
    }
    auto saved   = TRY(describe_saved(parts_.control, parent));
    saved.config = child->creation.config;
    saved.uuid   = child->uuid;
    TRY(begin_place(child, saved));
    const auto fill = [from = parent.id, to = child->domain->id,
                       saved](Build_control& control, const Progress&) -> Result<Built_domain> {
        TRY(control.fork_memory(to, from));
        return save::complete_domain(control, to, saved, TRY(control.context(from)));
    };
    save->job = TRY(start_filling(fill, [this, save](const Result<Built_domain>& rings) {
        written(save, furnish(*save->child, rings));
    }));
    return {};
}

// The parent runs on, or is gone; the child is whole but for its devices, or will not be.
void Supervisor::forked(const Construction_ptr& child, Result<void> result)
{
    if (result) {
        result = put_in_place(*child);
    }
    if (result) {
        plug(child);
    } else {
        abandon(child, std::move(result.error()));
    }
}

} // namespace vmm
