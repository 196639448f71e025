// SPDX-License-Identifier: Apache-2.0
//
// What dom0 asks of UEFI firmware, with firmware that is made up here behind the same calling convention.
#include "hypercall/efi_op.hpp"

#include "arch/x86/cpu/firmware_call.hpp"
#include "platform/efi.hpp"
#include "world.hpp"

#include <catch2/catch.hpp>

#include <cstring>
#include <efi.h>
#include <map>
#include <optional>
#include <string>

using namespace vmm;
using namespace vmm::test;

// As GNU-EFI has them.
#define SAME_PLACE(ours, field, theirs, name) static_assert(offsetof(ours, field) == offsetof(theirs, name))
SAME_PLACE(Efi_table_header, revision, EFI_TABLE_HEADER, Revision);
SAME_PLACE(Efi_system_table, vendor, EFI_SYSTEM_TABLE, FirmwareVendor);
SAME_PLACE(Efi_system_table, vendor_revision, EFI_SYSTEM_TABLE, FirmwareRevision);
SAME_PLACE(Efi_system_table, runtime_services, EFI_SYSTEM_TABLE, RuntimeServices);
SAME_PLACE(Efi_system_table, table_count, EFI_SYSTEM_TABLE, NumberOfTableEntries);
SAME_PLACE(Efi_system_table, tables, EFI_SYSTEM_TABLE, ConfigurationTable);
SAME_PLACE(Efi_runtime_services, get_time, EFI_RUNTIME_SERVICES, GetTime);
SAME_PLACE(Efi_runtime_services, set_wakeup_time, EFI_RUNTIME_SERVICES, SetWakeupTime);
SAME_PLACE(Efi_runtime_services, get_variable, EFI_RUNTIME_SERVICES, GetVariable);
SAME_PLACE(Efi_runtime_services, get_next_variable_name, EFI_RUNTIME_SERVICES, GetNextVariableName);
SAME_PLACE(Efi_runtime_services, set_variable, EFI_RUNTIME_SERVICES, SetVariable);
SAME_PLACE(Efi_runtime_services, get_next_high_monotonic_count, EFI_RUNTIME_SERVICES,
           GetNextHighMonotonicCount);
SAME_PLACE(Efi_runtime_services, query_variable_info, EFI_RUNTIME_SERVICES, QueryVariableInfo);
static_assert(Efi_system_table::kSignature == EFI_SYSTEM_TABLE_SIGNATURE);
static_assert(Efi_runtime_services::kSignature == EFI_RUNTIME_SERVICES_SIGNATURE);
static_assert(Efi_region::kRuntime == EFI_MEMORY_RUNTIME && Efi_region::kWriteBack == EFI_MEMORY_WB &&
              Efi_region::kNotExecuted == EFI_MEMORY_XP);

