// SPDX-License-Identifier: Apache-2.0
//
// dom0's kernel, unpacked and understood: the step of the builder that can go wrong in the most ways.
#pragma once

#include "base/unique.hpp"
#include "dom0/elf_image.hpp"
#include "platform/boot_info.hpp"

namespace vmm
{

class Dom0_kernel
{
  public:
    // Unpacks or copies the module, whose memory is not needed afterwards. A kernel that cannot be dom0's is
    // refused.
    explicit Dom0_kernel(const Boot_module& module);
    ~Dom0_kernel();
    Dom0_kernel(const Dom0_kernel&)            = delete;
    Dom0_kernel& operator=(const Dom0_kernel&) = delete;

    [[nodiscard]] const Elf_image& image() const { return image_; }

  private:
    std::span<u8> unpacked_; // heap
    Elf_image image_;
};

} // namespace vmm
