// SPDX-License-Identifier: Apache-2.0
// The part of Supervisor that freezes the disks of a domain that has suspended: once its backends have
// answered everything, each writable image keeps a name of its own and an empty one over it takes its place
// (disk/layer_exchange.hpp). What fails from then on does no harm: the domain goes on with the new images,
// which have all that was in the old ones. And what is done with the disks of one that is saved without them.
#include "toolstack/base/log.hpp"
#include "toolstack/migrate/ring_drain.hpp"
#include "toolstack/vmmd/disk_rings.hpp"
#include "toolstack/vmmd/supervisor.hpp"

#include <ctime>
#include <utility>

namespace vmm
{

namespace
{

using config::Disk;
using disk::Layer_exchange;

std::vector<Disk> written_disks(const Domain& domain)
{
    std::vector<Disk> disks;
    for (const Disk& disk : domain.config.disks) {
        if (!disk.is_empty() && disk.access != config::Disk_access::read_only) {
            disks.push_back(disk);
        }
    }
    return disks;
}

Result<const Disk*> disk_of(const save::Saved_domain& saved, const save::Frozen_disk& frozen)
{
    for (const Disk& disk : saved.config.disks) {
        if (disk.vdev == frozen.vdev) {
            return &disk;
        }
    }
    return fail(Errc::protocol, "the file tells the state of a disk " + frozen.vdev + ", and \"" +
                                    saved.config.name + "\" has none of that name");
}

} // namespace

Result<void> Supervisor::check_can_freeze(const Domain& domain) const
{
    for (const Disk& disk : written_disks(domain)) {
        TRY(disk::check_can_freeze(disk));
    }
    return {};
}

// The new images are made while the old ones are still open: nothing is written to them any more.
Result<void> Supervisor::begin_freeze(Domain& domain, const Save_ptr& save)
{
    const auto layers   = std::make_shared<std::vector<Layer>>();
    const auto branches = std::make_shared<std::vector<Layer>>();
    const auto prepare =
        [id = domain.id, rings = rings_of_disks(parts_.store, parts_.devices, domain.id),
         disks = written_disks(domain), all = save->saving.disks, branches_at = save->branches, layers,
         branches, qemu_img = parts_.qemu_img](Build_control& control, const Progress&) -> Result<void> {
        TRY(migrate::wait_for_answers(control, id, rings));
        const std::time_t now = std::time(nullptr);
        for (const Disk& disk : disks) {
            if (!all && !branches_at.contains(disk.vdev)) {
                continue; // the fork has none of it
            }
            layers->push_back(
                std::make_shared<Layer_exchange>(TRY(Layer_exchange::freeze(qemu_img, disk, now))));
            if (const auto at = branches_at.find(disk.vdev); at != branches_at.end()) {
                branches->push_back(std::make_shared<Layer_exchange>(
                    TRY(Layer_exchange::branch(qemu_img, *layers->back(), at->second))));
            }
        }
        return {};
    };
    return start_step(save, prepare, [this, save, layers, branches](Result<void> prepared) {
        if (save->child) {
            save->child->layers = std::move(*branches);
        }
        exchange_layers(save, *layers, std::move(prepared));
    });
}

void Supervisor::exchange_layers(const Save_ptr& save, const std::vector<Layer>& layers,
                                 Result<void> prepared)
{
    if (prepared && save->cancelled) {
        prepared = fail(Errc::cancelled, "it was cancelled");
    }
    if (!prepared) {
        frozen(save, layers, std::move(prepared));
        return;
    }
    std::vector<Closed_work> works;
    works.reserve(layers.size());
    for (const Layer& layer : layers) {
        works.push_back({layer->plan().vdev, [save, layer]() -> Result<void> {
                             TRY(layer->commit());
                             const auto& plan = layer->plan();
                             save->frozen.push_back({plan.vdev, plan.behind});
                             log::info("disk " + plan.vdev + " of domain " + to_string(save->saving.id) +
                                       ": its state is frozen as " + plan.behind);
                             return {};
                         }});
    }
    while_closed(save->saving.id, works,
                 [this, save, layers](Result<void> done) { frozen(save, layers, std::move(done)); });
}

// Some of what the guest was told is written is in the memory of qemu-nbd only. If that fails to be written
// when the domain is gone, the file is that of one whose disk has lost something; now it runs on.
void Supervisor::write_out_images(const Domain& domain, const Save_ptr& save)
{
    std::vector<Closed_work> works;
    const bool ends = !save->child && save->saving.after == After_save::destroy;
    for (const Disk& disk : written_disks(domain)) {
        if (ends && disk.format != config::Disk_format::raw) {
            works.push_back({disk.vdev, [] { return Result<void>(); }}); // to close it is all
        }
    }
    while_closed(domain.id, works, [this, save](Result<void> done) { frozen(save, {}, std::move(done)); });
}

void Supervisor::while_closed(Domid id, const std::vector<Closed_work>& works, device::Done done)
{
    struct All {
        std::size_t open;
        Result<void> result;
        device::Done done;
    };
    if (works.empty()) {
        done({});
        return;
    }
    const auto all = std::make_shared<All>(All{works.size(), {}, std::move(done)});
    for (const Closed_work& one : works) {
        Disk disk;
        disk.vdev = one.vdev;
        parts_.devices.while_closed({id, "vbd", disk.number()}, one.work, [all](Result<void> result) {
            if (!result && all->result) {
                all->result = std::move(result);
            }
            if (--all->open == 0) {
                all->done(std::move(all->result));
            }
        });
    }
}

void Supervisor::frozen(const Save_ptr& save, const std::vector<Layer>& layers, Result<void> result)
{
    Domain* const domain = table_.find(save->saving.id);
    if (result && save->cancelled) {
        result = fail(Errc::cancelled, "it was cancelled");
    }
    if (result && (domain == nullptr || domain->leaving)) {
        result = fail(Errc::no_such_domain, "it was destroyed meanwhile");
    }
    if (result) {
        save->layers = layers;
        result       = copy(*domain, save);
    }
    if (!result) {
        written(save, std::move(result));
    }
}

// Nobody has the images that are in their way.
Result<void> Supervisor::check_places(const save::Saved_domain& saved) const
{
    for (const save::Frozen_disk& frozen : saved.disks) {
        TRY(parts_.devices.check_free("vbd", config::write_disk(*TRY(disk_of(saved, frozen)))));
    }
    return {};
}

Result<std::vector<Supervisor::Layer>> Supervisor::layers_of(const save::Saved_domain& saved,
                                                             const std::string& qemu_img)
{
    std::vector<Layer> layers;
    const std::time_t now = std::time(nullptr);
    for (const save::Frozen_disk& frozen : saved.disks) {
        const Disk& disk = *TRY(disk_of(saved, frozen));
        layers.push_back(std::make_shared<Layer_exchange>(
            TRY(Layer_exchange::go_back(qemu_img, disk.vdev, disk.target, frozen.base, now))));
    }
    return layers;
}

// From here to the end of its devices the new images are in their places, which is on file before.
Result<void> Supervisor::put_in_place(Construction& construction)
{
    if (!construction.layers.empty()) {
        construction.in_place = true;
        TRY(write_state());
    }
    for (const Layer& layer : construction.layers) {
        TRY(layer->commit());
        const auto& plan = layer->plan();
        if (plan.aside.empty()) {
            continue;
        }
        log::info("disk " + plan.vdev + " of \"" + construction.creation.config.name + "\" goes back to " +
                  plan.behind + "; what was at " + plan.image + " is " + plan.aside);
        if (construction.creation.set_aside) {
            construction.creation.set_aside->push_back({plan.vdev, plan.image, plan.aside});
        }
    }
    return {};
}

void Supervisor::take_from_place(Construction& construction)
{
    for (const Layer& layer : construction.layers) {
        if (const auto undone = layer->undo(); !undone) {
            log::error(undone.error().message);
        }
    }
    construction.layers.clear();
}

// For a domain that a former vmmd has not come to make.
void Supervisor::put_back(const std::vector<Placed_image>& placed)
{
    for (const auto& [image, aside] : placed) {
        const auto back = Layer_exchange::put_back(image, aside);
        if (!back) {
            log::error(back.error().message + "; what is there now is older: move it back before you use it");
        } else if (*back) {
            log::warning(image + " is what it was before the restoration in which vmmd ended");
        }
    }
}

Result<void> Supervisor::copy(Domain& domain, const Save_ptr& save)
{
    return save->child ? begin_fork(domain, save) : begin_save(domain, save);
}

} // namespace vmm
