// SPDX-License-Identifier: Apache-2.0
//
// The state of a domain's vCPUs as a chain of records, HEADER first, END last.
// [xen/include/public/hvm/save.h]
#include "hypercall/domctl.hpp"

#include "arch/x86/cpu/cpuid.hpp"
#include "arch/x86/cpu/fpu.hpp"
#include "arch/x86/regs/msr.hpp"
#include "domain/time.hpp"
#include "domain/vcpu.hpp"
#include "exit/msr_policy.hpp"
#include "exit/xcr0_policy.hpp"
#include "hypercall/argument.hpp"
#include "hypercall/cpu_record.hpp"

#include <algorithm>
#include <tuple>

#include <xen/hvm/save.h>

namespace vmm
{
namespace
{

constexpr u64 kMaxContext = 1u << 20;

// One kind of record, of which every vCPU has one.
struct Record_kind {
    u16 type;
    u32 size;
    void (*save)(Vcpu& vcpu, void* body);
    Expected<void> (*load)(Vcpu& vcpu, const void* body);
};

template <class Record, auto save, auto load>
constexpr Record_kind kind_with(u16 type)
{
    return {type, sizeof(Record), [](Vcpu& vcpu, void* body) { save(vcpu, *static_cast<Record*>(body)); },
            [](Vcpu& vcpu, const void* body) { return load(vcpu, *static_cast<const Record*>(body)); }};
}

Expected<void> load_mtrr(Vcpu& vcpu, const hvm_hw_mtrr& record)
{
    constexpr u32 pat = 0x277;
    if (record.msr_pat_cr != 0)
        TRY(write_guest_msr(vcpu, pat, record.msr_pat_cr));
    return vcpu.mtrr.load(record);
}

void save_mtrr(Vcpu& vcpu, hvm_hw_mtrr& record)
{
    record.msr_pat_cr = vcpu.backend().read_system().pat;
    vcpu.mtrr.save(record);
}

// LAPIC and LAPIC_REGS are one state in two records: either is loaded over what is there of the other.
template <class Part>
void save_apic(Vcpu& vcpu, Part& record)
{
    std::tuple<hvm_hw_lapic, hvm_hw_lapic_regs> parts{};
    vcpu.apic().save(std::get<0>(parts), std::get<1>(parts));
    record = std::get<Part>(parts);
}
template <class Part>
Expected<void> load_apic(Vcpu& vcpu, const Part& record)
{
    std::tuple<hvm_hw_lapic, hvm_hw_lapic_regs> parts{};
    vcpu.apic().save(std::get<0>(parts), std::get<1>(parts));
    std::get<Part>(parts) = record;
    return vcpu.apic().load(std::get<0>(parts), std::get<1>(parts));
}

constexpr Record_kind kKinds[] = {
    kind_with<hvm_hw_cpu, save_cpu_record, load_cpu_record>(HVM_SAVE_CODE(CPU)),
    kind_with<hvm_hw_lapic, save_apic<hvm_hw_lapic>, load_apic<hvm_hw_lapic>>(HVM_SAVE_CODE(LAPIC)),
    kind_with<hvm_hw_lapic_regs, save_apic<hvm_hw_lapic_regs>, load_apic<hvm_hw_lapic_regs>>(
        HVM_SAVE_CODE(LAPIC_REGS)),
    kind_with<hvm_hw_mtrr, save_mtrr, load_mtrr>(HVM_SAVE_CODE(MTRR)),
};

union Any_body {
    hvm_hw_cpu cpu;
    hvm_hw_lapic apic;
    hvm_hw_lapic_regs apic_registers;
    hvm_hw_mtrr mtrr;
};

Expected<const Record_kind*> kind_of(u16 type)
{
    for (const auto& kind : kKinds) {
        if (kind.type == type)
            return &kind;
    }
    return fail(Errc::einval);
}

// One vCPU's FPU record: a head, and as much of the area as this CPU uses.
constexpr u32 kFpuHead = offsetof(hvm_hw_cpu_xsave, save_area);

u32 fpu_record_size() { return kFpuHead + fpu_area_size(); }

// The MSRs of one vCPU that no other record has, those only that are not 0: here that is SPEC_CTRL.
// [xen/include/public/arch-x86/hvm/save.h, hvm_msr]
using Saved_msr = hvm_msr::hvm_one_msr;
struct Msr_record {
    u32 count;
    u32 reserved;
    Saved_msr msrs[1];
};
static_assert(offsetof(Msr_record, msrs) == offsetof(hvm_msr, msr));

u64 size_of_record(std::size_t body) { return sizeof(hvm_save_descriptor) + body; }

u64 context_size(const Domain& domain)
{
    u64 per_vcpu = 0;
    for (const auto& kind : kKinds)
        per_vcpu += size_of_record(kind.size);
    if (guest_xcr0_mask() != 0)
        per_vcpu += size_of_record(fpu_record_size());
    per_vcpu += size_of_record(sizeof(Msr_record));
    return size_of_record(sizeof(hvm_save_header)) + domain.max_vcpus() * per_vcpu + size_of_record(0);
}

// Appends records to the caller's buffer.
class Record_writer
{
  public:
    Record_writer(Vcpu& caller, Gva buffer) : caller_(caller), at_(buffer), start_(buffer) {}