namespace
{

constexpr u64 kUnsupported  = EFI_UNSUPPORTED;
constexpr u64 kNotFound     = EFI_NOT_FOUND;
constexpr u64 kTooSmall     = EFI_BUFFER_TOO_SMALL;
constexpr u64 kArg          = 0x3000;
constexpr u64 kName         = 0x5000;
constexpr u64 kData         = 0x8000;
constexpr u64 kHole         = 0x7000'0000;
constexpr u64 kEnd          = 64 * kPageSize; // of dom0's memory
constexpr xenpf_efi_guid kA = {1, 2, 3, {4}};

struct Variable {
    u32 attributes;
    std::string bytes;
};

struct Firmware {
    std::map<std::u16string, Variable> variables;
    xenpf_efi_time time{};
    bool wakes     = false;
    bool faults    = false;
    unsigned calls = 0;
};
Firmware firmware;

#define SERVICE __attribute__((ms_abi)) u64

SERVICE get_time(xenpf_efi_time* time, u32* capabilities)
{
    *time           = firmware.time;
    capabilities[0] = 1;
    capabilities[1] = 50;
    capabilities[2] |= 1; // a byte
    return EFI_SUCCESS;
}

SERVICE set_time(const xenpf_efi_time* time)
{
    firmware.time = *time;
    return EFI_SUCCESS;
}

SERVICE get_wakeup_time(bool* enabled, bool* pending, xenpf_efi_time* time)
{
    *enabled = firmware.wakes;
    *pending = false;
    *time    = firmware.time;
    return EFI_SUCCESS;
}

SERVICE set_wakeup_time(u64 enable, const xenpf_efi_time* time)
{
    firmware.wakes = enable != 0;
    if (time != nullptr)
        firmware.time = *time;
    return EFI_SUCCESS;
}

SERVICE get_variable(const char16_t* name, const xenpf_efi_guid* guid, u32* attributes, u64* size, char* data)
{
    const auto found = firmware.variables.find(name);
    if (found == firmware.variables.end() || std::memcmp(guid, &kA, sizeof kA) != 0)
        return kNotFound;
    const u64 room = std::exchange(*size, found->second.bytes.size());
    *attributes    = found->second.attributes;
    if (room < *size)
        return kTooSmall;
    if (data == nullptr)
        return EFI_INVALID_PARAMETER;
    std::memcpy(data, found->second.bytes.data(), *size);
    return EFI_SUCCESS;
}

SERVICE set_variable(const char16_t* name, const xenpf_efi_guid*, u32 attributes, u64 size, const char* data)
{
    if (size == 0)
        return firmware.variables.erase(name) != 0 ? EFI_SUCCESS : kNotFound;
    firmware.variables[name] = {attributes, std::string(data, size)};
    return EFI_SUCCESS;
}

SERVICE get_next_variable_name(u64* size, char16_t* name, xenpf_efi_guid* guid)
{
    const auto next = firmware.variables.upper_bound(name);
    if (next == firmware.variables.end())
        return kNotFound;
    const u64 room = std::exchange(*size, (next->first.size() + 1) * 2);
    if (room < *size)
        return kTooSmall;
    std::memcpy(name, next->first.c_str(), *size);
    *guid = kA;
    return EFI_SUCCESS;
}

SERVICE query_variable_info(u32 attributes, u64* all, u64* left, u64* largest)
{
    *all     = 65536;
    *left    = 32768;
    *largest = attributes;
    return EFI_SUCCESS;
}

SERVICE next_count(u32* count)
{
    *count = 7;
    return EFI_SUCCESS;
}

template <class Service>
u64 address(Service* service)
{
    return reinterpret_cast<u64>(service);
}

struct Machine {
    World world;
    Domain& dom0;
    Efi_region regions[2] = {
        {Hpa(0x1000), 4, EFI_MEMORY_WB, EfiConventionalMemory},
        {Hpa(0x7000000), 16, EFI_MEMORY_WB | EFI_MEMORY_RUNTIME, EfiRuntimeServicesData}};

    Machine() : dom0(world.make(0, true))
    {
        firmware                        = {};
        Efi_firmware& found             = efi_machine.firmware.emplace();
        efi_machine.memory              = regions;
        found.system                    = {.header          = {.revision = 0x20046},
                                           .vendor_revision = 9,
                                           .table_count     = 11,
                                           .tables          = Hpa(0x7001000)};
        found.services                  = {.header = {.revision = 0x20046}};
        Efi_runtime_services& s         = found.services;
        s.get_time                      = address(get_time);
        s.set_time                      = address(set_time);
        s.get_wakeup_time               = address(get_wakeup_time);
        s.set_wakeup_time               = address(set_wakeup_time);
        s.get_variable                  = address(get_variable);
        s.set_variable                  = address(set_variable);
        s.get_next_variable_name        = address(get_next_variable_name);
        s.query_variable_info           = address(query_variable_info);
        s.get_next_high_monotonic_count = address(next_count);
        std::ranges::copy(std::u16string_view(u"A vendor"), found.vendor.begin());
    }
    ~Machine() { efi_machine = {}; }

