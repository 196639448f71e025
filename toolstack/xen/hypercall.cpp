// SPDX-License-Identifier: Apache-2.0
#include "toolstack/xen/hypercall.hpp"

#include <cerrno>

namespace vmm
{

namespace
{

std::uint64_t address_of(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer); }

Result<long> outcome(long returned)
{
    if (returned < 0) {
        return std::unexpected(Error{Errc(errno), {}});
    }
    return returned;
}

} // namespace

Result<Hypercall> Hypercall::open()
{
    Handle handle(xencall_open(nullptr, XENCALL_OPENFLAG_NON_REENTRANT));
    if (!handle) {
        return fail_errno(
            "cannot open /dev/xen/privcmd (is this dom0, and is the module xen-privcmd loaded?)");
    }
    auto* page = static_cast<std::byte*>(xencall_alloc_buffer(handle.get(), kPageSize));
    if (page == nullptr) {
        return fail_errno("cannot get memory for hypercalls");
    }
    Buffer argument(handle.get(), page, kPageSize);
    return Hypercall(std::move(handle), std::move(argument));
}

Result<Hypercall::Buffer> Hypercall::buffer(std::size_t size) const
{
    auto* data = static_cast<std::byte*>(xencall_alloc_buffer(handle_.get(), size));
    if (data == nullptr) {
        return fail_errno("cannot get memory for a hypercall");
    }
    return Buffer(handle_.get(), data, size);
}

Result<long> Hypercall::with_argument(unsigned call, unsigned command, void* argument, std::size_t size) const
{
    if (size == 0) {
        return outcome(xencall2(handle_.get(), call, command, 0));
    }
    std::memcpy(argument_.data(), argument, size);
    // memory_op counts and frame numbers do not fit the int the other calls return.
    const long returned = xencall2L(handle_.get(), call, command, address_of(argument_.data()));
    const int error     = errno;
    std::memcpy(argument, argument_.data(), size);
    errno = error;
    return outcome(returned);
}

Result<long> Hypercall::domctl(std::uint32_t command, Domid id, xen_domctl& op) const
{
    op.cmd               = command;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op.domain            = raw(id);
    std::memcpy(argument_.data(), &op, sizeof op);
    const int returned = xencall1(handle_.get(), __HYPERVISOR_domctl, address_of(argument_.data()));
    const int error    = errno;
    std::memcpy(&op, argument_.data(), sizeof op);
    errno = error;
    return outcome(returned);
}

Result<long> Hypercall::sysctl(std::uint32_t command, xen_sysctl& op) const
{
    op.cmd               = command;
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    std::memcpy(argument_.data(), &op, sizeof op);
    const int returned = xencall1(handle_.get(), __HYPERVISOR_sysctl, address_of(argument_.data()));
    const int error    = errno;
    std::memcpy(&op, argument_.data(), sizeof op);
    errno = error;
    return outcome(returned);
}

} // namespace vmm
