// SPDX-License-Identifier: Apache-2.0
#include "hypercall/efi_op.hpp"

#include "arch/x86/cpu/firmware_call.hpp"
#include "domain/vcpu.hpp"
#include "exit/guest_memory.hpp"
#include "hypercall/argument.hpp"
#include "mm/direct_map.hpp"
#include "mm/frame_allocator.hpp"
#include "platform/efi.hpp"

#include <algorithm>
#include <bit>

namespace vmm
{
namespace
{

constexpr u64 kError            = 1ull << 63; // in a status [UEFI appendix D]
constexpr u64 kMostName         = 2048;       // bytes; Linux has no longer names
constexpr u64 kMostData         = 256 * kKiB; // more than any firmware keeps
constexpr u32 kSecondEdition    = 2u << 16;   // of UEFI: QueryVariableInfo() is new in it
constexpr u32 kAllOfBootAndTime = 7;          // kept, for the loader and at runtime

using Efi_info = decltype(xenpf_firmware_info::u.efi_info);

bool is_error(u64 status) { return (status & kError) != 0; }

// Zeroed memory that the firmware can work in, of at least one byte.
class Work_area
{
  public:
    static Expected<Work_area> take(u64 bytes)
    {
        if (bytes > kMostData)
            return fail(Errc::e2big);
        const u64 pages      = (bytes >> kPageShift) + 1; // and a zero behind
        const unsigned order = static_cast<unsigned>(std::bit_width(pages - 1));
        return Work_area(TRY(frames.allocate(order)), order);
    }
    Work_area(Work_area&& other) noexcept
        : first_(std::exchange(other.first_, kInvalidMfn)), order_(other.order_)
    {
    }
    Work_area(const Work_area&)            = delete;
    Work_area& operator=(const Work_area&) = delete;
    ~Work_area()
    {
        if (first_ != kInvalidMfn)
            frames.free(first_, order_);
    }
    [[nodiscard]] u8* data() const { return to_virtual<u8>(first_); }

  private:
    Work_area(Mfn first, unsigned order) : first_(first), order_(order) {}

