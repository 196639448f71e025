// SPDX-License-Identifier: Apache-2.0
// The part of Supervisor that brings domains into being: from a request or a restart to a running domain.
#include "toolstack/base/log.hpp"
#include "toolstack/vmmd/boot_clock.hpp"
#include "toolstack/vmmd/domain_devices.hpp"
#include "toolstack/vmmd/supervisor.hpp"

#include <algorithm>
#include <utility>

namespace vmm
{

namespace
{

Build_request to_request(const config::Domain_config& config)
{
    Build_request request;
    request.kernel       = config.kernel;
    request.ramdisk      = config.ramdisk;
    request.command_line = config.cmdline;
    // It is built with all it may ever have and gives back what is above `memory` once its balloon driver
    // runs: a guest can only grow into memory that was in its map from the start, unless somebody in it
    // brings hot-added memory online.
    request.memory_kib   = config.maxmem_mib * 1024;
    request.vcpus        = config.maxvcpus;
    return request;
}

} // namespace

Result<void> Supervisor::check_free(const config::Domain_config& config, const config::Uuid& uuid,
                                    const Construction* self) const
{
    TRY(table_.check_name_free(config.name));
    TRY(table_.check_uuid_free(uuid));
    if (being_undone_.contains(uuid.to_string())) {
        return fail(Errc::busy, "what is left of \"" + config.name +
                                    "\" from when vmmd ended is being destroyed right now; try again");
    }
    for (const Construction_ptr& other : constructions_) {
        if (other.get() != self && (other->creation.config.name == config.name || other->uuid == uuid)) {
            return fail(Errc::exists,
                        "a domain \"" + other->creation.config.name +
                            (other->predecessor ? "\" is about to be restarted; xm destroy it first"
                                                : "\" is being created right now"));
        }
    }
    return {};
}

Result<Supervisor::Creation_id> Supervisor::create(Creation creation)
{
    auto construction   = std::make_shared<Construction>();
    construction->id    = Creation_id{next_id_++};
    const bool is_saved = !creation.image.empty(); // then the file says who it is
    if (!is_saved) {
        construction->uuid = creation.config.uuid.value_or(config::Uuid::random());
        TRY(check_free(creation.config, construction->uuid));
    }
    construction->creation = std::move(creation);
    constructions_.push_back(construction);
    is_saved ? read_image(construction) : prepare(construction);
    return construction->id;
}

void Supervisor::cancel(Creation_id id, std::function<void()> done)
{
    const auto found = std::find_if(constructions_.begin(), constructions_.end(),
                                    [&](const Construction_ptr& c) { return c->id == id; });
    if (found == constructions_.end()) {
        return;
    }
    // finish() takes the list's away.
    const Construction_ptr construction = *found; // NOLINT(performance-unnecessary-copy-initialization)
    construction->cancelled             = true;
    if (done) {
        construction->when_finished.push_back(std::move(done));
    }
    if (construction->delay) {
        parts_.loop.cancel(*construction->delay);
    }
    if (construction->receiver) {
        construction->receiver->cancel();
    }
    if (const Save_ptr save = fork_into(construction)) {
        cancel_save(save->saving.id); // forked() comes
        return;
    }
    if (construction->filling) {
        construction->filling->cancel(); // filled() comes, and undoes the rest
        return;
    }
    if (construction->domain) {
        // Whatever is being plugged fails now, and launch() undoes the rest.
        parts_.devices.unplug_all(construction->domain->id, [] {});
        return;
    }
    finish(construction, fail(Errc::cancelled, "the creation was cancelled"));
}

bool Supervisor::is_being_made(Domid id) const
{
    return std::ranges::any_of(constructions_,
                               [id](const Construction_ptr& c) { return c->domain && c->domain->id == id; });
}

std::optional<Supervisor::Creation_id> Supervisor::creation_of(std::string_view name_or_id) const
{
    const auto id = parse_domid(name_or_id);
    for (const Construction_ptr& c : constructions_) {
        if (id ? c->domain && c->domain->id == *id : c->creation.config.name == name_or_id) {
            return c->id;
        }
    }
    return std::nullopt;
}

void Supervisor::prepare(const Construction_ptr& construction)
{
    parts_.worker.submit([construction, request = to_request(construction->creation.config),
                          &builder = parts_.builder] { construction->prepared = builder.prepare(request); },
                         [this, construction] { complete(construction); });
}

void Supervisor::complete(const Construction_ptr& construction)
{
    if (construction->cancelled) {
        return; // finish() has been called
    }
    if (auto begun = begin_building(construction); !begun) {
        abandon(construction, std::move(begun.error()));
    }
}

Result<void> Supervisor::begin_building(const Construction_ptr& construction)
{
    const auto prepared = std::make_shared<Prepared_domain>(TRY(std::move(*construction->prepared)));
    construction->prepared.reset();
    // From here to settle() a successor of this process must find and destroy what is half made.
    unfinished_.insert(construction->uuid.to_string());
    save_state();
    const config::Domain_config& config = construction->creation.config;
    const std::uint64_t static_max      = config.maxmem_mib * 1024;
    construction->domain                = TRY(
                       parts_.maker.begin(config, construction->uuid,
                                          {static_max, config.memory_mib * 1024, prepared->max_memory_kib - static_max}));
    Domain& domain    = *construction->domain;
    domain.quick_ends = construction->quick_ends;
    if (construction->generation) { // rebooted, it goes on
        domain.generation = construction->generation;
    }
    TRY(parts_.maker.choose_processor(domain));
    TRY(parts_.builder.reserve(domain.id, prepared->layout.pages(), prepared->table_kib));
    const auto fill = [id = domain.id, prepared](Build_control& control, const Progress& progress) {
        return fill_domain(control, id, *prepared, progress);
    };
    construction->filling = TRY(start_filling(
        fill, [this, construction](const Result<Built_domain>& rings) { filled(construction, rings); }));
    return {};
}

Result<std::shared_ptr<Image_job>> Supervisor::start_filling(Fill fill,
                                                             std::function<void(Result<Built_domain>)> done)
{
    const auto rings = std::make_shared<Built_domain>();
    return Image_job::start(
        parts_.loop, parts_.open_control,
        [fill = std::move(fill), rings](Build_control& control, const Progress& progress) -> Result<void> {
            *rings = TRY(fill(control, progress));
            return {};
        },
        [rings, done = std::move(done)](Result<void> result) {
            done(result ? Result<Built_domain>(*rings) : std::unexpected(std::move(result.error())));
        });
}

// It has been given its memory, or not.
Result<void> Supervisor::furnish(const Construction& construction, const Result<Built_domain>& rings)
{
    if (construction.cancelled) {
        return fail(Errc::cancelled, "it was cancelled");
    }
    return rings ? parts_.maker.furnish(*construction.domain, *rings) : std::unexpected(rings.error());
}

void Supervisor::filled(const Construction_ptr& construction, const Result<Built_domain>& rings)
{
    construction->filling.reset();
    construction->image.reset();
    Result<void> furnished = furnish(*construction, rings);
    if (furnished) {
        furnished = put_in_place(*construction);
    }
    if (!furnished) {
        abandon(construction, std::move(furnished.error()));
        return;
    }
    plug(construction);
}

void Supervisor::plug(const Construction_ptr& construction)
{
    parts_.devices.plug(
        wanted_devices(construction->domain->id, construction->creation.config),
        [this, construction](Result<void> plugged) { launch(construction, std::move(plugged)); });
}

// It is complete, devices and all, or has failed to become so.
void Supervisor::launch(const Construction_ptr& construction, Result<void> plugged)
{
    const auto& still_wanted = construction->creation.still_wanted;
    if (plugged && (construction->cancelled || (still_wanted && !still_wanted()))) {
        plugged = fail(Errc::cancelled, "whoever wanted the domain has gone");
    }
    if (plugged && !construction->creation.paused) {
        plugged = parts_.control.unpause(construction->domain->id);
    }
    if (!plugged) {
        abandon(construction, std::move(plugged.error()));
        return;
    }
    settle(construction, enter(construction));
}

// It is one of ours from here on; its life begins.
Domid Supervisor::enter(const Construction_ptr& construction)
{
    const Domid id                = construction->domain->id;
    construction->domain->started = boot_seconds();
    table_.insert(std::move(construction->domain));
    return id;
}

void Supervisor::abandon(const Construction_ptr& construction, Error error)
{
    if (!construction->domain) {
        settle(construction, std::unexpected(std::move(error)));
        return;
    }
    parts_.devices.unplug_all(construction->domain->id, [this, construction, error = std::move(error)] {
        unmake(*construction->domain, [this, construction, error](const Result<void>& unmade) {
            if (!unmade) {
                log::error(unmade.error().message);
            }
            construction->domain.reset();
            take_from_place(*construction);
            settle(construction, std::unexpected(error));
        });
    });
}

void Supervisor::settle(const Construction_ptr& construction, Result<Domid> outcome)
{
    unfinished_.erase(construction->uuid.to_string());
    construction->settled = true;
    save_state();
    finish(construction, std::move(outcome));
}

void Supervisor::finish(const Construction_ptr& construction, Result<Domid> outcome)
{
    constructions_.remove(construction);
    if (construction->predecessor && !construction->settled) {
        save_state();
    }
    const std::string& name = construction->creation.config.name;
    if (outcome) {
        log::info("domain " + to_string(*outcome) + " (\"" + name + "\") created" +
                  (construction->predecessor ? " in place of domain " + to_string(*construction->predecessor)
                                             : ""));
    } else {
        log::warning("\"" + (name.empty() ? construction->creation.image : name) +
                     "\" was not created: " + outcome.error().message);
    }
    if (construction->predecessor) {
        const Domid old         = *construction->predecessor;
        const Outcome otherwise = table_.find(old) != nullptr ? Outcome::preserved : Outcome::gone;
        tell_waiters(old, {outcome ? Outcome::restarted : otherwise, construction->reason,
                           outcome ? std::optional(*outcome) : std::nullopt});
    }
    if (construction->creation.done) {
        construction->creation.done(std::move(outcome));
    }
    for (const auto& tell : construction->when_finished) {
        tell();
    }
}

} // namespace vmm
