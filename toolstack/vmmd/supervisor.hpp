// SPDX-License-Identifier: Apache-2.0
#pragma once
// Knows every domain and decides what becomes of it: creation from request to running, the on_ action when it
// ends, restarts, and those who wait for its end. The hypervisor tells only that something changed;
// check_ends() finds out what. Single-threaded on the event loop; kernels are unpacked on the worker.
// Callbacks come from the loop, never from inside the call that registered them, unless said otherwise.

#include "toolstack/base/error.hpp"
#include "toolstack/base/event_loop.hpp"
#include "toolstack/device/devices.hpp"
#include "toolstack/disk/layer_exchange.hpp"
#include "toolstack/migrate/receiver.hpp"
#include "toolstack/migrate/sender.hpp"
#include "toolstack/save/domain_image.hpp"
#include "toolstack/vmmd/destroyer.hpp"
#include "toolstack/vmmd/domain_maker.hpp"
#include "toolstack/vmmd/domain_table.hpp"
#include "toolstack/vmmd/image_job.hpp"
#include "toolstack/vmmd/state_file.hpp"
#include "toolstack/vmmd/worker.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace vmm
{

class Supervisor
{
  public:
    struct Parts {
        Event_loop& loop;
        Control& control;
        Domain_builder& builder;
        Domain_maker& maker;
        Store_server& store;
        device::Devices& devices;
        Worker& worker;
        Open_control open_control;
        State_file state;
        std::string qemu_img = "/usr/bin/qemu-img";
    };
    struct Disk_aside {
        std::string vdev;
        std::string image;
        std::string now; // what was at `image`
    };
    struct Creation {
        config::Domain_config config;
        std::string image; // not empty: the file of a saved domain, which says the config
        bool paused     = false;
        bool overcommit = false; // of a fork: no memory is set aside for it
        // Of a saved domain with its disks: what stood in their places has these names now. Filled in before
        // `done` is called.
        std::shared_ptr<std::vector<Disk_aside>> set_aside{};
        // Asked when the domain is complete; false (whoever wanted it is gone) undoes it.
        std::function<bool()> still_wanted;
        std::function<void(Result<Domid>)> done;
    };
    enum class Creation_id : std::uint64_t {};

    enum class After_save { destroy, run, pause };
    using Frozen_disks = std::vector<save::Frozen_disk>;
    struct Saving {
        Domid id{};
        std::string path;
        save::Compression compression = save::Compression::zstd;
        After_save after              = After_save::destroy;
        bool disks                    = false; // their state is frozen in the same instant
        std::function<void(Result<Frozen_disks>)> done{};
    };

    // What a migration was like.
    struct Moved {
        std::chrono::milliseconds downtime{};
        std::uint64_t bytes = 0;
        unsigned rounds     = 0;
    };
    struct Moving {
        Domid id{};
        std::unique_ptr<migrate::Descriptor_stream> stream;
        std::string peer; // what the other host is called in messages
        migrate::Plan plan;
        std::function<void(Result<Moved>)> done;
    };

    enum class Outcome { gone, preserved, restarted };
    struct End {
        Outcome outcome = Outcome::gone;
        std::string reason; // "poweroff", "destroyed", "unknown"...
        std::optional<Domid> successor;
    };
    using End_callback = std::function<void(const End&)>;
    enum class Wait_id : std::uint64_t {};

    explicit Supervisor(Parts parts) : parts_(std::move(parts)), destroyer_(parts_.loop, parts_.open_control)
    {
    }
    Supervisor(const Supervisor&)            = delete;
    Supervisor& operator=(const Supervisor&) = delete;
    ~Supervisor();

    [[nodiscard]] const Domain_table& domains() const { return table_; }

    // Takes up what a former daemon left: complete domains are adopted, unfinished ones destroyed.
    [[nodiscard]] Result<void> start();

    // An error at once means that `done` will not be called.
    [[nodiscard]] Result<Creation_id> create(Creation creation);
    // `done` is told when nothing of it is left, or it was too late; perhaps from inside.
    void cancel(Creation_id id, std::function<void()> done = {});
    // A domain that exists, but has yet to be given its memory or its devices: nobody can do anything with it
    // but cancel its creation.
    [[nodiscard]] bool is_being_made(Domid id) const;
    // What is to be called so, or is `id`; waiting for its restart, too.
    [[nodiscard]] std::optional<Creation_id> creation_of(std::string_view name_or_id) const;

    // Asks the domain to suspend and writes it to a file. Unless all of that succeeds it runs on as before.
    // An error at once means that `done` will not be called.
    [[nodiscard]] Result<void> save(Saving saving);
    void cancel_save(Domid id);
    // Of the file being written or read; none when nobody does.
    [[nodiscard]] std::optional<Image_job::State> image_state(std::string_view path) const;

    // A new domain with the memory and the processors of that one, which runs on, or stays paused. Of the
    // config only what is about the outside may differ. An error at once means that `done` will not be
    // called.
    [[nodiscard]] Result<Creation_id> fork(Domid parent, Creation creation);

    // Moves it to another host while it runs. Unless that host has it, it runs on here; the one exception is
    // told by the error and by handed_over_to. An error at once means that `done` will not be called.
    [[nodiscard]] Result<void> migrate(Moving moving);
    // The same at the other host. The creation's config comes from there.
    [[nodiscard]] Result<Creation_id> receive(Creation creation,
                                              std::unique_ptr<migrate::Descriptor_stream> stream);
    [[nodiscard]] std::optional<migrate::State> migration_state(Domid id) const;
    // A domain that was handed over to a host where it does not run, as whoever asks knows, runs on here.
    [[nodiscard]] Result<void> take_back(Domid id);
    // Busy while it is on its way: what is changed now would not be so there.
    [[nodiscard]] Result<void> check_stays(Domid id) const;

    // Ends a domain without asking it: one of ours, which is not restarted then, or another tool's. `done` is
    // called from inside when that takes no time. One that is to come, or to come back, is cancelled instead.
    void destroy(Domid id, std::function<void(Result<void>)> done);

    [[nodiscard]] Result<void> rename(Domid id, const std::string& name);
    [[nodiscard]] Result<void> set_target(Domid id, std::uint64_t kib);
    [[nodiscard]] Result<void> set_max(Domid id, std::uint64_t kib);

    // A device came or went: what the domain is from now on, for its restart and vmmd's.
    void set_config(Domid id, config::Domain_config config);

    // Calls back from inside, at once, when the end is already known.
    Wait_id wait(Domid id, End_callback callback);
    void cancel_wait(Wait_id id);

    // Something ended, or may have.
    void check_ends();

    // The console of a domain, whoever made it; null when there is none here.
    [[nodiscard]] const Console* console_of(Domid id) const;

    // For the store's hooks: a domain that another tool made and introduced. Resumed, its end is news again.
    [[nodiscard]] Result<void> introduce_foreign(Domid id, Gfn page, Evtchn_port port);
    void resume_foreign(Domid id);
    void forget_foreign(Domid id);

  private:
    using Layer = std::shared_ptr<disk::Layer_exchange>;
    // Gives a domain its memory and its rings, on a thread of its own.
    using Fill  = std::function<Result<Built_domain>(Build_control& control, const Progress& progress)>;
    // A domain on its way: waiting (restart delay), being prepared, or about to be made.
    struct Construction {
        Creation_id id{};
        Creation creation;
        config::Uuid uuid;
        std::optional<config::Generation_id> generation; // of a restart
        std::optional<Domid> predecessor;                // a restart, because that domain ended
        std::string reason;                              // why it did
        unsigned quick_ends = 0;
        std::optional<Event_loop::Timer_id> delay;
        std::optional<Result<Prepared_domain>> prepared;
        // Of a saved domain instead: its file, open behind the description.
        std::shared_ptr<save::Image_reader> image;
        std::optional<Result<save::Saved_domain>> saved;
        std::shared_ptr<Image_job> filling;
        std::shared_ptr<migrate::Receiver> receiver; // or it comes from another host
        std::unique_ptr<Domain> domain;              // while it is filled and its devices are plugged
        std::vector<Layer> layers;                   // images that are its disks' from then on
        bool in_place  = false;                      // some or all of them
        bool cancelled = false;
        std::vector<std::function<void()>> when_finished;
        bool settled = false; // made or given up: a successor of this process does not owe it any more
    };
    using Construction_ptr = std::shared_ptr<Construction>;
    struct Waiter {
        Wait_id id{};
        Domid domid{};
        End_callback callback;
    };
    struct Migration {
        std::shared_ptr<migrate::Sender> sender;
        std::chrono::steady_clock::time_point suspended;
        std::chrono::milliseconds downtime{};
        bool handed_over = false; // too late to cancel
        bool cancelled   = false;
    };
    struct Save_under_way {
        Saving saving;
        std::unique_ptr<Migration> migration;        // it goes to another host instead
        Construction_ptr child;                      // or is forked
        std::map<std::string, std::string> branches; // by vdev: disks that the fork goes on from, and where
        std::vector<Layer> layers;
        Frozen_disks frozen;      // whatever becomes of the rest
        bool pause_again = false; // it was paused, and is only to suspend
        bool suspended   = false;
        bool cancelled   = false;
        std::optional<Event_loop::Timer_id> patience; // until it has suspended
        std::shared_ptr<Image_job> job;               // what is done then, step by step
    };
    using Save_ptr = std::shared_ptr<Save_under_way>;
    // What is to be done while nothing has the disk open.
    struct Closed_work {
        std::string vdev;
        device::Work work;
    };
    struct Foreign {
        config::Uuid uuid;
        Gfn store_page{};
        Evtchn_port store_port{};
        bool ended = false; // and that has been announced
        std::unique_ptr<Console> console{};
        std::optional<Store_server::Watch_handle> console_watch{};
    };

    // `self`: what is being created itself.
    Result<void> check_free(const config::Domain_config& config, const config::Uuid& uuid,
                            const Construction* self = nullptr) const;
    void prepare(const Construction_ptr& construction);
    void complete(const Construction_ptr& construction);
    Result<void> begin_building(const Construction_ptr& construction);
    Result<std::shared_ptr<Image_job>> start_filling(Fill fill,
                                                     std::function<void(Result<Built_domain>)> done);
    void read_image(const Construction_ptr& construction);
    void restore(const Construction_ptr& construction);
    Result<void> begin_restore(const Construction_ptr& construction);
    Result<void> begin_place(const Construction_ptr& construction, const save::Saved_domain& saved);
    void filled(const Construction_ptr& construction, const Result<Built_domain>& rings);
    Result<void> furnish(const Construction& construction, const Result<Built_domain>& rings);
    void plug(const Construction_ptr& construction);
    void launch(const Construction_ptr& construction, Result<void> plugged);
    Domid enter(const Construction_ptr& construction);
    void abandon(const Construction_ptr& construction, Error error);
    void settle(const Construction_ptr& construction, Result<Domid> outcome);
    void finish(const Construction_ptr& construction, Result<Domid> outcome);

    void end_domain(Domain& domain, Shutdown_reason reason);
    void asked_to_suspend(const Save_ptr& save, Result<void> taken);
    void stop_waiting(const Save_ptr& save, Error why);
    void will_not_suspend(Domid id, const std::string& why);
    void suspended(Domain& domain);
    Result<void> begin_save(Domain& domain, const Save_ptr& save);
    Result<void> check_can_freeze(const Domain& domain) const;
    Result<void> begin_freeze(Domain& domain, const Save_ptr& save);
    void exchange_layers(const Save_ptr& save, const std::vector<Layer>& layers, Result<void> prepared);
    void write_out_images(const Domain& domain, const Save_ptr& save);
    // `done` hears of the first that failed.
    void while_closed(Domid id, const std::vector<Closed_work>& works, device::Done done);
    void frozen(const Save_ptr& save, const std::vector<Layer>& layers, Result<void> result);
    Result<void> copy(Domain& domain, const Save_ptr& save);
    Result<void> check_places(const save::Saved_domain& saved) const;
    static Result<std::vector<Layer>> layers_of(const save::Saved_domain& saved, const std::string& qemu_img);
    Result<void> put_in_place(Construction& construction);
    static void put_back(const std::vector<Placed_image>& placed);
    static void take_from_place(Construction& construction);
    void written(const Save_ptr& save, Result<void> result);
    void leave_to_file(Domain& domain, std::function<void(Result<void>)> done);
    void end_save(const Save_ptr& save, Result<void> result);
    Result<void> check_can_suspend(Domid id) const;
    Result<Domain_info> check_can_fork(Domid parent, const config::Domain_config& child) const;
    Result<void> begin_fork(Domain& parent, const Save_ptr& save);
    void forked(const Construction_ptr& child, Result<void> result);
    [[nodiscard]] Save_ptr fork_into(const Construction_ptr& child) const;
    Result<void> ask_to_suspend(const Save_ptr& save);
    Result<void> start_step(const Save_ptr& save, Image_job::Work work, Image_job::Done done);
    void copied(const Save_ptr& save, Result<void> result);
    void copy_rest(Domain& domain, const Save_ptr& save);
    void arrived(const Save_ptr& save, Result<void> result);
    void hand_over(Domain& domain, const Save_ptr& save);
    void handed_over(const Save_ptr& save, migrate::Handed_over verdict, const std::string& why);
    void stay(const Save_ptr& save, Error why);
    void stop_logging_of(const Save_ptr& save);
    void stop_logging(Domid id);
    void introduced(const Construction_ptr& construction);
    Result<void> make_place(const Construction_ptr& construction);
    void receive_memory(const Construction_ptr& construction, Result<void> plugged);
    void received(const Construction_ptr& construction, const Result<Built_domain>& rings);
    void taken_over(const Construction_ptr& construction, Result<void> word);
    void give_up(const Construction_ptr& construction, const Error& error);
    [[nodiscard]] Result<void> write_state() const;
    void withdraw_suspend(Domid id);
    Result<void> run_on(Domid id);
    void restart(Domain& domain);
    void rename_and_restart(Domain& domain);
    Construction_ptr owe(Saved_restart restart);
    Construction_ptr owe_successor(const Domain& domain);
    void restart_beside(const Domain& kept, const Construction_ptr& construction);
    void begin_restart(const Construction_ptr& construction);
    void owe_restart(Saved_restart saved);
    void take_apart(Domain& domain, std::function<void(Result<void>)> done);
    void stop(Domid id);
    void unmake(Domain& domain, Destroyer::Done done);
    Result<void> removed(Domid id, Result<void> unmade);
    void removed_for_restart(const Construction_ptr& construction, Result<void> removed);
    void check_foreign(const std::vector<Domain_info>& alive);
    void destroy_foreign(Domid id, std::function<void(Result<void>)> done);
    Result<void> drop_foreign(Domid id);
    void tell_waiters(Domid id, const End& end);
    const Domain_info* find_again(const std::vector<Domain_info>& alive, const Domain& domain);
    void adopt(std::unique_ptr<Domain> domain);
    void adopt_foreign(const Saved_foreign& saved);
    void remember_foreign(Domid id, const config::Uuid& uuid, Gfn page, Evtchn_port port);
    void open_foreign_console(Domid id);
    [[nodiscard]] std::string log_name_of_foreign(Domid id) const;
    void let_go_of_foreign(Domid id);
    void destroy_unfinished(const std::vector<Domain_info>& alive, const std::set<std::string>& uuids);
    void undone(const Domain& half, const Result<void>& unmade);
    void keep_unread(const std::vector<Domain_info>& alive, std::vector<Unread> unread);
    void destroy_unwanted();
    void forget_the_dead(const std::vector<Domain_info>& alive);
    void save_state();
    std::string free_name(const std::string& base) const;

    Parts parts_;
    Destroyer destroyer_;
    Domain_table table_;
    std::list<Construction_ptr> constructions_;
    std::set<std::string> unfinished_; // UUIDs, as saved
    // By UUID, what a former process left half made; with the restart that waits until that has gone.
    std::map<std::string, Construction_ptr> being_undone_;
    std::vector<Unread> unread_;
    std::map<Domid, Save_ptr> saves_;
    std::vector<Waiter> waiters_;
    std::map<Domid, Foreign> foreign_;
    std::deque<std::pair<Domid, std::string>> recent_ends_; // why, for those who ask too late
    std::uint64_t next_id_ = 1;
};

} // namespace vmm