    u8* memory(u64 at) { return guest<u8>(dom0, at); }
    void put_name(std::u16string_view name, u64 at = kName)
    {
        std::memset(memory(at), 0, 64);
        std::memcpy(memory(at), name.data(), name.size() * 2);
    }
    template <class Handle>
    static void point(Handle& handle, u64 at)
    {
        handle.p = reinterpret_cast<decltype(handle.p)>(at);
    }
    xenpf_efi_runtime_call variable(u32 function, u64 size, u64 data = kData, u64 name = kName)
    {
        xenpf_efi_runtime_call op{};
        op.function = function;
        auto& v     = op.u.get_variable;
        v.size      = size;
        point(v.name, name);
        point(v.data, data);
        v.vendor_guid = kA;
        return op;
    }
    s64 call(xenpf_efi_runtime_call& op)
    {
        op.status         = 99;
        const auto result = call_efi_service(*dom0.vcpu(0), op);
        return result ? 0 : -static_cast<s64>(result.error());
    }
    s64 ask(u32 index, xenpf_firmware_info& info)
    {
        info.type         = XEN_FW_EFI_INFO;
        info.index        = index;
        const auto result = describe_firmware(*dom0.vcpu(0), info);
        return result ? 0 : -static_cast<s64>(result.error());
    }
};

} // namespace

Expected<u64> vmm::call_firmware(u64 service, const Firmware_arguments& a)
{
    using Service = __attribute__((ms_abi)) u64 (*)(u64, u64, u64, u64, u64);
    if (firmware.faults)
        return fail(Errc::eopnotsupp);
    ++firmware.calls;
    return reinterpret_cast<Service>(service)(a[0], a[1], a[2], a[3], a[4]);
}

TEST_CASE("efi: a variable is written, found by its name, read and removed")
{
    Machine m;
    m.put_name(u"Boot0001");
    std::memcpy(m.memory(kData), "hello", 5);
    auto op = m.variable(XEN_EFI_set_variable, 5);
    op.misc = 7;
    REQUIRE(m.call(op) == 0);
    CHECK(op.status == EFI_SUCCESS);
    CHECK(firmware.variables.at(u"Boot0001").bytes == "hello");
    CHECK(firmware.variables.at(u"Boot0001").attributes == 7);

    std::memset(m.memory(kData), 0, 8);
    op = m.variable(XEN_EFI_get_variable, 100);
    REQUIRE(m.call(op) == 0);
    CHECK(op.status == EFI_SUCCESS);
    CHECK(op.u.get_variable.size == 5);
    CHECK(op.misc == 7);
    CHECK(std::memcmp(m.memory(kData), "hello\0\0\0", 8) == 0);

    m.put_name(u"");
    xenpf_efi_runtime_call next{};
    next.function                      = XEN_EFI_get_next_variable_name;
    next.u.get_next_variable_name.size = 64;
    Machine::point(next.u.get_next_variable_name.name, kName);
    REQUIRE(m.call(next) == 0);
    CHECK(next.status == EFI_SUCCESS);
    CHECK(std::memcmp(m.memory(kName), u"Boot0001", 18) == 0);
    CHECK(std::memcmp(&next.u.get_next_variable_name.vendor_guid, &kA, sizeof kA) == 0);
    next.u.get_next_variable_name.size = 64;
    REQUIRE(m.call(next) == 0);
    CHECK(next.status == kNotFound);

    op = m.variable(XEN_EFI_set_variable, 0);
    REQUIRE(m.call(op) == 0);
    CHECK(firmware.variables.empty());
    op = m.variable(XEN_EFI_get_variable, 100);
    REQUIRE(m.call(op) == 0);
    CHECK(op.status == kNotFound);
}

TEST_CASE("efi: what does not fit tells how much it is, and nothing is written")
{
    Machine m;
    firmware.variables[u"Long"] = {3, std::string(5000, 'x')};
    m.put_name(u"Long");
    std::memset(m.memory(kData), 0, 16);
    for (const u64 room : {0, 16, 4999}) {
        auto op = m.variable(XEN_EFI_get_variable, room);
        REQUIRE(m.call(op) == 0);
        CHECK(op.status == kTooSmall);
        CHECK(op.u.get_variable.size == 5000);
        CHECK(*m.memory(kData) == 0);
    }
    auto op = m.variable(XEN_EFI_get_variable, 5000);
    REQUIRE(m.call(op) == 0);
    CHECK(op.status == EFI_SUCCESS);
    CHECK(*m.memory(kData + 4999) == 'x');

    m.put_name(u"");
    xenpf_efi_runtime_call next{};
    next.function                      = XEN_EFI_get_next_variable_name;
    next.u.get_next_variable_name.size = 8;
    Machine::point(next.u.get_next_variable_name.name, kName);
    REQUIRE(m.call(next) == 0);
    CHECK(next.status == kTooSmall);
    CHECK(next.u.get_next_variable_name.size == 10);
}

