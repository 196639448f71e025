// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/write.hpp"

namespace vmm::config
{

namespace
{

std::string in_quotes(std::string_view text)
{
    static constexpr std::string_view kDigits = "0123456789abcdef";
    std::string result                        = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\')
            result += '\\';
        if (byte < 0x20 || byte == 0x7f)
            result += std::string{"\\x"} + kDigits[byte >> 4] + kDigits[byte & 0xf];
        else
            result += c;
    }
    return result + '"';
}

// One per vCPU.
std::string cpu_sets(const std::vector<Cpu_set>& sets)
{
    std::string text;
    for (const auto& set : sets)
        text += (text.empty() ? "" : ", ") + in_quotes(set.to_string());
    return text.empty() ? in_quotes("all") : "[ " + text + " ]";
}

} // namespace

std::string write(const Domain_config& config)
{
    std::string text;
    const auto line = [&](std::string_view key, const std::string& value) {
        text += std::string{key} + " = " + value + '\n';
    };
    line("name", in_quotes(config.name));
    if (config.uuid)
        line("uuid", in_quotes(config.uuid->to_string()));
    line("type", in_quotes(to_string(config.type)));
    if (config.generation_id)
        line("ms_vm_genid", in_quotes("generate"));
    line("kernel", in_quotes(config.kernel));
    if (!config.ramdisk.empty())
        line("ramdisk", in_quotes(config.ramdisk));
    line("cmdline", in_quotes(config.cmdline));
    line("memory", std::to_string(config.memory_mib));
    line("maxmem", std::to_string(config.maxmem_mib));
    line("vcpus", std::to_string(config.vcpus));
    line("maxvcpus", std::to_string(config.maxvcpus));
    line("cpus", cpu_sets(config.affinity));
    line("cpus_soft", cpu_sets(config.soft_affinity));
    line("cpu_weight", std::to_string(config.cpu_weight));
    line("cap", std::to_string(config.cap));
    if (!config.pool.empty())
        line("pool", in_quotes(config.pool));
    if (config.cpuid != cpu::Wanted_features())
        line("cpuid", in_quotes(config.cpuid.to_string()));
    if (config.max_event_channels)
        line("max_event_channels", std::to_string(*config.max_event_channels));
    if (config.max_grant_frames)
        line("max_grant_frames", std::to_string(*config.max_grant_frames));
    if (config.max_maptrack_frames)
        line("max_maptrack_frames", std::to_string(*config.max_maptrack_frames));
    if (config.localtime)
        line("localtime", "1");
    if (config.rtc_timeoffset != 0)
        line("rtc_timeoffset", in_quotes(std::to_string(config.rtc_timeoffset)));
    std::string disks;
    for (const auto& disk : config.disks)
        disks += (disks.empty() ? "\n    " : ",\n    ") + in_quotes(write_disk(disk));
    if (!disks.empty())
        line("disk", "[" + disks + "\n]");
    line("on_poweroff", in_quotes(to_string(config.on_poweroff)));
    line("on_reboot", in_quotes(to_string(config.on_reboot)));
    line("on_crash", in_quotes(to_string(config.on_crash)));
    line("on_watchdog", in_quotes(to_string(config.on_watchdog)));
    std::string vifs;
    for (const auto& vif : config.vifs)
        vifs += (vifs.empty() ? "" : ", ") + in_quotes(to_string(vif));
    if (!vifs.empty())
        line("vif", "[ " + vifs + " ]");
    return text;
}

} // namespace vmm::config
