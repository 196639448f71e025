// SPDX-License-Identifier: Apache-2.0
//
// Each policy with a thread for each of its CPUs, under ThreadSanitizer, and further threads that wake, pause
// and bind tasks, and move groups of them where there are two policies. Nobody runs twice at once, of no
// entity is told twice at once, no core runs two groups where cores are scheduled, and nobody is forgotten.
#include "sched/core_policy.hpp"
#include "sched/fair_policy.hpp"
#include "sched/null_policy.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

using namespace vmm;

namespace
{

constexpr u32 kCpus = 4, kThreads = 2; // of a core
constexpr auto kStorm    = std::chrono::milliseconds(700);
constexpr auto kPatience = std::chrono::seconds(60);

using Steady = std::chrono::steady_clock;

Time now()
{
    const auto since = Steady::now().time_since_epoch();
    return Time(static_cast<u64>(std::chrono::duration_cast<std::chrono::nanoseconds>(since).count()));
}

// Each thread its own.
u32 roll(u32 sides)
{
    thread_local u32 dice = static_cast<u32>(std::hash<std::thread::id>()(std::this_thread::get_id()));
    dice                  = dice * 1'103'515'245 + 12'345;
    return (dice >> 16) % sides;
}

struct Task {
    explicit Task(Sched_group& g) : entity(g, this), unit(g) { entity.unit = &unit; }
    Sched_entity entity;
    Sched_unit unit;
    std::atomic<bool> wants{false};
    std::atomic<bool> paused{false};  // while its group moves
    std::atomic<bool> running{false}; // as the policy told
    std::atomic<bool> on{false};
    std::atomic<bool> told{false};
    std::atomic<u64> turns{0};
};

class Machine final : public Sched_host
{
  public:
    std::atomic<u32> wrong{0};
    std::deque<Task> tasks;
    std::deque<Sched_group> groups;
    bool share_cores = true;

    // The second has half of the CPUs, and groups move there and back; in the end all are at the first.
    void begin(Policy& first, Policy* second = nullptr)
    {
        first_  = &first;
        second_ = second;
    }

    void populate(u32 count, u32 each)
    {
        for (u32 i = 0; i < count; ++i) {
            groups.emplace_back().cpus.store(cpus_of(*first_));
            for (u32 k = 0; k < each; ++k) {
                Task& task = tasks.emplace_back(groups.back());
                if (k % kThreads != 0)
                    task.entity.unit = &tasks[tasks.size() - 1 - k % kThreads].unit;
                first_->add(task.entity);
            }
        }
    }

    void run()
    {
        std::vector<std::thread> cpus;
        for (u32 cpu = 0; cpu < kCpus; ++cpu)
            cpus.emplace_back([this, cpu] { run_cpu(cpu); });
        std::thread drivers[] = {std::thread([this] { drive(); }), std::thread([this] { drive(); })};
        for (auto& driver : drivers)
            driver.join();
        calm_ = true;
        wait_for_new_laps();
        for (auto& group : groups) {
            if (second_)
                move(group, *first_);
        }
        for (auto& task : tasks) {
            task.entity.hard_affinity.store(Cpu_set::all());
            set_wanting(task, true);
            task.entity.policy.load()->changed(task.entity, now());
        }
        check_all_run();
        stop_ = true;
        for (u32 cpu = 0; cpu < kCpus; ++cpu)
            kick(cpu, Look::again);
        for (auto& cpu : cpus)
            cpu.join();
        CHECK(wrong == 0);
    }

    bool wants_cpu(const Sched_entity& entity) override
    {
        return task_of(entity).wants && !task_of(entity).paused;
    }
    bool is_up(const Sched_entity& entity) override { return task_of(entity).wants; }
    void no_cpu_for(const Sched_entity&) override {}
    void state_changed(Sched_entity& entity, Time) override
    {
        expect(!task_of(entity).told.exchange(true));
        task_of(entity).running = entity.state == Sched_entity::State::running;
        task_of(entity).told    = false;
    }
    void kick(u32 cpu, Look) override { look_[cpu] = true; }

  private:
    static Task& task_of(const Sched_entity& entity) { return *static_cast<Task*>(entity.owner); }
    void expect(bool so) { wrong += so ? 0 : 1; }

