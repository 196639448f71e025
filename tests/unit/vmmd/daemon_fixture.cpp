// SPDX-License-Identifier: Apache-2.0
#include "daemon_fixture.hpp"

#include "made_up_images.hpp"

#include "toolstack/base/log.hpp"
#include "toolstack/config/domain_config_json.hpp"
#include "toolstack/vmmd/domain_nodes.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

namespace vmm::test
{

Daemon_fixture::Daemon_fixture(std::uint64_t free_mib) : hypervisor(free_mib)
{
    log::set_level(log::Level::error);
    char name[]       = "/tmp/vmmd-test-XXXXXX";
    directory         = mkdtemp(name);
    kernel            = directory + "/vmlinuz";
    const Bytes image = make_simple_elf(1U << 20, 5000);
    std::ofstream(kernel, std::ios::binary)
        .write(reinterpret_cast<const char*>(image.data()), static_cast<std::streamsize>(image.size()));
    std::filesystem::create_directory(directory + "/console");
    start();
}

Daemon_fixture::~Daemon_fixture()
{
    stop();
    std::filesystem::remove_all(directory);
}

void Daemon_fixture::start()
{
    loop = Event_loop::create().value();
    Store_server::Options options;
    options.socket_path = directory + "/store.sock";
    options.journal     = directory + "/store.journal";
    store               = Store_server::create(*loop, options).value();
    write_dom0_nodes(*store, 1U << 20).value();
    builder = std::make_unique<Domain_builder>(hypervisor, hypervisor);
    maker   = std::make_unique<Domain_maker>(*loop, hypervisor, hypervisor, *store,
                                           Console_logs{directory + "/console", {}});
    devices =
        std::make_unique<device::Devices>(*loop, *store, device::Record_file(directory + "/devices.json"),
                                          device::Patience{.guest = std::chrono::milliseconds(300)});
    for (device::Device_class* const one : classes_after_restart) {
        devices->add(*one);
    }
    worker                     = Worker::create(*loop).value();
    // The loop does not touch a domain while a job does, so one will do.
    const auto another_control = [this]() -> Result<std::shared_ptr<Build_control>> {
        return std::shared_ptr<Build_control>(std::shared_ptr<void>(), &hypervisor);
    };
    supervisor = std::make_unique<Supervisor>(
        Supervisor::Parts{*loop, hypervisor, *builder, *maker, *store, *devices, *worker, another_control,
                          State_file(directory + "/domains.json"), directory + "/qemu-img"});
    operations = std::make_unique<Operations>(*loop, hypervisor, *store, *supervisor, *devices);
    supervisor->start().value();
}

void Daemon_fixture::stop()
{
    operations.reset();
    worker.reset();
    supervisor.reset();
    devices.reset();
    maker.reset();
    builder.reset();
    store.reset();
    loop.reset();
}

void Daemon_fixture::restart(const std::function<void()>& meanwhile)
{
    stop();
    meanwhile();
    start();
}

config::Domain_config Daemon_fixture::config(const std::string& name) const
{
    config::Domain_config config;
    config.name       = name;
    config.kernel     = kernel;
    config.memory_mib = config.maxmem_mib = 32;
    return config;
}

control::Json Daemon_fixture::create_args(const std::string& name, const control::Json& more) const
{
    control::Json args{{"config", config::to_json(config(name))}, {"paused", false}};
    for (const auto& [key, value] : more.items()) {
        (key == "paused" ? args : args["config"])[key] = value;
    }
    return control::Json::parse(args.dump());
}

void Daemon_fixture::run_until(const std::function<bool()>& done)
{
    const auto limit = Event_loop::Clock::now() + std::chrono::seconds(20);
    while (!done()) {
        REQUIRE(Event_loop::Clock::now() < limit);
        loop->run_once(std::chrono::milliseconds(20)).value();
    }
}

void Daemon_fixture::run_for(Event_loop::Duration time)
{
    const auto end = Event_loop::Clock::now() + time;
    do {
        loop->run_once(std::chrono::milliseconds(1)).value();
    } while (Event_loop::Clock::now() < end);
}

Answer Daemon_fixture::perform(const std::string& op, const control::Json& args)
{
    auto got = std::make_shared<std::optional<Answer>>();
    Client client;
    client.answer = [got](Answer answer) {
        CHECK_FALSE(got->has_value()); // once only
        *got = std::move(answer);
    };
    client.is_there = [] { return true; };
    // As it comes over the socket, where a literal 2 is a number without sign.
    operations->perform(op, control::Json::parse(args.dump()), client);
    run_until([&] { return got->has_value(); });
    return **got;
}

Domid Daemon_fixture::create(const std::string& name, const control::Json& more)
{
    const Answer made = perform("create", create_args(name, more));
    INFO((made ? "" : made.error().message));
    REQUIRE(made);
    return Domid{made->at("domid").get<std::uint16_t>()};
}

std::string Daemon_fixture::state_text() const
{
    std::ostringstream text;
    text << std::ifstream(directory + "/domains.json").rdbuf();
    return text.str();
}

void Daemon_fixture::guest_ends(Domid id, Shutdown_reason reason)
{
    hypervisor.stop_guest(id, reason);
    supervisor->check_ends();
}

void Daemon_fixture::check_nothing_left(std::uint64_t free_pages)
{
    const auto is_on_its_way_out = [&] { // destroyed on a thread, by a daemon just started for one
        return hypervisor.domains.size() > 1 || state_text().find('-') != std::string::npos;
    };
    for (const auto limit = Event_loop::Clock::now() + std::chrono::seconds(5);
         is_on_its_way_out() && Event_loop::Clock::now() < limit;) {
        loop->run_once(std::chrono::milliseconds(20)).value();
    }
    CHECK(hypervisor.domains.size() == 1);
    CHECK(hypervisor.free_pages == free_pages);
    CHECK(hypervisor.bound_ports() == 0);
    CHECK(supervisor->domains().all().empty());
    CHECK(store->list("/local/domain").value() == std::vector<std::string>{"0"});
    CHECK(store->list("/vm").value_or(std::vector<std::string>{}).empty());
    CHECK(state_text().find("\"domid\"") == std::string::npos);
    CHECK(state_text().find("-") == std::string::npos); // no UUID
}

control::Code code_of(const Answer& answer)
{
    REQUIRE_FALSE(answer);
    CHECK_FALSE(answer.error().message.empty());
    CHECK(answer.error().message.find('\n') == std::string::npos);
    return answer.error().code;
}

} // namespace vmm::test
