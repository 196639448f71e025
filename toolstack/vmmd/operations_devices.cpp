// SPDX-License-Identifier: Apache-2.0
// device-attach, device-detach, device-change, device-grow, device-list: devices of running domains, whatever
// their class.
#include "toolstack/vmmd/answers.hpp"
#include "toolstack/vmmd/domain_devices.hpp"
#include "toolstack/vmmd/operations.hpp"

#include <algorithm>
#include <cstdlib>

namespace vmm
{

using control::Code;
using device::Address;

namespace
{

control::Json row_of(Store_server& store, const device::Row& row)
{
    control::Json json{{"domid", raw(row.address.domain)},
                       {"type", row.address.type},
                       {"number", row.address.number},
                       {"state", static_cast<int>(row.backend)},
                       {"backend_state", device::name_of(row.backend)},
                       {"frontend_state", device::name_of(row.frontend)},
                       {"spec", row.spec},
                       {"ring", row.ring},
                       {"backend_path", row.address.backend_path()},
                       {"nodes", control::Json::object()}};
    const std::string path = row.address.backend_path();
    for (const std::string& name : store.list(path).value_or(std::vector<std::string>{})) {
        if (const auto value = store.read(path + "/" + name)) {
            json["nodes"][name] = *value;
        }
    }
    return json;
}

} // namespace

// A domain that can be given devices or be asked to let them go.
std::expected<Operations::Target, control::Failure> Operations::device_holder(const Json& args)
{
    auto found = guest_target(args);
    if (!found) {
        return found;
    }
    if (found->domain == nullptr) {
        return failed(Code::unsupported,
                      "\"" + found->name + "\" was not made by vmmd, which leaves its devices alone");
    }
    if (found->domain->ended || found->domain->leaving) {
        return failed(Code::bad_state, "\"" + found->name + "\" has ended");
    }
    return found;
}

Operations::Cancel Operations::device_attach(const Json& args, Client client)
{
    const auto holder = device_holder(args);
    const auto type   = text_argument(args, "type");
    const auto spec   = args.find("spec");
    if (!holder || !type || spec == args.end()) {
        client.answer(!holder ? Answer(std::unexpected(holder.error()))
                      : !type ? Answer(std::unexpected(type.error()))
                              : failed(Code::bad_request, "the request has no \"spec\""));
        return {};
    }
    const auto addition = add_device(holder->id, holder->domain->config, *type, *spec);
    if (!addition) {
        client.answer(failed(Code::bad_config, addition.error().message));
        return {};
    }
    return bring(*holder, *addition, std::move(client));
}

// Plugs it, if there is anything to plug, and keeps it in the config: a restart of the domain brings it back.
Operations::Cancel Operations::bring(const Target& holder, const Device_edit& edit, Client client)
{
    const device::Wanted wanted = edit.configured.device;
    const auto bring_home       = [this, client, wanted] {
        const Domid id = wanted.address.domain;
        if (const Domain* const domain = supervisor_.domains().find(id)) {
            supervisor_.set_config(id, with_device(domain->config, wanted)); // as the config is by now
        }
        client.answer(Json{{"domid", raw(id)},
                           {"type", wanted.address.type},
                           {"number", wanted.address.number},
                           {"spec", wanted.spec}});
    };
    if (devices_.has(wanted.address)) {
        client.answer(failed(Code::exists, "device " + std::to_string(wanted.address.number) + " of \"" +
                                               holder.name + "\" is there already, or just coming or going"));
        return {};
    }
    if (!edit.configured.exists) {
        bring_home();
        return {};
    }
    devices_.plug({wanted}, [client, bring_home](const Result<void>& plugged) {
        if (!plugged) {
            client.answer(failed(plugged.error()));
            return;
        }
        bring_home();
    });
    return [this, address = wanted.address] {
        devices_.unplug(address, device::Removal::force, [](const Result<void>&) {});
    };
}

Operations::Cancel Operations::device_detach(const Json& args, Client client)
{
    const auto holder = device_holder(args);
    const auto type   = text_argument(args, "type");
    const auto number = number_argument(args, "number");
    const auto force  = flag_argument(args, "force");
    if (const auto* const wrong = first_refusal(holder, type, number, force)) {
        client.answer(std::unexpected(*wrong));
        return {};
    }
    const Address address{holder->id, *type, static_cast<unsigned>(*number)};
    if (*number > ~0U || (!devices_.has(address) && !is_configured(*holder, address))) {
        client.answer(failed(Code::bad_value,
                             "\"" + holder->name + "\" has no such device " + std::to_string(*number)));
        return {};
    }
    take(address, *force, std::move(client),
         [address](const config::Domain_config& config) { return without_device(config, address); });
    return {}; // it goes on without its client
}

// Unplugs it, if it is there, and then changes the config: also when the guest takes its time, and the client
// has been told so.
void Operations::take(const Address& address, bool force, Client client, Config_change change)
{
    const auto change_config = [this, address, change = std::move(change)] {
        if (const Domain* const domain = supervisor_.domains().find(address.domain)) {
            supervisor_.set_config(address.domain, change(domain->config));
        }
    };
    auto gone = [this, client, address, change_config](const Result<void>& result) {
        if (!result) {
            if (result.error().code == Errc::timed_out) {
                devices_.when_gone(address, change_config);
            }
            client.answer(failed(result.error()));
            return;
        }
        change_config();
        client.answer(Json{{"domid", raw(address.domain)}, {"number", address.number}});
    };
    if (!devices_.has(address)) {
        gone({});
        return;
    }
    devices_.unplug(address, force ? device::Removal::force : device::Removal::ask, std::move(gone));
}

Operations::Cancel Operations::device_change(const Json& args, Client client)
{
    const auto holder = device_holder(args);
    const auto type   = text_argument(args, "type");
    const auto spec   = args.find("spec");
    const auto force  = flag_argument(args, "force");
    if (!holder || !type || !force || spec == args.end()) {
        client.answer(!holder  ? Answer(std::unexpected(holder.error()))
                      : !type  ? Answer(std::unexpected(type.error()))
                      : !force ? Answer(std::unexpected(force.error()))
                               : failed(Code::bad_request, "the request has no \"spec\""));
        return {};
    }
    const auto edit = change_medium(holder->id, holder->domain->config, *type, *spec);
    if (!edit) {
        client.answer(failed(Code::bad_config, edit.error().message));
        return {};
    }
    if (edit->configured.exists) {
        return bring(*holder, *edit, std::move(client));
    }
    const device::Wanted& drive = edit->configured.device;
    take(drive.address, *force, std::move(client),
         [drive](const config::Domain_config& config) { return with_device(config, drive); });
    return {};
}

Operations::Cancel Operations::device_grow(const Json& args, Client client)
{
    const auto holder = device_holder(args);
    const auto type   = text_argument(args, "type");
    const auto number = number_argument(args, "number");
    const auto bytes  = number_argument(args, "bytes");
    if (const auto* const wrong = first_refusal(holder, type, number, bytes)) {
        client.answer(std::unexpected(*wrong));
        return {};
    }
    const Address address{holder->id, *type, static_cast<unsigned>(*number)};
    if (*number > ~0U || !devices_.has(address)) {
        client.answer(failed(Code::bad_value, "\"" + holder->name + "\" has no such device " +
                                                  std::to_string(*number) + ", or nothing is behind it"));
        return {};
    }
    if (*bytes <= bytes_of(address)) {
        client.answer(failed(Code::bad_value, "it has " + std::to_string(bytes_of(address)) +
                                                  " bytes already, and what a guest has does not shrink"));
        return {};
    }
    devices_.grow(address, *bytes, [client, address, bytes = *bytes](const Result<void>& grown) {
        client.answer(
            grown ? Answer(Json{{"domid", raw(address.domain)}, {"number", address.number}, {"bytes", bytes}})
                  : failed(grown.error()));
    });
    return {}; // it goes on without its client
}

// As its backend tells the guest.
std::uint64_t Operations::bytes_of(const Address& address)
{
    constexpr std::uint64_t kSector = 512;
    for (const device::Row& row : devices_.list(address.domain, address.type)) {
        if (row.address == address) {
            const auto sectors = store_.read(row.address.backend_path() + "/sectors").value_or("0");
            return std::strtoull(sectors.c_str(), nullptr, 10) * kSector;
        }
    }
    return 0;
}

bool Operations::is_configured(const Target& holder, const Address& address)
{
    const auto all = configured_devices(holder.id, holder.domain->config);
    return std::ranges::any_of(all, [&](const Configured& one) { return one.device.address == address; });
}

Answer Operations::device_list(const Json& args)
{
    const auto found = target(args);
    const auto type  = text_argument(args, "type");
    if (const auto* const wrong = first_refusal(found, type)) {
        return std::unexpected(*wrong);
    }
    Json rows = Json::array();
    for (const device::Row& row : devices_.list(found->id, *type)) {
        rows.push_back(row_of(store_, row));
    }
    if (found->domain != nullptr) {
        for (const Configured& one : configured_devices(found->id, found->domain->config)) {
            if (!one.exists && one.device.address.type == *type) {
                rows.push_back(row_of(store_, {one.device.address, one.device.spec}));
            }
        }
    }
    return Json{{"devices", std::move(rows)}};
}

} // namespace vmm
