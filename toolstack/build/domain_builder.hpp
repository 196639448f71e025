// SPDX-License-Identifier: Apache-2.0
#pragma once
// Makes a paused, empty domain into one that will start a kernel when unpaused: memory, kernel, initrd, ACPI,
// start info, rings, event channels, grants and processor state. prepare() reads files and checks that
// everything fits, with no domain yet; reserve() makes sure of the memory; fill_domain() does the rest and
// may take long. On failure the domain is the caller's to destroy.

#include "toolstack/base/error.hpp"
#include "toolstack/base/progress.hpp"
#include "toolstack/build/kernel_cache.hpp"
#include "toolstack/build/layout.hpp"
#include "toolstack/build/rings.hpp"
#include "toolstack/xen/build_control.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace vmm
{

struct Build_request {
    std::string kernel;
    std::string ramdisk; // empty: none
    std::string command_line;
    std::uint64_t memory_kib = 0;
    unsigned vcpus           = 1;
};

struct Prepared_domain {
    std::shared_ptr<const Kernel_image> kernel;
    Image_bytes initrd;
    std::string command_line;
    Guest_layout layout;
    std::vector<std::byte> acpi;
    unsigned vcpus               = 1;
    std::uint64_t max_memory_kib = 0; // the hypervisor's limit, ring pages and the like included
    std::uint64_t table_kib      = 0; // for the hypervisor's page tables
};

// Page tables for the domain: a MiB for each vCPU and 8 KiB for each MiB of memory are ample even if nothing
// maps large.
[[nodiscard]] constexpr std::uint64_t table_memory_kib(std::uint64_t memory_kib, unsigned vcpus)
{
    return 1024U * vcpus + memory_kib / 128;
}

class Domain_builder
{
  public:
    Domain_builder(Control& control, Build_control& build) : control_(control), build_(build) {}

    // On another thread than the rest, if wanted.
    [[nodiscard]] Result<Prepared_domain> prepare(const Build_request& request);

    // Sets memory aside for a new domain and its tables, so that filling it cannot run out half way; an error
    // tells how much is needed and how much is free.
    [[nodiscard]] Result<void> reserve(Domid id, std::uint64_t pages, std::uint64_t table_kib);

  private:
    Control& control_;
    Build_control& build_;
    Kernel_cache kernels_;
};

// Works through `build` on whatever thread calls it, and touches nothing else.
[[nodiscard]] Result<Built_domain> fill_domain(Build_control& build, Domid id,
                                               const Prepared_domain& prepared, const Progress& progress);

} // namespace vmm
