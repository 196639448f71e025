// SPDX-License-Identifier: Apache-2.0
// How a device goes, and how it is found again after a restart of vmmd.
#include "toolstack/base/log.hpp"
#include "toolstack/device/devices.hpp"

#include <utility>

namespace vmm::device
{

void Devices::unplug(const Address& address, Removal how, Done done)
{
    const auto found = devices_.find(address);
    if (found == devices_.end()) {
        loop_.defer([done] { done(fail(Errc::not_found, "there is no such device")); });
        return;
    }
    const Device_ptr device = found->second;
    device->domain_stays    = true;
    if (device->phase == Phase::plugged && !is_taken_up(address)) {
        how = Removal::force; // there is nobody to ask
    }
    if (how == Removal::force) {
        device->when_gone.emplace_back([done] { done({}); });
        if (device->phase == Phase::plugged || device->phase == Phase::asked) {
            tell_to_close(*device);
        }
        take_down(device);
        return;
    }
    if (device->phase != Phase::plugged && device->phase != Phase::asked) {
        loop_.defer(
            [done, name = device->name()] { done(fail(Errc::busy, name + " is just coming or going")); });
        return;
    }
    if (device->let_go) {
        loop_.defer([done, name = device->name()] {
            done(fail(Errc::busy, name + ": the guest is being asked to let it go already"));
        });
        return;
    }
    device->phase  = Phase::asked;
    device->let_go = std::move(done);
    auto asked     = ask_to_close(store_, device->address);
    if (asked) {
        asked = follow(device, patience_.guest, &Devices::check_asked, [this](const Device_ptr& late) {
            if (const Done tell = std::exchange(late->let_go, nullptr)) {
                tell(fail(Errc::timed_out,
                          late->name() + ": the guest has not let it go in " +
                              std::to_string(patience_.guest / std::chrono::seconds(1)) +
                              " s (mounted? in use?); it goes when the guest does, or now with --force"));
            }
        });
    }
    if (!asked) {
        device->phase = Phase::plugged;
        if (const Done tell = std::exchange(device->let_go, nullptr)) {
            loop_.defer([tell, error = std::move(asked.error())] { tell(std::unexpected(error)); });
        }
    }
}

// Null when there is none, which `done` is told.
Device_class* Devices::plugged_class(const Address& address, const Done& done)
{
    const auto found = devices_.find(address);
    if (found == devices_.end() || found->second->phase != Phase::plugged) {
        loop_.defer(
            [done] { done(fail(Errc::busy, "there is no such device, or it is just coming or going")); });
        return nullptr;
    }
    return found->second->device_class;
}

void Devices::grow(const Address& address, std::uint64_t bytes, Done done)
{
    if (Device_class* const device_class = plugged_class(address, done)) {
        device_class->grow(address, bytes, std::move(done));
    }
}

void Devices::while_closed(const Address& address, Work work, Done done)
{
    if (Device_class* const device_class = plugged_class(address, done)) {
        device_class->while_closed(address, std::move(work), std::move(done));
    }
}

Result<void> Devices::check_free(const std::string& type, const Json& spec) const
{
    const auto found = classes_.find(type);
    return found == classes_.end() ? Result<void>() : found->second->check_free(spec);
}

// Its kernel watches the other end from when it sees a device until it has forgotten it [Linux
// drivers/xen/xenbus/xenbus_probe.c].
bool Devices::is_taken_up(const Address& address) const
{
    const State state = frontend_state(store_, address);
    return (state != State::initialising && state != State::absent) ||
           store_.is_watched(address.backend_path(), address.domain);
}

// The guest hears of it, too, and may begin to give up what it does with the device.
void Devices::tell_to_close(const Device& device)
{
    if (const auto told = ask_to_close(store_, device.address); !told) {
        log::warning(told.error().message);
    }
}

void Devices::when_gone(const Address& address, std::function<void()> call)
{
    if (const auto found = devices_.find(address); found != devices_.end()) {
        found->second->when_gone.emplace_back(std::move(call));
    }
}

void Devices::check_asked(const Device_ptr& device)
{
    const State state = backend_state(store_, device->address);
    if (state == State::init_wait || state == State::connected) {
        // It said so after it had been told to close, and before it looked.
        tell_to_close(*device);
        return;
    }
    if (state != State::closed && state != State::absent) {
        return;
    }
    if (Done tell = std::exchange(device->let_go, nullptr)) {
        device->when_gone.emplace_back([tell = std::move(tell)] { tell({}); });
    }
    take_down(device);
}

void Devices::unplug_all(Domid domain, std::function<void()> done)
{
    std::vector<Device_ptr> all;
    for (const auto& [address, device] : devices_) {
        if (address.domain == domain) {
            all.push_back(device);
        }
    }
    if (all.empty()) {
        done();
        return;
    }
    auto left = std::make_shared<std::size_t>(all.size());
    for (const Device_ptr& device : all) {
        device->when_gone.emplace_back([left, done] {
            if (--*left == 0) {
                done();
            }
        });
        device->domain_stays = false;
        take_down(device);
    }
}

// From any phase towards `gone`; what is with its class at the moment goes on from there.
void Devices::take_down(const Device_ptr& device)
{
    switch (device->phase) {
    case Phase::preparing:
    case Phase::connecting:
        if (!device->trouble) {
            device->trouble =
                Error{Errc::cancelled, device->name() + ": it was removed while it was plugged"};
        }
        return;
    case Phase::leaving: return;
    case Phase::releasing:
        if (!device->domain_stays && device->timer) { // only the guest was waited for
            stop_following(*device);
            gone(device);
        }
        return;
    case Phase::waiting:
    case Phase::plugged:
    case Phase::asked:
    case Phase::orphan: break;
    }
    const State state = backend_state(store_, device->address);
    if (state == State::absent || state == State::initialising) {
        release(device); // no backend has taken any notice of its nodes, so there is none to wait for
        return;
    }
    device->phase = Phase::leaving;
    auto closing  = declare_closed(store_, device->address);
    if (closing) {
        closing = follow(device, patience_.backend, &Devices::check_leaving, [this](const Device_ptr& late) {
            log::warning(late->name() + ": its backend does not close; it is removed all the same");
            release(late);
        });
    }
    if (!closing) {
        log::warning(closing.error().message);
        release(device);
    }
}

void Devices::check_leaving(const Device_ptr& device)
{
    const State state = backend_state(store_, device->address);
    if (state == State::closed || state == State::absent) {
        release(device);
    }
}

void Devices::release(const Device_ptr& device)
{
    stop_following(*device);
    device->phase = Phase::releasing;
    remove_nodes(store_, device->address);
    device->device_class->release(device->address, [this, weak = Weak(device)] {
        if (const Device_ptr kept = weak.lock()) {
            wait_for_notice(kept);
        }
    });
}

// A guest that looks only when another device has taken the place of this one takes it for the same one.
void Devices::wait_for_notice(const Device_ptr& device)
{
    if (!device->domain_stays || !store_.is_watched(device->address.backend_path(), device->address.domain)) {
        gone(device);
        return;
    }
    device->timer = loop_.after(patience_.notice, [this, weak = Weak(device)] {
        if (const Device_ptr kept = weak.lock()) {
            kept->timer.reset();
            gone(kept);
        }
    });
    store_.when_unwatched(device->address.backend_path(), device->address.domain,
                          [this, weak = Weak(device)] {
                              if (const Device_ptr kept = weak.lock(); kept && kept->timer) {
                                  stop_following(*kept);
                                  gone(kept);
                              }
                          });
}

void Devices::gone(const Device_ptr& device)
{
    devices_.erase(device->address);
    save();
    if (const Done done = std::exchange(device->plugged, nullptr)) {
        done(std::unexpected(
            device->trouble.value_or(Error{Errc::cancelled, device->name() + " was removed"})));
    } else {
        log::info(device->name() + " is gone");
    }
    if (const Done done = std::exchange(device->let_go, nullptr)) {
        done({});
    }
    for (const auto& call : std::exchange(device->when_gone, {})) {
        call();
    }
}

void Devices::start()
{
    auto records = records_.load();
    if (!records) {
        log::error(records.error().message + "; it is set aside as " + records_.path() +
                   ".bad, and devices plugged before stay until dom0 restarts");
        records_.set_aside();
        return;
    }
    for (Record& record : *records) {
        const auto found = classes_.find(record.address.type);
        if (found == classes_.end()) {
            log::warning("a device of class \"" + record.address.type + "\" is left alone: no such class");
            continue;
        }
        auto device          = std::make_shared<Device>();
        device->address      = record.address;
        device->spec         = std::move(record.spec);
        device->note         = std::move(record.note);
        device->device_class = found->second;
        device->phase        = Phase::orphan;
        device->complete     = record.plugged;
        if (const auto adopted = device->device_class->adopt(task_for(device), device->note); !adopted) {
            log::warning(device->name() + ": " + adopted.error().message);
        }
        devices_.emplace(device->address, std::move(device));
    }
}

// What was still on its way in when the former vmmd ended was never promised to anybody: that stays an
// orphan.
void Devices::adopt(Domid domain)
{
    for (const auto& [key, device] : devices_) {
        const Address& address = device->address;
        if (address.domain != domain || device->phase != Phase::orphan || !device->complete) {
            continue;
        }
        device->phase = Phase::plugged;
        if (store_.read(address.backend_path() + "/online").value_or("1") == "0") {
            device->phase = Phase::asked;
            if (const auto followed = follow(device, patience_.guest, &Devices::check_asked, {}); !followed) {
                log::warning(followed.error().message);
            }
        }
    }
}

Result<void> Devices::check_settled(Domid domain) const
{
    for (const auto& [address, device] : devices_) {
        if (address.domain == domain && device->phase != Phase::plugged) {
            return fail(Errc::busy, device->name() + (device->phase == Phase::asked
                                                          ? ": the guest has been asked to let it go; wait "
                                                            "until it has, or take it away with --force"
                                                          : " is just coming or going"));
        }
    }
    return {};
}

void Devices::drop_orphans(const std::set<Domid>& others)
{
    std::vector<Device_ptr> orphans;
    for (const auto& [address, device] : devices_) {
        if (device->phase == Phase::orphan && !others.contains(address.domain)) {
            orphans.push_back(device);
        }
    }
    for (const Device_ptr& device : orphans) {
        log::info(device->name() + " has no domain any more");
        take_down(device);
    }
}

} // namespace vmm::device
