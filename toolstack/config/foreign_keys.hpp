// SPDX-License-Identifier: Apache-2.0
// The keys of xl.cfg that do not describe a Plinth domain, so that a file written for xl is answered to the
// point. A key that only concerns emulated hardware, which a PVH domain has none of, is ignored with a note;
// one that asks for something a user would miss is refused unless its value asks for nothing (0, "" or []).
#pragma once

#include <span>
#include <string_view>

namespace vmm::config
{

struct Foreign_key {
    enum class Treatment { ignored, refused };

    std::string_view name;
    Treatment treatment;
    std::string_view note; // why, or what to do instead
};

[[nodiscard]] std::span<const Foreign_key> foreign_keys();
[[nodiscard]] const Foreign_key* find_foreign_key(std::string_view name);

} // namespace vmm::config
