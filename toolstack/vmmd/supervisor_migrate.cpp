// SPDX-License-Identifier: Apache-2.0
// The part of Supervisor that moves domains to another host (toolstack/migrate/sender.hpp has the steps):
// each step that waits for the other host is a job on a thread of its own; what a step leads to is decided
// here. Until the word is given that hands the domain over it is ours and runs on whatever fails. That it
// will be given stands in the state file before, so a successor of this process never runs it by itself.
#include "toolstack/base/log.hpp"
#include "toolstack/disk/moving.hpp"
#include "toolstack/migrate/ring_drain.hpp"
#include "toolstack/vmmd/disk_rings.hpp"
#include "toolstack/vmmd/handed_over.hpp"
#include "toolstack/vmmd/supervisor.hpp"

#include <utility>

namespace vmm
{

namespace
{

using Clock = std::chrono::steady_clock;

std::string quoted(const Domain& domain) { return "\"" + domain.name() + "\""; }

} // namespace

std::string handed_over_hint(const Domain& domain)
{
    return "was handed over to " + domain.handed_over_to +
           ", whose answer did not come: if it is in `xm list` there, `xm destroy " + domain.name() +
           "` here; if it is not, `xm migrate --take-back " + domain.name() + "`";
}

Result<void> Supervisor::migrate(Moving moving)
{
    const Domid id = moving.id;
    TRY(check_can_suspend(id));
    const Domain& domain            = *table_.find(id);
    const bool devices_reach_guests = TRY(parts_.control.host()).directio;
    for (const config::Disk& disk : domain.config.disks) {
        TRY(disk::check_can_move(disk, devices_reach_guests));
    }
    const auto description = TRY(describe_saved(parts_.control, domain));
    auto save              = std::make_shared<Save_under_way>();
    save->saving.id        = id;
    save->migration        = std::make_unique<Migration>();
    save->migration->sender =
        std::make_shared<migrate::Sender>(std::move(moving.stream), moving.peer, moving.plan);
    save->saving.done = [migration = save->migration.get(),
                         done      = std::move(moving.done)](Result<Frozen_disks> result) {
        const migrate::State state = migration->sender->state();
        done(result ? Result<Moved>(Moved{migration->downtime, state.bytes, state.round})
                    : std::unexpected(std::move(result.error())));
    };
    TRY(start_step(
        save,
        [id, description, sender = save->migration->sender](Build_control& control,
                                                            const auto&) -> Result<void> {
            TRY(sender->introduce(description));
            TRY(disk::write_out(description.config.disks)); // so that little is left when it stands still
            return sender->copy_running(control, id, save::layout_of(description));
        },
        [this, save](Result<void> result) { copied(save, std::move(result)); }));
    saves_.emplace(id, save);
    log::info("domain " + to_string(id) + " (" + quoted(domain) + ") is to move to " + moving.peer);
    return {};
}

Result<void> Supervisor::start_step(const Save_ptr& save, Image_job::Work work, Image_job::Done done)
{
    save->job = TRY(Image_job::start(parts_.loop, parts_.open_control, std::move(work),
                                     [save, done = std::move(done)](Result<void> result) {
                                         save->job.reset();
                                         done(std::move(result));
                                     }));
    return {};
}

void Supervisor::stop_logging_of(const Save_ptr& save)
{
    if (save->migration) {
        stop_logging(save->saving.id);
    }
}

void Supervisor::stop_logging(Domid id)
{
    const auto control = parts_.open_control();
    if (const auto stopped = control ? (*control)->log_writes(id, false) : std::unexpected(control.error());
        !stopped) {
        log::debug(stopped.error().message); // it has gone, or the next migration tries again
    }
}

// Little enough is left.
void Supervisor::copied(const Save_ptr& save, Result<void> result)
{
    const Domain* const domain = table_.find(save->saving.id);
    if (domain == nullptr || domain->leaving || domain->ended) {
        result = fail(Errc::no_such_domain, "it ended while it was moved");
    } else if (result && save->migration->cancelled) {
        result = fail(Errc::cancelled, "it was cancelled");
    }
    if (result) {
        save->migration->sender->note(migrate::Phase::suspending);
        result = ask_to_suspend(save);
    }
    if (!result) {
        stop_logging_of(save);
        end_save(save, std::move(result));
    }
}

void Supervisor::copy_rest(Domain& domain, const Save_ptr& save)
{
    save->migration->suspended = Clock::now();
    if (domain.console) {
        domain.console->drain();
    }
    const auto info = parts_.control.info(domain.id);
    if (!info) {
        arrived(save, std::unexpected(info.error()));
        return;
    }
    auto begun = start_step(
        save,
        [id = domain.id, memory_kib = info->memory_kib,
         rings = rings_of_disks(parts_.store, parts_.devices, domain.id), disks = domain.config.disks,
         sender = save->migration->sender](Build_control& control, const auto&) -> Result<void> {
            TRY(migrate::wait_for_answers(control, id, rings));
            TRY(disk::write_out(disks));
            return sender->copy_rest(control, id, memory_kib);
        },
        [this, save](Result<void> result) { arrived(save, std::move(result)); });
    if (!begun) {
        arrived(save, std::move(begun));
    }
}

// The other host has all of it, paused.
void Supervisor::arrived(const Save_ptr& save, Result<void> result)
{
    Domain* const domain = table_.find(save->saving.id);
    if (domain == nullptr || domain->leaving) {
        end_save(save, fail(Errc::no_such_domain, "it was destroyed while it was moved"));
        return;
    }
    if (result && save->migration->cancelled) {
        result = fail(Errc::cancelled, "it was cancelled");
    }
    if (result) {
        domain->handed_over_to = save->migration->sender->peer();
        result                 = write_state();
    }
    if (!result) {
        stay(save, std::move(result.error()));
        return;
    }
    hand_over(*domain, save);
}

void Supervisor::hand_over(Domain& domain, const Save_ptr& save)
{
    const auto verdict = std::make_shared<migrate::Handed_over>(migrate::Handed_over::unknown);
    const auto why     = std::make_shared<std::string>();
    auto begun         = start_step(
                save,
                [verdict, why, sender = save->migration->sender](Build_control&, const auto&) -> Result<void> {
            *verdict = sender->hand_over(*why);
            return {};
        },
                [this, save, verdict, why](const Result<void>&) { handed_over(save, *verdict, *why); });
    if (!begun) {
        stay(save, std::move(begun.error()));
        return;
    }
    save->migration->handed_over = true;
    domain.ended                 = Shutdown_reason::suspend;
}

void Supervisor::handed_over(const Save_ptr& save, migrate::Handed_over verdict, const std::string& why)
{
    const Domid id       = save->saving.id;
    Domain* const domain = table_.find(id);
    const auto& peer     = save->migration->sender->peer();
    if (verdict != migrate::Handed_over::runs && (domain == nullptr || domain->leaving)) {
        end_save(save, fail(Errc::no_such_domain, "it was destroyed while it was moved, and " + peer +
                                                      (verdict == migrate::Handed_over::refused
                                                           ? " could not let it run: "
                                                           : " has not said that it runs there: ") +
                                                      why));
        return;
    }
    if (verdict == migrate::Handed_over::refused) {
        domain->ended.reset();
        stay(save, {Errc::unsupported, peer + " could not let it run: " + why});
        return;
    }
    if (verdict == migrate::Handed_over::unknown) {
        end_save(save, fail(Errc::io, "it " + handed_over_hint(*domain) + " (" + why + ")"));
        return;
    }
    save->migration->downtime =
        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - save->migration->suspended);
    log::info("domain " + to_string(id) + " runs on " + peer + " now");
    if (domain == nullptr || domain->leaving) {
        end_save(save, {});
        return;
    }
    take_apart(*domain, [this, save, id](Result<void> removed) {
        if (removed) {
            tell_waiters(id, {Outcome::gone, "migrated", std::nullopt});
        }
        end_save(save, std::move(removed));
    });
}

// It is ours, and runs on as if nothing had been.
void Supervisor::stay(const Save_ptr& save, Error why)
{
    const Domid id = save->saving.id;
    if (Domain* const domain = table_.find(id)) {
        domain->handed_over_to.clear();
        save_state();
    }
    stop_logging_of(save);
    if (const auto resumed = run_on(id); !resumed) {
        log::error(resumed.error().message);
    }
    end_save(save, std::unexpected(std::move(why)));
}

Result<void> Supervisor::take_back(Domid id)
{
    Domain* const domain = table_.find(id);
    if (domain == nullptr || domain->handed_over_to.empty() || saves_.contains(id)) {
        return fail(Errc::invalid, "it was not handed over to another host, or that is not decided yet");
    }
    TRY(run_on(id));
    log::info("domain " + to_string(id) + " (" + quoted(*domain) + ") runs on here, as told");
    domain->handed_over_to.clear();
    domain->ended.reset();
    save_state();
    return {};
}

std::optional<migrate::State> Supervisor::migration_state(Domid id) const
{
    const auto found = saves_.find(id);
    if (found == saves_.end() || !found->second->migration) {
        return std::nullopt;
    }
    return found->second->migration->sender->state();
}

} // namespace vmm
