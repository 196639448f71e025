// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/disk_rings.hpp"

#include "toolstack/vmmd/domain_nodes.hpp"

#include <charconv>
#include <string>

namespace vmm
{

std::vector<std::uint32_t> rings_of_disks(Store_server& store, Domid id)
{
    std::vector<std::uint32_t> grants;
    const auto take = [&](const std::string& path) {
        for (const char* name : {"/ring-ref", "/ring-ref0"}) {
            const std::string text = store.read(path + name).value_or("");
            std::uint32_t grant    = 0;
            if (std::from_chars(text.data(), text.data() + text.size(), grant).ec == std::errc()) {
                grants.push_back(grant);
            }
        }
    };
    const std::string disks = domain_path(id) + "/device/vbd";
    for (const std::string& disk : store.list(disks).value_or(std::vector<std::string>{})) {
        const std::string path = disks + "/" + disk;
        take(path);
        for (const std::string& node : store.list(path).value_or(std::vector<std::string>{})) {
            if (node.starts_with("queue-")) {
                take(path + "/" + node);
            }
        }
    }
    return grants;
}

} // namespace vmm
