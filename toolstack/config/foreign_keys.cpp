// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/foreign_keys.hpp"

#include <algorithm>

namespace vmm::config
{

namespace
{

using enum Foreign_key::Treatment;

constexpr std::string_view kNo_emulation  = "a PVH domain has no emulated devices";
constexpr std::string_view kNested_paging = "every domain runs with hardware-assisted paging";
constexpr std::string_view kNot_yet       = "not supported yet";
constexpr std::string_view kPass_through  = "device pass-through is not supported yet";
constexpr std::string_view kUse_kernel =
    "not supported: name the kernel with kernel = and its initrd with ramdisk =, or, for one on the guest's "
    "own "
    "disk, give kernel = the GRUB of Debian's grub-xen-host, /usr/lib/grub-xen/grub-i386-xen_pvh.bin";

constexpr Foreign_key kKeys[] = {
    {"acpi", ignored, "a domain always has ACPI tables"},
    {"apic", ignored, "a domain always has a local APIC"},
    {"bios", ignored, kNo_emulation},
    {"boot", ignored, kNo_emulation},
    {"device_model_args", ignored, kNo_emulation},
    {"device_model_override", ignored, kNo_emulation},
    {"device_model_version", ignored, kNo_emulation},
    {"gfx_passthru", ignored, kNo_emulation},
    {"hap", ignored, kNested_paging},
    {"hpet", ignored, kNo_emulation},
    {"keymap", ignored, kNo_emulation},
    {"nographic", ignored, kNo_emulation},
    {"nx", ignored, "no-execute is always there"},
    {"opengl", ignored, kNo_emulation},
    {"pae", ignored, "PAE is always there"},
    {"sdl", ignored, kNo_emulation},
    {"serial", ignored, "its console is the one of `xm console`"},
    {"shadow_memory", ignored, kNested_paging},
    {"soundhw", ignored, kNo_emulation},
    {"spice", ignored, kNo_emulation},
    {"stdvga", ignored, kNo_emulation},
    {"timer_mode", ignored, kNo_emulation},
    {"usb", ignored, kNo_emulation},
    {"usbdevice", ignored, kNo_emulation},
    {"vga", ignored, kNo_emulation},
    {"videoram", ignored, kNo_emulation},
    {"viridian", ignored, kNo_emulation},
    {"vnc", ignored, kNo_emulation},
    {"vncconsole", ignored, kNo_emulation},
    {"vncdisplay", ignored, kNo_emulation},
    {"vnclisten", ignored, kNo_emulation},
    {"vncpasswd", ignored, kNo_emulation},
    {"vncunused", ignored, kNo_emulation},
    {"xen_platform_pci", ignored, kNo_emulation},

    {"altp2m", refused, kNot_yet},
    {"bootloader", refused, kUse_kernel},
    {"bootloader_args", refused, kUse_kernel},
    {"channel", refused, kNot_yet},
    {"claim_mode", refused, "not supported: memory is always claimed before a domain is built"},
    {"device_tree", refused, kNot_yet},
    {"dtdev", refused, kPass_through},
    {"firmware", refused, kUse_kernel},
    {"iomem", refused, kPass_through},
    {"ioports", refused, kPass_through},
    {"irqs", refused, kPass_through},
    {"nestedhvm", refused, "nested virtualisation is not supported"},
    {"on_soft_reset", refused, kNot_yet},
    {"p9", refused, kNot_yet},
    {"passthrough", refused, kPass_through},
    {"pci", refused, kPass_through},
    {"pvcalls", refused, kNot_yet},
    {"rdm", refused, kPass_through},
    {"seclabel", refused, "security labels are not supported"},
    {"static_shm", refused, kNot_yet},
    {"tsc_mode", refused, "not supported: a domain always sees the processor's own time-stamp counter"},
    {"usbctrl", refused, kPass_through},
    {"usbdev", refused, kPass_through},
    {"vdispl", refused, kNot_yet},
    {"vfb", refused, kNot_yet},
    {"vkb", refused, kNot_yet},
    {"vnuma", refused, kNot_yet},
    {"vsnd", refused, kNot_yet},
    {"vtpm", refused, kNot_yet},
};

} // namespace

std::span<const Foreign_key> foreign_keys() { return kKeys; }

const Foreign_key* find_foreign_key(std::string_view name)
{
    const auto* const it = std::ranges::find(kKeys, name, &Foreign_key::name);
    return it == std::end(kKeys) ? nullptr : it;
}

} // namespace vmm::config
