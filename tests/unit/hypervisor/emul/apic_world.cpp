// SPDX-License-Identifier: Apache-2.0
#include "emul/apic_world.hpp"

#include "emul/apic_host.hpp"

#include <catch2/catch.hpp>

namespace vmm
{
namespace
{
Timer_queue queue;
}

Timer_queue& this_cpu_timers() { return queue; }
void timer_deadline_changed(Time) {}

void Test_clock::advance(u64 ns)
{
    const Time end = now_ + ns;
    for (auto next = queue.next(); next && *next <= end; next = queue.next()) {
        now_ = std::max(now_, *next);
        queue.run(now_);
    }
    now_ = end;
}

u64 Vcpu::read(u32 offset)
{
    auto value = apic.read_msr(apic::kFirstMsr + offset);
    REQUIRE(value);
    return *value;
}
void Vcpu::write(u32 offset, u64 value) { REQUIRE(apic.write_msr(apic::kFirstMsr + offset, value)); }
bool Vcpu::refuses(u32 offset, u64 value) { return !apic.write_msr(apic::kFirstMsr + offset, value); }
bool Vcpu::refuses_read(u32 offset) { return !apic.read_msr(apic::kFirstMsr + offset); }

int Vcpu::take()
{
    const int vector = apic.next_to_inject();
    if (vector >= 0)
        apic.accept(static_cast<u8>(vector));
    return vector;
}

int Vcpu::take_by_cpu()
{
    REQUIRE(apic.next_to_inject() == -1);
    return cpu.take(tpr);
}

void Delivering_cpu::start(const State& given, const Vectors& level)
{
    on     = true;
    state_ = given;
    level_ = level;
}

Interrupt_delivery::State Delivering_cpu::stop()
{
    on = false;
    return state_;
}

void Delivering_cpu::request(const Vectors& requested, const Vectors& level)
{
    REQUIRE(on);
    for (unsigned i = 0; i < level.size(); ++i)
        state_.requested[i] |= requested[i];
    level_ = level;
}

int Delivering_cpu::take(u8 tpr)
{
    const int vector = highest(state_.requested);
    if (vector < 0 || vector / 16 <= std::max(tpr / 16, highest(state_.in_service) / 16))
        return -1;
    const u64 mask = 1ull << vector % 64;
    state_.requested[static_cast<unsigned>(vector) / 64] &= ~mask;
    state_.in_service[static_cast<unsigned>(vector) / 64] |= mask;
    return vector;
}

int Delivering_cpu::end()
{
    const int vector = highest(state_.in_service);
    REQUIRE(vector >= 0);
    const u64 mask = 1ull << vector % 64;
    state_.in_service[static_cast<unsigned>(vector) / 64] &= ~mask;
    return level_[static_cast<unsigned>(vector) / 64] & mask ? vector : -1;
}

Domain::Domain(unsigned count)
{
    for (unsigned i = 0; i < count; ++i)
        vcpus.push_back(std::make_unique<Vcpu>(*this, i, clock));
}

namespace apic_host
{
u8 tpr(const Vcpu& vcpu) { return vcpu.tpr; }
void set_tpr(Vcpu& vcpu, u8 tpr) { vcpu.tpr = tpr; }
Interrupt_delivery* interrupt_delivery(Vcpu& vcpu) { return vcpu.cpu_delivers ? &vcpu.cpu : nullptr; }
void wake(Vcpu& vcpu) { ++vcpu.wakes; }
Domain& domain_of(const Vcpu& vcpu) { return vcpu.domain; }
u32 cpu_of(const Vcpu& vcpu) { return 10 + vcpu.apic.id(); }
Vcpu* vcpu_at(Domain& domain, unsigned index)
{
    return index < domain.vcpus.size() ? domain.vcpus[index].get() : nullptr;
}
Local_apic& apic_of(Vcpu& vcpu) { return vcpu.apic; }
void level_interrupt_ended(Vcpu& vcpu, u8 vector) { vcpu.level_ends.push_back(vector); }
void raise_nmi(Vcpu& vcpu) { ++vcpu.nmis; }
void init(Vcpu& vcpu) { ++vcpu.inits; }
void ask_for_start(Vcpu& vcpu, u8 page) { vcpu.startups.push_back(page); }
} // namespace apic_host

} // namespace vmm
