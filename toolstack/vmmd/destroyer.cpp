// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/destroyer.hpp"

#include <utility>

namespace vmm
{

Destroyer::~Destroyer()
{
    for (const auto& [id, domain] : under_way_) {
        domain.job->abandon();
    }
}

void Destroyer::destroy(Domid id, Done done)
{
    Under_way& domain = under_way_[id];
    domain.waiting.push_back(std::move(done));
    if (domain.job) {
        return;
    }
    auto started = Image_job::start(
        loop_, open_control_, [id](Build_control& control, const Progress&) { return control.destroy(id); },
        [this, id](const Result<void>& result) { ended(id, result); });
    if (!started) {
        ended(id, destroy_here(id));
        return;
    }
    domain.job = *std::move(started);
}

// All wait for it, but a domain that stays keeps its memory.
Result<void> Destroyer::destroy_here(Domid id) const
{
    const auto control = TRY(open_control_());
    return control->destroy(id);
}

void Destroyer::ended(Domid id, const Result<void>& result)
{
    const auto domain = under_way_.extract(id);
    const bool gone   = result || result.error().code == Errc::no_such_domain;
    for (const Done& done : domain.mapped().waiting) {
        done(gone ? Result<void>() : result);
    }
}

} // namespace vmm
