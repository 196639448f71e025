// SPDX-License-Identifier: Apache-2.0
// The part of Supervisor about domains it did not make itself: those of a former daemon and those of other
// tools.
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
    destroy_unfinished(alive, saved->unfinished);
    for (auto& domain : saved->domains) {
        const Domain_info* info = find(alive, domain->id);
        // The UUID tells a domain from a later one that happens to have its number.
        if (info != nullptr && !info->dying && info->uuid == domain->uuid.bytes) {
            adopt(std::move(domain));
        }
    }
    for (const Domain_info& info : alive) {
        if (info.id != kDom0 && !info.dying && table_.find(info.id) == nullptr &&
            !saved->unfinished.contains(config::Uuid{info.uuid}.to_string())) {
            log::warning("domain " + to_string(info.id) + " was not made by vmmd and is left alone");
        }
    }
    save();
    check_ends();
    return {};
}

void Supervisor::destroy_unfinished(const std::vector<Domain_info>& alive, const std::set<std::string>& uuids)
{
    for (const Domain_info& info : alive) {
        if (info.id == kDom0 || !uuids.contains(config::Uuid{info.uuid}.to_string())) {
            continue;
        }
        log::warning("domain " + to_string(info.id) + " was half made when vmmd ended; it is destroyed");
        if (const auto destroyed = parts_.control.destroy(info.id); !destroyed) {
            log::error(destroyed.error().message);
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
    table_.insert(std::move(domain));
}

Result<void> Supervisor::introduce_foreign(Domid id, Gfn page, Evtchn_port port)
{
    TRY(parts_.maker.introduce(id, page, port));
    foreign_.try_emplace(id);
    return {};
}

void Supervisor::check_foreign(const std::vector<Domain_info>& alive)
{
    std::vector<Domid> gone;
    for (auto& [id, foreign] : foreign_) {
        const Domain_info* info = find(alive, id);
        if (info == nullptr || info->dying) {
            gone.push_back(id);
        } else if (info->shutdown && !foreign.ended) {
            foreign.ended = true;
            parts_.store.announce_shutdown(id);
        }
    }
    for (const Domid id : gone) {
        foreign_.erase(id);
        parts_.store.release(id);
        tell_waiters(id, {Outcome::gone, "destroyed", std::nullopt});
    }
}

Result<void> Supervisor::destroy_foreign(Domid id)
{
    if (id == kDom0) {
        return fail(Errc::not_permitted, "Domain-0 cannot be destroyed; shut the machine down instead");
    }
    TRY(parts_.control.info(id));
    foreign_.erase(id);
    parts_.store.release(id);
    TRY(parts_.store.remove(domain_path(id)));
    TRY(parts_.control.destroy(id));
    tell_waiters(id, {Outcome::gone, "destroyed", std::nullopt});
    return {};
}

} // namespace vmm
