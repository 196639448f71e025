// SPDX-License-Identifier: Apache-2.0
//
// The virtual-APIC page, and which MSRs a guest reaches without an exit.
#include "arch/x86/decode/vmx_apic.hpp"

#include "arch/x86/regs/local_apic.hpp"

#include <catch2/catch.hpp>

#include <set>
#include <vector>

using namespace vmm;
using namespace vmm::vmx;

namespace
{

using Page = std::vector<u8>;

std::set<u32> reached(const Page& page, bool write)
{
    std::set<u32> all;
    for (u32 i = 0; i < 0x4000; ++i) {
        const u32 index = i < 0x2000 ? i : 0xc0000000 + i - 0x2000;
        const u32 at    = (write ? 0x800 : 0) + i / 8;
        if (!(page[at] >> (i % 8) & 1))
            all.insert(index);
    }
    return all;
}

} // namespace

TEST_CASE("vmx: MSRs without an exit are those that nobody else has to know of")
{
    const std::set<u32> switched = {0x174,      0x175,      0x176,      0xc0000081, 0xc0000082,
                                    0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102};
    Page page(kPageSize, 0);
    make_msr_bitmap(page.data(), false, false);
    CHECK(reached(page, false) == switched);
    CHECK(reached(page, true) == switched);

    make_msr_bitmap(page.data(), false, true);
    auto speculation = switched;
    speculation.insert({0x48, 0x49});
    CHECK(reached(page, false) == speculation);
    CHECK(reached(page, true) == speculation);

    make_msr_bitmap(page.data(), true, false);
    auto reads = switched, writes = switched;
    reads.insert({0x808, 0x80a});
    for (u32 index = 0x810; index < 0x828; ++index)
        reads.insert(index);
    writes.insert({0x808, 0x80b, 0x83f});
    CHECK(reached(page, false) == reads);
    CHECK(reached(page, true) == writes);
}

TEST_CASE("vmx: the virtual-APIC page has its registers where the CPU looks for them")
{
    std::vector<u32> memory(kPageSize / sizeof(u32), 0);
    const Apic_page page(memory.data());
    CHECK(page.interrupt_status() == 0);
    Vectors requested{};
    requested[0] = 1ull << 0x31;
    page.set_vectors(apic::reg_irr, requested);
    CHECK(memory[0x210 / 4] == 1u << 0x11);
    CHECK(page.interrupt_status() == 0x0031);
    Vectors more{};
    more[3] = 1ull << 63; // 0xff
    page.add_vectors(apic::reg_irr, more);
    CHECK(page.interrupt_status() == 0x00ff);
    CHECK(page.vectors(apic::reg_irr) == Vectors{requested[0], 0, 0, more[3]});
    page.set_vectors(apic::reg_isr, more);
    CHECK(memory[0x170 / 4] == 1u << 31);
    CHECK(page.interrupt_status() == 0xffff);
    page[apic::reg_tpr] = 0x45;
    CHECK(memory[0x80 / 4] == 0x45);
}

TEST_CASE("the highest of a set of vectors")
{
    CHECK(highest(Vectors{}) == -1);
    CHECK(highest(Vectors{1}) == 0);
    CHECK(highest(Vectors{1, 0, 0, 1ull << 63}) == 255);
    CHECK(highest(Vectors{0, 3}) == 65);
}
