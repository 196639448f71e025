// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/cpu/features.hpp"

#include "arch/x86/cpu/cpuid.hpp"
#include "arch/x86/cpu/msr.hpp"

#include <catch2/catch.hpp>

#include <map>

namespace vmm
{
namespace
{

std::map<u32, Cpuid> leaves;
Expected<u64> vm_cr() { return u64{0}; }
Expected<u64> (*read_vm_cr)() = vm_cr;
u64 feature_control           = 0;

} // namespace

Cpuid cpuid(u32 leaf, u32) { return leaves.count(leaf) ? leaves[leaf] : Cpuid{}; }
Expected<u64> read_msr_safely(u32 index)
{
    if (index == msr::kVmCr)
        return read_vm_cr();
    if (index == msr::kFeatureControl)
        return feature_control;
    return fail(Errc::enxio);
}

} // namespace vmm

using namespace vmm;

namespace
{

// As an EPYC of the first generation answers.
void amd()
{
    read_vm_cr = vm_cr;
    leaves     = {{0, {0xd, 0x68747541, 0x444d4163, 0x69746e65}},
                  {1, {0x800f12, 0, 0x7ed8320b, 0x178bfbff}},
                  {7, {0, 0x209c01a9, 0, 0}},
                  {0x80000000, {0x8000001f, 0x68747541, 0x444d4163, 0x69746e65}},
                  {0x80000001, {0x800f12, 0, 0x35c233ff, 0x2fd3fbff}},
                  {0x80000008, {0x3030, 0, 0, 0}},
                  {0x8000000a, {1, 0x8000, 0, 0x1bcff}}};
}

} // namespace

TEST_CASE("cpu: a machine that will do")
{
    amd();
    const Cpu_facts cpu = read_cpu_facts();
    CHECK(cpu.vendor == Cpu_facts::Vendor::amd);
    CHECK(cpu.svm);
    CHECK(cpu.nested_paging);
    CHECK(cpu.gigabyte_pages);
    CHECK(cpu.smep);
    CHECK(cpu.smap);
    CHECK(cpu.physical_bits == 48);
    CHECK(why_no_guests(cpu).empty());
}

TEST_CASE("cpu: switched off by the firmware")
{
    amd();
    read_vm_cr = +[]() -> Expected<u64> { return u64{1u << 4}; };
    CHECK(why_no_guests(read_cpu_facts()).find("firmware") != std::string_view::npos);
    read_vm_cr = +[]() -> Expected<u64> { return fail(Errc::enxio); }; // no such MSR: not switched off
    CHECK(why_no_guests(read_cpu_facts()).empty());
}

TEST_CASE("cpu: AMD-V without nested paging, AMD without AMD-V")
{
    amd();
    leaves[0x8000000a].edx = 0;
    CHECK(why_no_guests(read_cpu_facts()).find("nested paging") != std::string_view::npos);

    amd();
    leaves[0x80000001].ecx &= ~4u;
    CHECK(why_no_guests(read_cpu_facts()).find("does not offer AMD-V") != std::string_view::npos);
}

TEST_CASE("cpu: Intel with VT-x, free, locked on or locked off; Intel without; something else")
{
    amd();
    leaves[0x80000001].ecx &= ~4u;
    leaves[0] = {0xd, 0x756e6547, 0x6c65746e, 0x49656e69};
    leaves[1].ecx |= 1u << 5;
    // IA32_FEATURE_CONTROL: locked 1, within SMX 2, outside SMX, where this hypervisor runs, 4.
    for (const u64 usable : {0u, 2u, 4u, 5u, 7u}) {
        feature_control = usable;
        CHECK(why_no_guests(read_cpu_facts()).empty());
    }
    for (const u64 locked : {1u, 3u}) {
        feature_control = locked;
        CHECK(why_no_guests(read_cpu_facts()).find("firmware") != std::string_view::npos);
    }

    leaves[1].ecx &= ~(1u << 5);
    CHECK(why_no_guests(read_cpu_facts()).find("does not offer VT-x") != std::string_view::npos);
    leaves[0].ebx = 0;
    CHECK(why_no_guests(read_cpu_facts()).find("VT-x") != std::string_view::npos);
}
