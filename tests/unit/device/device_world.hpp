// SPDX-License-Identifier: Apache-2.0
#pragma once
// The devices of domain 3, of one class whose answers the test gives.
#include "fake_kernel.hpp"

#include "toolstack/base/log.hpp"
#include "toolstack/device/devices.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace vmm::device::test
{

using vmm::test::Fake_kernel;

// A class whose answers the test gives.
class Test_class final : public Device_class
{
  public:
    explicit Test_class(Event_loop& loop) : loop_(loop) {}

    bool answers_prepare = true;
    std::string backend_type; // of the next ones prepared
    std::optional<Error> prepare_error, connect_error;
    std::function<void(Result<Prepared>)> held;
    std::vector<std::string> calls;
    std::set<Address> taken;

    std::string_view type() const override { return "vbd"; }
    std::string describe(const Json& spec) const override { return "disk " + spec.value("vdev", "?"); }
    void prepare(Task task, std::function<void(Result<Prepared>)> done) override
    {
        calls.push_back("prepare " + std::to_string(task.address.number));
        task.note(Json{{"pid", 4711}});
        if (prepare_error) {
            done(std::unexpected(*prepare_error));
            return;
        }
        taken.insert(task.address);
        const Prepared prepared{{{"device-type", "disk"}}, {{"mode", "w"}}, backend_type};
        if (!answers_prepare) {
            held = std::move(done);
            return;
        }
        done(prepared);
    }
    void connect(const Address& address, Done done) override
    {
        calls.push_back("connect " + std::to_string(address.number));
        done(connect_error ? Result<void>(std::unexpected(*connect_error)) : Result<void>());
    }
    void release(const Address& address, std::function<void()> done) override
    {
        calls.push_back("release " + std::to_string(address.number));
        taken.erase(address);
        loop_.defer(std::move(done)); // later, as one that ends a process does
    }
    Result<void> adopt(Task task, const Json& record) override
    {
        calls.push_back("adopt " + std::to_string(task.address.number) + " " + record.dump());
        taken.insert(task.address);
        return {};
    }

  private:
    Event_loop& loop_;
};

// Runs out where the other side is not to answer. Where it is, the usual patience is more than a busy host
// takes.
constexpr std::chrono::milliseconds kShort{700};

// A real store and event loop; start() is what the start of another vmmd is.
struct World {
    explicit World(Patience how_long = {}) : patience(how_long)
    {
        log::set_level(log::Level::error);
        char name[] = "/tmp/vmm-device-XXXXXX";
        directory   = mkdtemp(name);
        loop        = Event_loop::create().value();
        Store_server::Options options;
        options.socket_path = directory + "/store.sock";
        store               = Store_server::create(*loop, options).value();
        kernel              = std::make_unique<Fake_kernel>(*store);
        start();
    }
    ~World() { std::filesystem::remove_all(directory); }

    void start()
    {
        devices.reset();
        device_class = std::make_unique<Test_class>(*loop);
        devices =
            std::make_unique<Devices>(*loop, *store, Record_file(directory + "/devices.json"), patience);
        devices->add(*device_class);
        devices->start();
    }
    void run_until(const std::function<bool()>& done)
    {
        const auto limit = Event_loop::Clock::now() + std::chrono::seconds(10);
        while (!done()) {
            REQUIRE(Event_loop::Clock::now() < limit);
            loop->run_once(std::chrono::milliseconds(10)).value();
        }
    }
    void settle()
    {
        const auto end = Event_loop::Clock::now() + std::chrono::milliseconds(20);
        for (int turn = 0; turn < 50 || Event_loop::Clock::now() < end; ++turn) {
            loop->run_once(std::chrono::milliseconds(1)).value();
        }
    }
    template <class Start>
    Result<void> wait(Start start_it)
    {
        auto got = std::make_shared<std::optional<Result<void>>>();
        start_it([got](Result<void> result) {
            CHECK_FALSE(got->has_value()); // once only
            *got = std::move(result);
        });
        run_until([&] { return got->has_value(); });
        return **got;
    }
    Result<void> plug(std::initializer_list<unsigned> numbers)
    {
        std::vector<Wanted> wanted;
        for (const unsigned number : numbers) {
            wanted.push_back({at(number), Json{{"vdev", "xvd" + std::to_string(number)}}});
        }
        return wait([&](Done done) { devices->plug(std::move(wanted), std::move(done)); });
    }
    Result<void> unplug(unsigned number, Removal how)
    {
        return wait([&](Done done) { devices->unplug(at(number), how, std::move(done)); });
    }
    void unplug_all()
    {
        bool done = false;
        devices->unplug_all(Domid{3}, [&] { done = true; });
        run_until([&] { return done; });
    }
    void check_nothing_left()
    {
        settle();
        CHECK(device_class->taken.empty());
        CHECK(devices->list(Domid{3}).empty());
        CHECK(store->list("/local/domain/0/backend/vbd").value_or(std::vector<std::string>{}).empty());
        CHECK(store->list("/local/domain/0/error/backend/vbd").value_or(std::vector<std::string>{}).empty());
        CHECK(store->list("/local/domain/3/device/vbd").value_or(std::vector<std::string>{}).empty());
        CHECK(kernel->backends.empty());
        CHECK(records() == "[]\n");
    }
    [[nodiscard]] std::string records() const
    {
        std::ifstream file(directory + "/devices.json");
        return {std::istreambuf_iterator<char>(file), {}};
    }
    [[nodiscard]] std::string node(const std::string& path) const
    {
        return store->read(path).value_or("(absent)");
    }
    static Address at(unsigned number) { return {Domid{3}, "vbd", number}; }

    Patience patience;
    std::string directory;
    std::unique_ptr<Event_loop> loop;
    std::unique_ptr<Store_server> store;
    std::unique_ptr<Fake_kernel> kernel;
    std::unique_ptr<Test_class> device_class;
    std::unique_ptr<Devices> devices;
};

} // namespace vmm::device::test
