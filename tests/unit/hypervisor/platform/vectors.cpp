// SPDX-License-Identifier: Apache-2.0
//
// Host vectors of several CPUs, which take the interrupts that the test sends them.
#include "arch/x86/intr/vectors.hpp"
#include "arch/x86/cpu/firmware_call.hpp"
#include "arch/x86/cpu/msr.hpp"
#include "arch/x86/intr/local_apic_driver.hpp"
#include "debug/log.hpp"
#include "debug/panic.hpp"
#include "emul/host_interrupts.hpp"
#include "fakes/panic.hpp"
#include "platform/cpus.hpp"

#include <catch2/catch.hpp>

#include <set>
#include <thread>

using namespace vmm;

extern "C" void handle_vector(Exception_frame& frame);

namespace
{

unsigned ended  = 0;
unsigned strays = 0;

class Machine
{
  public:
    explicit Machine(u32 cpus)
    {
        known_cpus.count = cpus;
        for (u32 cpu = 0; cpu < cpus; ++cpu)
            known_cpus.list[cpu].apic_id = 2 * cpu;
        strays = 0;
    }
    ~Machine()
    {
        for (const Host_vector at : taken_)
            free_vector(at);
        known_cpus.offline = 0;
        known_cpus.count   = 1;
        hosted_cpu         = 0;
    }
    Machine(const Machine&)            = delete;
    Machine& operator=(const Machine&) = delete;

    Expected<Host_vector> allocate(u32 cpu, unsigned& handled)
    {
        auto at = allocate_vector(
            cpu, Eoi::before_handler, [](void* n) { ++*static_cast<unsigned*>(n); }, &handled);
        if (at)
            taken_.push_back(*at);
        return at;
    }
    static void raise(u32 cpu, u8 vector)
    {
        hosted_cpu = cpu;
        Exception_frame frame{};
        frame.vector = vector;
        handle_vector(frame);
    }

  private:
    std::vector<Host_vector> taken_;
};

constexpr unsigned kEach = kLastDynamicVector - kFirstDynamicVector + 1;

} // namespace

namespace vmm
{
namespace host_apic
{
void end_of_interrupt() { ++ended; }
} // namespace host_apic
namespace log
{
void write_guest(Level, std::string_view, std::span<const Format_arg>) { ++strays; }
} // namespace log
u64 fixup_for(u64) { return 0; }
u64 give_up_firmware_call(const Exception_frame&) { return 0; }
void panic_on_exception(const Exception_frame&) { throw fakes::Panicked("exception"); }
} // namespace vmm

TEST_CASE("a vector means something else on each CPU")
{
    Machine machine(2);
    unsigned first = 0, second = 0;
    const auto a = machine.allocate(0, first);
    const auto b = machine.allocate(1, second);
    REQUIRE((a && b));
    CHECK(a->cpu == 0);
    CHECK(b->cpu == 1);
    CHECK(a->vector == b->vector);

    const unsigned ended_before = ended;
    Machine::raise(1, b->vector);
    CHECK(first == 0);
    CHECK(second == 1);
    CHECK(ended == ended_before + 1);

    free_vector(*b);
    Machine::raise(1, b->vector);
    CHECK(second == 1);
    CHECK(strays == 1);
    Machine::raise(0, a->vector);
    CHECK(first == 1);
}

TEST_CASE("another handler for a vector that stays")
{
    Machine machine(2);
    unsigned first = 0, second = 0;
    const auto at = machine.allocate(1, first);
    REQUIRE(at);
    change_handler(
        *at, Eoi::after_handler, [](void* n) { ++*static_cast<unsigned*>(n); }, &second);
    Machine::raise(1, at->vector);
    CHECK(first == 0);
    CHECK(second == 1);
}

TEST_CASE("a CPU without vectors left passes on to the next, until all are out")
{
    Machine machine(3);
    unsigned handled = 0;
    std::set<std::pair<u32, u8>> seen;
    for (unsigned i = 0; i < 3 * kEach; ++i) {
        const auto at = machine.allocate(1, handled);
        REQUIRE(at);
        CHECK(at->cpu == (1 + i / kEach) % 3);
        CHECK(seen.emplace(at->cpu, at->vector).second);
    }
    CHECK(machine.allocate(1, handled).error() == Errc::enospc);
    CHECK(machine.allocate(2, handled).error() == Errc::enospc);
}

TEST_CASE("no vector on a CPU that is offline, or whose id is more than a message can name")
{
    Machine machine(4);
    known_cpus.offline         = 0b0010;
    known_cpus.list[2].apic_id = 0xff;
    unsigned handled           = 0;
    for (u32 cpu = 1; cpu < 4; ++cpu)
        CHECK(machine.allocate(cpu, handled)->cpu == 3);
}

TEST_CASE("a handler that has begun is waited for")
{
    using namespace std::chrono_literals;
    Machine machine(2);
    struct Context {
        std::atomic<bool> begun{false}, freed{false}, over{false};
    } context;
    const auto at = allocate_vector(
        1, Eoi::before_handler,
        [](void* c) {
            auto& of = *static_cast<Context*>(c);
            of.begun = true;
            while (!of.freed)
                std::this_thread::yield();
            std::this_thread::sleep_for(20ms);
            of.over = true;
        },
        &context);
    REQUIRE(at);
    std::thread cpu([&] { Machine::raise(1, at->vector); });
    while (!context.begun)
        std::this_thread::yield();
    free_vector(*at);
    context.freed = true;
    host_interrupts::wait_for_handlers();
    CHECK(context.over);
    cpu.join();
}

TEST_CASE("handlers that begin later are not waited for")
{
    Machine machine(2);
    std::atomic<bool> begun{false}, stop{false};
    unsigned handled = 0;
    const auto at    = machine.allocate(1, handled);
    REQUIRE(at);
    std::thread cpu([&] {
        for (; !stop; begun = true)
            Machine::raise(1, at->vector);
    });
    while (!begun)
        std::this_thread::yield();
    for (unsigned i = 0; i < 1000; ++i)
        host_interrupts::wait_for_handlers();
    stop = true;
    cpu.join();
}
