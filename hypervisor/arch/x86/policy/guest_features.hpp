// SPDX-License-Identifier: Apache-2.0
//
// Which CPUID features of the machine guests are shown, of whichever vendor: data for exit/cpu_policy, in
// numbers of the featureset. [xen/include/public/arch-x86/cpufeatureset.h]
#pragma once

#include <xen/arch-x86/cpufeatureset.h>

namespace vmm
{

#define F(name) XEN_X86_FEATURE_##name

// Of leaves 1 and 0x80000001: what is not virtualised.
inline constexpr unsigned kHiddenFeatures[] = {
    F(DTES64), F(MONITOR), F(DSCPL), F(VMX), F(SMX), F(EIST), F(TM2), F(XTPR), F(PDCM), F(DCA),
    F(TSC_DEADLINE), F(OSXSAVE), F(DS), F(ACPI), F(SS), F(HTT), F(TM1), F(PBE), F(SVM), F(OSVW), F(IBS),
    F(SKINIT), F(WDT), F(LWP), F(NODEID_MSR), F(TOPOEXT), F(DBEXT), F(MONITORX),
    // Without a name there: L1 context id, silicon debug; PSN; core and northbridge counters, PerfTsc, L2
    // counters.
    32 + 10, 32 + 11, 18, 96 + 23, 96 + 24, 96 + 27, 96 + 28};

// Of the later leaves: what needs nothing from a hypervisor but the state that XSAVE moves.
inline constexpr unsigned kShownFeatures[] = {
    F(XSAVEOPT),      F(XGETBV1),       F(FSGSBASE), F(BMI1),          F(AVX2),
    F(SMEP),          F(BMI2),          F(ERMS),     F(INVPCID),       F(AVX512F),
    F(AVX512DQ),      F(RDSEED),        F(ADX),      F(SMAP),          F(AVX512_IFMA),
    F(CLFLUSHOPT),    F(CLWB),          F(AVX512PF), F(AVX512ER),      F(AVX512CD),
    F(SHA),           F(AVX512BW),      F(AVX512VL), F(AVX512_VBMI),   F(UMIP),
    F(PKU),           F(AVX512_VBMI2),  F(GFNI),     F(VAES),          F(VPCLMULQDQ),
    F(AVX512_VNNI),   F(AVX512_BITALG), F(RDPID),    F(AVX512_4VNNIW), F(AVX512_VPOPCNTDQ),
    F(AVX512_4FMAPS), F(FSRM),          F(CLZERO),   F(ITSC),          F(AVX512_VP2INTERSECT)};

// What has to do with speculation and needs one of the MSRs of guest_speculation.hpp ...
inline constexpr unsigned kSpeculationFeatures[] = {
    F(IBRSB),       F(STIBP),        F(SSBD),        F(L1D_FLUSH),      F(ARCH_CAPS), F(INTEL_PSFD),
    F(IPRED_CTRL),  F(RRSBA_CTRL),   F(BHI_CTRL),    F(IBPB),           F(IBRS),      F(AMD_STIBP),
    F(IBRS_ALWAYS), F(STIBP_ALWAYS), F(IBRS_FAST),   F(IBRS_SAME_MODE), F(AMD_SSBD),  F(PSFD),
    F(IBPB_RET),    F(SBPB),         F(IBPB_BRTYPE), 13 * 32 + 3 /* DDPD_U */};
// ... and what tells guests of this CPU's character, needs only VERW, or a bit of EFER.
inline constexpr unsigned kCharacterFeatures[] = {
    F(MD_CLEAR), F(VERW_CLEAR), F(SSB_NO),  F(BTC_NO),    F(LFENCE_DISPATCH), F(NSCB),
    F(SRSO_NO),  F(SRSO_US_NO), F(MCDT_NO), F(TSA_SQ_NO), F(TSA_L1_NO),       F(AUTO_IBRS)};

#undef F

} // namespace vmm
