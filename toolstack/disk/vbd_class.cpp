// SPDX-License-Identifier: Apache-2.0
#include "toolstack/disk/vbd_class.hpp"

#include "toolstack/base/log.hpp"
#include "toolstack/disk/eventually.hpp"

#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace vmm::disk
{

using config::Disk;
using config::Disk_access;
using device::Address;
using device::Json;
using device::Prepared;

namespace
{

// As blkback reads it: both numbers in hexadecimal.
std::string physical_device(dev_t number)
{
    std::array<char, 24> text{};
    std::snprintf(text.data(), text.size(), "%x:%x", major(number), minor(number));
    return text.data();
}

const char* mode_of(Disk_access access)
{
    switch (access) {
    case Disk_access::read_only: return "r";
    case Disk_access::read_write: return "w";
    case Disk_access::shared: break;
    }
    return "w!";
}

// The text of the config.
Result<Disk> from_spec(const Json& spec)
{
    if (!spec.is_string()) {
        return fail(Errc::invalid, "a disk is a text such as \"vdev=xvda, target=/srv/a.img\"");
    }
    auto disk = config::parse_disk(spec.get<std::string>());
    return disk ? Result<Disk>(*std::move(disk)) : fail(Errc::invalid, disk.error().message);
}

Result<void> check_served(const Disk& disk)
{
    if (disk.is_empty()) {
        return fail(Errc::invalid, "disk " + disk.vdev + ": there is no medium to show");
    }
    if (disk.access == Disk_access::shared && disk.format != config::Disk_format::raw) {
        return fail(Errc::invalid, "disk " + disk.vdev +
                                       ": only raw images and devices can have several writers, not " +
                                       std::string(config::to_string(disk.format)));
    }
    return {};
}

} // namespace

Vbd_class::Vbd_class(Event_loop& loop, Loop_driver& loops, Disk_setup setup)
    : loop_(loop), loops_(loops), setup_(std::move(setup)),
      size_timer_(loop.every(setup_.size_check, [this] { check_sizes(); }))
{
}

Vbd_class::~Vbd_class() { loop_.cancel(size_timer_); }

std::string Vbd_class::describe(const Json& spec) const
{
    const auto disk = from_spec(spec);
    return disk ? "disk " + disk->vdev : "disk";
}

// As tests/bench says: blkback is faster only where it can hand a guest's pages to the device itself.
bool Vbd_class::is_for_program(const Disk& disk) const
{
    if (disk.backend != config::Disk_backend::automatic) {
        return disk.backend == config::Disk_backend::qdisk;
    }
    const bool serves_others = disk.format != config::Disk_format::raw || disk.is_remote();
    if (serves_others || !setup_.devices_reach_guests) {
        return true;
    }
    const auto target = identify(disk);
    return target && !target->is_device;
}

// The kernel reads physical-device, mode, device-type and discard-enable [Linux
// drivers/block/xen-blkback/xenbus.c]; the others are those that libxl writes too, for people and tools.
// A CD-ROM is a read-only disk to the guest: Linux leaves a paravirtual "cdrom" to the device model that it
// expects of everything that is no PV guest [drivers/block/xen-blkfront.c, blkfront_probe()].
Prepared Vbd_class::nodes_of(const Disk& disk, const Block_device& served)
{
    const std::string type = disk.cdrom ? "cdrom" : "disk";
    return {{{"virtual-device", std::to_string(disk.number())}, {"device-type", "disk"}},
            {{"dev", disk.vdev},
             {"type", "phy"},
             {"params", disk.target},
             {"physical-device", physical_device(served.number)},
             {"physical-device-path", served.path},
             {"mode", mode_of(disk.access)},
             {"device-type", type},
             {"removable", disk.cdrom ? "1" : "0"},
             {"bootable", "1"},
             {"discard-enable", disk.discard && disk.access != Disk_access::read_only ? "1" : "0"},
             {"direct-io-safe", disk.direct_io_safe ? "1" : "0"}}};
}

// The claims are asked before the target is opened: their answer says more than EBUSY.
Result<Image_file> Vbd_class::open(const Address& address, const Disk& disk) const
{
    TRY(claims_.check(address, TRY(identify(disk)), disk));
    Image_file image = TRY(open_image(disk, setup_.sysfs));
    TRY(claims_.check(address, image.identity, disk)); // the name may have been given to another file
    return image;
}

void Vbd_class::prepare(device::Task task, std::function<void(Result<Prepared>)> done)
{
    const auto disk = from_spec(task.spec);
    if (disk && is_for_program(*disk) && check_served(*disk)) {
        return programs_.prepare(task, *disk, std::move(done));
    }
    auto taken = disk ? take(task.address, *disk) : Result<Disk_in_use>(std::unexpected(disk.error()));
    if (!taken) {
        done(std::unexpected(std::move(taken.error())));
        return;
    }
    const auto shown = show_as_device(task, disks_[task.address] = *std::move(taken));
    if (!shown) {
        forget(task.address);
    }
    done(shown ? Result<Prepared>(nodes_of(*disk, *shown)) : std::unexpected(shown.error()));
}

Result<Vbd_class::Disk_in_use> Vbd_class::take(const Address& address, const Disk& disk)
{
    TRY(check_served(disk));
    Disk_in_use in_use;
    in_use.disk  = disk;
    in_use.image = TRY(open(address, disk));
    claims_.add(address, in_use.image.identity, disk);
    return in_use;
}

void Vbd_class::forget(const Address& address)
{
    disks_.erase(address);
    claims_.release(address);
}

Result<Vbd_class::Block_device> Vbd_class::show_as_device(const device::Task& task, Disk_in_use& in_use)
{
    const Disk& disk = in_use.disk;
    if (in_use.image.identity.is_device && setup_.devices_reach_guests) {
        return Block_device{disk.target, in_use.image.identity.device};
    }
    auto loop = loops_.attach(
        {in_use.image.fd.get(), disk.access == Disk_access::read_only, setup_.devices_reach_guests});
    if (!loop) {
        return fail(loop.error().code, "disk " + disk.vdev + ": " + loop.error().message);
    }
    if (setup_.devices_reach_guests && !setup_.sysfs.loop_is_direct(loop->index)) {
        log::info("disk " + disk.vdev + " of domain " + to_string(task.address.domain) + ": " + disk.target +
                  " goes through the page cache: its file system has no direct I/O for it");
    }
    task.note(Json{{"loop", loop->index}});
    in_use.loop = std::move(*loop);
    return Block_device{in_use.loop->path(), in_use.loop->number};
}

// The nodes are there and so is the backend, but only sysfs tells whether it could open the device.
void Vbd_class::connect(const Address& address, device::Done done)
{
    if (programs_.has(address)) {
        return done({}); // it has opened what it serves, and said so in the store
    }
    const auto serves = [this, address] { return setup_.sysfs.backend_serves(address); };
    eventually(loop_, setup_.patience, serves, [this, address, done = std::move(done)](bool does) {
        Disk_in_use& in_use = disks_.at(address);
        if (in_use.loop) {
            in_use.loop->fd.reset();
        }
        done(does ? Result<void>()
                  : fail(Errc::io, "disk " + in_use.disk.vdev + ": xen-blkback could not open " +
                                       in_use.disk.target + ": dom0's dmesg says why"));
    });
}

// blkback may hold the device for a moment longer than the store tells.
void Vbd_class::release(const Address& address, std::function<void()> done)
{
    if (programs_.has(address)) {
        return programs_.release(address, std::move(done));
    }
    const auto has_gone = [this, address] { return !setup_.sysfs.backend_exists(address); };
    eventually(loop_, setup_.patience, has_gone, [this, address, done = std::move(done)](bool gone) {
        if (!gone) {
            log::warning("xen-blkback still holds " + address.kernel_name());
        }
        let_go(address, done);
    });
}

void Vbd_class::grow(const Address& address, std::uint64_t bytes, device::Done done)
{
    if (programs_.has(address)) {
        return programs_.grow(address, bytes, std::move(done));
    }
    done(grow_file(disks_.at(address).disk, bytes)); // check_sizes() sees it
}

void Vbd_class::while_closed(const Address& address, device::Work work, device::Done done)
{
    if (programs_.has(address)) {
        return programs_.while_closed(address, work, std::move(done));
    }
    done(fail(Errc::unsupported, "disk " + disks_.at(address).disk.vdev +
                                     ": the kernel has it open for as long as the domain has it"));
}

Result<void> Vbd_class::check_free(const Json& spec) const
{
    const Disk disk   = TRY(from_spec(spec));
    const auto exists = identify(disk);
    if (!exists && exists.error().code == Errc::not_found) {
        return {};
    }
    TRY(open(Address{}, disk));
    return {};
}

void Vbd_class::let_go(const Address& address, std::function<void()> done)
{
    const auto found = disks_.find(address);
    if (found == disks_.end()) {
        done();
        return;
    }
    Disk_in_use in_use      = std::move(disks_.extract(found).mapped());
    const std::string shown = in_use.loop ? in_use.loop->path() : in_use.disk.target;
    // The kernel closes what a loop device showed a moment after the device has gone.
    const auto is_free      = [this, loop = in_use.loop ? std::optional(in_use.loop->index) : std::nullopt,
                          device = in_use.image.identity.is_device ? in_use.disk.target : ""] {
        return (!loop || !setup_.sysfs.loop_in_use(*loop)) && (device.empty() || is_unclaimed(device));
    };
    eventually(loop_, setup_.patience, is_free, [this, address, shown, done = std::move(done)](bool free) {
        if (!free) {
            log::warning(shown + " is still in use by somebody in Domain-0");
        }
        claims_.release(address);
        done();
    });
}

Result<void> Vbd_class::adopt(device::Task task, const Json& record)
{
    const Disk disk = TRY(from_spec(task.spec));
    if (Disk_server::is_record(record)) {
        return programs_.adopt(task, disk, record);
    }
    Disk_in_use& kept = disks_[task.address];
    kept.disk         = disk;
    if (record.is_object() && record.contains("loop")) {
        kept.loop        = Loop_device{};
        kept.loop->index = record.at("loop").get<unsigned>();
    }
    claims_.add(task.address, TRY(identify(disk)), disk);
    // A loop device keeps for itself what its maker had for himself.
    kept.image = kept.loop ? TRY(look_again(disk)) : TRY(open_image(disk, setup_.sysfs));
    return {};
}

// A loop device keeps the size it was made with until it is told; blkback tells the guest by itself.
void Vbd_class::check_sizes()
{
    for (auto& [address, in_use] : disks_) {
        const auto bytes = in_use.loop && in_use.image.fd ? size_of(in_use.image.fd) : in_use.image.bytes;
        if (!bytes || *bytes == in_use.image.bytes) {
            continue;
        }
        in_use.image.bytes = *bytes;
        if (const auto told = loops_.take_over_size(in_use.loop->index); !told) {
            log::warning("disk " + in_use.disk.vdev + ": " + told.error().message);
            continue;
        }
        log::info("disk " + in_use.disk.vdev + " of domain " + to_string(address.domain) + " has " +
                  std::to_string(*bytes) + " bytes now");
    }
}

} // namespace vmm::disk