    Expected<void> put(u16 type, u16 instance, const void* body, u32 length)
    {
        TRY(begin(type, instance, length));
        return append(body, length);
    }
    Expected<void> begin(u16 type, u16 instance, u32 length)
    {
        const hvm_save_descriptor descriptor{type, instance, length};
        return append(&descriptor, sizeof descriptor);
    }
    Expected<void> append(const void* bytes, u32 length)
    {
        TRY(copy_to_guest(caller_, at_, bytes, length));
        at_ = at_ + length;
        return {};
    }
    [[nodiscard]] u32 written() const { return static_cast<u32>(at_ - start_); }

  private:
    Vcpu& caller_;
    Gva at_;
    Gva start_;
};

Expected<void> put_fpu(Record_writer& out, Vcpu& vcpu, u16 instance)
{
    hvm_hw_cpu_xsave head{};
    head.xfeature_mask = guest_xcr0_mask();
    head.xcr0 = head.xcr0_accum = vcpu.xcr0;
    TRY(out.begin(CPU_XSAVE_CODE, instance, fpu_record_size()));
    TRY(out.append(&head, kFpuHead));
    return out.append(vcpu.backend().fpu_area(), fpu_area_size());
}

// The area is written by the tools: it is made loadable, whatever it holds.
Expected<void> load_fpu(Vcpu& caller, Vcpu& vcpu, Gva body, u32 length)
{
    hvm_hw_cpu_xsave head{};
    if (length < sizeof head || length > kFpuHead + kPageSize)
        return fail(Errc::einval);
    TRY(copy_from_guest(caller, &head, body, kFpuHead));
    if (!is_valid_xcr0(head.xcr0, guest_xcr0_mask()))
        return fail(Errc::einval);
    std::byte* area = vcpu.backend().fpu_area();
    const auto done =
        copy_from_guest(caller, area, body + kFpuHead, std::min(length - kFpuHead, fpu_area_size()));
    sanitise_fpu_area(area);
    vcpu.xcr0 = head.xcr0;
    return done;
}

Expected<void> load_msrs(Vcpu& caller, Vcpu& vcpu, Gva body, u32 length)
{
    constexpr u32 head = offsetof(Msr_record, msrs);
    if (length < head || (length - head) % sizeof(Saved_msr) != 0)
        return fail(Errc::einval);
    const u32 count = TRY(read_guest<u32>(caller, body));
    if (count != (length - head) / sizeof(Saved_msr))
        return fail(Errc::einval);
    for (u32 i = 0; i < count; ++i) {
        const auto saved = TRY(read_guest_element<Saved_msr>(caller, body + head, i));
        if (saved.index != msr::kSpecCtrl || saved._rsvd != 0)
            return fail(Errc::einval);
        TRY(write_guest_msr(vcpu, saved.index, saved.val));
    }
    return {};
}

Expected<void> load_header(Vcpu& caller, Gva body, u32 length)
{
    if (length != sizeof(hvm_save_header))
        return fail(Errc::einval);
    const auto header = TRY(read_guest<hvm_save_header>(caller, body));
    if (header.magic != HVM_FILE_MAGIC || header.version != HVM_FILE_VERSION)
        return fail(Errc::einval);
    return {};
}

Expected<void> load_record(Vcpu& caller, Domain& domain, const hvm_save_descriptor& d, Gva from)
{
    if (d.typecode == HVM_SAVE_CODE(HEADER))
        return load_header(caller, from, d.length);
    Vcpu* target = domain.vcpu(d.instance);
    if (target && d.typecode == CPU_XSAVE_CODE)
        return load_fpu(caller, *target, from, d.length);
    if (target && d.typecode == CPU_MSR_CODE)
        return load_msrs(caller, *target, from, d.length);
    const auto* kind = TRY(kind_of(d.typecode));
    if (!target || d.length != kind->size)
        return fail(Errc::einval);
    Any_body body;
    TRY(copy_from_guest(caller, &body, from, d.length));
    return kind->load(*target, &body);
}

Expected<void> save_all(Domain& domain, Record_writer& out)
{
    const hvm_save_header header{HVM_FILE_MAGIC, HVM_FILE_VERSION, 0, cpuid(1).eax,
                                 static_cast<u32>(tsc_info().khz)};
    TRY(out.put(HVM_SAVE_CODE(HEADER), 0, &header, sizeof header));
    for (const auto& kind : kKinds) {
        for (u32 i = 0; i < domain.max_vcpus(); ++i) {
            Any_body body{};
            kind.save(*domain.vcpu(i), &body);
            TRY(out.put(kind.type, static_cast<u16>(i), &body, kind.size));
        }
    }
    for (u16 i = 0; guest_xcr0_mask() != 0 && i < domain.max_vcpus(); ++i)
        TRY(put_fpu(out, *domain.vcpu(i), i));
    for (u32 i = 0; i < domain.max_vcpus(); ++i) {
        const u32 spec_ctrl = domain.vcpu(i)->backend().spec_ctrl();
        const Msr_record record{1, 0, {{msr::kSpecCtrl, 0, spec_ctrl}}};
        if (spec_ctrl != 0)
            TRY(out.put(CPU_MSR_CODE, static_cast<u16>(i), &record, sizeof record));
    }
    return out.put(HVM_SAVE_CODE(END), 0, nullptr, 0);
}

} // namespace

Expected<void> get_hvm_context(Vcpu& caller, Domain& domain, xen_domctl_hvmcontext& op)
{
    const Gva buffer = address_of(op.buffer);
    const u64 needed = context_size(domain);
    if (buffer.value() == 0) {
        op.size = static_cast<u32>(needed);
        return {};
    }
    if (op.size < needed)
        return fail(Errc::enospc);
    Record_writer out(caller, buffer);
    const Stopped stopped(domain);
    const auto done = save_all(domain, out);
    op.size         = out.written();
    return done;
}

Expected<void> get_hvm_record(Vcpu& caller, Domain& domain, xen_domctl_hvmcontext_partial& op)
{
    if (op.type > 0xffff)
        return fail(Errc::einval);
    const auto* kind = TRY(kind_of(static_cast<u16>(op.type)));
    Vcpu* vcpu       = domain.vcpu(op.instance);
    if (!vcpu)
        return fail(Errc::enoent);
    if (op.buffer.p == nullptr) {
        op.bufsz = kind->size;
        return {};
    }
    if (op.bufsz < kind->size)
        return fail(Errc::enobufs);
    Any_body body{};
    {
        const Stopped stopped(domain);
        kind->save(*vcpu, &body);
    }
    op.bufsz = kind->size;
    return copy_to_guest(caller, address_of(op.buffer), &body, kind->size);
}

Expected<void> set_hvm_context(Vcpu& caller, Domain& domain, const xen_domctl_hvmcontext& op)
{
    const Gva buffer = address_of(op.buffer);
    if (op.size > kMaxContext)
        return fail(Errc::einval);
    const Stopped stopped(domain);
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
