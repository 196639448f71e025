// SPDX-License-Identifier: Apache-2.0
//
// What a scheduling policy is: told what happens to CPUs and vCPUs, it says who runs where and until when.
// It is a pure object over the times it is given: no clock, no timer, no hardware, no allocation; a simulator
// drives it with entities of its own. Its counterpart, Sched_host, knows what it decides about.
//
// Locks: there is one per CPU's queue (Lock_rank::scheduler), inside; callers hold none of that rank or
// above. A second one is only ever tried, never waited for. An entity belongs to the queue of the CPU it is
// on, and changes queues under both locks. Every call may come from any CPU unless it says otherwise, and may
// call Sched_host with the lock held.
//
// A policy decides for what it is told are CPUs: with core scheduling these are cores, and an entity stands
// for the vCPUs of one domain that share a core (core_policy.hpp).
#pragma once

#include "base/heap_queue.hpp"
#include "sched/cpu_cap.hpp"
#include "sched/cpu_set.hpp"
#include "sched/sched_kind.hpp"

#include <optional>
#include <utility>

namespace vmm
{

inline constexpr u32 kDefaultWeight = 256;
inline constexpr Time kNever{~0ull};

// A domain to the policy: what its vCPUs have in common. Owned by the domain; after a change each of its
// entities is to be given to Policy::changed().
struct Sched_group {
    std::atomic<u32> weight{kDefaultWeight}; // each vCPU's share relative to others; 1 to 65,535
    std::atomic<u32> members{0};             // kept by the policy
    Cpu_cap cap;
    Shared_cpu_set cpus{Cpu_set::all()}; // of the pool it is in
    u32 pool        = 0;
    Sched_kind kind = default_sched_kind; // the pool's; changes while no policy has any of its vCPUs
};

class Policy;
struct Sched_unit; // core_policy.hpp

// What the policy keeps of each vCPU. Owned by whoever embeds it, `owner` says who; between Policy::add() and
// remove() everything but the affinities is the policy's.
struct Sched_entity : Heap_queue::Node {
    enum class State : u8 {
        off,     // does not want a CPU
        queued,  // waits for one
        parked,  // waits for its domain's cap to allow it more
        running, // has one
    };

    Sched_entity(Sched_group& g, void* o) : group(g), owner(o) {}
    // What was done to it before it was added there is known to whoever is told so.
    [[nodiscard]] bool is_of(const Policy& p) const { return policy.load(std::memory_order_acquire) == &p; }
    // Those of its policy's CPUs that it may run on.
    [[nodiscard]] Cpu_set allowed(const Shared_cpu_set& online) const
    {
        const Cpu_set pool = online.load() & group.cpus.load();
        const Cpu_set hard = pool & hard_affinity.load();
        return hard.any() ? hard : pool;
    }

    Sched_group& group;
    void* owner;
    std::atomic<Policy*> policy{nullptr}; // to which it was added
    // Where it may run, and where it would rather. A hard affinity that leaves no CPU of the pool is ignored.
    // After a change: Policy::changed().
    Shared_cpu_set hard_affinity{Cpu_set::all()};
    Shared_cpu_set soft_affinity{Cpu_set::all()};

    Sched_unit* unit = nullptr; // where cores are scheduled; fixed before Policy::add()

    std::atomic<u32> cpu{0}; // the queue it belongs to
    State state      = State::off;
    u32 counted      = 0;       // its weight in the load of its queue
    u64 virtual_time = 0;       // nanoseconds it had a CPU, scaled by kDefaultWeight / weight
    u64 scale        = 0;       // that factor
    Time started{};             // charged up to here; of a vCPU where cores are scheduled: its turn began
    std::optional<s64> portion; // of its domain's cap, not yet used; none while it runs without a cap
};

// How CPUs are related. Both sets contain the CPU itself.
struct Cpu_neighbours {
    Cpu_set core;  // threads of the same core
    Cpu_set cache; // CPUs that share the last level of cache
};

struct Sched_decision {
    Sched_entity* next; // nullptr: nobody
    Time until;         // decide() again then at the latest; kNever: no timer needed
};

class Sched_host
{
  public:
    // Whether it is up, not blocked, its domain not paused. What it depends on was changed before the policy
    // was told.
    [[nodiscard]] virtual bool wants_cpu(const Sched_entity& entity) = 0;

    // Whether it is up, be it asleep or paused: one that a CPU is kept for keeps it so long.
    [[nodiscard]] virtual bool is_up(const Sched_entity& entity) = 0;
    // It wants a CPU, and all it may have are taken for good: it waits until one comes free.
    virtual void no_cpu_for(const Sched_entity& entity)          = 0;

    // Its state is another now. Never called by two CPUs at once for the same entity; in decide() not for a
    // vCPU that goes on.
    virtual void state_changed(Sched_entity& entity, Time now) = 0;
    // Its state is that from now on, which may be the one it was.
    void enter(Sched_entity& entity, Sched_entity::State state, Time now)
    {
        if (std::exchange(entity.state, state) != state)
            state_changed(entity, now);
    }

    enum class Look : u8 {
        timer, // the CPU goes on with what it runs, but only until Policy::until()
        again, // the CPU has to call decide()
    };
    // By an IPI, unless it is the calling CPU. It is right to decide where only the timer was meant.
    virtual void kick(u32 cpu, Look look) = 0;

  protected:
    ~Sched_host() = default;
};

class Policy
{
  public:
    // A CPU begins and ceases to run vCPUs; its queue is spread over the others. What runs there goes with
    // the next decide() of that CPU, for which it is kicked. The last CPU of a pool stays while there are
    // entities.
    virtual void cpu_online(u32 cpu, const Cpu_neighbours& neighbours, Time now) = 0;
    virtual void cpu_offline(u32 cpu, Time now)                                  = 0;

    // An entity comes, and goes, perhaps to another policy. It wants no CPU and runs on none at that time;
    // nobody calls changed(). An update() may meet both, and come late to one that has gone: it does nothing.
    virtual void add(Sched_entity& entity)    = 0;
    virtual void remove(Sched_entity& entity) = 0;

    // Whether it wants a CPU may have changed: it woke, was paused, came up... Needless calls do no harm. One
    // that runs and ceases to want it leaves its CPU soon after, not at once.
    virtual void update(Sched_entity& entity, Time now)  = 0;
    // Its affinity, or weight, cap or pool of its group changed.
    virtual void changed(Sched_entity& entity, Time now) = 0;

    // Called by `cpu` itself: what it runs has to stand in line again, if it still wants a CPU at all, and
    // the next one is running from now on. That may be the same.
    virtual Sched_decision decide(u32 cpu, Time now) = 0;
    // When to decide again, after Look::timer. Called by `cpu` itself.
    [[nodiscard]] virtual Time until(u32 cpu) const  = 0;

    // What runs on `cpu`, which calls, lets others go first; false: there is nobody, and nothing happens.
    // True: decide() is due.
    virtual bool yield(u32 cpu, Time now)                          = 0;
    // It cannot go on until `target` has run: lends it its turn. As yield() otherwise.
    virtual bool yield_to(u32 cpu, Sched_entity& target, Time now) = 0;

  protected:
    ~Policy() = default;
};

} // namespace vmm
