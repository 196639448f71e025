// SPDX-License-Identifier: Apache-2.0
#pragma once
// The daemon without its sockets to xm: a real event loop, store, worker and supervisor over the fake
// hypervisor, in a directory of its own. restart() is what kill -9 and a new start are.

#include "fake_hypervisor.hpp"

#include "toolstack/base/log.hpp"
#include "toolstack/vmmd/operations.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vmm::test
{

class Daemon_fixture
{
  public:
    explicit Daemon_fixture(std::uint64_t free_mib = 4096);
    ~Daemon_fixture();
    Daemon_fixture(const Daemon_fixture&)            = delete;
    Daemon_fixture& operator=(const Daemon_fixture&) = delete;

    std::string directory;
    std::string kernel; // a small one that loads at 1 MiB
    Fake_hypervisor hypervisor;
    std::unique_ptr<Event_loop> loop;
    std::unique_ptr<Store_server> store;
    std::unique_ptr<Domain_builder> builder;
    std::unique_ptr<Domain_maker> maker;
    std::unique_ptr<device::Devices> devices;
    std::unique_ptr<Supervisor> supervisor;
    std::unique_ptr<Worker> worker;
    std::unique_ptr<Operations> operations;

    std::vector<device::Device_class*> classes_after_restart;

    void restart(const std::function<void()>& meanwhile = [] {});

    [[nodiscard]] config::Domain_config config(const std::string& name) const;
    [[nodiscard]] control::Json create_args(const std::string& name,
                                            const control::Json& more = control::Json::object()) const;
    // Performs an operation and runs the loop until it has answered.
    Answer perform(const std::string& op, const control::Json& args = control::Json::object());
    Domid create(const std::string& name, const control::Json& more = control::Json::object());
    // Runs the loop until `done` or too long.
    void run_until(const std::function<bool()>& done);
    void run_for(Event_loop::Duration time);

    [[nodiscard]] std::string node(const std::string& path) { return store->read(path).value_or("(absent)"); }
    [[nodiscard]] std::string state_text() const;
    // The guest has ended and the hypervisor says so.
    void guest_ends(Domid id, Shutdown_reason reason);
    // Neither hypervisor, store, rings nor state file know of any domain; memory is what it was.
    void check_nothing_left(std::uint64_t free_pages);

  private:
    void start();
    void stop();
};

// Of an answer that is a refusal, in one line.
[[nodiscard]] control::Code code_of(const Answer& answer);

// An operation whose answer has not come yet.
struct Pending {
    std::shared_ptr<std::optional<Answer>> got = std::make_shared<std::optional<Answer>>();
    Operations::Cancel cancel;

    Pending(Daemon_fixture& daemon, const std::string& op, const control::Json& args)
    {
        cancel = daemon.operations->perform(
            op, args, {[to = got](Answer a) { *to = std::move(a); }, [] { return true; }});
    }
    Answer finish(Daemon_fixture& daemon)
    {
        daemon.run_until([&] { return got->has_value(); });
        return **got;
    }
};

} // namespace vmm::test
