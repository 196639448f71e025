// SPDX-License-Identifier: Apache-2.0
#include "toolstack/build/vcpu_state.hpp"

#include "toolstack/build/byte_view.hpp"

#include <xen/hvm/save.h>
#include <xen/xen.h>

#include <catch2/catch.hpp>

#include <cstring>
#include <map>

using namespace vmm;

namespace
{

template <class T>
void add(std::vector<std::byte>& records, std::uint16_t type, std::uint16_t instance, const T& body,
         std::size_t size)
{
    const hvm_save_descriptor descriptor{type, instance, static_cast<std::uint32_t>(size)};
    const auto* head = reinterpret_cast<const std::byte*>(&descriptor);
    records.insert(records.end(), head, head + sizeof descriptor);
    const auto* bytes = reinterpret_cast<const std::byte*>(&body);
    records.insert(records.end(), bytes, bytes + size);
}

std::vector<std::byte> from_hypervisor(unsigned vcpus)
{
    std::vector<std::byte> records;
    hvm_save_header header{HVM_FILE_MAGIC, HVM_FILE_VERSION, 77, 0x800f12, 2'000'000};
    add(records, HVM_SAVE_CODE(HEADER), 0, header, sizeof header);
    for (std::uint16_t vcpu = 0; vcpu < vcpus; ++vcpu) {
        hvm_hw_cpu cpu{};
        cpu.rip = 0xfff0;
        add(records, HVM_SAVE_CODE(CPU), vcpu, cpu, sizeof cpu);
        hvm_hw_lapic apic{};
        apic.apic_base_msr = 0xfee00000 | (vcpu == 0 ? 0x100 : 0);
        add(records, HVM_SAVE_CODE(LAPIC), vcpu, apic, sizeof apic);
        hvm_hw_lapic_regs registers{};
        registers.data[0xf0] = 0xff;
        add(records, HVM_SAVE_CODE(LAPIC_REGS), vcpu, registers, sizeof registers);
        hvm_hw_mtrr mtrr{};
        add(records, HVM_SAVE_CODE(MTRR), vcpu, mtrr, sizeof mtrr);
        const std::uint64_t other = 5;
        add(records, 20, vcpu, other, sizeof other);
    }
    add(records, HVM_SAVE_CODE(END), 0, hvm_save_end{}, 0);
    return records;
}

std::map<std::pair<unsigned, unsigned>, Byte_view> index(Byte_view records)
{
    std::map<std::pair<unsigned, unsigned>, Byte_view> found;
    std::size_t at = 0;
    while (const auto descriptor = read_at<hvm_save_descriptor>(records, at)) {
        const auto body = slice(records, at + sizeof *descriptor, descriptor->length);
        REQUIRE(body);
        found[{descriptor->typecode, descriptor->instance}] = *body;
        at += sizeof *descriptor + descriptor->length;
    }
    CHECK(at == records.size());
    return found;
}

} // namespace

TEST_CASE("vCPU 0 starts at the entry in flat protected mode; the others wait")
{
    const auto records = make_start_records(from_hypervisor(3), {0x1000040, 0x5000000});
    REQUIRE(records);
    const auto found = index(*records);
    CHECK(read_at<hvm_save_header>(found.at({HVM_SAVE_CODE(HEADER), 0}), 0)->changeset == 77);
    const auto cpu = *read_at<hvm_hw_cpu>(found.at({HVM_SAVE_CODE(CPU), 0}), 0);
    CHECK(cpu.rip == 0x1000040);
    CHECK(cpu.rbx == 0x5000000);
    CHECK(cpu.cr0 == 0x11);
    CHECK(cpu.cr3 == 0);
    CHECK(cpu.cr4 == 0);
    CHECK(cpu.msr_efer == 0);
    CHECK(cpu.rflags == 2);
    CHECK(cpu.cs_arbytes == 0xc9b);
    CHECK(cpu.ss_arbytes == 0xc93);
    CHECK(cpu.cs_limit == 0xffffffff);
    CHECK(cpu.tr_limit == 0x67);
    CHECK_FALSE(found.contains({HVM_SAVE_CODE(CPU), 1}));
    CHECK(found.contains({HVM_SAVE_CODE(END), 0}));
    CHECK_FALSE(found.contains({20, 0}));
}

TEST_CASE("every local APIC is in x2APIC mode with the id that the MADT gives it")
{
    const auto records = make_start_records(from_hypervisor(20), {0x1000000, 0x5000000});
    REQUIRE(records);
    const auto found = index(*records);
    for (unsigned vcpu = 0; vcpu < 20; ++vcpu) {
        const auto apic = *read_at<hvm_hw_lapic>(found.at({HVM_SAVE_CODE(LAPIC), vcpu}), 0);
        CHECK(apic.apic_base_msr == (0xfee00c00 | (vcpu == 0 ? 0x100U : 0)));
        const Byte_view registers = found.at({HVM_SAVE_CODE(LAPIC_REGS), vcpu});
        CHECK(read_at<std::uint32_t>(registers, 0x20) == 2 * vcpu);
        CHECK(read_at<std::uint32_t>(registers, 0xd0) == ((2 * vcpu >> 4) << 16 | 1U << (2 * vcpu & 15)));
        CHECK(read_at<std::uint8_t>(registers, 0xf0) == 0xff);
        CHECK(read_at<hvm_hw_mtrr>(found.at({HVM_SAVE_CODE(MTRR), vcpu}), 0)->msr_mtrr_def_type == 0x806);
    }
}

TEST_CASE("records that are cut off or no records at all are handled")
{
    const auto whole = from_hypervisor(1);
    CHECK_FALSE(make_start_records({}, {1, 2}));
    for (std::size_t length = 0; length < whole.size(); length += 7) {
        const auto records = make_start_records(std::span(whole).first(length), {1, 2});
        if (records) {
            CHECK(index(*records).contains({HVM_SAVE_CODE(CPU), 0}));
        } else {
            CHECK(length < sizeof(hvm_save_descriptor) + sizeof(hvm_save_header));
        }
    }
}
