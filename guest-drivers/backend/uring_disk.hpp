// SPDX-License-Identifier: Apache-2.0
#pragma once
// A disk on a raw image or a block device by io_uring: one system call for all operations of a turn, which
// also fetches those that have ended; they may end within submit(). It owns the image and registers itself
// with the loop, which must outlive it.

#include "guest-drivers/backend/image.hpp"

#include <liburing.h>

namespace vmm::block
{

class Uring_disk final : public Disk
{
  public:
    [[nodiscard]] static Result<std::unique_ptr<Disk>> create(Image image, Event_loop& loop);
    Uring_disk(const Uring_disk&)            = delete;
    Uring_disk& operator=(const Uring_disk&) = delete;
    ~Uring_disk() override;

    [[nodiscard]] const Disk_shape& shape() const override { return image_.shape; }
    [[nodiscard]] bool immediate() const override { return false; }
    void start(Disk_io& io) override;
    void submit() override;
    void measure() override;
    void use_memory(std::span<std::byte> memory) override;

  private:
    Uring_disk(Image image, Event_loop& loop) : image_(std::move(image)), loop_(loop) {}
    void prepare_move(io_uring_sqe& entry, const Disk_io& io) const;
    void reap();
    void harvest();
    void ended(Disk_io& io, int result);

    Image image_;
    Event_loop& loop_;
    io_uring ring_{};
    bool memory_is_known_ = false; // the kernel has the pages of all buffers at hand
    Unique_fd ended_; // an eventfd: epoll does not hear of completions through the ring's own descriptor
};

} // namespace vmm::block