    Cpu_set cpus_of(const Policy& policy) const
    {
        if (!second_)
            return Cpu_set::all();
        const Cpu_set low((1u << kCpus / 2) - 1);
        return &policy == first_ ? low : ~low;
    }

    // Some tell one that was the entity's when they began, and perhaps is again.
    static void update(Task& task)
    {
        Policy* const policy = task.entity.policy;
        if (roll(32) == 0)
            std::this_thread::sleep_for(std::chrono::microseconds(roll(5000)));
        if (policy)
            policy->update(task.entity, now());
    }

    static void set_wanting(Task& task, bool wants)
    {
        task.wants = wants;
        update(task);
    }

    static void set_paused(Task& task, bool paused)
    {
        task.paused = paused;
        update(task);
    }

    template <class Act>
    void for_each_of(const Sched_group& group, Act act)
    {
        for (auto& task : tasks) {
            if (&task.entity.group == &group)
                act(task);
        }
    }

    void move(Sched_group& group, Policy& to)
    {
        for_each_of(group, [](Task& task) { set_paused(task, true); });
        const auto end = Steady::now() + kPatience;
        for_each_of(group, [&](Task& task) {
            while (task.running && Steady::now() < end)
                std::this_thread::yield();
            expect(!task.running);
        });
        for_each_of(group, [](Task& task) { task.entity.policy.load()->remove(task.entity); });
        group.cpus.store(cpus_of(to));
        for_each_of(group, [&](Task& task) { to.add(task.entity); });
        for_each_of(group, [](Task& task) { set_paused(task, false); });
    }

    // Then no CPU puts a task to sleep any more that it had in hand before all was calm.
    void wait_for_new_laps()
    {
        const auto end = Steady::now() + kPatience;
        for (const auto& laps : laps_) {
            const u64 before = laps;
            while (laps == before && Steady::now() < end)
                std::this_thread::yield();
            expect(laps != before);
        }
    }

    void run_cpu(u32 cpu)
    {
        Cpu_set core;
        for (u32 i = 0; i < kThreads; ++i)
            core = core.with(cpu / kThreads * kThreads + i);
        Policy* const policy = cpus_of(*first_).has(cpu) ? first_ : second_;
        policy->cpu_online(cpu, {share_cores ? Cpu_set::only(cpu) : core, Cpu_set::all()}, now());
        while (!stop_) {
            ++laps_[cpu];
            look_[cpu]               = false;
            const auto [next, until] = policy->decide(cpu, now());
            if (next)
                run_task(cpu, *policy, task_of(*next), until);
            else
                std::this_thread::yield();
        }
    }

    void run_task(u32 cpu, Policy& policy, Task& task, Time until)
    {
        expect(!task.on.exchange(true));
        ++task.turns;
        group_on_[cpu] = &task.entity.group;
        for (u32 other = cpu / kThreads * kThreads, i = 0; i < kThreads && !share_cores; ++i, ++other) {
            const Sched_group* const beside = group_on_[other];
            expect(!beside || beside == &task.entity.group);
        }
        for (u32 i = roll(50); i > 0 && !look_[cpu] && now() < until; --i)
            std::this_thread::yield();
        if (!calm_ && roll(4) == 0)
            task.wants = false; // it sleeps
        else if (roll(4) == 0)
            policy.yield(cpu, now());
        else if (Task& other = any_task(); roll(4) == 0 && may_yield_to(task, other))
            policy.yield_to(cpu, other.entity, now());
        group_on_[cpu] = nullptr;
        task.on        = false;
    }

    Task& any_task() { return tasks[roll(static_cast<u32>(tasks.size()))]; }
    bool may_yield_to(const Task& task, const Task& other) const
    {
        return !second_ || &task.entity.group == &other.entity.group;
    }

    // What the hypervisor's control lock is for.
    void control(Task& task)
    {
        const std::lock_guard one_at_a_time(control_);
        if (second_ && roll(2) == 0)
            return move(task.entity.group, roll(2) == 0 ? *first_ : *second_);
        task.entity.hard_affinity.store(roll(2) ? Cpu_set::all() : Cpu_set::only(roll(kCpus)));
        task.entity.policy.load()->changed(task.entity, now());
    }

