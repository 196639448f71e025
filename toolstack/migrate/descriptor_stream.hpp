// SPDX-License-Identifier: Apache-2.0
#pragma once
// The way to another host over descriptors: a socket, or the two ends of a command's pipes (ssh). It waits
// for the peer no longer than `patience` without a byte moving, and no longer at all once cancel() was
// called, from whatever thread. Neither blocks in the kernel, whatever the descriptors are.

#include "toolstack/base/unique_fd.hpp"
#include "toolstack/save/byte_stream.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

namespace vmm::migrate
{

class Descriptor_stream final : public save::Byte_stream
{
  public:
    // Both may be one descriptor, each time a duplicate of its own. They become non-blocking.
    [[nodiscard]] static Result<std::unique_ptr<Descriptor_stream>>
    create(Unique_fd in, Unique_fd out, std::chrono::milliseconds patience);

    [[nodiscard]] Result<std::size_t> read(std::span<std::byte> to) override;
    [[nodiscard]] Result<void> write(std::span<const std::byte> bytes) override;

    void cancel() { cancelled_ = true; }
    // For who reads and writes on one thread: what comes while it writes is kept for read(), and its coming
    // counts against patience. What lies written between two hosts may take longer than that to get through.
    void listen_while_writing() { listens_ = true; }
    // Bytes in a second that are written at most; 0: as many as there are.
    void limit(std::uint64_t bytes_per_second);
    void set_patience(std::chrono::milliseconds patience) { patience_ = patience; }
    [[nodiscard]] std::uint64_t written() const { return written_; }

  private:
    using Clock = std::chrono::steady_clock;

    Descriptor_stream(Unique_fd in, Unique_fd out, std::chrono::milliseconds patience)
        : in_(std::move(in)), out_(std::move(out)), patience_(patience)
    {
    }
    Result<void> wait(int fd, short events, Clock::time_point since);
    [[nodiscard]] bool listens() const;
    bool take_in();
    Result<void> keep_to_limit(std::size_t bytes);

    Unique_fd in_;
    Unique_fd out_;
    std::atomic<std::chrono::milliseconds> patience_;
    std::atomic<bool> cancelled_        = false;
    std::atomic<std::uint64_t> limit_   = 0;
    std::atomic<std::uint64_t> written_ = 0;
    Clock::time_point may_write_        = Clock::now();
    bool listens_                       = false;
    std::vector<std::byte> heard_; // by take_in(), not yet given out
};

} // namespace vmm::migrate
