// SPDX-License-Identifier: Apache-2.0
#include "toolstack/xm/config_path.hpp"

#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace vmm::xm
{

namespace
{

// Directories do not count, or `xm create demo` would stumble over a folder that happens to be here.
bool is_file(const std::string& path)
{
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    return std::filesystem::exists(status) && !std::filesystem::is_directory(status);
}

} // namespace

std::string config_directory()
{
    const char* directory = std::getenv("VMM_CONFIG_DIR");
    return directory != nullptr && *directory != '\0' ? directory : "/etc/vmm";
}

Outcome<std::string> find_config(const std::string& name)
{
    if (name.find('/') != std::string::npos || is_file(name))
        return name;
    const auto there = config_directory() + "/" + name;
    for (const auto& path : {there, there + ".cfg"})
        if (is_file(path))
            return path;
    return config_error("no config file " + name + ": looked for ./" + name + ", " + there + " and " + there +
                        ".cfg");
}

} // namespace vmm::xm
