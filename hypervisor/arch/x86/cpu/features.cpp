// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/cpu/features.hpp"

#include "arch/x86/cpu/cpuid.hpp"
#include "arch/x86/cpu/msr.hpp"
#include "arch/x86/decode/vmx_capabilities.hpp"
#include "base/bits.hpp"

namespace vmm
{
namespace
{

constexpr u64 kVmCrSvmDisabled = bit(4);

Cpu_facts::Vendor vendor_of(const Cpuid& leaf0)
{
    // The first four letters of AuthenticAMD, HygonGenuine and GenuineIntel.
    constexpr u32 auth = 0x68747541, hygo = 0x6f677948, genu = 0x756e6547;
    if (leaf0.ebx == auth || leaf0.ebx == hygo)
        return Cpu_facts::Vendor::amd;
    return leaf0.ebx == genu ? Cpu_facts::Vendor::intel : Cpu_facts::Vendor::other;
}

void read_svm(Cpu_facts& cpu)
{
    cpu.svm = cpuid(0x80000001).ecx & bit(2);
    if (!cpu.svm)
        return;
    cpu.nested_paging            = cpuid_if_there(0x8000000a).edx & bit(0);
    cpu.svm_disabled_by_firmware = read_msr_safely(msr::kVmCr).value_or(0) & kVmCrSvmDisabled;
}

void read_vmx(Cpu_facts& cpu)
{
    cpu.vmx = cpuid(1).ecx & bit(5);
    if (!cpu.vmx)
        return;
    cpu.vmx_disabled_by_firmware =
        vmx::feature_control::forbids_vmxon(read_msr_safely(msr::kFeatureControl).value_or(0));
}

} // namespace

Cpu_facts read_cpu_facts()
{
    Cpu_facts cpu;
    const Cpuid leaf7  = cpuid_if_there(7);
    cpu.vendor         = vendor_of(cpuid(0));
    cpu.pat            = cpuid(1).edx & bit(16);
    cpu.smep           = leaf7.ebx & bit(7);
    cpu.smap           = leaf7.ebx & bit(20);
    cpu.umip           = leaf7.ecx & bit(2);
    cpu.gigabyte_pages = cpuid(0x80000001).edx & bit(26);
    if (const u32 sizes = cpuid_if_there(0x80000008).eax)
        cpu.physical_bits = sizes & 0xff;
    read_svm(cpu);
    read_vmx(cpu);
    return cpu;
}

std::string_view why_no_guests(const Cpu_facts& cpu)
{
    if (cpu.svm && cpu.svm_disabled_by_firmware)
        return "AMD-V is there but disabled by the firmware: enable SVM (virtualization) in the firmware "
               "setup";
    if (cpu.svm && !cpu.nested_paging)
        return "this CPU has AMD-V without nested paging, which guests need: a newer CPU is required";
    if (cpu.svm)
        return {};
    if (cpu.vmx && cpu.vmx_disabled_by_firmware)
        return "VT-x is there but disabled by the firmware: enable VMX (virtualization) in the firmware "
               "setup";
    if (cpu.vmx)
        return {};
    if (cpu.vendor == Cpu_facts::Vendor::amd)
        return "this CPU does not offer AMD-V; in a virtual machine, nested virtualization has to be enabled";
    if (cpu.vendor == Cpu_facts::Vendor::intel)
        return "this CPU does not offer VT-x; in a virtual machine, nested virtualization has to be enabled";
    return "this CPU offers no hardware virtualization that can be used: a CPU with AMD-V or VT-x is "
           "required";
}

} // namespace vmm