TEST_CASE("efi: bad names, sizes and pointers reach no firmware")
{
    Machine m;
    m.put_name(u"A");
    const u32 function = GENERATE(XEN_EFI_get_variable, XEN_EFI_set_variable);
    auto op            = m.variable(function, 256 * kKiB + 1);
    CHECK(m.call(op) == -XEN_E2BIG);
    op = m.variable(function, 8, kData, kHole);
    CHECK(m.call(op) == -XEN_EFAULT);
    for (u64 at = kName; at < kName + 2048; ++at)
        *m.memory(at) = 'x';
    op = m.variable(function, 8); // no end
    CHECK(m.call(op) == -XEN_E2BIG);
    *m.memory(kEnd - 2) = 'x';
    op                  = m.variable(function, 8, kData, kEnd - 2);
    CHECK(m.call(op) == -XEN_EFAULT);
    m.put_name(u"A");
    op = m.variable(XEN_EFI_set_variable, 8, kHole);
    CHECK(m.call(op) == -XEN_EFAULT);
    xenpf_efi_runtime_call next{};
    next.function                      = XEN_EFI_get_next_variable_name;
    next.u.get_next_variable_name.size = 64;
    Machine::point(next.u.get_next_variable_name.name, kHole);
    CHECK(m.call(next) == -XEN_EFAULT);
    next.u.get_next_variable_name.size = ~0ull;
    CHECK(m.call(next) == -XEN_E2BIG);
    CHECK(firmware.calls == 0);
    CHECK(firmware.variables.empty());
}

TEST_CASE("efi: a frame is given back whatever becomes of a call")
{
    Machine m;
    firmware.variables[u"A"] = {3, "x"};
    m.put_name(u"A");
    const u64 before = frames.free_count();
    for (const u64 data : {kData, kHole}) {
        auto op = m.variable(XEN_EFI_get_variable, 200 * kKiB, data);
        CHECK(m.call(op) == (data == kHole ? -XEN_EFAULT : 0));
    }
    firmware.faults = true;
    auto op         = m.variable(XEN_EFI_get_variable, 8);
    CHECK(m.call(op) == -XEN_EOPNOTSUPP);
    CHECK(frames.free_count() == before);
}

TEST_CASE("efi: the clock and its alarm")
{
    Machine m;
    xenpf_efi_runtime_call op{};
    op.function        = XEN_EFI_set_time;
    op.u.set_time.year = 2026;
    REQUIRE(m.call(op) == 0);
    op          = {};
    op.function = XEN_EFI_get_time;
    REQUIRE(m.call(op) == 0);
    CHECK(op.u.get_time.time.year == 2026);
    CHECK(op.u.get_time.resolution == 1);
    CHECK(op.u.get_time.accuracy == 50);
    CHECK(op.misc == XEN_EFI_GET_TIME_SET_CLEARS_NS);

    op                        = {};
    op.function               = XEN_EFI_set_wakeup_time;
    op.misc                   = XEN_EFI_SET_WAKEUP_TIME_ENABLE;
    op.u.set_wakeup_time.year = 2027;
    REQUIRE(m.call(op) == 0);
    CHECK(op.misc == 0);
    op          = {};
    op.function = XEN_EFI_get_wakeup_time;
    REQUIRE(m.call(op) == 0);
    CHECK(op.misc == XEN_EFI_GET_WAKEUP_TIME_ENABLED);
    CHECK(op.u.get_wakeup_time.year == 2027);
    op          = {};
    op.function = XEN_EFI_set_wakeup_time;
    op.misc     = XEN_EFI_SET_WAKEUP_TIME_ENABLE_ONLY;
    REQUIRE(m.call(op) == 0);
    CHECK_FALSE(firmware.wakes);
    CHECK(firmware.time.year == 2027);
}

