// SPDX-License-Identifier: Apache-2.0
// device-attach, device-detach, device-list: devices of running domains, whatever their class.
#include "toolstack/vmmd/answers.hpp"
#include "toolstack/vmmd/domain_devices.hpp"
#include "toolstack/vmmd/operations.hpp"

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
    const Domid id      = holder->id;
    const auto addition = add_device(id, holder->domain->config, *type, *spec);
    if (!addition) {
        client.answer(failed(Code::bad_config, addition.error().message));
        return {};
    }
    const device::Wanted wanted = addition->wanted;
    if (devices_.has(wanted.address)) {
        client.answer(failed(Code::exists, "device " + std::to_string(wanted.address.number) + " of \"" +
                                               holder->name +
                                               "\" is there already, or just coming or going"));
        return {};
    }
    devices_.plug({wanted}, [this, client, wanted](const Result<void>& plugged) {
        if (!plugged) {
            client.answer(failed(plugged.error()));
            return;
        }
        keep_device(wanted);
        client.answer(Json{{"domid", raw(wanted.address.domain)},
                           {"type", wanted.address.type},
                           {"number", wanted.address.number},
                           {"spec", wanted.spec}});
    });
    return [this, address = wanted.address] {
        devices_.unplug(address, device::Removal::force, [](const Result<void>&) {});
    };
}

// Into the config as it is by now: a restart of the domain brings the device back.
void Operations::keep_device(const device::Wanted& wanted)
{
    const Domid id = wanted.address.domain;
    if (const Domain* const domain = supervisor_.domains().find(id)) {
        if (auto addition = add_device(id, domain->config, wanted.address.type, wanted.spec)) {
            supervisor_.set_config(id, std::move(addition->config));
        }
    }
}

Operations::Cancel Operations::device_detach(const Json& args, Client client)
{
    const auto holder = device_holder(args);
    const auto type   = text_argument(args, "type");
    const auto number = number_argument(args, "number");
    const auto force  = flag_argument(args, "force");
    for (const auto* const wrong : {!holder ? &holder.error() : nullptr, !type ? &type.error() : nullptr,
                                    !number ? &number.error() : nullptr, !force ? &force.error() : nullptr}) {
        if (wrong != nullptr) {
            client.answer(std::unexpected(*wrong));
            return {};
        }
    }
    const Address address{holder->id, *type, static_cast<unsigned>(*number)};
    if (*number > ~0U || !devices_.has(address)) {
        client.answer(failed(Code::bad_value,
                             "\"" + holder->name + "\" has no such device " + std::to_string(*number)));
        return {};
    }
    devices_.unplug(address, *force ? device::Removal::force : device::Removal::ask,
                    [this, client, address](const Result<void>& gone) {
                        if (!gone) {
                            client.answer(failed(gone.error()));
                            return;
                        }
                        if (const Domain* const domain = supervisor_.domains().find(address.domain)) {
                            supervisor_.set_config(address.domain, without_device(domain->config, address));
                        }
                        client.answer(Json{{"domid", raw(address.domain)}, {"number", address.number}});
                    });
    return {}; // it goes on without its client
}

Answer Operations::device_list(const Json& args)
{
    const auto found = target(args);
    const auto type  = text_argument(args, "type");
    if (!found || !type) {
        return std::unexpected(!found ? found.error() : type.error());
    }
    Json rows = Json::array();
    for (const device::Row& row : devices_.list(found->id, *type)) {
        rows.push_back(row_of(store_, row));
    }
    return Json{{"devices", std::move(rows)}};
}

} // namespace vmm
