// SPDX-License-Identifier: Apache-2.0
//
// XENVER_*: what the hypervisor is and which features of the ABI it has. [xen/include/public/version.h]
#include "base/bits.hpp"
#include "boot/boot_state.hpp"
#include "domain/domain.hpp"
#include "domain/vcpu.hpp"
#include "exit/cpuid_policy.hpp"
#include "hypercall/argument.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

#include <xen/features.h>
#include <xen/version.h>

namespace vmm
{
namespace
{

// The string in a fixed field, cut if need be, always terminated.
template <std::size_t N>
void put_text(char (&to)[N], std::string_view text)
{
    const auto count = std::min(text.size(), N - 1);
    std::memcpy(to, text.data(), count);
    to[count] = '\0';
}

template <std::size_t N>
Hypercall_result answer_text(Vcpu& vcpu, Gva arg, std::string_view text)
{
    char buffer[N] = {};
    put_text(buffer, text);
    TRY(copy_to_guest(vcpu, arg, buffer, sizeof buffer));
    return 0;
}

Hypercall_result compile_info(Vcpu& vcpu, Gva arg)
{
    xen_compile_info info{};
    put_text(info.compiler, "g++ " __VERSION__);
    put_text(info.compile_by, "plinth");
    TRY(write_guest(vcpu, arg, info));
    return 0;
}

Expected<void> features(Vcpu& vcpu, xen_feature_info& info)
{
    if (info.submap_idx != 0)
        return fail(Errc::einval);
    u64 map = bit(XENFEAT_writable_page_tables) | bit(XENFEAT_auto_translated_physmap) |
              bit(XENFEAT_memory_op_vnode_supported) | bit(XENFEAT_hvm_callback_vector) |
              bit(XENFEAT_hvm_safe_pvclock);
    if (vcpu.domain().is_control())
        map |= bit(XENFEAT_dom0);
    map |= vcpu.domain().is_identity_mapped() ? bit(XENFEAT_direct_mapped) : bit(XENFEAT_not_direct_mapped);
    info.submap = static_cast<u32>(map);
    return {};
}

// With a buffer too small for it -ENOBUFS, without one the size that is needed.
Hypercall_result build_id(Vcpu& vcpu, Gva arg)
{
    constexpr std::string_view id = PLINTH_REVISION;
    if (!vcpu.domain().is_control())
        return fail(Errc::eperm);
    if (arg.value() == 0)
        return id.size();
    const auto header = TRY(read_guest<xen_build_id>(vcpu, arg));
    if (header.len == 0)
        return fail(Errc::einval);
    if (header.len < id.size())
        return fail(Errc::enobufs);
    TRY(copy_to_guest(vcpu, arg + offsetof(xen_build_id, buf), id.data(), id.size()));
    return id.size();
}

[[gnu::noinline]] Hypercall_result more_than_the_version(Vcpu& vcpu, const Hypercall_args& args)
{
    const Gva arg(args.a[1]);
    const bool control = vcpu.domain().is_control();
    switch (args.a[0]) {
    case XENVER_extraversion: return answer_text<sizeof(xen_extraversion_t)>(vcpu, arg, "-plinth");
    case XENVER_compile_info: return compile_info(vcpu, arg);
    case XENVER_capabilities:
        return answer_text<sizeof(xen_capabilities_info_t)>(vcpu, arg,
                                                            "hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64");
    case XENVER_changeset: return answer_text<sizeof(xen_changeset_info_t)>(vcpu, arg, PLINTH_REVISION);
    case XENVER_platform_parameters: // there is no hypervisor hole in guests
        TRY(write_guest(vcpu, arg, xen_platform_parameters{.virt_start = 0}));
        return 0;
    case XENVER_get_features: return with_argument(vcpu, arg, features);
    case XENVER_pagesize: return arg.value() == 0 ? Hypercall_result(kPageSize) : fail(Errc::einval);
    case XENVER_guest_handle: TRY(write_guest(vcpu, arg, vcpu.domain().handle())); return 0;
    case XENVER_commandline:
        return answer_text<sizeof(xen_commandline_t)>(
            vcpu, arg, control ? boot_state.loader.command_line.view() : "<denied>");
    case XENVER_build_id: return build_id(vcpu, arg);
    default: return fail(Errc::enosys);
    }
}

} // namespace

// Kernels ask for the version often, as for an exit that does nothing: what is pending is taken on the way
// back.
Hypercall_result do_xen_version(Vcpu& vcpu, Hypercall_args& args)
{
    if (args.a[0] == XENVER_version) [[likely]]
        return u64{kXenVersionMajor} << 16 | kXenVersionMinor;
    return more_than_the_version(vcpu, args);
}

} // namespace vmm
