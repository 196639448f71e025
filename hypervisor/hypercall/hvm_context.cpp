// SPDX-License-Identifier: Apache-2.0
#include "hypercall/hvm_context.hpp"

#include "arch/x86/cpu/cpuid.hpp"
#include "domain/time.hpp"
#include "domain/vcpu.hpp"
#include "exit/guest_memory.hpp"
#include "exit/msr_policy.hpp"
#include "hypercall/cpu_record.hpp"

#include <xen/hvm/save.h>

namespace vmm
{
namespace
{

constexpr u64 kMaxContext = 1u << 20;

u64 size_of_record(std::size_t body) { return sizeof(hvm_save_descriptor) + body; }

u64 context_size(const Domain& domain)
{
    const u64 per_vcpu = size_of_record(sizeof(hvm_hw_cpu)) + size_of_record(sizeof(hvm_hw_lapic)) +
                         size_of_record(sizeof(hvm_hw_lapic_regs));
    return size_of_record(sizeof(hvm_save_header)) + domain.max_vcpus() * per_vcpu + size_of_record(0);
}

// Appends records to the caller's buffer.
class Record_writer
{
  public:
    Record_writer(Vcpu& caller, Gva buffer) : caller_(caller), at_(buffer), start_(buffer) {}

    Expected<void> put(u16 type, u16 instance, const void* body, u32 length)
    {
        const hvm_save_descriptor descriptor{type, instance, length};
        TRY(write_guest(caller_, at_, descriptor));
        TRY(copy_to_guest(caller_, at_ + sizeof descriptor, body, length));
        at_ = at_ + (sizeof descriptor + length);
        return {};
    }
    [[nodiscard]] u32 written() const { return static_cast<u32>(at_ - start_); }

  private:
    Vcpu& caller_;
    Gva at_;
    Gva start_;
};

template <class T>
Expected<T> read_body(Vcpu& caller, Gva at, u32 length)
{
    if (length != sizeof(T))
        return fail(Errc::einval);
    return read_guest<T>(caller, at);
}

Expected<void> load_header(Vcpu& caller, Gva body, u32 length)
{
    const auto header = TRY(read_body<hvm_save_header>(caller, body, length));
    if (header.magic != HVM_FILE_MAGIC || header.version != HVM_FILE_VERSION)
        return fail(Errc::einval);
    return {};
}

Expected<void> load_mtrr(Vcpu& target, const hvm_hw_mtrr& record)
{
    constexpr u32 pat = 0x277, first_variable = 0x200, default_type = 0x2ff;
    if (record.msr_pat_cr != 0)
        TRY(write_guest_msr(target, pat, record.msr_pat_cr));
    for (u32 i = 0; i < MTRR_VCNT * 2; ++i)
        TRY(target.mtrr.write(first_variable + i, record.msr_mtrr_var[i]));
    return target.mtrr.write(default_type, record.msr_mtrr_def_type);
}

// LAPIC and LAPIC_REGS are one state in two records; it is loaded when the second has come.
Expected<void> load_apic(Vcpu& caller, Vcpu& target, u16 type, Gva body, u32 length)
{
    hvm_hw_lapic state{};
    hvm_hw_lapic_regs registers{};
    target.apic().save(state, registers);
    if (type == HVM_SAVE_CODE(LAPIC))
        state = TRY(read_body<hvm_hw_lapic>(caller, body, length));
    else
        registers = TRY(read_body<hvm_hw_lapic_regs>(caller, body, length));
    return target.apic().load(state, registers);
}

Expected<void> load_record(Vcpu& caller, Domain& domain, const hvm_save_descriptor& d, Gva body)
{
    if (d.typecode == HVM_SAVE_CODE(HEADER))
        return load_header(caller, body, d.length);
    Vcpu* target = domain.vcpu(d.instance);
    if (!target)
        return fail(Errc::einval);
    switch (d.typecode) {
    case HVM_SAVE_CODE(CPU):
        return load_cpu_record(*target, TRY(read_body<hvm_hw_cpu>(caller, body, d.length)));
    case HVM_SAVE_CODE(MTRR): return load_mtrr(*target, TRY(read_body<hvm_hw_mtrr>(caller, body, d.length)));
    case HVM_SAVE_CODE(LAPIC):
    case HVM_SAVE_CODE(LAPIC_REGS): return load_apic(caller, *target, d.typecode, body, d.length);
    default: return fail(Errc::einval);
    }
}

} // namespace

Expected<void> get_hvm_context(Vcpu& caller, Domain& domain, xen_domctl_hvmcontext& op)
{
    const Gva buffer(reinterpret_cast<u64>(op.buffer.p));
    const u64 needed = context_size(domain);
    if (buffer.value() == 0) {
        op.size = static_cast<u32>(needed);
        return {};
    }
    if (op.size < needed)
        return fail(Errc::enospc);
    domain.pause();
    Record_writer out(caller, buffer);
    const hvm_save_header header{HVM_FILE_MAGIC, HVM_FILE_VERSION, 0, cpuid(1).eax,
                                 static_cast<u32>(tsc_info().khz)};
    Expected<void> done = out.put(HVM_SAVE_CODE(HEADER), 0, &header, sizeof header);
    for (u16 i = 0; done && i < domain.max_vcpus(); ++i) {
        hvm_hw_cpu cpu{};
        hvm_hw_lapic apic{};
        hvm_hw_lapic_regs registers{};
        save_cpu_record(*domain.vcpu(i), cpu);
        domain.vcpu(i)->apic().save(apic, registers);
        done = out.put(HVM_SAVE_CODE(CPU), i, &cpu, sizeof cpu);
        if (done)
            done = out.put(HVM_SAVE_CODE(LAPIC), i, &apic, sizeof apic);
        if (done)
            done = out.put(HVM_SAVE_CODE(LAPIC_REGS), i, &registers, sizeof registers);
    }
    if (done)
        done = out.put(HVM_SAVE_CODE(END), 0, nullptr, 0);
    domain.unpause();
    TRY(std::move(done));
    op.size = out.written();
    return {};
}

Expected<void> set_hvm_context(Vcpu& caller, Domain& domain, const xen_domctl_hvmcontext& op)
{
    const Gva buffer(reinterpret_cast<u64>(op.buffer.p));
    if (op.size > kMaxContext)
        return fail(Errc::einval);
    u64 at = 0;
    for (bool first = true;; first = false) {
        if (op.size - at < sizeof(hvm_save_descriptor))
            return fail(Errc::enodata);
        const auto d = TRY(read_guest<hvm_save_descriptor>(caller, buffer + at));
        at += sizeof d;
        if (d.length > op.size - at)
            return fail(Errc::enodata);
        if (first != (d.typecode == HVM_SAVE_CODE(HEADER)))
            return fail(Errc::einval);
        if (d.typecode == HVM_SAVE_CODE(END))
            return {};
        TRY(load_record(caller, domain, d, buffer + at));
        at += d.length;
    }
}

} // namespace vmm
