// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/interpret.hpp"

#include "toolstack/config/foreign_keys.hpp"
#include "toolstack/config/key_reader.hpp"
#include "toolstack/config/write.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <string>

using namespace vmm::config;

namespace
{

std::expected<Interpretation, Diagnostic> read(std::string_view text)
{
    const auto settings = parse_settings({Source::Kind::file, "a.cfg"}, text);
    REQUIRE(settings);
    return interpret(*settings, "a.cfg", "/home/me");
}

constexpr const char* kSmallest = "name='a'\nkernel='/k'\n";

std::string error_of(const std::string& more)
{
    const auto result = read(kSmallest + more);
    return result ? "no error" : result.error().to_string();
}

std::string warnings_of(const std::string& more)
{
    const auto result = read(kSmallest + more);
    if (!result)
        return result.error().to_string();
    std::string all;
    for (const auto& warning : result->warnings)
        all += warning.to_string() + "\n";
    return all;
}

} // namespace

TEST_CASE("The smallest config gets every default")
{
    const auto result = read(kSmallest);
    REQUIRE(result);
    Domain_config wanted;
    wanted.name   = "a";
    wanted.kernel = "/k";
    CHECK(result->config == wanted);
    CHECK(wanted.memory_mib == 256);
    CHECK(result->warnings.empty());
}

TEST_CASE("A config with everything")
{
    const auto result = read(R"(
type = "pvh"
name = "web.1"
uuid = "01234567-89ab-cdef-0123-456789abcdef"
kernel = "/boot/vmlinuz"
ramdisk = "initrd.img"
root = "/dev/xvda1 ro"
extra = "console=hvc0"
extra += " quiet"
memory = "512"
maxmem = 0x400
vcpus = 2
maxvcpus = 4
cpus = [ "0-1", 2, "all" ]
cpus_soft = "0,^0,3"
cpu_weight = "512"; cap = 150
cpuid = "host,avx2=0"; ms_vm_genid = "generate"
max_event_channels = 2000; max_grant_frames = 256; max_grant_version = 1; max_maptrack_frames = "0x100"
localtime = 1; rtc_timeoffset = "-3600"
on_poweroff = "preserve"; on_reboot = 'destroy'; on_crash = "restart"; on_watchdog = "rename-restart"
vif = []; disk = [ ]
)");
    REQUIRE(result);
    const auto& config = result->config;
    CHECK(config.name == "web.1");
    CHECK(config.uuid->to_string() == "01234567-89ab-cdef-0123-456789abcdef");
    CHECK(config.ramdisk == "/home/me/initrd.img");
    CHECK(config.cmdline == "root=/dev/xvda1 ro console=hvc0 quiet");
    CHECK(config.memory_mib == 512);
    CHECK(config.maxmem_mib == 1024);
    CHECK(config.vcpus == 2);
    CHECK(config.maxvcpus == 4);
    CHECK(config.cpuid.to_string() == "host,avx2=0");
    CHECK(config.generation_id);
    REQUIRE(config.affinity.size() == 3);
    CHECK(config.affinity[1].to_string() == "2");
    REQUIRE(config.soft_affinity.size() == 4);
    CHECK(config.soft_affinity[3].to_string() == "3");
    CHECK(config.cpu_weight == 512);
    CHECK(config.cap == 150);
    CHECK(config.max_event_channels == 2000);
    CHECK(config.max_grant_frames == 256);
    CHECK(config.max_maptrack_frames == 256);
    CHECK(config.localtime);
    CHECK(config.rtc_timeoffset == -3600);
    CHECK(config.on_poweroff == End_action::preserve);
    CHECK(config.on_reboot == End_action::destroy);
    CHECK(config.on_crash == End_action::restart);
    CHECK(config.on_watchdog == End_action::rename_restart);
    CHECK(result->warnings.empty());
    CHECK(read(write(config)).value().config == config);
}

TEST_CASE("Defaults follow the values they belong to")
{
    const auto only_max = read(std::string{kSmallest} + "maxmem=64");
    REQUIRE(only_max);
    CHECK(only_max->config.memory_mib == 64);

    const auto one_set = read(std::string{kSmallest} + "vcpus=3; cpus='0-1'");
    REQUIRE(one_set);
    CHECK(one_set->config.maxvcpus == 3);
    REQUIRE(one_set->config.affinity.size() == 3);
    CHECK(one_set->config.affinity[2].to_string() == "0-1");

    const auto everywhere = read(std::string{kSmallest} + "cpus='all'");
    REQUIRE(everywhere);
    CHECK(everywhere->config.affinity.empty());
}

