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
        ended(id, std::unexpected(started.error()));
        return;
    }
    domain.job = *std::move(started);
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
