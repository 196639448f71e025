// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the backend serves from: an image or a device in dom0, or a server elsewhere, as an array of sectors
// of 512 bytes. A disk starts operations and tells their owner when they have ended, in any order; it neither
// knows rings nor checks bounds. Offsets and lengths are bytes. An error is an errno.

#include <sys/uio.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace vmm::block
{

struct Disk_io;

class Disk_client
{
  public:
    virtual void ended(Disk_io& io) = 0;

  protected:
    ~Disk_client() = default;
};

// Owned by whoever starts it, and left alone until it has ended.
struct Disk_io {
    enum class Kind : std::uint8_t { read, write, flush, discard };

    Disk_client* client  = nullptr;
    Kind kind            = Kind::read;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;  // of a discard, or the sum of `memory`
    std::vector<iovec> memory; // one piece only, aligned to a page, unless the disk is immediate()
    int error = 0;             // once ended: 0 or an errno
};

struct Disk_shape {
    std::uint64_t sectors             = 0;
    std::uint32_t physical_sector     = 512; // bytes
    bool read_only                    = false;
    bool discard                      = false;
    std::uint32_t discard_granularity = 4096; // bytes
};

class Disk
{
  public:
    virtual ~Disk() = default;

    [[nodiscard]] virtual const Disk_shape& shape() const = 0;
    // Every operation has ended when start() returns; then its memory may be the frontend's and in pieces.
    [[nodiscard]] virtual bool immediate() const          = 0;
    virtual void start(Disk_io& io)                       = 0;
    // Sends on what start() has gathered since.
    virtual void submit()                                 = 0;
    // Measures the disk again: it may have grown.
    virtual void measure()                                = 0;
    // All operations that are not immediate will use pieces of this memory, which stays: a disk may make
    // ready what it otherwise has to do for each.
    virtual void use_memory(std::span<std::byte>) {}

    // Called after a batch of operations has ended.
    void on_batch(std::function<void()> callback) { batch_ended_ = std::move(callback); }

  protected:
    void batch_ended() const
    {
        if (batch_ended_) {
            batch_ended_();
        }
    }

  private:
    std::function<void()> batch_ended_;
};

} // namespace vmm::block
