// SPDX-License-Identifier: Apache-2.0
#include "simulator.hpp"

#include "sched/fair_policy.hpp"
#include "sched/null_policy.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

namespace vmm
{
namespace
{

// A policy with what it keeps of each CPU.
template <class Kind, class Cpu_state>
struct Whole {
    Whole(Sched_host& host, u32 cpus) : state(cpus), policy(host, state) {}
    std::vector<Cpu_state> state;
    Kind policy;
};

template <class Kind, class Cpu_state>
struct Whole_of_cores {
    Whole_of_cores(Sched_host& host, u32 cpus)
        : cores(cpus), state(cpus), both(host, cores, state), policy(both.cores)
    {
    }
    std::vector<Core_state> cores;
    std::vector<Cpu_state> state;
    Policy_of_cores<Kind, Cpu_state> both;
    Core_policy& policy;
};

template <class Owner>
Simulator::Make make()
{
    return [](Sched_host& host, u32 cpus) {
        static std::vector<std::unique_ptr<Owner>> all;
        all.push_back(std::make_unique<Owner>(host, cpus));
        return std::unique_ptr<Policy, void (*)(Policy*)>(&all.back()->policy, [](Policy* p) {
            std::erase_if(all, [p](const auto& one) { return &one->policy == p; });
        });
    };
}

} // namespace

Simulator::Make fair() { return make<Whole<Fair_policy, Cpu_queue>>(); }
Simulator::Make unshared() { return make<Whole<Null_policy, Null_cpu>>(); }
Simulator::Make fair_cores() { return make<Whole_of_cores<Fair_policy, Cpu_queue>>(); }
Simulator::Make unshared_cores() { return make<Whole_of_cores<Null_policy, Null_cpu>>(); }

Simulator::Simulator(Shape shape, const Make& make) : shape_(shape), cpus_(shape.cpus)
{
    add_policy(make);
    for (u32 cpu = 0; cpu < shape.cpus; ++cpu) {
        cpus_[cpu].policy = &policy();
        online(cpu);
    }
}

Policy& Simulator::add_policy(const Make& make)
{
    policies_.push_back(make(*this, shape_.cpus));
    return *policies_.back();
}

void Simulator::join(u32 cpu, Policy& policy)
{
    offline(cpu);
    cpus_[cpu].policy = &policy;
    online(cpu);
}

template <class Act>
void Simulator::for_each_of(const Sched_group& group, Act act)
{
    for (auto& t : tasks_) {
        if (&t.entity.group == &group)
            act(t);
    }
}

void Simulator::move(Sched_group& group, Policy& policy, const Cpu_set& cpus)
{
    for_each_of(group, [&](Task& t) { pause(t, true); });
    for_each_of(group, [&](Task& t) { remove(t); });
    group.cpus.store(cpus);
    for_each_of(group, [&](Task& t) { policy.add(t.entity); });
    for_each_of(group, [&](Task& t) { pause(t, false); });
}

Sched_group& Simulator::group(u32 weight, u32 cap)
{
    auto& group  = groups_.emplace_back();
    group.weight = weight;
    group.cap.set_percent(cap);
    return group;
}

Simulator::Task& Simulator::task(Sched_group& group, u64 burst, u64 sleep)
{
    return task(group, [&](Task& t) {
        t.burst = burst;
        t.sleep = sleep;
    });
}

Simulator::Task& Simulator::task(Sched_group& group, const std::function<void(Task&)>& prepare)
{
    Task& task = tasks_.emplace_back(group);
    prepare(task);
    policy().add(task.entity);
    push(now_, Event::wake, 0, &task);
    return task;
}

void Simulator::remove(Task& task)
{
    pause(task, true);
    task.entity.policy.load()->remove(task.entity);
    follow_kicks();
}

void Simulator::pause(Task& task, bool paused)
{
    task.paused = paused;
    update(task);
    follow_kicks();
}

void Simulator::set_up(Task& task, bool up)
{
    task.up = up;
    update(task);
    follow_kicks();
}

void Simulator::change(Task& task)
{
    task.entity.policy.load()->changed(task.entity, Time(now_));
    follow_kicks();
}

void Simulator::online(u32 cpu)
{
    const auto members = [&](u32 each) {
        Cpu_set set;
        for (u32 c = cpu / each * each; c < std::min(cpu / each * each + each, shape_.cpus); ++c)
            set = set.with(c);
        return set;
    };
    cpus_[cpu].online = true;
    cpus_[cpu].policy->cpu_online(cpu, {members(shape_.threads), members(shape_.threads * shape_.cores)},
                                  Time(now_));
    follow_kicks();
}

void Simulator::offline(u32 cpu)
{
    cpus_[cpu].policy->cpu_offline(cpu, Time(now_));
    follow_kicks();
    REQUIRE(cpus_[cpu].runs == nullptr);
    REQUIRE(cpus_[cpu].until == kNever);
    cpus_[cpu].online = false;
}

void Simulator::yield(u32 cpu, Task* to)
{
    Policy& policy = *cpus_[cpu].policy;
    if (to ? policy.yield_to(cpu, to->entity, Time(now_)) : policy.yield(cpu, Time(now_)))
        kick(cpu, Look::again);
    follow_kicks();
}

void Simulator::reset_counts()
{
    for (u32 cpu = 0; cpu < shape_.cpus; ++cpu)
        account(cpus_[cpu]);
    for (auto& t : tasks_) {
        t.ran = t.worst_wait = t.longest_gap = t.moves = 0;
        t.last_ran = t.woke = now_;
    }
    decisions_ = 0;
}

void Simulator::run_for(u64 ns)
{
    const u64 end = now_ + ns;
    while (!events_.empty() && events_.top().time <= end) {
        const Event event = events_.top();
        events_.pop();
        now_ = std::max(now_, event.time); // late after stand_still()
        happen(event);
        follow_kicks();
    }
    now_ = end;
    for (auto& cpu : cpus_)
        account(cpu);
    for (auto& t : tasks_) {
        if (t.wants && t.on == Cpu_set::kNone)
            t.longest_gap = std::max(t.longest_gap, now_ - t.last_ran);
    }
}

void Simulator::stand_still(u64 ns)
{
    for (auto& cpu : cpus_) {
        account(cpu);
        cpu.since += ns;
    }
    now_ += ns;
}

bool Simulator::wants_cpu(const Sched_entity& entity)
{
    const auto& task = *static_cast<const Task*>(entity.owner);
    return task.wants && !task.paused && task.up;
}

bool Simulator::is_up(const Sched_entity& entity) { return static_cast<const Task*>(entity.owner)->up; }

void Simulator::no_cpu_for(const Sched_entity& entity) { static_cast<Task*>(entity.owner)->lacks_cpu = true; }

void Simulator::state_changed(Sched_entity& entity, Time now)
{
    static_cast<void>(now);
    if (entity.state != Sched_entity::State::off && !wants_cpu(entity))
        FAIL("a task is made to want a CPU");
    static_cast<Task*>(entity.owner)->told = entity.state;
}

void Simulator::kick(u32 cpu, Look look)
{
    if (!cpus_[cpu].look && !cpus_[cpu].new_time)
        kicked_.push_back(cpu);
    (look == Look::again ? cpus_[cpu].look : cpus_[cpu].new_time) = true;
}

// Not of one that was removed.
void Simulator::update(Task& task)
{
    if (Policy* const policy = task.entity.policy)
        policy->update(task.entity, Time(now_));
}

void Simulator::push(u64 time, Event::Kind kind, u32 cpu, Task* task)
{
    events_.push({time, order_++, kind, cpu, cpus_[cpu].stamp, task});
}

void Simulator::happen(const Event& event)
{
    if (event.kind == Event::wake) {
        Task& task = *event.task;
        task.wants = true;
        task.left  = task.burst;
        task.woke  = now_;
        task.waits = true;
        if (task.burst == 0)
            task.last_ran = now_;
        update(task);
    } else if (event.stamp == cpus_[event.cpu].stamp) {
        if (event.kind == Event::burst_end) {
            event.task->wants = false;
            push(now_ + event.task->sleep, Event::wake, 0, event.task);
        }
        kick(event.cpu, Look::again);
    }
}

void Simulator::follow_kicks()
{
    while (!kicked_.empty()) {
        const u32 cpu = kicked_.back();
        kicked_.pop_back();
        const bool look     = std::exchange(cpus_[cpu].look, false);
        cpus_[cpu].new_time = false;
        if (look) {
            decide(cpu);
        } else {
            cpus_[cpu].until = cpus_[cpu].policy->until(cpu);
            account(cpus_[cpu]);
            arm(cpu);
        }
    }
}

void Simulator::account(Cpu& cpu)
{
    if (cpu.runs) {
        const u64 ran = now_ - cpu.since;
        cpu.runs->ran += ran;
        cpu.runs->left -= std::min(cpu.runs->left, ran);
        cpu.runs->last_ran = now_;
    }
    cpu.since = now_;
}

void Simulator::decide(u32 cpu)
{
    Cpu& c = cpus_[cpu];
    account(c);
    if (c.runs)
        c.runs->on = Cpu_set::kNone;
    const auto [next, until] = c.policy->decide(cpu, Time(now_));
    ++decisions_;
    c.runs  = next ? static_cast<Task*>(next->owner) : nullptr;
    c.until = until;
    if (c.runs)
        start(cpu, *c.runs);
    arm(cpu);
}

void Simulator::start(u32 cpu, Task& task)
{
    if (task.on != Cpu_set::kNone || !wants_cpu(task.entity))
        FAIL("a task runs twice, or without wanting to");
    if (!task.entity.group.cpus.has(cpu) || !cpus_[cpu].online)
        FAIL("a task runs outside its pool or on a CPU that is offline");
    if (!task.entity.is_of(*cpus_[cpu].policy))
        FAIL("a task runs by a policy that it was not given to");
    if (task.told != Sched_entity::State::running)
        FAIL("a task runs and nobody was told");
    for (u32 other = cpu / shape_.threads * shape_.threads, i = 0; i < shape_.threads; ++i, ++other) {
        if (!shape_.shares_cores && other < shape_.cpus && cpus_[other].runs && other != cpu &&
            &cpus_[other].runs->entity.group != &task.entity.group)
            FAIL("tasks of two groups run on one core");
    }
    task.on = cpu;
    task.moves += task.last_cpu != cpu && task.last_cpu != Cpu_set::kNone;
    task.last_cpu    = cpu;
    task.longest_gap = std::max(task.longest_gap, now_ - task.last_ran);
    if (std::exchange(task.waits, false))
        task.worst_wait = std::max(task.worst_wait, now_ - task.woke);
}

void Simulator::arm(u32 cpu)
{
    Cpu& c = cpus_[cpu];
    ++c.stamp;
    if (c.until != kNever)
        push(std::max(c.until.value(), now_), Event::timer, cpu, nullptr);
    if (c.runs && c.runs->burst)
        push(now_ + c.runs->left, Event::burst_end, cpu, c.runs);
}

} // namespace vmm
