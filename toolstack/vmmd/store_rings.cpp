// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/store_rings.hpp"

#include "toolstack/base/unique_fd.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <string>
#include <utility>

namespace vmm
{

namespace
{

constexpr const char* kKernelPage = "/proc/xen/xsd_kva";
constexpr const char* kKernelPort = "/proc/xen/xsd_port";

class Linked_ring final : public store::Ring_channel
{
  public:
    Linked_ring(Guest_links& links, Mapped_pages page, Evtchn_port port)
        : links_(links), page_(std::move(page)), port_(port)
    {
    }
    ~Linked_ring() override { links_.unbind(port_); }

    xenstore_domain_interface* page() override
    {
        return reinterpret_cast<xenstore_domain_interface*>(page_.data());
    }
    void notify() override { links_.notify(port_); }

  private:
    Guest_links& links_;
    Mapped_pages page_;
    Evtchn_port port_;
};

Result<Evtchn_port> read_kernel_port()
{
    const Unique_fd fd(::open(kKernelPort, O_RDONLY | O_CLOEXEC));
    std::array<char, 24> text{};
    const ssize_t got = fd ? ::read(fd.get(), text.data(), text.size()) : -1;
    if (got < 0) {
        return fail_errno(std::string(kKernelPort) + " (is xenfs mounted on /proc/xen?)");
    }
    std::uint32_t port = 0;
    if (std::from_chars(text.data(), text.data() + got, port).ec != std::errc()) {
        return fail(Errc::protocol, std::string(kKernelPort) + " does not hold a port number");
    }
    return Evtchn_port{port};
}

Result<Mapped_pages> map_kernel_page()
{
    const Unique_fd fd(::open(kKernelPage, O_RDWR | O_CLOEXEC));
    if (!fd) {
        return fail_errno(std::string(kKernelPage) + " (is xenfs mounted on /proc/xen?)");
    }
    void* page = mmap(nullptr, kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (page == MAP_FAILED) {
        return fail_errno(std::string("cannot map ") + kKernelPage);
    }
    auto unmap = [](std::span<std::byte> bytes) { munmap(bytes.data(), bytes.size()); };
    return Mapped_pages({static_cast<std::byte*>(page), kPageSize}, unmap);
}

} // namespace

Result<std::unique_ptr<store::Ring_channel>>
open_domain_ring(Guest_links& links, Domid id, Gfn page, Evtchn_port port, std::function<void()> on_event)
{
    Mapped_pages view       = TRY(links.map_ring(id, Ring::store, page));
    const Evtchn_port local = TRY(links.bind(id, port, std::move(on_event)));
    return std::make_unique<Linked_ring>(links, std::move(view), local);
}

Result<std::unique_ptr<store::Ring_channel>> open_dom0_ring(Guest_links& links,
                                                            std::function<void()> on_event)
{
    const Evtchn_port port  = TRY(read_kernel_port());
    Mapped_pages view       = TRY(map_kernel_page());
    const Evtchn_port local = TRY(links.bind(kDom0, port, std::move(on_event)));
    return std::make_unique<Linked_ring>(links, std::move(view), local);
}

} // namespace vmm
