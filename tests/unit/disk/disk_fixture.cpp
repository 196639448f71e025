// SPDX-License-Identifier: Apache-2.0
#include "disk_fixture.hpp"

#include "toolstack/base/log.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/sysmacros.h>

#include <filesystem>
#include <fstream>

namespace vmm::test
{

namespace fs = std::filesystem;

namespace
{

std::string new_folder()
{
    char name[] = "/tmp/vmm-disk-XXXXXX";
    return mkdtemp(name);
}

} // namespace

Disk_fixture::Disk_fixture()
    : directory(new_folder()), sysfs(directory + "/sys"), loop(Event_loop::create().value())
{
    log::set_level(log::Level::error);
    fs::create_directories(in_sysfs("/block"));
    fs::create_directories(in_sysfs("/bus/xen-backend/devices"));
}

Disk_fixture::~Disk_fixture() { fs::remove_all(directory); }

Result<disk::Loop_device> Disk_fixture::attach(const disk::Loop_request& request)
{
    if (!has_loop_devices) {
        return fail(Errc::busy, "no loop device is free");
    }
    disk::Loop_device device;
    device.index           = static_cast<unsigned>(attached.size());
    device.number          = makedev(7, device.index);
    device.fd              = Unique_fd(::fcntl(request.file, F_DUPFD_CLOEXEC, 0));
    const std::string path = "/block/loop" + std::to_string(device.index);
    write_sysfs(path + "/loop/backing_file",
                fs::read_symlink("/proc/self/fd/" + std::to_string(request.file)));
    write_sysfs(path + "/ro", request.read_only ? "1" : "0");
    attached.push_back(request);
    return device;
}

Result<void> Disk_fixture::take_over_size(unsigned index)
{
    resized.push_back(index);
    return {};
}

std::string Disk_fixture::image(const std::string& name, std::uintmax_t bytes) const
{
    const std::string path = directory + "/" + name;
    std::ofstream{path};
    fs::resize_file(path, bytes);
    return path;
}

config::Disk Disk_fixture::disk(const std::string& text) const
{
    std::string whole = text;
    if (const auto at = whole.find('%'); at != std::string::npos) {
        whole.replace(at, 1, directory);
    }
    return config::parse_disk(whole).value();
}

void Disk_fixture::write_sysfs(const std::string& path, const std::string& text) const
{
    fs::create_directories(fs::path(in_sysfs(path)).parent_path());
    std::ofstream(in_sysfs(path)) << text << '\n';
}

void Disk_fixture::backend_opens(const device::Address& address) const
{
    write_sysfs("/bus/xen-backend/devices/" + address.kernel_name() + "/physical_device", "7:0");
}

void Disk_fixture::backend_goes(const device::Address& address) const
{
    fs::remove_all(in_sysfs("/bus/xen-backend/devices/" + address.kernel_name()));
}

void Disk_fixture::loop_goes(unsigned index) const
{
    fs::remove_all(in_sysfs("/block/loop" + std::to_string(index)));
}

void Disk_fixture::run_until(const std::function<bool()>& done)
{
    const auto limit = Event_loop::Clock::now() + std::chrono::seconds(60);
    while (!done()) {
        REQUIRE(Event_loop::Clock::now() < limit);
        loop->run_once(std::chrono::milliseconds(10)).value();
    }
}

} // namespace vmm::test