TEST_CASE("Wrong values say what would be right")
{
    const auto [text, message] = GENERATE(table<std::string, std::string>({
        {"memry = 1", "a.cfg:3:1: unknown key \"memry\": did you mean \"memory\"?"},
        {"frobnicate = 1", "a.cfg:3:1: unknown key \"frobnicate\": xm.cfg(5) lists those there are"},
        {"memory = 8", "a.cfg:3:10: memory: 8 is out of range, give 16 to 16777216 (MiB)"},
        {"memory = 16777217", "a.cfg:3:10: memory: 16777217 is out of range, give 16 to 16777216 (MiB)"},
        {"memory = 'lots'",
         "a.cfg:3:10: memory: expected a number (decimal, 0x hexadecimal or 0 octal), found 'lots'"},
        {"memory = [1]", "a.cfg:3:10: memory: expected a number, found a list"},
        {"memory = 64; maxmem = 32", "a.cfg:3:23: maxmem: 32 is less than memory (64)"},
        {"vcpus = 0", "a.cfg:3:9: vcpus: 0 is out of range, give 1 to 64"},
        {"vcpus = 65", "a.cfg:3:9: vcpus: 65 is out of range, give 1 to 64"},
        {"vcpus = 4294967297", "a.cfg:3:9: vcpus: 4294967297 is out of range, give 1 to 64"},
        {"vcpus = 2; maxvcpus = 1", "a.cfg:3:23: maxvcpus: 1 is less than vcpus (2)"},
        {"cpus = ['0','1']", "a.cfg:3:8: cpus: has 2 entries for 1 vCPUs"},
        {"cpus_soft = ['0','1']", "a.cfg:3:13: cpus_soft: has 2 entries for 1 vCPUs"},
        {"cpu_weight = 0", "a.cfg:3:14: cpu_weight: 0 is out of range, give 1 to 65535"},
        {"cpu_weight = 65536", "a.cfg:3:14: cpu_weight: 65536 is out of range, give 1 to 65535"},
        {"cap = 101",
         "a.cfg:3:7: cap: 101 is out of range, give 0 to 100 (percent of one CPU; 0 is no limit)"},
        {"pool = 'a b'",
         "a.cfg:3:8: pool: has ' ' at character 2: a name has 1 to 63 letters, digits and . _ - +"},
        {"max_grant_frames = 0", "a.cfg:3:20: max_grant_frames: 0 is out of range, give 1 to 256"},
        {"max_grant_version = 3", "a.cfg:3:21: max_grant_version: there are grant tables of version 1 and 2"},
        {"max_maptrack_frames = 5000",
         "a.cfg:3:23: max_maptrack_frames: 5000 is out of range, give 0 to 1024"},
        {"max_event_channels = 1", "a.cfg:3:22: max_event_channels: 1 is out of range, give 2 to 131071"},
        {"localtime = 2", "a.cfg:3:13: localtime: give 1 for the host's local time or 0 for UTC"},
        {"rtc_timeoffset = '-99999999999999999999'",
         "a.cfg:3:18: rtc_timeoffset: the number 99999999999999999999 does not fit in 64 bits"},
        {"rtc_timeoffset = '-4000000000'",
         "a.cfg:3:18: rtc_timeoffset: -4000000000 is out of range, give -2147483647 to 2147483647 (seconds)"},
        {"rtc_timeoffset = 'noon'",
         "a.cfg:3:18: rtc_timeoffset: expected a number (decimal, 0x hexadecimal or 0 octal), found 'noon'"},
        {"rtc_timeoffset = []", "a.cfg:3:18: rtc_timeoffset: expected a number, found a list"},
        {"cap = []", "a.cfg:3:7: cap: expected a number, found a list"},
        {"cpus = ['x']", "a.cfg:3:9: cpus: entry 1: \"x\" is not a CPU number: write \"all\", or numbers and "
                         "ranges like \"0-3,^1\""},
        {"cpus = 'nodes:0'",
         "a.cfg:3:8: cpus: NUMA nodes are not supported here yet: give CPU numbers like \"0-3,^1\""},
        {"cpuid = ['1:ecx=x']",
         "a.cfg:3:9: cpuid: expected text like \"host,avx2=0\"; xl's lists of register "
         "bits are not supported"},
        {"cpuid = 'host,avx3=0'",
         "a.cfg:3:9: cpuid: \"avx3\" is no feature: `xm cpu-policy` lists what this host "
         "offers"},
        {"cpus = [['0']]", "a.cfg:3:9: cpus: entry 1: expected CPU numbers like \"0-3,^1\", found a list"},
        {"name = ''", "a.cfg:3:8: name: is empty: a name has 1 to 63 letters, digits and . _ - +"},
        {"name = 'a b'",
         "a.cfg:3:8: name: has ' ' at character 2: a name has 1 to 63 letters, digits and . _ - +"},
        {"name = 'a/b'",
         "a.cfg:3:8: name: has '/' at character 2: a name has 1 to 63 letters, digits and . _ - +"},
        {"name = '\xff'",
         "a.cfg:3:8: name: has byte 0xff at character 1: a name has 1 to 63 letters, digits and . _ - +"},
        {"name = '-x'", "a.cfg:3:8: name: begins with '-', which a command would take for an option"},
        {"name = 12", "a.cfg:3:8: name: has only digits, which a command would take for a domain id"},
        {"uuid = 'x'",
         "a.cfg:3:8: uuid: \"x\" is not a UUID: write 32 hex digits as 01234567-89ab-cdef-0123-456789abcdef"},
        {"type = 'hvm'",
         "a.cfg:3:8: type: \"hvm\" domains are not supported: give \"pvh\" and a kernel that can start so"},
        {"type = 'x'", "a.cfg:3:8: type: \"x\" is no type of domain: give \"pvh\""},
        {"ms_vm_genid = 1", "a.cfg:3:15: ms_vm_genid: \"1\": give \"generate\" or \"none\""},
        {"ms_vm_genid = ['none']", "a.cfg:3:15: ms_vm_genid: expected text in quotes, found a list"},
        {"builder = 'hvm'",
         "a.cfg:3:11: builder: \"hvm\" domains are not supported: give type = \"pvh\" instead"},
        {"pvh = 0", "a.cfg:3:7: pvh: every domain is a PVH domain: give 1 or leave it out"},
        {"on_crash = 'explode'", "a.cfg:3:12: on_crash: \"explode\": no such action, give \"destroy\", "
                                 "\"restart\", \"rename-restart\" or \"preserve\""},
        {"on_crash = 'coredump-restart'", "a.cfg:3:12: on_crash: \"coredump-restart\": core dumps are not "
                                          "supported, give \"destroy\", \"restart\", "
                                          "\"rename-restart\" or \"preserve\""},
        {"disk = 'phy:/dev/vg/a,xvda,w'", "a.cfg:3:8: disk: expected a list: disk = [ \"...\" ]"},
        {"disk = ['phy:/dev/vg/a,xvda,w',\n   '/b, qcow3, xvdb']",
         "a.cfg:4:9: disk: format: \"qcow3\" is not a format: give \"raw\", \"qcow2\", \"vmdk\", \"vdi\", "
         "\"vhdx\", "
         "\"vhd\", \"qcow\", \"qed\" or \"luks\""},
        {"disk = ['/a,,xvda', '/b,,sda,', '/c,,xvda,r']",
         "a.cfg:3:8: disk: two disks are called \"xvda\": give each its own vdev"},
        {"bootloader = 'pygrub'",
         "a.cfg:3:1: bootloader: not supported: name the kernel with kernel = and its initrd with ramdisk =, "
         "or, for one "
         "on the guest's own disk, give kernel = the GRUB of Debian's grub-xen-host, "
         "/usr/lib/grub-xen/grub-i386-xen_pvh.bin"},
        {"cmdline = '\xff'", "a.cfg:3:11: cmdline: a command line is not valid UTF-8"},
        {"kernel += ['x']", "a.cfg:3:11: kernel: += joins two lists or two texts, not one with the other"},
    }));
    INFO(text);
    CHECK(error_of(text) == message);
}

