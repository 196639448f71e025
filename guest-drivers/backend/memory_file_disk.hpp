// SPDX-License-Identifier: Apache-2.0
#pragma once
// A disk on an image that lies in dom0's memory (tmpfs): each operation is one system call that does not
// wait, straight from or to the memory given. It owns the image.

#include "guest-drivers/backend/image.hpp"

namespace vmm::block
{

class Memory_file_disk final : public Disk
{
  public:
    explicit Memory_file_disk(Image image) : image_(std::move(image)) {}

    [[nodiscard]] const Disk_shape& shape() const override { return image_.shape; }
    [[nodiscard]] bool immediate() const override { return true; }
    void start(Disk_io& io) override;
    void submit() override {}
    void measure() override;

  private:
    [[nodiscard]] int perform(Disk_io& io) const;
    [[nodiscard]] int move(Disk_io& io) const;

    Image image_;
};

} // namespace vmm::block
