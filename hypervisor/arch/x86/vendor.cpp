// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/vendor.hpp"

#include "arch/x86/cpu/features.hpp"
#include "arch/x86/io_permissions.hpp"
#include "arch/x86/svm/svm_host.hpp"
#include "arch/x86/svm/svm_vcpu.hpp"
#include "arch/x86/vmx/vmx_host.hpp"
#include "arch/x86/vmx/vmx_vcpu.hpp"
#include "base/per_cpu.hpp"
#include "mm/frame_allocator.hpp"

#include <utility>

namespace vmm
{
namespace
{

template <class Backend>
Expected<Unique<Vcpu_backend>> create(Vcpu& vcpu)
{
    const Mfn pages = TRY(frames.allocate(Backend::kPagesOrder));
    auto backend    = make_unique<Backend>(vcpu, pages);
    if (!backend) {
        frames.free(pages, Backend::kPagesOrder);
        return fail(backend.error());
    }
    return Unique<Vcpu_backend>(std::move(*backend));
}

struct Vendor {
    Expected<void> (*enable)();
    void (*report)();
    Expected<Unique<Vcpu_backend>> (*create)(Vcpu&);
    Hypercall_instruction hypercall;
};

constexpr Vendor kSvm{
    svm::enable_on_this_cpu, svm::report, create<svm::Svm_vcpu>, {0x0f, 0x01, 0xd9}}; // VMMCALL
constexpr Vendor kVmx{
    vmx::enable_on_this_cpu, vmx::report, create<vmx::Vmx_vcpu>, {0x0f, 0x01, 0xc1}}; // VMCALL
constinit const Vendor* vendor = &kSvm;

} // namespace

Expected<void> enable_virtualisation()
{
    if (this_cpu() == 0) {
        vendor = read_cpu_facts().svm ? &kSvm : &kVmx;
        TRY(make_io_permissions());
    }
    return vendor->enable();
}

void report_virtualisation() { vendor->report(); }
Expected<Unique<Vcpu_backend>> create_backend(Vcpu& vcpu) { return vendor->create(vcpu); }
Hypercall_instruction hypercall_instruction() { return vendor->hypercall; }

} // namespace vmm
