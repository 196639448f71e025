// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/key_reader.hpp"

#include "toolstack/config/lexer.hpp"
#include "toolstack/config/shown.hpp"

#include <algorithm>
#include <limits>

namespace vmm::config
{

namespace
{

// As xl does, a number may be written as text and text as a number; only a list is something else.
std::expected<std::string, std::string> as_text(const Value& value)
{
    if (const auto* text = std::get_if<std::string>(&value.what))
        return *text;
    if (const auto* number = std::get_if<Number>(&value.what))
        return number->spelling;
    return std::unexpected("expected text in quotes, found a list");
}

std::expected<std::uint64_t, std::string> as_number(const Value& value)
{
    if (const auto* number = std::get_if<Number>(&value.what))
        return number->value;
    if (const auto* text = std::get_if<std::string>(&value.what))
        return parse_number(*text);
    return std::unexpected("expected a number, found a list");
}

template <class Target>
Reading_result read_text(const Value& value, Target& target, Checked (*check)(std::string_view))
{
    auto text = as_text(value);
    if (!text)
        return std::unexpected(std::move(text.error()));
    if (auto good = check(*text); !good)
        return std::unexpected(std::move(good.error()));
    target = *std::move(text);
    return {};
}

Reading_result read_memory(const Value& value, std::optional<std::uint64_t>& target)
{
    const auto number = as_number(value);
    if (!number)
        return std::unexpected(number.error());
    target = *number;
    return check_memory_mib(*number);
}

template <class Target, class Check> // unsigned, or that as an optional; a function that gives Checked
Reading_result read_count(const Value& value, Target& target, Check check)
{
    const auto number = as_number(value);
    if (!number)
        return std::unexpected(number.error());
    if (auto good = check(*number); !good)
        return std::unexpected(std::move(good.error()));
    target = static_cast<unsigned>(*number);
    return {};
}

// How much is too much depends on the number of vCPUs.
Checked check_any_cap(std::uint64_t percent) { return check_cap(percent, Limits::kMax_vcpus); }

Reading_result read_path(const Value& value, const Draft& draft, std::string& target)
{
    auto result = read_text(value, target, check_path);
    if (result && !target.empty() && target.front() != '/')
        target = draft.directory + "/" + target;
    return result;
}

Reading_result read_action(const Value& value, End_action& target)
{
    const auto text = as_text(value);
    if (!text)
        return std::unexpected(text.error());
    if (const auto action = parse_end_action(*text)) {
        target = *action;
        return {};
    }
    const std::string_view why =
        text->starts_with("coredump-") ? "core dumps are not supported" : "no such action";
    return std::unexpected("\"" + shown(*text) + "\": " + std::string{why} +
                           ", give \"destroy\", \"restart\", \"rename-restart\" or \"preserve\"");
}

Reading_result read_uuid(const Value& value, Draft& draft)
{
    const auto text = as_text(value);
    if (!text)
        return std::unexpected(text.error());
    const auto uuid = Uuid::parse(*text);
    if (!uuid)
        return std::unexpected(uuid.error());
    draft.config.uuid = *uuid;
    return {};
}

Reading_result read_type(const Value& value, Draft&)
{
    const auto text = as_text(value);
    if (!text)
        return std::unexpected(text.error());
    if (*text == "pvh")
        return {};
    if (*text == "pv" || *text == "hvm")
        return std::unexpected("\"" + shown(*text) +
                               "\" domains are not supported: give \"pvh\" and a kernel that can start so");
    return std::unexpected("\"" + shown(*text) + "\" is no type of domain: give \"pvh\"");
}

Reading_result read_generation_id(const Value& value, Draft& draft)
{
    const auto text = as_text(value);
    if (!text)
        return std::unexpected(text.error());
    if (*text != "generate" && *text != "none")
        return std::unexpected("\"" + shown(*text) + "\": give \"generate\" or \"none\"");
    draft.config.generation_id = *text == "generate";
    return {};
}

Reading_result read_builder(const Value& value, Draft&)
{
    const auto text = as_text(value);
    if (!text)
        return std::unexpected(text.error());
    if (*text == "hvm")
        return std::unexpected("\"hvm\" domains are not supported: give type = \"pvh\" instead");
    if (*text == "generic" || *text == "linux")
        return {};
    return std::unexpected("\"" + shown(*text) +
                           "\" is not known: leave builder out and give type = \"pvh\"");
}

// In quotes where it is negative: only text may begin with a minus.
Reading_result read_timeoffset(const Value& value, Draft& draft)
{
    const auto text = as_text(value);
    if (!text)
        return std::unexpected("expected a number, found a list");
    const bool back   = text->starts_with('-');
    const auto number = parse_number(std::string_view(*text).substr(back ? 1 : 0));
    if (!number)
        return std::unexpected(number.error());
    const auto seconds =
        static_cast<std::int64_t>(std::min<std::uint64_t>(*number, std::numeric_limits<std::int64_t>::max()));
    draft.config.rtc_timeoffset = back ? -seconds : seconds;
    return check_timeoffset(draft.config.rtc_timeoffset);
}

Reading_result read_localtime(const Value& value, Draft& draft)
{
    const auto number = as_number(value);
    if (!number)
        return std::unexpected(number.error());
    if (*number > 1)
        return std::unexpected("give 1 for the host's local time or 0 for UTC");
    draft.config.localtime = *number == 1;
    return {};
}

// It says how much may be there, not how much is.
Reading_result read_grant_version(const Value& value, Draft& draft)
{
    const auto number = as_number(value);
    if (!number)
        return std::unexpected(number.error());
    if (*number != 1 && *number != 2)
        return std::unexpected("there are grant tables of version 1 and 2");
    if (*number == 2)
        draft.remarks.push_back({value.place(), "version 2 is not supported yet: the domain has version 1"});
    return {};
}

Reading_result read_pvh(const Value& value, Draft&)
{
    const auto number = as_number(value);
    if (!number)
        return std::unexpected(number.error());
    if (*number != 1)
        return std::unexpected("every domain is a PVH domain: give 1 or leave it out");
    return {};
}

std::expected<Cpu_set, std::string> as_cpus(const Value& value)
{
    const auto text = as_text(value);
    if (!text)
        return std::unexpected("expected CPU numbers like \"0-3,^1\", found a list");
    if (text->find("node") != std::string::npos)
        return std::unexpected("NUMA nodes are not supported here yet: give CPU numbers like \"0-3,^1\"");
    return Cpu_set::parse(*text);
}

// "0-3" holds for every vCPU; in a list the first entry is for vCPU 0, and so on.
Reading_result read_cpus(const Value& value, std::optional<Cpu_set>& every_vcpu, std::vector<Cpu_set>& each)
{
    every_vcpu.reset();
    each.clear();
    const auto* list = std::get_if<std::vector<Value>>(&value.what);
    if (list == nullptr) {
        auto cpus = as_cpus(value);
        if (!cpus)
            return std::unexpected(std::move(cpus.error()));
        every_vcpu = *std::move(cpus);
        return {};
    }
    for (const auto& entry : *list) {
        auto cpus = as_cpus(entry);
        if (!cpus)
            return std::unexpected(Bad_value{
                "entry " + std::to_string(&entry - list->data() + 1) + ": " + cpus.error(), entry.place()});
        each.push_back(*std::move(cpus));
    }
    return {};
}

Reading_result read_cpuid(const Value& value, Draft& draft)
{
    const auto text = as_text(value);
    if (!text)
        return std::unexpected(
            "expected text like \"host,avx2=0\"; xl's lists of register bits are not supported");
    auto wanted = cpu::Wanted_features::parse(*text);
    if (!wanted)
        return std::unexpected(std::move(wanted.error()));
    draft.config.cpuid = *std::move(wanted);
    return {};
}

// A place inside a text: escapes are not counted, none of them stands in what such texts may hold.
std::string place_within(const Value& text, std::size_t offset)
{
    return text.source->place({text.at.line, text.at.column + 1 + static_cast<unsigned>(offset)});
}

Reading_result read_vifs(const Value& value, Draft& draft)
{
    const auto* list = std::get_if<std::vector<Value>>(&value.what);
    if (list == nullptr)
        return std::unexpected("expected a list with one text for each interface, as in [ 'nat' ]");
    draft.config.vifs.clear();
    for (const auto& entry : *list) {
        const auto* text = std::get_if<std::string>(&entry.what);
        if (text == nullptr)
            return std::unexpected(
                Bad_value{"expected text such as 'mac=00:16:3e:01:02:03,bridge=br0'", entry.place()});
        std::vector<std::string> remarks;
        auto vif = parse_vif(*text, &remarks);
        if (!vif)
            return std::unexpected(
                Bad_value{std::move(vif.error().message), place_within(entry, vif.error().offset)});
        for (auto& remark : remarks)
            draft.remarks.push_back({entry.place(), std::move(remark)});
        draft.config.vifs.push_back(*std::move(vif));
    }
    return {};
}

Reading_result read_disks(const Value& value, Draft& draft)
{
    const auto* list = std::get_if<std::vector<Value>>(&value.what);
    if (list == nullptr)
        return std::unexpected("expected a list: disk = [ \"...\" ]");
    draft.config.disks.clear();
    for (const auto& entry : *list) {
        const auto text = as_text(entry);
        if (!text)
            return std::unexpected(Bad_value{text.error(), entry.place()});
        auto disk = parse_disk(*text);
        if (!disk)
            return std::unexpected(
                Bad_value{std::move(disk.error().message), place_within(entry, disk.error().at)});
        draft.config.disks.push_back(*std::move(disk));
    }
    return {};
}

constexpr Key_reader kReaders[] = {
    {"name", [](const Value& v, Draft& d) { return read_text(v, d.config.name, check_name); }},
    {"uuid", read_uuid},
    {"type", read_type},
    {"ms_vm_genid", read_generation_id},
    {"builder", read_builder},
    {"pvh", read_pvh},
    {"kernel", [](const Value& v, Draft& d) { return read_path(v, d, d.config.kernel); }},
    {"ramdisk", [](const Value& v, Draft& d) { return read_path(v, d, d.config.ramdisk); }},
    {"root", [](const Value& v, Draft& d) { return read_text(v, d.root, check_cmdline); }},
    {"extra", [](const Value& v, Draft& d) { return read_text(v, d.extra, check_cmdline); }},
    {"cmdline", [](const Value& v, Draft& d) { return read_text(v, d.cmdline, check_cmdline); }},
    {"memory", [](const Value& v, Draft& d) { return read_memory(v, d.memory); }},
    {"maxmem", [](const Value& v, Draft& d) { return read_memory(v, d.maxmem); }},
    {"vcpus", [](const Value& v, Draft& d) { return read_count(v, d.config.vcpus, check_vcpus); }},
    {"maxvcpus", [](const Value& v, Draft& d) { return read_count(v, d.maxvcpus, check_vcpus); }},
    {"cpus", [](const Value& v, Draft& d) { return read_cpus(v, d.every_vcpu, d.config.affinity); }},
    {"cpus_soft",
     [](const Value& v, Draft& d) { return read_cpus(v, d.every_vcpu_soft, d.config.soft_affinity); }},
    {"cpu_weight",
     [](const Value& v, Draft& d) { return read_count(v, d.config.cpu_weight, check_cpu_weight); }},
    {"cap", [](const Value& v, Draft& d) { return read_count(v, d.config.cap, check_any_cap); }},
    {"pool", [](const Value& v, Draft& d) { return read_text(v, d.config.pool, check_pool); }},
    {"cpuid", read_cpuid},
    {"max_event_channels",
     [](const Value& v, Draft& d) {
         return read_count(v, d.config.max_event_channels, check_event_channels);
     }},
    {"max_grant_frames",
     [](const Value& v, Draft& d) { return read_count(v, d.config.max_grant_frames, check_grant_frames); }},
    {"max_grant_version", read_grant_version},
    {"max_maptrack_frames",
     [](const Value& v, Draft& d) {
         return read_count(v, d.config.max_maptrack_frames, check_maptrack_frames);
     }},
    {"localtime", read_localtime},
    {"rtc_timeoffset", read_timeoffset},
    {"disk", read_disks},
    {"on_poweroff", [](const Value& v, Draft& d) { return read_action(v, d.config.on_poweroff); }},
    {"on_reboot", [](const Value& v, Draft& d) { return read_action(v, d.config.on_reboot); }},
    {"on_crash", [](const Value& v, Draft& d) { return read_action(v, d.config.on_crash); }},
    {"on_watchdog", [](const Value& v, Draft& d) { return read_action(v, d.config.on_watchdog); }},
    {"vif", read_vifs},
};

} // namespace

std::span<const Key_reader> key_readers() { return kReaders; }

const Key_reader* find_key_reader(std::string_view name)
{
    const auto* const it = std::ranges::find(kReaders, name, &Key_reader::name);
    return it == std::end(kReaders) ? nullptr : it;
}

} // namespace vmm::config
