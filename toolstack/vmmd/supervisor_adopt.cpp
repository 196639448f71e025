// SPDX-License-Identifier: Apache-2.0
// The part of Supervisor about what a former daemon left.
#include "toolstack/base/log.hpp"
#include "toolstack/vmmd/domain_nodes.hpp"
#include "toolstack/vmmd/supervisor.hpp"

#include <algorithm>

namespace vmm
{

namespace
{

const Domain_info* find(const std::vector<Domain_info>& alive, Domid id)
{
    const auto found =
        std::find_if(alive.begin(), alive.end(), [&](const Domain_info& i) { return i.id == id; });
    return found == alive.end() ? nullptr : &*found;
}

const Domain_info* find(const std::vector<Domain_info>& alive, Domid id, const config::Uuid& uuid)
{
    const Domain_info* info = find(alive, id);
    return info != nullptr && !info->dying && info->uuid == uuid.bytes ? info : nullptr;
}

} // namespace

Result<void> Supervisor::start()
{
    auto saved = parts_.state.load();
    if (!saved) {
        log::error(saved.error().message + "; it is set aside as " + parts_.state.path() +
                   ".bad and domains made before are left alone");
        parts_.state.set_aside();
        saved = Saved_state{};
    }
    const auto alive = TRY(parts_.control.list());
    keep_unread(alive, std::move(saved->rest.unread));
    parts_.devices.start();
    destroy_unfinished(alive, saved->rest.unfinished);
    put_back(saved->rest.placed);
    for (auto& domain : saved->domains) {
        if (const Domain_info* info = find_again(alive, *domain)) {
            domain->ended =
                domain->preserved ? info->shutdown : std::nullopt; // its action has been carried out
            adopt(std::move(domain));
        } else {
            log::info("domain " + to_string(domain->id) + " (\"" + domain->name() +
                      "\") has gone while there was no vmmd");
            remove_domain_nodes(parts_.store, *domain);
            parts_.store.release(domain->id);
        }
    }
    for (const Saved_foreign& foreign : saved->rest.foreign) {
        if (find(alive, foreign.id, foreign.uuid) != nullptr) {
            adopt_foreign(foreign);
        } else {
            parts_.store.release(foreign.id);
        }
    }
    std::set<Domid> others;
    for (const Domain_info& info : alive) {
        if (info.id != kDom0 && !info.dying && table_.find(info.id) == nullptr &&
            !saved->rest.unfinished.contains(config::Uuid{info.uuid}.to_string())) {
            others.insert(info.id);
            if (!foreign_.contains(info.id)) {
                log::warning("domain " + to_string(info.id) + " was not made by vmmd and is left alone");
            }
        }
    }
    parts_.devices.drop_orphans(others);
    forget_the_dead(alive);
    for (Saved_restart& restart : saved->rest.restarts) {
        owe_restart(std::move(restart));
    }
    save_state();
    destroy_unwanted();
    check_ends();
    return {};
}

// The UUID tells a domain from a later one that happens to have its number.
const Domain_info* Supervisor::find_again(const std::vector<Domain_info>& alive, const Domain& domain)
{
    if (const Domain_info* info = find(alive, domain.id, domain.uuid)) {
        return info;
    }
    if (!domain.renamed_from) {
        return nullptr;
    }
    // The former vmmd has not come to telling the hypervisor.
    const Domain_info* info = find(alive, domain.id, *domain.renamed_from);
    if (info != nullptr) {
        if (const auto renamed = parts_.control.set_uuid(domain.id, domain.uuid.bytes); !renamed) {
            log::warning(renamed.error().message);
        }
    }
    return info;
}

// It is about a domain that is still there, or to come.
void Supervisor::keep_unread(const std::vector<Domain_info>& alive, std::vector<Unread> unread)
{
    for (Unread& entry : unread) {
        const bool stays =
            entry.list == "restarts" || std::ranges::any_of(alive, [&](const Domain_info& info) {
                return config::Uuid{info.uuid}.to_string() == entry.uuid;
            });
        if (stays) {
            log::error(parts_.state.path() + ": an entry of \"" + entry.list + "\" with the UUID " +
                       entry.uuid + " is not understood (" + entry.why +
                       "): what it is about is left alone, its devices too, until a vmmd does");
            unread_.push_back(std::move(entry));
        }
    }
}

// The former vmmd was asked to, and has not come to it.
void Supervisor::destroy_unwanted()
{
    std::vector<Domid> unwanted;
    for (const auto& [id, domain] : table_.all()) {
        if (domain->unwanted) {
            unwanted.push_back(id);
        }
    }
    for (const Domid id : unwanted) {
        destroy(id, [](const Result<void>& destroyed) {
            if (!destroyed) {
                log::error(destroyed.error().message);
            }
        });
    }
}

void Supervisor::destroy_unfinished(const std::vector<Domain_info>& alive, const std::set<std::string>& uuids)
{
    for (const Domain_info& info : alive) {
        if (info.id == kDom0 || !uuids.contains(config::Uuid{info.uuid}.to_string())) {
            continue;
        }
        log::warning("domain " + to_string(info.id) + " was half made when vmmd ended; it is destroyed");
        const auto half = std::make_shared<Domain>();
        half->id        = info.id;
        half->uuid      = config::Uuid{info.uuid};
        being_undone_.emplace(half->uuid.to_string(), nullptr);
        stop(half->id);
        parts_.devices.unplug_all(half->id, [this, half] {
            unmake(*half, [this, half](const Result<void>& unmade) { undone(*half, unmade); });
        });
    }
}

void Supervisor::undone(const Domain& half, const Result<void>& unmade)
{
    const std::string uuid = half.uuid.to_string();
    if (!unmade) { // another vmmd may have more luck
        log::error(unmade.error().message);
        return;
    }
    const Construction_ptr next = std::move(being_undone_.extract(uuid).mapped());
    save_state();
    if (next && !next->cancelled) {
        begin_restart(next);
    }
}

// The store still knows everybody its former server knew, and what stood there of them.
void Supervisor::forget_the_dead(const std::vector<Domain_info>& alive)
{
    std::set<Domid> known;
    for (const Domid id : parts_.store.introduced()) {
        known.insert(id);
    }
    for (const std::string& name : parts_.store.list("/local/domain").value_or(std::vector<std::string>{})) {
        if (const auto id = parse_domid(name)) {
            known.insert(*id);
        }
    }
    for (const Domid id : known) {
        if (find(alive, id) == nullptr) {
            parts_.store.release(id);
            static_cast<void>(parts_.store.remove(domain_path(id))); // a name the store itself has given
        }
    }
}

void Supervisor::adopt(std::unique_ptr<Domain> domain)
{
    if (const auto adopted = parts_.maker.adopt(*domain); !adopted) {
        log::error("domain " + to_string(domain->id) + " (\"" + domain->name() +
                   "\") runs without the store: " + adopted.error().message);
    } else {
        log::info("domain " + to_string(domain->id) + " (\"" + domain->name() + "\") is taken up again");
    }
    stop_logging(domain->id); // if it was being moved
    parts_.devices.adopt(domain->id);
    table_.insert(std::move(domain));
}

} // namespace vmm
