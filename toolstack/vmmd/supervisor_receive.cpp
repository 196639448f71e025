// SPDX-License-Identifier: Apache-2.0
// The part of Supervisor that takes domains from another host (toolstack/migrate/receiver.hpp): a creation
// whose config, memory and processors come over a connection. Its devices are plugged before the source
// pauses it, so that what this host lacks is known in time. It never runs before the word that hands it over;
// from then on it is complete in the state file, whatever happens to this process.
#include "toolstack/base/log.hpp"
#include "toolstack/disk/moving.hpp"
#include "toolstack/vmmd/domain_devices.hpp"
#include "toolstack/vmmd/domain_nodes.hpp"
#include "toolstack/vmmd/supervisor.hpp"

#include <utility>

namespace vmm
{

Result<Supervisor::Creation_id> Supervisor::receive(Creation creation,
                                                    std::unique_ptr<migrate::Descriptor_stream> stream)
{
    auto construction      = std::make_shared<Construction>();
    construction->id       = Creation_id{next_id_++};
    construction->creation = std::move(creation);
    construction->receiver = std::make_shared<migrate::Receiver>(std::move(stream), "the other host");
    construction->filling  = TRY(Image_job::start(
         parts_.loop, parts_.open_control,
         [construction](Build_control&, const auto&) -> Result<void> {
            construction->saved = construction->receiver->introduction();
            return {};
        },
         [this, construction](const Result<void>&) { introduced(construction); }));
    constructions_.push_back(construction);
    return construction->id;
}

void Supervisor::introduced(const Construction_ptr& construction)
{
    construction->filling.reset();
    auto made = construction->cancelled ? Result<void>(fail(Errc::cancelled, "it was cancelled"))
                                        : make_place(construction);
    if (!made) {
        give_up(construction, made.error());
        return;
    }
    parts_.devices.plug(
        wanted_devices(construction->domain->id, construction->creation.config),
        [this, construction](Result<void> plugged) { receive_memory(construction, std::move(plugged)); });
}

Result<void> Supervisor::make_place(const Construction_ptr& construction)
{
    const save::Saved_domain saved = TRY(*construction->saved);
    TRY(begin_place(construction, saved));
    if (saved.generation) { // the one before it does not go on
        construction->domain->generation = saved.generation;
    }
    return write_domain_nodes(parts_.store, *construction->domain); // for its devices
}

void Supervisor::receive_memory(const Construction_ptr& construction, Result<void> plugged)
{
    if (plugged && construction->cancelled) {
        plugged = fail(Errc::cancelled, "it was cancelled");
    }
    if (plugged) {
        const auto fill = [construction](Build_control& control, const Progress&) -> Result<Built_domain> {
            const auto rings = TRY(
                construction->receiver->receive(control, construction->domain->id, **construction->saved));
            TRY(disk::forget_cached(construction->creation.config.disks));
            return rings;
        };
        auto begun = start_filling(
            fill, [this, construction](const Result<Built_domain>& rings) { received(construction, rings); });
        if (begun) {
            construction->filling = *std::move(begun);
            return;
        }
        plugged = std::unexpected(std::move(begun.error()));
    }
    give_up(construction, plugged.error());
}

void Supervisor::received(const Construction_ptr& construction, const Result<Built_domain>& rings)
{
    construction->filling.reset();
    Result<void> furnished = furnish(*construction, rings);
    if (furnished) {
        auto begun = Image_job::start(
            parts_.loop, parts_.open_control,
            [construction](Build_control&, const auto&) { return construction->receiver->wait_for_word(); },
            [this, construction](Result<void> word) { taken_over(construction, std::move(word)); });
        if (begun) {
            construction->filling = *std::move(begun);
            return;
        }
        furnished = std::unexpected(std::move(begun.error()));
    }
    give_up(construction, furnished.error());
}

// From here on it is ours alone: the source lets it stand still for as long as it does not hear from us.
void Supervisor::taken_over(const Construction_ptr& construction, Result<void> word)
{
    construction->filling.reset();
    if (!word) {
        give_up(construction, word.error());
        return;
    }
    const Domid id = enter(construction);
    unfinished_.erase(construction->uuid.to_string());
    construction->settled = true;
    if (auto safe = write_state(); !safe) {
        log::error(safe.error().message); // a successor would destroy it, but it is nobody else's
    }
    if (!construction->creation.paused) {
        if (auto runs = parts_.control.unpause(id); !runs) {
            log::error(runs.error().message + "; it stays here, paused");
        }
    }
    if (auto said = construction->receiver->say_runs(); !said) {
        log::warning("the host that domain " + to_string(id) +
                     " came from may not know that it runs here: " + said.error().message);
    }
    finish(construction, id);
}

void Supervisor::give_up(const Construction_ptr& construction, const Error& error)
{
    construction->receiver->refuse(error);
    construction->receiver->cancel();
    if (construction->domain) {
        abandon(construction, error);
    } else {
        settle(construction, std::unexpected(error));
    }
}

} // namespace vmm
