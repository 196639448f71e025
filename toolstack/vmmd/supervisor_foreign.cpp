// SPDX-License-Identifier: Apache-2.0
// The part of Supervisor about domains of other tools: their store ring and console are served, and their end
// is told; what becomes of them is their tool's business.
#include "toolstack/base/log.hpp"
#include "toolstack/vmmd/domain_nodes.hpp"
#include "toolstack/vmmd/supervisor.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace vmm
{

namespace
{

std::optional<std::uint64_t> parse_number(const std::string& text)
{
    std::uint64_t number    = 0;
    const char* last        = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, number);
    return error == std::errc() && end == last ? std::optional(number) : std::nullopt;
}

} // namespace

void Supervisor::adopt_foreign(const Saved_foreign& saved)
{
    remember_foreign(saved.id, saved.uuid, saved.store_page, saved.store_port);
    if (const auto introduced = parts_.maker.introduce(saved.id, saved.store_page, saved.store_port);
        !introduced) {
        log::error("domain " + to_string(saved.id) +
                   ", another tool's, runs without the store: " + introduced.error().message);
    } else {
        log::info("domain " + to_string(saved.id) + ", another tool's, has its store again");
    }
}

Result<void> Supervisor::introduce_foreign(Domid id, Gfn page, Evtchn_port port)
{
    const Domain_info info = TRY(parts_.control.info(id));
    TRY(parts_.maker.introduce(id, page, port));
    remember_foreign(id, config::Uuid{info.uuid}, page, port);
    save_state();
    return {};
}

// It may end again before check_foreign() sees that it runs.
void Supervisor::resume_foreign(Domid id)
{
    if (const auto found = foreign_.find(id); found != foreign_.end()) {
        found->second.ended = false;
    }
}

void Supervisor::forget_foreign(Domid id)
{
    let_go_of_foreign(id);
    save_state();
}

// Views of its pages would keep them from being freed.
void Supervisor::let_go_of_foreign(Domid id)
{
    const auto found = foreign_.find(id);
    if (found == foreign_.end()) {
        return;
    }
    if (found->second.console_watch) {
        parts_.store.unwatch(*found->second.console_watch);
    }
    if (found->second.console) {
        found->second.console->drain();
    }
    foreign_.erase(found);
}

// Its tool writes where the console is at some time after the introduction, or has done so before.
void Supervisor::remember_foreign(Domid id, const config::Uuid& uuid, Gfn page, Evtchn_port port)
{
    let_go_of_foreign(id);
    Foreign& foreign   = foreign_[id];
    foreign.uuid       = uuid;
    foreign.store_page = page;
    foreign.store_port = port;
    auto watch         = parts_.store.watch(domain_path(id) + "/console",
                                            [this, id](const std::string&) { open_foreign_console(id); });
    if (watch) {
        foreign.console_watch = *watch;
    }
}

// As xenconsoled does: a console whose type is not its own belongs to somebody else.
void Supervisor::open_foreign_console(Domid id)
{
    const auto found = foreign_.find(id);
    if (found == foreign_.end() || found->second.console) {
        return;
    }
    const std::string base = domain_path(id) + "/console";
    const auto page        = parse_number(parts_.store.read(base + "/ring-ref").value_or(""));
    const auto port        = parse_number(parts_.store.read(base + "/port").value_or(""));
    if (!page || !port || parts_.store.read(base + "/type").value_or("xenconsoled") != "xenconsoled") {
        return;
    }
    const Console::Place place{id, Gfn{*page}, Evtchn_port{static_cast<std::uint32_t>(*port)}};
    auto console = parts_.maker.open_console(place, log_name_of_foreign(id));
    if (!console) {
        log::warning("the console of domain " + to_string(id) +
                     ", another tool's, cannot be served: " + console.error().message);
        return;
    }
    found->second.console = std::move(*console);
    const std::string tty = found->second.console->tty();
    if (const auto told = parts_.store.write(base + "/tty", tty); !told) {
        log::warning(told.error().message);
    }
    log::info("the console of domain " + to_string(id) + ", another tool's, is " +
              (tty.empty() ? "served" : "on " + tty));
}

// The name in the store is whatever the tool has written there.
std::string Supervisor::log_name_of_foreign(Domid id) const
{
    const std::string name = parts_.store.read(domain_path(id) + "/name").value_or("");
    const bool fit         = config::check_name(name).has_value() && table_.check_name_free(name).has_value();
    return fit ? name : "domain-" + to_string(id);
}

const Console* Supervisor::console_of(Domid id) const
{
    if (const Domain* domain = table_.find(id)) {
        return domain->console.get();
    }
    const auto found = foreign_.find(id);
    return found == foreign_.end() ? nullptr : found->second.console.get();
}

void Supervisor::check_foreign(const std::vector<Domain_info>& alive)
{
    std::vector<Domid> gone;
    for (auto& [id, foreign] : foreign_) {
        const auto info =
            std::find_if(alive.begin(), alive.end(), [&](const Domain_info& i) { return i.id == id; });
        if (info == alive.end() || info->dying) {
            gone.push_back(id);
        } else if (!info->shutdown) {
            foreign.ended = false;
        } else if (!std::exchange(foreign.ended, true)) {
            parts_.store.announce_shutdown(id);
        }
    }
    for (const Domid id : gone) {
        forget_foreign(id);
        parts_.store.release(id);
        tell_waiters(id, {Outcome::gone, "destroyed", std::nullopt});
    }
}

Result<void> Supervisor::drop_foreign(Domid id)
{
    if (id == kDom0) {
        return fail(Errc::not_permitted, "Domain-0 cannot be destroyed; shut the machine down instead");
    }
    TRY(parts_.control.info(id));
    forget_foreign(id);
    parts_.store.release(id);
    return parts_.store.remove(domain_path(id));
}

void Supervisor::destroy_foreign(Domid id, std::function<void(Result<void>)> done)
{
    if (auto dropped = drop_foreign(id); !dropped) {
        done(std::move(dropped));
        return;
    }
    destroyer_.destroy(id, [this, id, done = std::move(done)](Result<void> destroyed) {
        if (destroyed) {
            tell_waiters(id, {Outcome::gone, "destroyed", std::nullopt});
        }
        done(std::move(destroyed));
    });
}

} // namespace vmm
