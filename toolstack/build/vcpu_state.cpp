// SPDX-License-Identifier: Apache-2.0
#include "toolstack/build/vcpu_state.hpp"

#include "toolstack/build/acpi_tables.hpp"
#include "toolstack/build/byte_view.hpp"

#include <cstring>

#include <xen/hvm/save.h>
#include <xen/xen.h>

namespace vmm
{

namespace
{

constexpr std::uint64_t kCr0ProtectionAndExtension = 0x11; // PE | ET
constexpr std::uint32_t kWholeAddressSpace         = 0xffffffff;
// Segment attributes as VMCS and VMCB store them, limit bits left out: present, type, granularity, default
// size.
constexpr std::uint32_t kCode32                    = 0xc9b;
constexpr std::uint32_t kData32                    = 0xc93;
constexpr std::uint32_t kBusyTss32                 = 0x8b;
constexpr std::uint32_t kTssLimit                  = 0x67;
constexpr std::uint64_t kReservedFlag              = 0x2;
constexpr std::uint64_t kDr6AtReset                = 0xffff0ff0;
constexpr std::uint64_t kDr7AtReset                = 0x400;

constexpr std::uint64_t kApicBaseX2apic      = 1 << 10; // IA32_APIC_BASE.EXTD [SDM3 11.12.1]
constexpr std::uint64_t kApicBaseEnable      = 1 << 11;
constexpr std::size_t kApicRegisterId        = 0x20;
constexpr std::size_t kApicRegisterLdr       = 0xd0;
constexpr std::uint64_t kMtrrEnableWriteBack = 1 << 11 | 6; // IA32_MTRR_DEF_TYPE.E, type WB [SDM3 12.11.2.1]

// The logical id that x2APIC mode derives from the id [SDM3 11.12.10.2].
constexpr std::uint32_t x2apic_logical_id(std::uint32_t id) { return (id >> 4) << 16 | 1U << (id & 15); }

HVM_SAVE_TYPE(CPU) start_registers(const Start_state& start)
{
    HVM_SAVE_TYPE(CPU) cpu{};
    cpu.rip      = start.entry;
    cpu.rbx      = start.start_info;
    cpu.rflags   = kReservedFlag;
    cpu.cr0      = kCr0ProtectionAndExtension;
    cpu.dr6      = kDr6AtReset;
    cpu.dr7      = kDr7AtReset;
    cpu.cs_limit = cpu.ds_limit = cpu.es_limit = cpu.ss_limit = kWholeAddressSpace;
    cpu.cs_arbytes                                            = kCode32;
    cpu.ds_arbytes = cpu.es_arbytes = cpu.ss_arbytes = kData32;
    cpu.tr_limit                                     = kTssLimit;
    cpu.tr_arbytes                                   = kBusyTss32;
    return cpu;
}

template <class T>
void append(std::vector<std::byte>& records, std::uint16_t type, std::uint16_t instance, const T& value,
            std::size_t size)
{
    const hvm_save_descriptor descriptor{type, instance, static_cast<std::uint32_t>(size)};
    const auto* head = reinterpret_cast<const std::byte*>(&descriptor);
    const auto* body = reinterpret_cast<const std::byte*>(&value);
    records.insert(records.end(), head, head + sizeof descriptor);
    records.insert(records.end(), body, body + size);
}

void set_u32(hvm_hw_lapic_regs& registers, std::size_t offset, std::uint32_t value)
{
    std::memcpy(&registers.data[offset], &value, sizeof value);
}

// Appends the edited record if it is one that a new domain's differs in.
void edit(std::vector<std::byte>& records, const hvm_save_descriptor& descriptor, Byte_view body)
{
    switch (descriptor.typecode) {
    case HVM_SAVE_CODE(LAPIC):
        if (auto apic = read_at<HVM_SAVE_TYPE(LAPIC)>(body, 0)) {
            apic->apic_base_msr |= kApicBaseEnable | kApicBaseX2apic;
            append(records, descriptor.typecode, descriptor.instance, *apic, sizeof *apic);
        }
        break;
    case HVM_SAVE_CODE(LAPIC_REGS):
        if (auto registers = read_at<HVM_SAVE_TYPE(LAPIC_REGS)>(body, 0)) {
            const std::uint32_t id = apic_id_of(descriptor.instance);
            set_u32(*registers, kApicRegisterId, id);
            set_u32(*registers, kApicRegisterLdr, x2apic_logical_id(id));
            append(records, descriptor.typecode, descriptor.instance, *registers, sizeof *registers);
        }
        break;
    case HVM_SAVE_CODE(MTRR):
        if (auto mtrr = read_at<HVM_SAVE_TYPE(MTRR)>(body, 0)) {
            mtrr->msr_mtrr_def_type = kMtrrEnableWriteBack;
            append(records, descriptor.typecode, descriptor.instance, *mtrr, sizeof *mtrr);
        }
        break;
    default: break;
    }
}

} // namespace

Result<std::vector<std::byte>> make_start_records(std::span<const std::byte> present,
                                                  const Start_state& start)
{
    const auto first  = read_at<hvm_save_descriptor>(present, 0);
    const auto header = read_at<HVM_SAVE_TYPE(HEADER)>(present, sizeof(hvm_save_descriptor));
    if (!first || first->typecode != HVM_SAVE_CODE(HEADER) || !header || header->magic != HVM_FILE_MAGIC) {
        return fail(Errc::protocol, "the hypervisor's description of the processor state has no header");
    }
    std::vector<std::byte> records;
    append(records, HVM_SAVE_CODE(HEADER), 0, *header, sizeof *header);
    // Only vCPU 0: loading a CPU record starts that vCPU, and the others wait for the kernel's INIT and SIPI.
    const auto registers = start_registers(start);
    append(records, HVM_SAVE_CODE(CPU), 0, registers, sizeof registers);

    std::uint64_t at = sizeof(hvm_save_descriptor) + first->length;
    while (const auto descriptor = read_at<hvm_save_descriptor>(present, at)) {
        const auto body = slice(present, at + sizeof *descriptor, descriptor->length);
        if (!body || descriptor->typecode == HVM_SAVE_CODE(END)) {
            break;
        }
        edit(records, *descriptor, *body);
        at += sizeof *descriptor + descriptor->length;
    }
    append(records, HVM_SAVE_CODE(END), 0, hvm_save_end{}, 0);
    return records;
}

} // namespace vmm
