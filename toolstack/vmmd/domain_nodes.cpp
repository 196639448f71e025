// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/domain_nodes.hpp"

#include "toolstack/base/log.hpp"
#include "toolstack/vmmd/domain_table.hpp"

#include <array>
#include <string_view>

namespace vmm
{

namespace
{

using store::Access;
using store::Permissions;

Permissions readable_by(Domid id) { return {{kDom0, Access::none}, {id, Access::read}}; }
Permissions owned_by(Domid id) { return {{id, Access::none}}; }

// Writes the tree below one path, each node with the permissions given.
class Node_writer
{
  public:
    Node_writer(Store_batch& batch, std::string base) : batch_(batch), base_(std::move(base)) {}

    Result<void> put(std::string_view name, std::string_view value, const Permissions& permissions)
    {
        const std::string path = name.empty() ? base_ : base_ + "/" + std::string(name);
        TRY(batch_.write(path, value));
        return batch_.set_permissions(path, permissions);
    }

  private:
    Store_batch& batch_;
    std::string base_;
};

std::string vm_path(const Domain& domain) { return "/vm/" + domain.uuid.to_string(); }

std::string memory_kib(std::uint64_t kib) { return std::to_string(kib); }

Result<void> put_guest_writable(Node_writer& nodes, Domid id)
{
    // What the guest answers and announces; it owns these nodes.
    constexpr std::array<std::string_view, 10> kGuestNodes{"control/shutdown",
                                                           "control/feature-poweroff",
                                                           "control/feature-reboot",
                                                           "control/feature-suspend",
                                                           "control/sysrq",
                                                           "data",
                                                           "drivers",
                                                           "feature",
                                                           "attr",
                                                           "error"};
    for (const auto name : kGuestNodes) {
        TRY(nodes.put(name, "", owned_by(id)));
    }
    return {};
}

Result<void> put_console(Node_writer& nodes, const Domain& domain)
{
    const auto readable = readable_by(domain.id);
    const Permissions private_to_dom0{{kDom0, Access::none}};
    TRY(nodes.put("console", "", readable));
    TRY(nodes.put("console/ring-ref", std::to_string(raw(domain.rings.console_page)), readable));
    TRY(nodes.put("console/port", std::to_string(raw(domain.rings.console_port)), readable));
    TRY(nodes.put("console/limit", std::to_string(1U << 20), readable));
    TRY(nodes.put("console/type", "xenconsoled",
                  readable)); // the name other tools know for "not a device model"
    return nodes.put("console/tty", domain.console ? domain.console->tty() : "", private_to_dom0);
}

Result<void> put_memory(Node_writer& nodes, const Domain& domain)
{
    const auto readable = readable_by(domain.id);
    TRY(nodes.put("memory", "", readable));
    // What it was built with: Linux takes the difference to the memory it found for what firmware kept, and
    // stays that much below every target.
    TRY(nodes.put("memory/static-max", memory_kib(domain.static_max_kib), readable));
    TRY(nodes.put("memory/target", memory_kib(domain.target_kib), readable));
    return nodes.put("memory/videoram", "0", readable);
}

std::string availability_path(unsigned cpu) { return "cpu/" + std::to_string(cpu) + "/availability"; }
std::string_view availability(bool online) { return online ? "online" : "offline"; }

// Linux watches these, and takes processors into use or out of it.
Result<void> put_cpu(Node_writer& nodes, Domid id, unsigned cpu, bool online)
{
    const auto readable = readable_by(id);
    TRY(nodes.put("cpu/" + std::to_string(cpu), "", readable));
    return nodes.put(availability_path(cpu), availability(online), readable);
}

Result<void> put_cpus(Node_writer& nodes, const Domain& domain)
{
    TRY(nodes.put("cpu", "", readable_by(domain.id)));
    for (unsigned cpu = 0; cpu < domain.config.maxvcpus; ++cpu) {
        TRY(put_cpu(nodes, domain.id, cpu, cpu < domain.config.vcpus));
    }
    return {};
}

Result<void> put_store_ring(Node_writer& nodes, const Domain& domain)
{
    const auto readable = readable_by(domain.id);
    TRY(nodes.put("store", "", readable));
    TRY(nodes.put("store/ring-ref", std::to_string(raw(domain.rings.store_page)), readable));
    return nodes.put("store/port", std::to_string(raw(domain.rings.store_port)), readable);
}

// There is no interrupt by which ACPI's device for it could tell of a change. Watches do: the guest sets them
// anew when it goes on elsewhere, and each then fires.
Result<void> put_generation(Node_writer& nodes, const Domain& domain)
{
    if (!domain.generation) {
        return {};
    }
    const auto readable = readable_by(domain.id);
    TRY(nodes.put("platform", "", readable));
    return nodes.put("platform/generation-id", domain.generation->to_string(), readable);
}

Result<void> put_domain(Store_batch& batch, const Domain& domain)
{
    const auto readable = readable_by(domain.id);
    Node_writer vm(batch, vm_path(domain));
    TRY(vm.put("", "", readable));
    TRY(vm.put("name", domain.name(), readable));
    TRY(vm.put("uuid", domain.uuid.to_string(), readable));

    Node_writer nodes(batch, domain_path(domain.id));
    TRY(nodes.put("", "", readable));
    TRY(nodes.put("vm", vm_path(domain), readable));
    TRY(nodes.put("name", domain.name(), readable));
    TRY(nodes.put("domid", to_string(domain.id), readable));
    TRY(nodes.put("device", "", readable));
    TRY(nodes.put("control", "", readable));
    TRY(nodes.put("control/platform-feature-multiprocessor-suspend", "1", readable));
    TRY(nodes.put("control/platform-feature-xs_reset_watches", "1", readable));
    TRY(put_guest_writable(nodes, domain.id));
    TRY(put_memory(nodes, domain));
    TRY(put_cpus(nodes, domain));
    TRY(put_generation(nodes, domain));
    TRY(put_store_ring(nodes, domain));
    return put_console(nodes, domain);
}

} // namespace

std::string domain_path(Domid id) { return "/local/domain/" + to_string(id); }

Result<void> write_domain_nodes(Store_server& store, const Domain& domain)
{
    return store.update([&](Store_batch& batch) { return put_domain(batch, domain); });
}

void remove_domain_nodes(Store_server& store, const Domain& domain)
{
    for (const std::string& path : {domain_path(domain.id), vm_path(domain)}) {
        if (const auto removed = store.remove(path); !removed) {
            log::warning("the store keeps " + path + ": " + removed.error().message);
        }
    }
}

Result<void> write_console_tty(Store_server& store, const Domain& domain)
{
    return store.write(domain_path(domain.id) + "/console/tty", domain.console ? domain.console->tty() : "");
}

Result<void> write_name(Store_server& store, const Domain& domain)
{
    return store.update([&](Store_batch& batch) -> Result<void> {
        TRY(batch.write(vm_path(domain) + "/name", domain.name()));
        return batch.write(domain_path(domain.id) + "/name", domain.name());
    });
}

Result<void> write_memory_target(Store_server& store, Domid id, std::uint64_t kib)
{
    return store.write(domain_path(id) + "/memory/target", memory_kib(kib));
}

Result<void> write_cpus(Store_server& store, Domid id, unsigned online, unsigned all)
{
    return store.update([&](Store_batch& batch) -> Result<void> {
        Node_writer nodes(batch, domain_path(id));
        for (unsigned cpu = 0; cpu < all; ++cpu) {
            const auto path = domain_path(id) + "/" + availability_path(cpu);
            if (batch.read(path).value_or("") != availability(cpu < online)) {
                TRY(put_cpu(nodes, id, cpu, cpu < online));
            }
        }
        return {};
    });
}

Result<void> write_dom0_nodes(Store_server& store, std::uint64_t kib)
{
    return store.update([&](Store_batch& batch) -> Result<void> {
        const Permissions readable = readable_by(kDom0);
        Node_writer nodes(batch, domain_path(kDom0));
        TRY(nodes.put("", "", readable));
        TRY(nodes.put("name", kDom0Name, readable));
        TRY(nodes.put("domid", "0", readable));
        TRY(nodes.put("memory/target", memory_kib(kib), readable));
        return nodes.put("memory/static-max", memory_kib(kib), readable);
    });
}

} // namespace vmm
