// SPDX-License-Identifier: Apache-2.0
#include "domain/domain_table.hpp"

#include "domain/vcpu.hpp"

namespace vmm
{
namespace
{

constexpr unsigned kBuckets = 64;

struct Table {
    Spinlock lock{Lock_rank::domain_table};
    std::array<Domain*, kBuckets> bucket{};
    u16 last_id = 0;
};
constinit Table table;

Domain*& bucket_of(Domid id) { return table.bucket[id.value() % kBuckets]; }

Domain* lookup(Domid id)
{
    for (Domain* d = bucket_of(id); d; d = d->next_in_table) {
        if (d->id() == id)
            return d;
    }
    return nullptr;
}

} // namespace

Domain* hold_domain(Domid id)
{
    const Lock_guard guard(table.lock);
    Domain* found = lookup(id);
    return found && found->try_hold() ? found : nullptr;
}

Expected<Ref<Domain>> domain_or_self(Domid id, Domain& self)
{
    auto domain = id == kDomidSelf ? Ref<Domain>::hold(self) : find_domain(id);
    if (!domain)
        return fail(Errc::esrch);
    return domain;
}

Expected<Ref<Domain>> domain_acted_on(Domid id, Domain& caller)
{
    auto domain = TRY(domain_or_self(id, caller));
    if (domain.get() != &caller && !caller.is_control())
        return fail(Errc::eperm);
    return domain;
}

Ref<Domain> next_domain(Domid id)
{
    const Lock_guard guard(table.lock);
    Domain* best = nullptr;
    for (Domain* d : table.bucket) {
        for (; d; d = d->next_in_table) {
            if (d->id() >= id && (!best || d->id() < best->id()))
                best = d;
        }
    }
    return best ? Ref<Domain>::hold(*best) : Ref<Domain>();
}

Expected<void> insert_domain(Domain& domain)
{
    const Lock_guard guard(table.lock);
    if (lookup(domain.id()))
        return fail(Errc::eexist);
    domain.next_in_table   = bucket_of(domain.id());
    bucket_of(domain.id()) = &domain;
    return {};
}

void remove_domain(Domain& domain)
{
    const Lock_guard guard(table.lock);
    for (Domain** link = &bucket_of(domain.id()); *link; link = &(*link)->next_in_table) {
        if (*link == &domain) {
            *link = domain.next_in_table;
            return;
        }
    }
}

Expected<Domid> unused_domid()
{
    const Lock_guard guard(table.lock);
    const u16 last = kDomidFirstReserved.value() - 1;
    for (u16 tried = 0; tried < last; ++tried) {
        table.last_id = table.last_id >= last ? u16{1} : static_cast<u16>(table.last_id + 1);
        if (!lookup(Domid(table.last_id)))
            return Domid(table.last_id);
    }
    return fail(Errc::enomem);
}

} // namespace vmm