TEST_CASE("What is missing is named with the file")
{
    CHECK(read("kernel='/k'").error().to_string() ==
          "a.cfg: name: is empty: a name has 1 to 63 letters, digits and . _ - +");
    CHECK(read("name='a'").error().to_string() ==
          "a.cfg: kernel: is missing: say which kernel the domain boots");
}

TEST_CASE("What changes nothing is a warning")
{
    CHECK(warnings_of("serial = 'pty'") ==
          "a.cfg:3:1: serial: ignored, its console is the one of `xm console`\n");
    CHECK(warnings_of("vnc = 1") == "a.cfg:3:1: vnc: ignored, a PVH domain has no emulated devices\n");
    CHECK(warnings_of("builder = 'generic'; pvh = 1; pci = []; nestedhvm = 0; bootloader = ''") == "");
    CHECK(warnings_of("memory = 32\nmemory = 64") ==
          "a.cfg:4:1: memory: set before at a.cfg:3:1; the later value counts\n");
    CHECK(warnings_of("cmdline = 'x'; root = 'y'") == "a.cfg:3:16: root: ignored, cmdline is given too\n");
}

TEST_CASE("The later setting counts, and a wrong earlier one does not matter then")
{
    const auto result = read(std::string{kSmallest} + "memory = 1\nmemory = 64\n");
    REQUIRE(result);
    CHECK(result->config.memory_mib == 64);
}

TEST_CASE("No key is known twice")
{
    std::set<std::string_view> names;
    for (const auto& reader : key_readers())
        CHECK(names.insert(reader.name).second);
    for (const auto& foreign : foreign_keys())
        CHECK(names.insert(foreign.name).second);
}
