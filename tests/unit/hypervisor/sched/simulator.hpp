// SPDX-License-Identifier: Apache-2.0
//
// A machine of many CPUs in virtual time, driven by a scheduling policy: vCPUs that want a CPU always, or in
// bursts with sleeps between, and a clock that moves from event to event. It checks as it goes that the
// policy keeps its promises: nobody runs twice at once, nor where it must not, and no timer is armed without
// need.
#pragma once

#include "sched/core_policy.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <queue>
#include <vector>

namespace vmm
{

inline constexpr u64 kMs = 1'000'000;

class Simulator final : public Sched_host
{
  public:
    struct Task {
        Task(Sched_group& g) : entity(g, this), unit(g) { entity.unit = &unit; }
        Sched_entity entity;
        Sched_unit unit;              // its own, unless it belongs to another's
        u64 burst                = 0; // runs so long, then sleeps; 0: never sleeps
        u64 sleep                = 0;
        Sched_entity::State told = Sched_entity::State::off; // by the policy
        bool wants               = false;
        bool paused              = false;
        bool up                  = true;
        bool lacks_cpu           = false; // the policy has said that there is none for it
        u64 left                 = 0;     // of the burst
        u64 ran                  = 0;
        u64 woke                 = 0;
        bool waits               = false; // for its first turn after it woke
        u64 worst_wait           = 0;     // from waking to running
        u64 last_ran             = 0;
        u64 longest_gap          = 0; // between two turns
        u32 on                   = Cpu_set::kNone;
        u64 moves                = 0;
        u32 last_cpu             = Cpu_set::kNone;
    };

    // `threads` per core, `cores` per cache, CPUs in this order. The queues are those of the policy made by
    // `make`.
    struct Shape {
        u32 cpus          = 1;
        u32 threads       = 1;
        u32 cores         = 8;
        bool shares_cores = true; // threads of one core may run tasks of different groups
    };
    using Make = std::function<std::unique_ptr<Policy, void (*)(Policy*)>(Sched_host&, u32 cpus)>;
    Simulator(Shape shape, const Make& make);

    Sched_group& group(u32 weight = kDefaultWeight, u32 cap = 0);
    // Begins to run as soon as the clock moves.
    Task& task(Sched_group& group, u64 burst = 0, u64 sleep = 0);
    // As task(), but set up by the caller before it wants anything.
    Task& task(Sched_group& group, const std::function<void(Task&)>& prepare);
    void remove(Task& task);

    void run_for(u64 ns);
    // The machine is not there for a while: nobody runs, nothing happens, but its clocks have gone on.
    void stand_still(u64 ns);
    void pause(Task& task, bool paused);
    void set_up(Task& task, bool up);
    // Its affinity or its group changed.
    void change(Task& task);
    void online(u32 cpu);
    void offline(u32 cpu);
    // A second policy: for CPUs that join it, and groups that move there, to those CPUs.
    Policy& add_policy(const Make& make);
    void join(u32 cpu, Policy& policy);
    void move(Sched_group& group, Policy& policy, const Cpu_set& cpus);
    // The task running there calls yield, or yield_to.
    void yield(u32 cpu, Task* to = nullptr);
    // Forget what was counted so far.
    void reset_counts();

    [[nodiscard]] Policy& policy() { return *policies_.front(); }
    [[nodiscard]] u64 now() const { return now_; }
    [[nodiscard]] Task* running(u32 cpu) const { return cpus_[cpu].runs; }
    [[nodiscard]] bool has_timer(u32 cpu) const { return cpus_[cpu].until != kNever; }
    [[nodiscard]] u64 decisions() const { return decisions_; }
    [[nodiscard]] std::deque<Task>& tasks() { return tasks_; }

    bool wants_cpu(const Sched_entity& entity) override;
    bool is_up(const Sched_entity& entity) override;
    void no_cpu_for(const Sched_entity& entity) override;
    void state_changed(Sched_entity& entity, Time now) override;
    void kick(u32 cpu, Look look) override;

  private:
    struct Cpu {
        Policy* policy = nullptr;
        Task* runs     = nullptr;
        u64 since      = 0;
        Time until     = kNever;
        u64 stamp      = 0; // of the events that are still good
        bool online    = false;
        bool look      = false; // at what to run
        bool new_time  = false; // at until()
    };
    struct Event {
        u64 time;
        u64 order;
        enum Kind { timer, burst_end, wake } kind;
        u32 cpu;
        u64 stamp;
        Task* task;
        bool operator>(const Event& o) const { return time != o.time ? time > o.time : order > o.order; }
    };

    template <class Act>
    void for_each_of(const Sched_group& group, Act act);
    void update(Task& task);
    void push(u64 time, Event::Kind kind, u32 cpu, Task* task);
    void happen(const Event& event);
    void follow_kicks();
    void decide(u32 cpu);
    void account(Cpu& cpu);
    void start(u32 cpu, Task& task);
    void arm(u32 cpu);

    Shape shape_;
    std::vector<std::unique_ptr<Policy, void (*)(Policy*)>> policies_;
    std::vector<Cpu> cpus_;
    std::vector<u32> kicked_;
    std::deque<Sched_group> groups_;
    std::deque<Task> tasks_;
    std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
    u64 now_       = 0;
    u64 order_     = 0;
    u64 decisions_ = 0;
};

// A Fair_policy with its queues; a Null_policy with its CPUs.
Simulator::Make fair();
Simulator::Make unshared();
// The same on cores.
Simulator::Make fair_cores();
Simulator::Make unshared_cores();

} // namespace vmm
