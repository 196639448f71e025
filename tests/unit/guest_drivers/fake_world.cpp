// SPDX-License-Identifier: Apache-2.0
#include "fake_world.hpp"

#include "guest/clock.hpp"
#include "guest/events.hpp"
#include "guest/grants.hpp"
#include "guest/store.hpp"

namespace vmm::guest
{

// Only the program itself would need them.
bool use_vmcall = false;
u64 system_time() { return 0; }
void wake_at(u64) {}

namespace fake
{

World& world()
{
    static World only;
    return only;
}

void reset() { world() = {}; }

} // namespace fake

using fake::world;

Store::Answer Store::read(std::string_view path)
{
    const auto found = world().nodes.find(path);
    return found == world().nodes.end() ? Answer{{}, "ENOENT"} : Answer{found->second, {}};
}
Store::Answer Store::write(std::string_view path, std::string_view value)
{
    world().nodes[std::string(path)] = value;
    return {};
}
Store::Answer Store::watch(std::string_view, std::string_view) { return {}; }
Store::Answer Store::unwatch(std::string_view, std::string_view) { return {}; }
bool Store::begin() { return true; }
Store::End Store::end(bool) { return End::done; }
u64 Store::notices() { return world().changes; }

namespace grants
{

grant_ref_t share(domid_t, const void* page, bool)
{
    static grant_ref_t last = kFirstOwn;
    if (world().grants_left == 0)
        return 0;
    --world().grants_left;
    world().granted[++last] = page;
    return last;
}

bool unshare(grant_ref_t& ref)
{
    if (ref == 0)
        return true;
    if (world().in_use.contains(ref))
        return false;
    world().granted.erase(ref);
    ref = 0;
    return true;
}

} // namespace grants

namespace events
{

s64 alloc_unbound(domid_t)
{
    static evtchn_port_t last = 0;
    world().ports.insert(++last);
    return last;
}
s64 close(evtchn_port_t port) { return world().ports.erase(port) == 1 ? 0 : -1; }
s64 send(evtchn_port_t)
{
    ++world().events_sent;
    return 0;
}
void listen(evtchn_port_t, Handler) {}

} // namespace events

} // namespace vmm::guest
