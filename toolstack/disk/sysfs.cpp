// SPDX-License-Identifier: Apache-2.0
#include "toolstack/disk/sysfs.hpp"

#include <sys/sysmacros.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>

namespace vmm::disk
{

namespace
{

std::string backend_folder(const device::Address& address)
{
    return "/bus/xen-backend/devices/" + address.kernel_name();
}

template <class Number>
std::optional<Number> to_number(const std::optional<std::string>& text)
{
    Number number{};
    if (!text || std::from_chars(text->data(), text->data() + text->size(), number).ec != std::errc()) {
        return std::nullopt;
    }
    return number;
}

} // namespace

std::optional<std::string> Sysfs::read(const std::string& path) const
{
    std::ifstream file(root_ + path);
    std::string line;
    if (!std::getline(file, line)) {
        return std::nullopt;
    }
    return line;
}

bool Sysfs::exists(const std::string& path) const
{
    std::error_code error;
    return std::filesystem::exists(root_ + path, error);
}

bool Sysfs::backend_serves(const device::Address& address) const
{
    return exists(backend_folder(address) + "/physical_device");
}

bool Sysfs::backend_exists(const device::Address& address) const { return exists(backend_folder(address)); }

std::vector<Sysfs::Loop> Sysfs::loops() const
{
    std::vector<Loop> found;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(root_ + "/block", error)) {
        const std::string name = entry.path().filename();
        const auto file        = read("/block/" + name + "/loop/backing_file");
        if (name.starts_with("loop") && file) {
            found.push_back({name, *file, read("/block/" + name + "/ro").value_or("0") == "1"});
        }
    }
    return found;
}

bool Sysfs::loop_in_use(unsigned index) const
{
    return exists("/block/loop" + std::to_string(index) + "/loop/backing_file");
}

bool Sysfs::loop_is_direct(unsigned index) const
{
    return read("/block/loop" + std::to_string(index) + "/loop/dio").value_or("0") == "1";
}

} // namespace vmm::disk