    Mfn first_;
    unsigned order_;
};

u64 number(u64 value) { return value; }
template <class T>
u64 number(T* pointer)
{
    return reinterpret_cast<u64>(pointer);
}

template <class... Arguments>
Expected<u64> call(u64 Efi_runtime_services::*service, Arguments... arguments)
{
    return call_firmware(efi_machine.firmware->services.*service, {number(arguments)...});
}

// Of 16-bit characters, the last of which is zero.
Expected<Work_area> read_name(Vcpu& vcpu, Gva from)
{
    Work_area name = TRY(Work_area::take(kMostName));
    auto* to       = reinterpret_cast<char16_t*>(name.data());
    for (u64 i = 0; i < kMostName / sizeof *to; ++i) {
        to[i] = TRY(read_guest_element<char16_t>(vcpu, from, i));
        if (to[i] == 0)
            return name;
    }
    return fail(Errc::e2big);
}

Expected<u64> get_time(xenpf_efi_runtime_call& op)
{
    struct {
        u32 resolution, accuracy;
        bool clears_below;
    } capabilities{};
    auto& answer     = op.u.get_time;
    const u64 status = TRY(call(&Efi_runtime_services::get_time, &answer.time, &capabilities));
    if (!is_error(status)) {
        answer.resolution = capabilities.resolution;
        answer.accuracy   = capabilities.accuracy;
        op.misc           = capabilities.clears_below ? XEN_EFI_GET_TIME_SET_CLEARS_NS : 0;
    }
    return status;
}

Expected<u64> get_wakeup_time(xenpf_efi_runtime_call& op)
{
    bool enabled = false, pending = false;
    const u64 status =
        TRY(call(&Efi_runtime_services::get_wakeup_time, &enabled, &pending, &op.u.get_wakeup_time));
    if (!is_error(status))
        op.misc =
            (enabled ? XEN_EFI_GET_WAKEUP_TIME_ENABLED : 0) | (pending ? XEN_EFI_GET_WAKEUP_TIME_PENDING : 0);
    return status;
}

Expected<u64> set_wakeup_time(xenpf_efi_runtime_call& op)
{
    const u32 how = std::exchange(op.misc, 0);
    return call(&Efi_runtime_services::set_wakeup_time, u64{(how & XEN_EFI_SET_WAKEUP_TIME_ENABLE) != 0},
                (how & XEN_EFI_SET_WAKEUP_TIME_ENABLE_ONLY) ? nullptr : &op.u.set_wakeup_time);
}

Expected<u64> get_variable(Vcpu& vcpu, xenpf_efi_runtime_call& op)
{
    auto& variable       = op.u.get_variable;
    const Work_area name = TRY(read_name(vcpu, address_of(variable.name)));
    const Work_area data = TRY(Work_area::take(variable.size));
    const u64 room       = variable.size;
    u64 size             = room;
    const u64 status     = TRY(call(&Efi_runtime_services::get_variable, name.data(), &variable.vendor_guid,
                                    &op.misc, &size, room != 0 ? data.data() : nullptr));
    if (!is_error(status))
        TRY(copy_to_guest(vcpu, address_of(variable.data), data.data(), std::min(size, room)));
    variable.size = size;
    return status;
}

Expected<u64> set_variable(Vcpu& vcpu, xenpf_efi_runtime_call& op)
{
    auto& variable       = op.u.set_variable;
    const Work_area name = TRY(read_name(vcpu, address_of(variable.name)));
    const Work_area data = TRY(Work_area::take(variable.size));
    TRY(copy_from_guest(vcpu, data.data(), address_of(variable.data), variable.size));
    return call(&Efi_runtime_services::set_variable, name.data(), &variable.vendor_guid, u64{op.misc},
                u64{variable.size}, data.data());
}

// Not all firmware leaves the size alone when there is room, so that much is copied as the caller has.
Expected<u64> get_next_variable_name(Vcpu& vcpu, xenpf_efi_runtime_call& op)
{
    auto& next           = op.u.get_next_variable_name;
    const Work_area name = TRY(Work_area::take(next.size));
    TRY(copy_from_guest(vcpu, name.data(), address_of(next.name), next.size));
    u64 size = next.size;
    const u64 status =
        TRY(call(&Efi_runtime_services::get_next_variable_name, &size, name.data(), &next.vendor_guid));
    if (!is_error(status))
        TRY(copy_to_guest(vcpu, address_of(next.name), name.data(), next.size));
    next.size = size;
    return status;
}

// What was free before the boot only a boot loader could have seen.
Expected<u64> query_variable_info(xenpf_efi_runtime_call& op)
{
    constexpr u64 unsupported = kError | 3;
    auto& info                = op.u.query_variable_info;
    u64 all = 0, left = 0, largest = 0, status = unsupported;
    if (op.misc == XEN_EFI_VARINFO_BOOT_SNAPSHOT) {
        if ((info.attr & kAllOfBootAndTime) != kAllOfBootAndTime)
            return fail(Errc::einval);
    } else {
        if (efi_machine.firmware->services.header.revision < kSecondEdition)
            return fail(Errc::eopnotsupp);
        status = TRY(call(&Efi_runtime_services::query_variable_info, u64{info.attr}, &all, &left, &largest));
    }
    info.max_store_size    = all;
    info.remain_store_size = left;
    info.max_size          = largest;
    return status;
}

Expected<u64> serve(Vcpu& vcpu, xenpf_efi_runtime_call& op)
{
    switch (op.function) {
    case XEN_EFI_get_time: return get_time(op);
    case XEN_EFI_set_time: return call(&Efi_runtime_services::set_time, &op.u.set_time);
    case XEN_EFI_get_wakeup_time: return get_wakeup_time(op);
    case XEN_EFI_set_wakeup_time: return set_wakeup_time(op);
    case XEN_EFI_get_next_high_monotonic_count:
        return call(&Efi_runtime_services::get_next_high_monotonic_count, &op.misc);
    case XEN_EFI_get_variable: return get_variable(vcpu, op);
    case XEN_EFI_set_variable: return set_variable(vcpu, op);
    case XEN_EFI_get_next_variable_name: return get_next_variable_name(vcpu, op);
    case XEN_EFI_query_variable_info: return query_variable_info(op);
    default: return fail(Errc::enosys);
    }
}

// The bits of `misc` that a function takes.
u32 words_of(u32 function)
{
    switch (function) {
    case XEN_EFI_set_wakeup_time: return XEN_EFI_SET_WAKEUP_TIME_ENABLE | XEN_EFI_SET_WAKEUP_TIME_ENABLE_ONLY;
    case XEN_EFI_set_variable: return ~0u;
    case XEN_EFI_query_variable_info: return XEN_EFI_VARINFO_BOOT_SNAPSHOT;
    default: return 0;
    }
}

Expected<void> describe_vendor(Vcpu& vcpu, Efi_info& info, const Efi_firmware& firmware)
{
    info.vendor.revision = firmware.system.vendor_revision;
    const u64 end        = std::ranges::find(firmware.vendor, u'\0') - firmware.vendor.begin() + 1;
    return copy_to_guest(vcpu, address_of(info.vendor.name), firmware.vendor.data(),
                         std::min<u64>(info.vendor.bufsz / sizeof(char16_t), end) * sizeof(char16_t));
}

Expected<void> describe_region(Efi_info& info)
{
    const Hpa at(info.mem.addr);
    for (const Efi_region& region : efi_machine.memory) {
        if (at < region.start || at >= region.end())
            continue;
        info.mem.type = region.type;
        info.mem.attr = region.attributes;
        info.mem.size = std::min(info.mem.size, region.end() - at);
        return {};
    }
    return fail(Errc::esrch);
}

} // namespace

Expected<void> describe_firmware(Vcpu& vcpu, xenpf_firmware_info& asked)
{
    if (asked.type != XEN_FW_EFI_INFO || !efi_machine.firmware)
        return fail(Errc::enosys);
    const Efi_firmware& firmware = *efi_machine.firmware;
    Efi_info& info               = asked.u.efi_info;
    switch (asked.index) {
    case XEN_FW_EFI_VERSION: info.version = firmware.system.header.revision; return {};
    case XEN_FW_EFI_RT_VERSION: info.version = firmware.services.header.revision; return {};
    case XEN_FW_EFI_CONFIG_TABLE:
        info.cfg.addr = firmware.system.tables.value();
        info.cfg.nent = static_cast<u32>(firmware.system.table_count);
        return {};
    case XEN_FW_EFI_VENDOR: return describe_vendor(vcpu, info, firmware);
    case XEN_FW_EFI_MEM_INFO: return describe_region(info);
    case XEN_FW_EFI_PCI_ROM: return fail(Errc::esrch);
    case XEN_FW_EFI_APPLE_PROPERTIES: return fail(Errc::enodata);
    default: return fail(Errc::einval);
    }
}

Expected<void> call_efi_service(Vcpu& vcpu, xenpf_efi_runtime_call& op)
{
    if (!efi_machine.firmware)
        return fail(Errc::enosys);
    if ((op.misc & ~words_of(op.function)) != 0)
        return fail(Errc::einval);
    op.status = TRY(serve(vcpu, op));
    return {};
}

} // namespace vmm
