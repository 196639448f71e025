// SPDX-License-Identifier: Apache-2.0
// The part of Supervisor that saves domains: the request to suspend, the file, and what becomes of the
// domain.
#include "toolstack/base/log.hpp"
#include "toolstack/vmmd/domain_nodes.hpp"
#include "toolstack/vmmd/guest_request.hpp"
#include "toolstack/vmmd/handed_over.hpp"
#include "toolstack/vmmd/supervisor.hpp"

#include <sys/stat.h>

#include <ctime>
#include <utility>

namespace vmm
{

namespace
{

// For the guest to take note, and then to freeze what runs in it.
constexpr std::chrono::seconds kTakesNote{30};
constexpr std::chrono::seconds kSuspends{60};

std::string quoted(const Domain& domain) { return "\"" + domain.name() + "\""; }

std::string harmless(const Supervisor::Frozen_disks& disks)
{
    std::string said =
        "; the states of its disks that were frozen already stay behind those, and nothing is lost:";
    for (const save::Frozen_disk& disk : disks) {
        said += " " + disk.base;
    }
    return said;
}

// In nanoseconds; 0: nothing is there. (Inode numbers of some file systems do not last.)
std::uint64_t time_of_file(const std::string& path)
{
    struct stat status {
    };
    if (::lstat(path.c_str(), &status) != 0) {
        return 0;
    }
    return static_cast<std::uint64_t>(status.st_mtim.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(status.st_mtim.tv_nsec);
}

bool is_saved(const Domain& domain)
{
    return !domain.saving_to.empty() && time_of_file(domain.saving_to) > domain.saving_over;
}

std::string request_node(Domid id) { return domain_path(id) + "/control/shutdown"; }

} // namespace

Result<save::Saved_domain> describe_saved(Control& control, const Domain& domain)
{
    const Version_info version = TRY(control.version());
    save::Saved_domain saved;
    saved.memory_kib     = TRY(control.info(domain.id)).memory_kib;
    saved.cpu_policy     = TRY(control.cpu_policy(domain.id));
    saved.config         = domain.config;
    saved.uuid           = domain.uuid;
    saved.generation     = domain.generation;
    saved.static_max_kib = domain.static_max_kib;
    saved.target_kib     = domain.target_kib;
    saved.overhead_kib   = domain.overhead_kib;
    saved.store_port     = domain.rings.store_port;
    saved.console_port   = domain.rings.console_port;
    saved.saved_at       = std::time(nullptr);
    saved.hypervisor = std::to_string(version.major) + "." + std::to_string(version.minor) + version.extra;
    return saved;
}

Supervisor::~Supervisor()
{
    for (const auto& [id, save] : saves_) {
        if (save->job) {
            if (save->migration) {
                save->migration->sender->cancel();
            }
            save->job->abandon();
        }
    }
    for (const Construction_ptr& construction : constructions_) {
        if (construction->filling) {
            if (construction->receiver) {
                construction->receiver->cancel();
            }
            construction->filling->abandon();
        }
    }
}

Result<void> Supervisor::check_can_suspend(Domid id) const
{
    const Domain* domain = table_.find(id);
    if (domain == nullptr) {
        return fail(Errc::no_such_domain,
                    "domain " + to_string(id) + " was not made by vmmd and cannot be saved or moved");
    }
    TRY(check_stays(id));
    const Domain_info info = TRY(parts_.control.info(id));
    if (info.shutdown || domain->leaving) {
        return fail(Errc::busy, quoted(*domain) + " is not running any more");
    }
    TRY(parts_.devices.check_settled(id));
    if (info.paused) {
        return fail(Errc::busy, quoted(*domain) + " is paused and cannot suspend: xm unpause it first");
    }
    return {};
}

Result<void> Supervisor::check_stays(Domid id) const
{
    const auto found           = saves_.find(id);
    const Domain* const domain = table_.find(id);
    if (found == saves_.end() || domain == nullptr) {
        return {};
    }
    return fail(Errc::busy, quoted(*domain) +
                                (found->second->migration ? " is being moved to another host"
                                 : found->second->child   ? " is being forked"
                                                          : " is being saved") +
                                ": wait until that is done, or end it with Ctrl-C where it was asked for");
}

Result<void> Supervisor::ask_to_suspend(const Save_ptr& save)
{
    return ask_guest(parts_.loop, parts_.store, request_node(save->saving.id), "suspend", kTakesNote,
                     [this, save](Result<void> taken) { asked_to_suspend(save, std::move(taken)); });
}

Result<void> Supervisor::save(Saving saving)
{
    const Domid id = saving.id;
    TRY(check_can_suspend(id));
    if (saving.disks) {
        TRY(check_can_freeze(*table_.find(id)));
    }
    auto save    = std::make_shared<Save_under_way>();
    save->saving = std::move(saving);
    TRY(ask_to_suspend(save));
    saves_.emplace(id, save);
    log::info("domain " + to_string(id) + " (" + quoted(*table_.find(id)) + ") is to be saved to " +
              save->saving.path);
    return {};
}

// The guest has read the request, or has not in time.
void Supervisor::asked_to_suspend(const Save_ptr& save, Result<void> taken)
{
    const Domid id = save->saving.id;
    if (!saves_.contains(id) || saves_.at(id) != save || save->suspended) {
        return; // called off, or it has suspended already
    }
    if (!taken) {
        stop_waiting(save, {Errc::timed_out, "it has not taken note of the request to suspend within " +
                                                 std::to_string(kTakesNote.count()) +
                                                 " s: still starting, hanging, or without Xen drivers"});
        return;
    }
    save->patience = parts_.loop.after(kSuspends, [this, save] {
        save->patience.reset();
        stop_logging_of(save);
        end_save(save, fail(Errc::timed_out, "it has taken note of the request but not suspended within " +
                                                 std::to_string(kSuspends.count()) +
                                                 " s; its console may tell why"));
    });
}

void Supervisor::withdraw_suspend(Domid id)
{
    if (parts_.store.read(request_node(id)).value_or("") == "suspend") {
        static_cast<void>(parts_.store.write(request_node(id), ""));
    }
}

// For the domain to suspend: it runs on as if it had not been asked, or has ended.
void Supervisor::stop_waiting(const Save_ptr& save, Error why)
{
    withdraw_suspend(save->saving.id);
    stop_logging_of(save);
    end_save(save, std::unexpected(std::move(why)));
}

void Supervisor::will_not_suspend(Domid id, const std::string& why)
{
    const auto found = saves_.find(id);
    if (found == saves_.end() || found->second->job || found->second->suspended) {
        return; // nobody waits for that, or the next step finds the domain as it is
    }
    stop_waiting(Save_ptr(found->second), {Errc::no_such_domain, why});
}

void Supervisor::suspended(Domain& domain)
{
    const auto found = saves_.find(domain.id);
    if (found == saves_.end() && !domain.handed_over_to.empty()) {
        domain.ended = Shutdown_reason::suspend;
        log::warning("domain " + to_string(domain.id) + " (" + quoted(domain) + ") " +
                     handed_over_hint(domain));
        return;
    }
    if (found == saves_.end() && is_saved(domain)) { // vmmd was killed before it was gone
        leave_to_file(domain, [](const Result<void>& removed) {
            if (!removed) {
                log::error(removed.error().message);
            }
        });
        return;
    }
    if (found == saves_.end()) { // nobody wants it (any more)
        if (const auto done = run_on(domain.id); !done) {
            log::error(done.error().message);
        }
        return;
    }
    const Save_ptr save = found->second;
    if (save->job || std::exchange(save->suspended, true)) {
        return; // known
    }
    if (save->patience) {
        parts_.loop.cancel(*std::exchange(save->patience, std::nullopt));
    }
    if (save->migration) {
        copy_rest(domain, save);
        return;
    }
    if (!save->saving.disks && save->branches.empty()) {
        write_out_images(domain, save);
    } else if (auto begun = begin_freeze(domain, save); !begun) {
        written(save, std::move(begun));
    }
}

Result<void> Supervisor::begin_save(Domain& domain, const Save_ptr& save)
{
    if (domain.console) {
        domain.console->drain();
    }
    if (save->saving.after == After_save::destroy) { // on file before the domain is in two places
        domain.saving_to   = save->saving.path;
        domain.saving_over = time_of_file(domain.saving_to);
        TRY(write_state());
    }
    auto description  = TRY(describe_saved(parts_.control, domain));
    description.disks = save->frozen;
    const auto work   = [id = domain.id, description, path = save->saving.path, layers = save->layers,
                       compression = save->saving.compression](Build_control& control,
                                                               const Progress& progress) -> Result<void> {
        for (const Layer& layer : layers) {
            TRY(layer->make_durable());
        }
        return save::save_domain(control, id, description, path, compression, progress);
    };
    save->job =
        TRY(Image_job::start(parts_.loop, parts_.open_control, work,
                             [this, save](Result<void> result) { written(save, std::move(result)); }));
    return {};
}

// The file is complete, or there is none.
void Supervisor::written(const Save_ptr& save, Result<void> result)
{
    const Domid id = save->saving.id;
    Domain* domain = table_.find(id);
    if (domain == nullptr || domain->leaving) {
        end_save(save, result ? Result<void>(fail(Errc::no_such_domain, "it was destroyed meanwhile"))
                              : std::move(result));
        return;
    }
    if (result && save->saving.after == After_save::destroy) {
        leave_to_file(*domain, [this, save](Result<void> removed) { end_save(save, std::move(removed)); });
        return;
    }
    if (std::exchange(save->pause_again, false) || (save->saving.after == After_save::pause && result)) {
        auto paused = parts_.control.pause(id);
        result      = result ? std::move(paused) : std::move(result);
    }
    if (auto resumed = run_on(id); !resumed) {
        log::error(resumed.error().message);
        result = result ? std::move(resumed) : std::move(result);
    }
    end_save(save, std::move(result));
}

// What it was is in its file.
void Supervisor::leave_to_file(Domain& domain, std::function<void(Result<void>)> done)
{
    log::info("domain " + to_string(domain.id) + " (" + quoted(domain) + ") is saved in " + domain.saving_to);
    domain.ended = Shutdown_reason::suspend;
    take_apart(domain, [this, id = domain.id, done = std::move(done)](Result<void> removed) {
        if (removed) {
            tell_waiters(id, {Outcome::gone, "suspend", std::nullopt});
        }
        done(std::move(removed));
    });
}

// Its kernel finds that nothing came of the suspension.
Result<void> Supervisor::run_on(Domid id)
{
    Domain* const domain = table_.find(id);
    if (domain != nullptr && !std::exchange(domain->saving_to, {}).empty()) {
        save_state();
    }
    const auto control = TRY(parts_.open_control());
    TRY(control->set_context(id, TRY(save::call_off_suspend(TRY(control->context(id))))));
    return parts_.control.resume(id);
}

void Supervisor::end_save(const Save_ptr& save, Result<void> result)
{
    const auto found = saves_.find(save->saving.id);
    if (found == saves_.end() || found->second != save) {
        return;
    }
    saves_.erase(found);
    if (save->patience) {
        parts_.loop.cancel(*save->patience);
    }
    if (save->pause_again) {
        static_cast<void>(parts_.control.pause(save->saving.id)); // it may have gone
    }
    if (!result) {
        log::warning("domain " + to_string(save->saving.id) + " was not " +
                     (save->migration ? "moved: "
                      : save->child   ? "forked: "
                                      : "saved: ") +
                     result.error().message);
    }
    if (!result && !save->frozen.empty()) {
        result.error().message += harmless(save->frozen);
    }
    save->saving.done(result ? Result<Frozen_disks>(save->frozen)
                             : std::unexpected(std::move(result.error())));
}

void Supervisor::cancel_save(Domid id)
{
    const auto found = saves_.find(id);
    if (found == saves_.end()) {
        return;
    }
    const Save_ptr save = found->second;
    if (save->migration && !save->migration->handed_over) {
        save->migration->cancelled = true;
        save->migration->sender->cancel();
    }
    save->cancelled = true;
    if (save->job) {
        save->job->cancel(); // written(), or what a migration has in its place, comes
        return;
    }
    if (save->suspended) {
        return; // its disks are closed right now, and frozen() comes
    }
    stop_waiting(save, {Errc::cancelled, "it was cancelled"});
}

std::optional<Image_job::State> Supervisor::image_state(std::string_view path) const
{
    for (const auto& [id, save] : saves_) {
        if (!save->migration && !save->child && save->saving.path == path) {
            return save->job ? save->job->state() : Image_job::State{};
        }
    }
    for (const Construction_ptr& construction : constructions_) {
        if (construction->creation.image == path) {
            return construction->filling ? construction->filling->state() : Image_job::State{};
        }
    }
    return std::nullopt;
}

} // namespace vmm