TEST_CASE("efi: how much room there is, and a count")
{
    Machine m;
    xenpf_efi_runtime_call op{};
    op.function                   = XEN_EFI_query_variable_info;
    op.u.query_variable_info.attr = 7;
    REQUIRE(m.call(op) == 0);
    CHECK(op.u.query_variable_info.max_store_size == 65536);
    CHECK(op.u.query_variable_info.remain_store_size == 32768);
    CHECK(op.u.query_variable_info.max_size == 7);
    op.misc = XEN_EFI_VARINFO_BOOT_SNAPSHOT;
    REQUIRE(m.call(op) == 0);
    CHECK(op.status == kUnsupported);
    op.u.query_variable_info.attr = 2;
    CHECK(m.call(op) == -XEN_EINVAL);
    op.misc                                        = 0;
    efi_machine.firmware->services.header.revision = 0x1000a;
    CHECK(m.call(op) == -XEN_EOPNOTSUPP);
    op.function = XEN_EFI_get_next_high_monotonic_count;
    REQUIRE(m.call(op) == 0);
    CHECK(op.misc == 7);
}

TEST_CASE("efi: functions and words that there are not")
{
    Machine m;
    for (u32 function = XEN_EFI_get_time; function <= XEN_EFI_update_capsule; ++function) {
        xenpf_efi_runtime_call op{};
        op.function = function;
        op.misc     = 0x80;
        if (function != XEN_EFI_set_variable)
            CHECK(m.call(op) == -XEN_EINVAL);
    }
    xenpf_efi_runtime_call op{};
    for (const u32 function : {XEN_EFI_query_capsule_capabilities, XEN_EFI_update_capsule, 0, 99}) {
        op.function = function;
        CHECK(m.call(op) == -XEN_ENOSYS);
    }
    efi_machine.firmware.reset();
    op.function = XEN_EFI_get_time;
    CHECK(m.call(op) == -XEN_ENOSYS);
    CHECK(firmware.calls == 0);
}

TEST_CASE("efi: what is known of the firmware")
{
    Machine m;
    xenpf_firmware_info info{};
    auto& u = info.u.efi_info;
    CHECK(m.ask(XEN_FW_EFI_VERSION, info) == 0);
    CHECK(u.version == 0x20046);
    CHECK(m.ask(XEN_FW_EFI_RT_VERSION, info) == 0);
    CHECK(u.version == 0x20046);
    CHECK(m.ask(XEN_FW_EFI_CONFIG_TABLE, info) == 0);
    CHECK(u.cfg.addr == 0x7001000);
    CHECK(u.cfg.nent == 11);

    std::memset(m.memory(kData), 0xff, 64);
    u.vendor.bufsz = 64;
    Machine::point(u.vendor.name, kData);
    CHECK(m.ask(XEN_FW_EFI_VENDOR, info) == 0);
    CHECK(u.vendor.revision == 9);
    CHECK(std::memcmp(m.memory(kData), u"A vendor\0\xffff", 20) == 0);
    u.vendor.bufsz = 7; // three characters
    std::memset(m.memory(kData), 0xff, 64);
    CHECK(m.ask(XEN_FW_EFI_VENDOR, info) == 0);
    CHECK(std::memcmp(m.memory(kData), u"A v\xffff", 8) == 0);
    Machine::point(u.vendor.name, kHole);
    CHECK(m.ask(XEN_FW_EFI_VENDOR, info) == -XEN_EFAULT);

    u.mem = {.addr = 0x7002000, .size = 0x100000, .attr = 0, .type = 0};
    CHECK(m.ask(XEN_FW_EFI_MEM_INFO, info) == 0);
    CHECK(u.mem.type == EfiRuntimeServicesData);
    CHECK(u.mem.size == 14 * kPageSize);
    CHECK(u.mem.attr == (EFI_MEMORY_WB | EFI_MEMORY_RUNTIME));
    u.mem.addr = 0x9000000;
    CHECK(m.ask(XEN_FW_EFI_MEM_INFO, info) == -XEN_ESRCH);
    CHECK(m.ask(XEN_FW_EFI_PCI_ROM, info) == -XEN_ESRCH);
    CHECK(m.ask(XEN_FW_EFI_APPLE_PROPERTIES, info) == -XEN_ENODATA);
    CHECK(m.ask(99, info) == -XEN_EINVAL);
    efi_machine.firmware.reset();
    CHECK(m.ask(XEN_FW_EFI_VERSION, info) == -XEN_ENOSYS);
}
