// SPDX-License-Identifier: Apache-2.0
#pragma once
// Hypercalls from dom0 user space through the kernel's privcmd device (libxencall). It knows calling
// conventions, interface versions and memory the hypervisor can reach; what the calls mean is Xen_control's
// business. Failures come back as the hypervisor's errno with no message: the caller knows what it wanted.
// Not thread safe.

#include "toolstack/base/error.hpp"
#include "toolstack/xen/types.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

extern "C" {
#include <xencall.h>
}

#include <xen/domctl.h>
#include <xen/sysctl.h>

namespace vmm
{

class Hypercall
{
  public:
    // Memory a hypercall may point to: locked, and not copied on write.
    class Buffer
    {
      public:
        [[nodiscard]] std::byte* data() const { return data_.get(); }
        [[nodiscard]] std::size_t size() const { return size_; }
        template <class T>
        [[nodiscard]] T* as() const
        {
            return reinterpret_cast<T*>(data_.get());
        }

      private:
        friend class Hypercall;
        struct Free {
            xencall_handle* handle;
            void operator()(std::byte* data) const { xencall_free_buffer(handle, data); }
        };
        Buffer(xencall_handle* handle, std::byte* data, std::size_t size)
            : data_(data, Free{handle}), size_(size)
        {
        }

        std::unique_ptr<std::byte, Free> data_;
        std::size_t size_;
    };

    [[nodiscard]] static Result<Hypercall> open();

    [[nodiscard]] Result<Buffer> buffer(std::size_t size) const;

    // The command, the interface version and the domain are filled in here; the answer is copied back into
    // `op`.
    [[nodiscard]] Result<long> domctl(std::uint32_t command, Domid id, xen_domctl& op) const;
    [[nodiscard]] Result<long> sysctl(std::uint32_t command, xen_sysctl& op) const;

    template <class T>
    [[nodiscard]] Result<long> memory_op(unsigned command, T& argument) const
    {
        return with_argument(__HYPERVISOR_memory_op, command, &argument, sizeof(T));
    }
    template <class T>
    [[nodiscard]] Result<long> hvm_op(unsigned command, T& argument) const
    {
        return with_argument(__HYPERVISOR_hvm_op, command, &argument, sizeof(T));
    }
    template <class T>
    [[nodiscard]] Result<long> event_channel_op(unsigned command, T& argument) const
    {
        return with_argument(__HYPERVISOR_event_channel_op, command, &argument, sizeof(T));
    }
    template <class T>
    [[nodiscard]] Result<long> sched_op(unsigned command, T& argument) const
    {
        return with_argument(__HYPERVISOR_sched_op, command, &argument, sizeof(T));
    }
    // For XENVER_version, which takes no argument, pass a null argument of size 0.
    [[nodiscard]] Result<long> xen_version(unsigned command, void* argument, std::size_t size) const
    {
        return with_argument(__HYPERVISOR_xen_version, command, argument, size);
    }

  private:
    struct Close {
        void operator()(xencall_handle* handle) const { xencall_close(handle); }
    };
    using Handle = std::unique_ptr<xencall_handle, Close>;

    Hypercall(Handle handle, Buffer argument) : handle_(std::move(handle)), argument_(std::move(argument)) {}
    [[nodiscard]] Result<long> with_argument(unsigned call, unsigned command, void* argument,
                                             std::size_t size) const;

    Handle handle_;
    Buffer argument_; // one page, reused by every call; freed before the handle
};

} // namespace vmm
