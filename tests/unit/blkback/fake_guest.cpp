// SPDX-License-Identifier: Apache-2.0
#include "fake_guest.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>

namespace vmm::block::test
{

namespace
{

void* require(void* view)
{
    if (view == MAP_FAILED) {
        throw std::runtime_error("no memory for the test's guest");
    }
    return view;
}

} // namespace

Fake_guest::Fake_guest(std::size_t pages) : file_(memfd_create("guest", MFD_CLOEXEC)), pages_(pages)
{
    if (ftruncate(file_.get(), static_cast<off_t>(pages * kPageSize)) < 0) {
        throw std::runtime_error("no memory for the test's guest");
    }
    memory_ = static_cast<std::byte*>(
        require(mmap(nullptr, pages * kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0)));
}

Fake_guest::~Fake_guest() { munmap(memory_, pages_ * kPageSize); }

Mapped_pages Fake_guest::map(std::span<const grant_ref_t> refs)
{
    ++map_ops;
    if (on_call) {
        on_call();
    }
    for (const grant_ref_t ref : refs) {
        const auto found = grants_.find(ref);
        if (found == grants_.end() || found->second.how != Grant::read_write) {
            return {};
        }
    }
    const std::size_t bytes = refs.size() * kPageSize;
    auto* view =
        static_cast<std::byte*>(require(mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
    for (std::size_t i = 0; i < refs.size(); ++i) {
        require(mmap(view + i * kPageSize, kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                     file_.get(), static_cast<off_t>(grants_.at(refs[i]).page * kPageSize)));
    }
    mapped += static_cast<unsigned>(refs.size());
    return Mapped_pages({view, bytes}, [this](std::span<std::byte> pages) {
        munmap(pages.data(), pages.size());
        mapped -= static_cast<unsigned>(pages.size() / kPageSize);
    });
}

void Fake_guest::copy(std::span<Grant_copy> pieces)
{
    ++copy_ops;
    if (on_call) {
        on_call();
    }
    for (Grant_copy& piece : pieces) {
        piece.done = copy_one(piece);
    }
}

bool Fake_guest::copy_one(const Grant_copy& piece)
{
    const bool to_guest = piece.direction == Grant_copy::Direction::to_frontend;
    const auto found    = grants_.find(piece.ref);
    if (found == grants_.end() || piece.offset + piece.length > kPageSize ||
        (to_guest && found->second.how != Grant::read_write)) {
        return false;
    }
    std::byte* theirs = page(found->second.page) + piece.offset;
    std::memcpy(to_guest ? theirs : piece.local, to_guest ? piece.local : theirs, piece.length);
    return true;
}

} // namespace vmm::block::test
