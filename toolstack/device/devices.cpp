// SPDX-License-Identifier: Apache-2.0
// How a device comes: prepare, nodes, wait for the backend, connect. devices_leave.cpp has the way out.
#include "toolstack/device/devices.hpp"

#include "toolstack/base/log.hpp"

#include <utility>

namespace vmm::device
{

std::string Devices::Device::name() const
{
    return device_class->describe(spec) + " of domain " + to_string(address.domain);
}

Devices::~Devices()
{
    for (const auto& [address, device] : devices_) {
        stop_following(*device);
    }
}

void Devices::add(Device_class& device_class)
{
    classes_.emplace(std::string(device_class.type()), &device_class);
}

void Devices::save()
{
    std::vector<Record> records;
    records.reserve(devices_.size());
    for (const auto& [address, device] : devices_) {
        records.push_back({device->address, device->spec, device->note, device->complete});
    }
    if (const auto saved = records_.save(records); !saved) {
        log::error(saved.error().message + "; a restart of vmmd would not find the devices again");
    }
}

void Devices::plug(std::vector<Wanted> wanted, Done done)
{
    if (wanted.empty()) {
        done({});
        return;
    }
    struct Batch {
        std::size_t open;
        Result<void> result;
        std::vector<Address> plugged;
        Done done;
    };
    auto batch = std::make_shared<Batch>(Batch{wanted.size(), {}, {}, std::move(done)});
    for (Wanted& one : wanted) {
        const Address address = one.address;
        plug_one(std::move(one), [this, batch, address](Result<void> result) {
            if (result) {
                batch->plugged.push_back(address);
            } else if (batch->result) {
                batch->result = std::move(result);
            }
            if (--batch->open > 0) {
                return;
            }
            if (batch->result || batch->plugged.empty()) {
                batch->done(std::move(batch->result));
                return;
            }
            auto left = std::make_shared<std::size_t>(batch->plugged.size());
            for (const Address& other : batch->plugged) {
                unplug(other, Removal::force, [batch, left](const Result<void>&) {
                    if (--*left == 0) {
                        batch->done(std::move(batch->result));
                    }
                });
            }
        });
    }
}

Task Devices::task_for(const Device_ptr& device)
{
    return {device->address, device->spec, [this, weak = Weak(device)](Json note) {
                if (const Device_ptr kept = weak.lock()) {
                    kept->note = std::move(note);
                    save();
                }
            }};
}

// Answers on a later turn at the earliest, so that a caller's own books are in order by then.
void Devices::plug_one(Wanted wanted, Done done)
{
    auto later = [this, done](Error error) {
        loop_.defer([done, error = std::move(error)] { done(std::unexpected(error)); });
    };
    const auto found = classes_.find(wanted.address.type);
    if (found == classes_.end()) {
        later({Errc::unsupported, "this vmmd has no devices of class \"" + wanted.address.type + "\""});
        return;
    }
    if (has(wanted.address)) {
        later({Errc::exists, found->second->describe(wanted.spec) + " is there already"});
        return;
    }
    auto device          = std::make_shared<Device>();
    device->address      = std::move(wanted.address);
    device->spec         = std::move(wanted.spec);
    device->device_class = found->second;
    device->plugged      = std::move(done);
    devices_.emplace(device->address, device);
    save();
    loop_.defer([this, weak = Weak(device)] {
        const Device_ptr kept = weak.lock();
        if (!kept) {
            return;
        }
        kept->device_class->prepare(task_for(kept), [this, weak](Result<Prepared> result) {
            if (const Device_ptr still = weak.lock()) {
                prepared(still, std::move(result));
            }
        });
    });
}

void Devices::prepared(const Device_ptr& device, Result<Prepared> result)
{
    if (!result) {
        // Nothing was taken, so nothing is to be released.
        device->trouble = std::move(result.error());
        gone(device);
        return;
    }
    if (device->trouble) {
        release(device);
        return;
    }
    device->phase                = Phase::waiting;
    device->address.backend_type = result->backend_type;
    save(); // before there are nodes: a successor must find them
    auto started = write_nodes(store_, device->address, *result);
    if (started) {
        started = follow(device, patience_.backend, &Devices::check_backend, [this](const Device_ptr& late) {
            give_up(late, backend_failure(
                              *late, "no backend in dom0 has taken it up in " +
                                         std::to_string(patience_.backend / std::chrono::seconds(1)) + " s"));
        });
    }
    if (!started) {
        give_up(device, std::move(started.error()));
    }
}

Error Devices::backend_failure(const Device& device, const std::string& what)
{
    const std::string said     = backend_error(store_, device.address);
    const std::string& program = device.address.backend_type;
    const std::string missing  = program.empty()
                                     ? ": is the backend's module loaded (xen-blkback, xen-netback)?"
                                     : ": does the program that serves " + program + " devices run?";
    const std::string why      = said.empty() ? missing : ": it says \"" + said + "\"";
    return {Errc::io, device.name() + ": " + what + why};
}

void Devices::check_backend(const Device_ptr& device)
{
    switch (backend_state(store_, device->address)) {
    case State::init_wait:
    case State::initialised:
    case State::connected: connect(device); break;
    case State::closing:
    case State::closed: give_up(device, backend_failure(*device, "its backend in dom0 has failed")); break;
    case State::absent: give_up(device, backend_failure(*device, "its backend was removed")); break;
    case State::unknown:
    case State::initialising: break; // not yet
    }
}

void Devices::connect(const Device_ptr& device)
{
    stop_following(*device);
    device->phase = Phase::connecting;
    device->device_class->connect(device->address, [this, weak = Weak(device)](Result<void> result) {
        if (const Device_ptr kept = weak.lock()) {
            connected(kept, std::move(result));
        }
    });
}

void Devices::connected(const Device_ptr& device, Result<void> result)
{
    if (result && !device->trouble) {
        result = write_hotplug_status(store_, device->address, "connected");
    }
    if (!result || device->trouble) {
        give_up(device, device->trouble ? *device->trouble : std::move(result.error()));
        return;
    }
    device->phase    = Phase::plugged;
    device->complete = true;
    save();
    log::info(device->name() + " is plugged");
    if (const Done done = std::exchange(device->plugged, nullptr)) {
        done({});
    }
}

// Its nodes may be there; whoever asked for it is told when they are gone.
void Devices::give_up(const Device_ptr& device, Error error)
{
    device->trouble = std::move(error);
    device->phase   = Phase::waiting; // its class has answered
    take_down(device);
}

Result<void> Devices::follow(const Device_ptr& device, Event_loop::Duration patience, Step check,
                             std::function<void(const Device_ptr&)> late)
{
    stop_following(*device);
    auto changed = [this, check, weak = Weak(device)](const std::string&) {
        if (const Device_ptr kept = weak.lock()) {
            (this->*check)(kept);
        }
    };
    // The first call, for the registration, looks at what is there already.
    device->watch = TRY(store_.watch(device->address.backend_path() + "/state", std::move(changed)));
    device->timer = loop_.after(patience, [late = std::move(late), weak = Weak(device)] {
        if (const Device_ptr kept = weak.lock()) {
            kept->timer.reset();
            if (late) {
                late(kept);
            }
        }
    });
    return {};
}

void Devices::stop_following(Device& device)
{
    if (const auto watch = std::exchange(device.watch, std::nullopt)) {
        store_.unwatch(*watch);
    }
    if (const auto timer = std::exchange(device.timer, std::nullopt)) {
        loop_.cancel(*timer);
    }
}

std::vector<Row> Devices::list(Domid domain, const std::string& type) const
{
    std::vector<Row> rows;
    for (const auto& [key, device] : devices_) {
        const Address& address = device->address; // the key does not say which backend it is
        if (address.domain != domain || (!type.empty() && address.type != type)) {
            continue;
        }
        Row row{address, device->spec, frontend_state(store_, address), backend_state(store_, address),
                Json::object()};
        for (const char* name : {"event-channel", "ring-ref", "ring-ref0", "tx-ring-ref", "rx-ring-ref"}) {
            if (const auto value = store_.read(address.frontend_path() + "/" + name)) {
                row.ring[name] = *value;
            }
        }
        rows.push_back(std::move(row));
    }
    return rows;
}

} // namespace vmm::device
