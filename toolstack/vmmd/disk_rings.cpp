// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/disk_rings.hpp"

#include <charconv>
#include <optional>
#include <string>

namespace vmm
{

namespace
{

std::optional<std::uint32_t> number_at(Store_server& store, const std::string& path)
{
    const std::string text = store.read(path).value_or("");
    std::uint32_t number   = 0;
    const bool good = std::from_chars(text.data(), text.data() + text.size(), number).ec == std::errc();
    return good ? std::optional(number) : std::nullopt;
}

// Asked to close it serves until its guest lets go.
bool is_served(const device::Row& row)
{
    return row.backend == device::State::connected || row.backend == device::State::closing;
}

// Nodes of an earlier connection, with other rings, may be left beside those that the backend goes by.
std::vector<std::string> queues_of(Store_server& store, const std::string& frontend)
{
    const std::uint32_t count = number_at(store, frontend + "/multi-queue-num-queues").value_or(1);
    if (count == 1) {
        return {frontend};
    }
    std::vector<std::string> queues;
    for (std::uint32_t i = 0; i < count; ++i) {
        queues.push_back(frontend + "/queue-" + std::to_string(i));
        if (!store.exists(queues.back())) {
            break; // the guest says how many there are
        }
    }
    return queues;
}

} // namespace

std::vector<std::uint32_t> rings_of_disks(Store_server& store, const device::Devices& devices, Domid id)
{
    std::vector<std::uint32_t> grants;
    for (const device::Row& row : devices.list(id, "vbd")) {
        if (!is_served(row)) {
            continue;
        }
        const std::string frontend = row.address.frontend_path();
        const bool has_several     = number_at(store, frontend + "/ring-page-order").value_or(0) > 0 ||
                                 number_at(store, frontend + "/num-ring-pages").value_or(1) > 1;
        for (const std::string& queue : queues_of(store, frontend)) {
            const auto single = has_several ? std::nullopt : number_at(store, queue + "/ring-ref");
            if (const auto grant = single ? single : number_at(store, queue + "/ring-ref0")) {
                grants.push_back(*grant);
            }
        }
    }
    return grants;
}

} // namespace vmm
