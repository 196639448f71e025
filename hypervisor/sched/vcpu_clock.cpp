// SPDX-License-Identifier: Apache-2.0
#include "sched/vcpu_clock.hpp"

#include "base/per_cpu.hpp"
#include "domain/vcpu.hpp"
#include "sched/timer.hpp"

namespace vmm::vcpu_clock
{
namespace
{

void renew(void* context);

struct Followed {
    Vcpu* vcpu = nullptr;
    Timer timer{renew, this};
};

constinit Per_cpu<Followed> followed;

void renew(void* context)
{
    auto& here = *static_cast<Followed*>(context);
    measure_tsc_pace();
    here.vcpu->publish_time();
    here.timer.start(system_clock().now() + kPaceLasts);
}

} // namespace

void follow(Vcpu& vcpu)
{
    auto& here = followed.here();
    here.vcpu  = &vcpu;
    resume_tsc_pace();
    vcpu.publish_time();
    here.timer.start(system_clock().now() + kPaceLasts);
}

void leave() { followed.here().timer.stop(); }

} // namespace vmm::vcpu_clock
