// SPDX-License-Identifier: Apache-2.0
#include "toolstack/save/saved_domain.hpp"

#include <algorithm>
#include <cctype>
#include <string_view>

#include <xen/arch-x86/cpufeatureset.h>

namespace vmm::save
{

namespace
{

struct Feature {
    std::string_view name;
    unsigned bit;
};

// All names that Xen's public header has.
constexpr Feature kFeatures[] = {
#define XEN_CPUFEATURE(name, bit) {#name, bit},
#include <xen/arch-x86/cpufeatureset.h>
#undef XEN_CPUFEATURE
};

// No guest depends on the host having these: they are of the machine itself, are kept from guests, or are
// emulated whatever the processor has.
constexpr unsigned kNotOfGuests[] = {
    XEN_X86_FEATURE_DS,         XEN_X86_FEATURE_TM1,        XEN_X86_FEATURE_HTT,
    XEN_X86_FEATURE_PBE,        XEN_X86_FEATURE_DTES64,     XEN_X86_FEATURE_MONITOR,
    XEN_X86_FEATURE_DSCPL,      XEN_X86_FEATURE_VMX,        XEN_X86_FEATURE_SMX,
    XEN_X86_FEATURE_EIST,       XEN_X86_FEATURE_TM2,        XEN_X86_FEATURE_XTPR,
    XEN_X86_FEATURE_PDCM,       XEN_X86_FEATURE_DCA,        XEN_X86_FEATURE_X2APIC,
    XEN_X86_FEATURE_OSXSAVE,    XEN_X86_FEATURE_HYPERVISOR, XEN_X86_FEATURE_CMP_LEGACY,
    XEN_X86_FEATURE_SVM,        XEN_X86_FEATURE_EXTAPIC,    XEN_X86_FEATURE_OSVW,
    XEN_X86_FEATURE_IBS,        XEN_X86_FEATURE_SKINIT,     XEN_X86_FEATURE_WDT,
    XEN_X86_FEATURE_LWP,        XEN_X86_FEATURE_NODEID_MSR, XEN_X86_FEATURE_TOPOEXT,
    XEN_X86_FEATURE_MONITORX,   XEN_X86_FEATURE_SGX,        XEN_X86_FEATURE_PQM,
    XEN_X86_FEATURE_PQE,        XEN_X86_FEATURE_PROC_TRACE, XEN_X86_FEATURE_FDP_EXCP_ONLY,
    XEN_X86_FEATURE_NO_FPU_SEL, XEN_X86_FEATURE_OSPKE,      XEN_X86_FEATURE_CET_SS,
    XEN_X86_FEATURE_ENQCMD,     XEN_X86_FEATURE_HW_PSTATE,  XEN_X86_FEATURE_CPB,
    XEN_X86_FEATURE_EFRO,
};

bool has(std::span<const std::uint32_t> words, unsigned bit)
{
    return bit / 32 < words.size() && (words[bit / 32] >> bit % 32 & 1) != 0;
}

std::string lower(std::string_view name)
{
    std::string text(name);
    std::ranges::transform(text, text.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

} // namespace

std::vector<std::string> missing_features(std::span<const std::uint32_t> saved,
                                          std::span<const std::uint32_t> here)
{
    std::vector<std::string> missing;
    for (const Feature& feature : kFeatures) {
        if (has(saved, feature.bit) && !has(here, feature.bit) &&
            std::ranges::find(kNotOfGuests, feature.bit) == std::end(kNotOfGuests)) {
            missing.push_back(lower(feature.name));
        }
    }
    return missing;
}

} // namespace vmm::save