    void drive()
    {
        const auto end = Steady::now() + kStorm;
        while (Steady::now() < end) {
            Task& task = any_task();
            switch (roll(8)) {
            case 0: set_wanting(task, false); break;
            case 1: control(task); break;
            case 2: task.entity.group.weight = 64u << roll(4); break;
            default: set_wanting(task, true);
            }
        }
    }

    // As many as there can be at all, where each has a CPU to itself.
    void check_all_run()
    {
        std::vector<u64> before;
        for (const auto& task : tasks)
            before.push_back(task.turns);
        const auto end = Steady::now() + kPatience;
        u32 ran        = 0;
        while (ran < std::min<std::size_t>(least_to_run, tasks.size()) && Steady::now() < end) {
            std::this_thread::yield();
            ran = 0;
            for (u32 i = 0; i < tasks.size(); ++i)
                ran += tasks[i].turns > before[i];
        }
        CHECK(ran >= std::min<std::size_t>(least_to_run, tasks.size()));
    }

  public:
    u32 least_to_run = ~0u;

  private:
    Policy* first_  = nullptr;
    Policy* second_ = nullptr;
    std::mutex control_;
    std::atomic<bool> look_[kCpus]{};
    std::atomic<u64> laps_[kCpus]{};
    std::atomic<const Sched_group*> group_on_[kCpus]{};
    std::atomic<bool> stop_{false};
    std::atomic<bool> calm_{false};
};

} // namespace

TEST_CASE("CPUs share queues by the fair policy")
{
    Machine machine;
    std::vector<Cpu_queue> queues(kCpus);
    Fair_policy policy(machine, queues);
    machine.begin(policy);
    machine.populate(6, 2);
    machine.groups[0].cap.set_percent(30);
    machine.run();
}

TEST_CASE("CPUs are given away by the static policy")
{
    Machine machine;
    std::vector<Null_cpu> cpus(kCpus);
    Null_policy policy(machine, cpus);
    machine.begin(policy);
    machine.least_to_run = kCpus;
    machine.populate(4, 2);
    machine.run();
}

TEST_CASE("cores are switched as a whole, by either policy")
{
    Machine machine;
    machine.share_cores = false;
    std::vector<Core_state> cores(kCpus);
    std::vector<Cpu_queue> queues(kCpus);
    std::vector<Null_cpu> cpus(kCpus);
    Policy_of_cores<Fair_policy, Cpu_queue> fair(machine, cores, queues);
    Policy_of_cores<Null_policy, Null_cpu> unshared(machine, cores, cpus);
    const bool shared = GENERATE(true, false);
    machine.begin(shared ? fair.cores : unshared.cores);
    machine.least_to_run = shared ? ~0u : kThreads;
    machine.populate(5, 2);
    machine.run();
}

TEST_CASE("groups move between CPUs that are shared and CPUs that are not")
{
    Machine machine;
    std::vector<Cpu_queue> queues(kCpus);
    std::vector<Null_cpu> cpus(kCpus);
    Fair_policy fair(machine, queues);
    Null_policy unshared(machine, cpus);
    const bool shared = GENERATE(true, false);
    if (shared)
        machine.begin(fair, &unshared);
    else
        machine.begin(unshared, &fair);
    machine.least_to_run = shared ? ~0u : kCpus / 2;
    machine.populate(4, 2);
    machine.groups[0].cap.set_percent(30);
    machine.run();
}

TEST_CASE("groups move between cores that are shared and cores that are not")
{
    Machine machine;
    machine.share_cores = false;
    std::vector<Core_state> shared_cores(kCpus), own_cores(kCpus);
    std::vector<Cpu_queue> queues(kCpus);
    std::vector<Null_cpu> cpus(kCpus);
    Policy_of_cores<Fair_policy, Cpu_queue> fair(machine, shared_cores, queues);
    Policy_of_cores<Null_policy, Null_cpu> unshared(machine, own_cores, cpus);
    const bool shared = GENERATE(true, false);
    if (shared)
        machine.begin(fair.cores, &unshared.cores);
    else
        machine.begin(unshared.cores, &fair.cores);
    machine.least_to_run = shared ? ~0u : kThreads;
    machine.populate(4, 2);
    machine.run();
}
