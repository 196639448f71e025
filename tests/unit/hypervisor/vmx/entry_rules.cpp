// SPDX-License-Identifier: Apache-2.0
//
// A VMCS that a CPU enters, and every way in which one field of it can be wrong: the fault names that field
// and no other.
#include "arch/x86/decode/vmx_entry.hpp"

#include "arch/x86/regs/control.hpp"
#include "domain/registers.hpp"

#include <catch2/catch.hpp>

#include <map>

using namespace vmm;
using namespace vmm::vmx;

namespace
{

std::map<Field, u64> vmcs;

// What is read must have been written: fields that the hypervisor does not set are not to be judged.
u64 read_vmcs(Field field)
{
    INFO("field " << std::hex << static_cast<u32>(field));
    REQUIRE(vmcs.count(field) == 1);
    return vmcs[field];
}

// Of a fourth-generation Core i7.
const Capabilities kCpu{.basic      = 0x00da0400'00000012,
                        .pin        = Allowed(0x0000007f'00000016),
                        .cpu        = Allowed(0xfff9fffe'04006172),
                        .cpu_2      = Allowed(0x00007cfe'00000000),
                        .exit       = Allowed(0x007fffff'00036dfb),
                        .entry      = Allowed(0x0000ffff'000011fb),
                        .misc       = 0x300481e5,
                        .ept_vpid   = 0x00000f01'06334141,
                        .cr0_fixed0 = 0x80000021,
                        .cr0_fixed1 = 0xffffffff,
                        .cr4_fixed0 = 0x2000,
                        .cr4_fixed1 = 0x1767ff};
constexpr unsigned kPhysicalBits = 39;

constexpr Field rights(Segment_row row) { return nth(Field::guest_es_rights, row); }
constexpr Field limit(Segment_row row) { return nth(Field::guest_es_limit, row); }
constexpr Field base(Segment_row row) { return nth(Field::guest_es_base, row); }
constexpr Field selector(Segment_row row) { return nth(Field::guest_es, row); }

// A kernel in long mode.
void set_good()
{
    const Controls chosen = choose_controls(kCpu);
    vmcs                  = {{Field::pin_controls, chosen.pin},
                             {Field::cpu_controls, chosen.cpu},
                             {Field::cpu_controls_2, chosen.cpu_2},
                             {Field::exit_controls, chosen.exit},
                             {Field::entry_controls, chosen.entry | entry_control::long_mode},
                             {Field::vpid, 1},
                             {Field::io_bitmap_a, 0x10000},
                             {Field::io_bitmap_b, 0x11000},
                             {Field::msr_bitmap, 0x12000},
                             {Field::virtual_apic, 0x13000},
                             {Field::eptp, 0x1405e},
                             {Field::link_pointer, ~0ull},
                             {Field::guest_pat, kPatAtReset},
                             {Field::guest_efer, efer::lme | efer::lma | efer::nxe},
                             {Field::host_pat, kPatAtReset},
                             {Field::host_efer, efer::lme | efer::lma | efer::nxe},
                             {Field::host_cr0, 0x80010033},
                             {Field::host_cr3, 0x200000},
                             {Field::host_cr4, 0x2020},
                             {Field::host_cs, 8},
                             {Field::host_tr, 0x18},
                             {Field::host_rip, 0xffffffff80001000},
                             {Field::guest_cr0, 0x80010033},
                             {Field::guest_cr3, 0x300000},
                             {Field::guest_cr4, 0x2020},
                             {Field::guest_dr7, 0x400},
                             {Field::guest_rip, 0xffffffff81000000},
                             {Field::guest_rflags, 0x202},
                             {rights(cs), 0xa09b},
                             {rights(ss), 0xc093},
                             {rights(ds), 0xc093},
                             {rights(es), kUnusable},
                             {rights(fs), kUnusable},
                             {rights(gs), kUnusable},
                             {rights(ldtr), kUnusable},
                             {rights(tr), 0x8b}};
    for (const Segment_row row : {cs, ss, ds})
        vmcs[limit(row)] = 0xffffffff;
    vmcs[limit(tr)] = 0x67;
    for (const Field zero : {Field::cr3_targets,
                             Field::exit_msr_stores,
                             Field::exit_msr_loads,
                             Field::entry_msr_loads,
                             Field::tpr_threshold,
                             Field::entry_event,
                             Field::entry_error_code,
                             Field::guest_debugctl,
                             Field::guest_sysenter_esp,
                             Field::guest_sysenter_eip,
                             Field::guest_gdtr_base,
                             Field::guest_gdtr_limit,
                             Field::guest_idtr_base,
                             Field::guest_idtr_limit,
                             Field::interruptibility,
                             Field::activity,
                             Field::pending_debug,
                             Field::host_ss,
                             Field::host_ds,
                             Field::host_es,
                             Field::host_fs,
                             Field::host_gs,
                             Field::host_fs_base,
                             Field::host_gs_base,
                             Field::host_tr_base,
                             Field::host_gdtr_base,
                             Field::host_idtr_base,
                             Field::host_sysenter_esp,
                             Field::host_sysenter_eip})
        vmcs[zero] = 0;
    for (const Segment_row row : {es, cs, ss, ds, fs, gs, ldtr, tr}) {
        vmcs.insert({selector(row), 0});
        vmcs.insert({base(row), 0});
        vmcs.insert({limit(row), 0});
    }
    for (unsigned i = 0; i < 4; ++i)
        vmcs[nth(Field::guest_pdpte0, i)] = 0;
}

// Real mode at the reset vector's segment, and virtual-8086 mode.
void set_real_mode()
{
    set_good();
    vmcs[Field::entry_controls] &= ~u64{entry_control::long_mode};
    vmcs[Field::guest_efer]   = 0;
    vmcs[Field::guest_cr0]    = 0x30;
    vmcs[Field::guest_cr4]    = 0x2000;
    vmcs[Field::guest_rip]    = 0xfff0;
    vmcs[Field::guest_rflags] = 2;
    for (const Segment_row row : {es, cs, ss, ds, fs, gs}) {
        vmcs[rights(row)] = 0x93;
        vmcs[limit(row)]  = 0xffff;
    }
    vmcs[base(cs)] = 0xffff0000;
}
void set_v86()
{
    set_real_mode();
    vmcs[Field::guest_cr0]    = 0x31;
    vmcs[Field::guest_rflags] = rflags::vm | 2;
    for (const Segment_row row : {es, cs, ss, ds, fs, gs}) {
        vmcs[rights(row)]   = 0xf3;
        vmcs[selector(row)] = 0x1234;
        vmcs[base(row)]     = 0x12340;
    }
}
// A 32-bit kernel with PAE paging.
void set_pae()
{
    set_good();
    vmcs[Field::entry_controls] &= ~u64{entry_control::long_mode};
    vmcs[Field::guest_efer]   = 0;
    vmcs[Field::guest_rip]    = 0xc0100000;
    vmcs[rights(cs)]          = 0xc09b;
    vmcs[Field::guest_pdpte0] = 0x400001;
}

// A single step behind a load of SS.
void set_step_in_shadow()
{
    set_good();
    vmcs[Field::guest_rflags]     = rflags::tf | 2;
    vmcs[Field::interruptibility] = 2;
    vmcs[Field::pending_debug]    = 0x4000;
}

std::optional<Entry_fault> judge(u8 virtual_tpr = 0)
{
    return find_entry_fault(read_vmcs, {kCpu, kPhysicalBits, virtual_tpr});
}

struct Wrong {
    Field field;
    u64 value;
    const char* owner;
    const char* name;
    const char* rule; // a piece of it
};

void check_each(void (*set)(), std::initializer_list<Wrong> all)
{
    for (const Wrong& wrong : all) {
        set();
        REQUIRE_FALSE(judge());
        vmcs[wrong.field] = wrong.value;
        INFO(wrong.owner << ' ' << wrong.name << ": " << wrong.rule << ", " << std::hex << wrong.value);
        const auto fault = judge();
        REQUIRE(fault);
        CHECK(fault->owner == wrong.owner);
        CHECK(fault->field == wrong.name);
        CHECK(fault->value == wrong.value);
        CHECK(std::string(fault->rule).find(wrong.rule) != std::string::npos);
    }
}

constexpr u64 kNotCanonical = 0x0000800000000000;
constexpr u64 kTooWide      = bit(kPhysicalBits);

} // namespace

TEST_CASE("vmx entry: states that a CPU enters break no rule")
{
    for (const auto set : {set_good, set_real_mode, set_v86, set_pae}) {
        set();
        const auto fault = judge();
        INFO((fault ? std::string(fault->owner) + " " + std::string(fault->field) : ""));
        CHECK_FALSE(fault);
    }
}

TEST_CASE("vmx entry: controls")
{
    set_good();
    const u64 pin = vmcs[Field::pin_controls], cpu = vmcs[Field::cpu_controls],
              cpu_2 = vmcs[Field::cpu_controls_2];
    check_each(
        set_good,
        {{Field::pin_controls, pin | bit(7), "control", "pin-based controls", "capability"},
         {Field::pin_controls, pin & ~bit(1), "control", "pin-based controls", "capability"},
         {Field::cpu_controls, 0, "control", "primary processor-based controls", "capability"},
         {Field::cpu_controls_2, cpu_2 | bit(25), "control", "secondary processor-based controls",
          "capability"},
         {Field::exit_controls, 0, "control", "VM-exit controls", "capability"},
         {Field::entry_controls, 0, "control", "VM-entry controls", "capability"},
         {Field::cr3_targets, 5, "control", "CR3-target count", "CPU has"},
         {Field::pin_controls, pin & ~u64{pin::nmis}, "control", "pin-based controls", "NMI exiting"},
         {Field::cpu_controls_2, cpu_2 & ~u64{cpu_control_2::ept}, "control",
          "secondary processor-based controls", "EPT"},
         {Field::pin_controls, pin & ~u64{pin::preemption_timer}, "control", "pin-based controls", "timer"},
         {Field::exit_msr_loads, 1, "control", "MSR list", "empty"},
         {Field::io_bitmap_a, 0x10001, "control", "address of I/O bitmap A", "page"},
         {Field::io_bitmap_b, kTooWide, "control", "address of I/O bitmap B", "page"},
         {Field::msr_bitmap, 8, "control", "address of the MSR bitmap", "page"},
         {Field::virtual_apic, 0x13800, "control", "virtual-APIC address", "page"},
         {Field::tpr_threshold, 1, "control", "TPR threshold", "virtual TPR"},
         {Field::vpid, 0, "control", "VPID", "host"},
         {Field::eptp, 0x14058, "control", "EPT pointer", "write-back"},
         {Field::eptp, 0x14066, "control", "EPT pointer", "four levels"},
         {Field::eptp, 0x140de, "control", "EPT pointer", "does not have"},
         {Field::eptp, kTooWide | 0x1405e, "control", "EPT pointer", "does not have"}});
    set_good();
    vmcs[Field::pin_controls] = pin & ~u64{pin::virtual_nmis};
    vmcs[Field::cpu_controls] = cpu | cpu_control::nmi_window;
    REQUIRE(judge());
    CHECK(judge()->field == "primary processor-based controls");
}

TEST_CASE("vmx entry: the TPR threshold is at most the class of the virtual TPR")
{
    set_good();
    vmcs[Field::tpr_threshold] = 5;
    CHECK_FALSE(judge(0x50));
    CHECK(judge(0x40)->field == "TPR threshold");
}

TEST_CASE("vmx entry: a CPU that delivers interrupts looks at no threshold")
{
    set_good();
    Capabilities server = kCpu;
    server.cpu_2.may |= kVirtualApic;
    vmcs[Field::cpu_controls_2] |= kVirtualApic;
    vmcs[Field::tpr_threshold] = 5;
    CHECK_FALSE(find_entry_fault(read_vmcs, {server, kPhysicalBits, 0}));
    server.cpu.must &= ~cpu_control::tpr_shadow;
    vmcs[Field::cpu_controls] &= ~u64{cpu_control::tpr_shadow};
    const auto fault = find_entry_fault(read_vmcs, {server, kPhysicalBits, 0});
    REQUIRE(fault);
    CHECK(fault->rule == "a virtual APIC needs the TPR shadow");
}

TEST_CASE("vmx entry: injected events")
{
    constexpr const char* kName = "VM-entry interruption information";
    check_each(set_good, {{Field::entry_event, 0x80000130, "control", kName, "type 1"},
                          {Field::entry_event, 0x80000203, "control", kName, "vector 2"},
                          {Field::entry_event, 0x80000320, "control", kName, "below 32"},
                          {Field::entry_event, 0x80001030, "control", kName, "30:12"},
                          {Field::entry_event, 0x80000b06, "control", kName, "no error code"}});
    set_good();
    vmcs[Field::entry_event] = 0x80000030; // interrupt 0x30
    CHECK_FALSE(judge());
    vmcs[Field::guest_rflags] = 2;
    CHECK(judge()->field == "RFLAGS");
    vmcs[Field::guest_rflags]     = 0x202;
    vmcs[Field::interruptibility] = blocking::sti;
    CHECK(judge()->field == "interruptibility");
    vmcs[Field::interruptibility] = blocking::nmi;
    CHECK_FALSE(judge());
    vmcs[Field::entry_event] = 0x80000202;
    CHECK(judge()->rule == "no NMI is injected while NMIs are blocked");

    set_good();
    vmcs[Field::entry_event] = 0x80000b0d; // #GP with its error code
    CHECK_FALSE(judge());
    vmcs[Field::entry_error_code] = 0x10000;
    CHECK(judge()->field == "VM-entry exception error code");
    set_real_mode();
    vmcs[Field::entry_event] = 0x80000b0d;
    CHECK(judge()->rule == "without protection there are no error codes");
}

TEST_CASE("vmx entry: host state")
{
    check_each(set_good, {{Field::host_cr0, 0x33, "host", "CR0", "fixes"},
                          {Field::host_cr4, 0x20, "host", "CR4", "fixes"},
                          {Field::host_cr4, 0x2000, "host", "CR4", "PAE"},
                          {Field::host_cr3, kTooWide, "host", "CR3", "physical"},
                          {Field::host_sysenter_esp, kNotCanonical, "host", "IA32_SYSENTER_ESP", "canonical"},
                          {Field::host_sysenter_eip, kNotCanonical, "host", "IA32_SYSENTER_EIP", "canonical"},
                          {Field::host_pat, 0x02, "host", "IA32_PAT", "memory type"},
                          {Field::host_efer, efer::lme, "host", "IA32_EFER", "LMA"},
                          {Field::host_rip, kNotCanonical, "host", "RIP", "canonical"},
                          {Field::host_cs, 0, "host", "CS selector", "null"},
                          {Field::host_cs, 11, "host", "CS selector", "ring 0"},
                          {Field::host_tr, 0, "host", "TR selector", "null"},
                          {Field::host_tr, 0x1c, "host", "TR selector", "GDT"},
                          {Field::host_fs_base, kNotCanonical, "host", "FS base", "canonical"},
                          {Field::host_tr_base, kNotCanonical, "host", "TR base", "canonical"},
                          {Field::host_gdtr_base, kNotCanonical, "host", "GDTR base", "canonical"},
                          {Field::host_idtr_base, kNotCanonical, "host", "IDTR base", "canonical"}});
}

TEST_CASE("vmx entry: the guest's registers")
{
    check_each(set_good,
               {{Field::guest_cr0, 0x80010013, "guest", "CR0", "fixes"},
                {Field::guest_cr0, 0x180010033, "guest", "CR0", "fixes"},
                {Field::guest_cr0, 0x80010032, "guest", "CR0", "PG needs PE"},
                {Field::guest_cr0, 0x10033, "guest", "CR0", "needs PG"},
                {Field::guest_cr4, 0x20, "guest", "CR4", "fixes"},
                {Field::guest_cr4, 0x402020, "guest", "CR4", "fixes"},
                {Field::guest_cr4, 0x2000, "guest", "CR4", "needs PAE"},
                {Field::guest_cr3, kTooWide, "guest", "CR3", "physical"},
                {Field::guest_debugctl, 4, "guest", "IA32_DEBUGCTL", "no CPU"},
                {Field::guest_dr7, bit(32), "guest", "DR7", "63:32"},
                {Field::guest_sysenter_esp, kNotCanonical, "guest", "IA32_SYSENTER_ESP", "canonical"},
                {Field::guest_sysenter_eip, kNotCanonical, "guest", "IA32_SYSENTER_EIP", "canonical"},
                {Field::guest_pat, 0x0300, "guest", "IA32_PAT", "memory type"},
                {Field::guest_efer, efer::lme, "guest", "IA32_EFER", "LMA"},
                {Field::guest_efer, efer::lma, "guest", "IA32_EFER", "the same"},
                {Field::guest_efer, efer::lme | efer::lma | bit(12), "guest", "IA32_EFER", "no CPU"},
                {Field::guest_gdtr_base, kNotCanonical, "guest GDTR", "base", "canonical"},
                {Field::guest_idtr_limit, 0x10000, "guest IDTR", "limit", "31:16"},
                {Field::guest_rip, kNotCanonical, "guest", "RIP", "canonical"},
                {Field::guest_rflags, 0x200, "guest", "RFLAGS", "bit 1"},
                {Field::guest_rflags, 0x8202, "guest", "RFLAGS", "reserved"},
                {Field::activity, 1, "guest", "activity state", "active"},
                {Field::interruptibility, 0x20, "guest", "interruptibility", "31:4"},
                {Field::interruptibility, 3, "guest", "interruptibility", "both"},
                {Field::pending_debug, 0x20, "guest", "pending debug exceptions", "reserved"},
                {Field::link_pointer, 0, "guest", "VMCS link pointer", "all ones"}});
    check_each(set_real_mode, {{Field::guest_rip, bit(32), "guest", "RIP", "63:32"},
                               {Field::guest_cr4, 0x22000, "guest", "CR4", "PCIDE"},
                               {Field::interruptibility, 1, "guest", "interruptibility", "IF"}});
    check_each(set_step_in_shadow, {{Field::pending_debug, 0, "guest", "pending debug exceptions", "step"}});
    check_each(set_pae, {{nth(Field::guest_pdpte0, 3), 0x7, "guest", "PDPTE3", "reserved"},
                         {Field::guest_pdpte0, kTooWide | 1, "guest", "PDPTE0", "reserved"}});
}

TEST_CASE("vmx entry: the guest's segments")
{
    check_each(set_good, {{rights(cs), 0xa0b3, "guest CS", "access rights", "as data"},
                          {rights(cs), 0xa097, "guest CS", "access rights", "accessed code"},
                          {rights(cs), 0xa09a, "guest CS", "access rights", "accessed code"},
                          {rights(cs), 0xa0fb, "guest CS", "access rights", "that of SS"},
                          {rights(cs), 0xa0ff, "guest CS", "access rights", "above"},
                          {rights(cs), 0xe09b, "guest CS", "access rights", "L and D/B"},
                          {rights(cs), 0xa08b, "guest CS", "access rights", "S has to be 1"},
                          {rights(cs), 0xa01b, "guest CS", "access rights", "P has to be 1"},
                          {rights(cs), 0xa19b, "guest CS", "access rights", "reserved"},
                          {rights(cs), 0x209b, "guest CS", "access rights", "G has to fit"},
                          {base(cs), bit(32), "guest CS", "base", "63:32"},
                          {rights(ss), 0xc091, "guest SS", "access rights", "writable"},
                          {rights(ds), 0xc092, "guest DS", "access rights", "accessed"},
                          {rights(es), 0xc099, "guest ES", "access rights", "readable"},
                          {base(ds), bit(40), "guest DS", "base", "63:32"},
                          {base(gs), kNotCanonical, "guest GS", "base", "canonical"},
                          {selector(tr), 4, "guest TR", "selector", "GDT"},
                          {base(tr), kNotCanonical, "guest TR", "base", "canonical"},
                          {rights(tr), kUnusable, "guest TR", "access rights", "unusable"},
                          {rights(tr), 0x83, "guest TR", "access rights", "busy TSS"},
                          {rights(tr), 0x9b, "guest TR", "access rights", "S has to be 0"},
                          {rights(tr), 0x0b, "guest TR", "access rights", "P has to be 1"},
                          {rights(ldtr), 0x83, "guest LDTR", "access rights", "LDT"},
                          {rights(ldtr), 0x92, "guest LDTR", "access rights", "S has to be 0"}});
    check_each(set_real_mode, {{rights(ss), 0xb3, "guest SS", "access rights", "DPL has to be 0"}});
    check_each(set_v86, {{base(cs), 0xffff0000, "guest CS", "base", "16 times"},
                         {limit(fs), 0xfffff, "guest FS", "limit", "0xffff"},
                         {rights(ss), 0x93, "guest SS", "access rights", "0xf3"}});
    set_good();
    vmcs[limit(cs)] = 0xfffff000;
    CHECK(judge()->rule == "G has to fit the limit");
    set_good();
    vmcs[Field::guest_rflags] |= rflags::vm;
    CHECK(judge());
}

TEST_CASE("vmx entry: CPUs with five levels of paging have wider addresses")
{
    set_good();
    vmcs[Field::guest_rip] = 0x0000800000000000;
    Capabilities wide      = kCpu;
    wide.cr4_fixed1 |= cr4::la57;
    CHECK_FALSE(find_entry_fault(read_vmcs, {wide, kPhysicalBits, 0}));
}

TEST_CASE("vmx entry: what the CPU says itself, in words")
{
    CHECK(instruction_error_words(7) == "a control field is invalid");
    CHECK(instruction_error_words(8) == "a host-state field is invalid");
    CHECK(entry_exit_words(0x80000021, 0) == "the guest's state is invalid");
    CHECK(entry_exit_words(0x80000021, 4) == "the VMCS link pointer is invalid");
    CHECK(entry_exit_words(0x80000022, 1) == "an MSR of the entry's load list cannot be loaded");
    CHECK(entry_exit_words(0x80000029, 0) == "a machine check came while it was loaded");
}
