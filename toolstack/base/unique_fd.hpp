// SPDX-License-Identifier: Apache-2.0
#pragma once
// Sole owner of one file descriptor; closes it when it goes. -1 means empty. It knows nothing of what the
// descriptor is.

#include <unistd.h>

#include <utility>

namespace vmm
{

class Unique_fd
{
  public:
    Unique_fd() = default;
    explicit Unique_fd(int fd) : fd_(fd) {}
    Unique_fd(Unique_fd&& other) noexcept : fd_(other.release()) {}
    Unique_fd& operator=(Unique_fd&& other) noexcept
    {
        if (this != &other) {
            reset(other.release());
        }
        return *this;
    }
    Unique_fd(const Unique_fd&)            = delete;
    Unique_fd& operator=(const Unique_fd&) = delete;
    ~Unique_fd() { reset(); }

    [[nodiscard]] int get() const { return fd_; }
    [[nodiscard]] explicit operator bool() const { return fd_ >= 0; }
    [[nodiscard]] int release() { return std::exchange(fd_, -1); }

    void reset(int fd = -1)
    {
        const int old = std::exchange(fd_, fd);
        if (old >= 0) {
            ::close(old); // Linux frees the number even when close() reports EINTR, so it is never retried
        }
    }

  private:
    int fd_ = -1;
};

} // namespace vmm
