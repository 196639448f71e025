// SPDX-License-Identifier: Apache-2.0
#include "fake_domain.hpp"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

namespace vmm::test
{

Fake_domain::Fake_domain()
{
    void* mapped = mmap(nullptr, kGuestSpace, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) {
        std::abort(); // a machine without address space is none to test on
    }
    space.reset(static_cast<std::byte*>(mapped), [](std::byte* start) { munmap(start, kGuestSpace); });
    memory = space.get();
}

bool Fake_domain::has(std::uint64_t frame) const
{
    return populated_4k.contains(frame) || populated_2m.contains(frame / 512 * 512);
}

void Fake_domain::release(std::uint64_t frame)
{
    if (populated_2m.erase(frame / 512 * 512) != 0) {
        for (std::uint64_t i = 0; i < 512; ++i) {
            populated_4k.insert(frame / 512 * 512 + i);
        }
    }
    populated_4k.erase(frame);
    std::memset(memory + frame * kPageSize, 0, kPageSize);
}

std::vector<std::byte> Fake_domain::read(std::uint64_t address, std::size_t size) const
{
    return {memory + address, memory + address + size};
}

Mapped_pages Fake_domain::view(std::span<const std::uint64_t> frames)
{
    ++*views;
    bool consecutive = true;
    for (std::size_t i = 0; i < frames.size(); ++i) {
        consecutive = consecutive && frames[i] == frames[0] + i;
    }
    if (consecutive) {
        return Mapped_pages({memory + frames[0] * kPageSize, frames.size() * kPageSize},
                            [count = views, keep = space](std::span<std::byte>) { --*count; });
    }
    auto copy = std::make_shared<std::vector<std::byte>>(frames.size() * kPageSize);
    const std::vector<std::uint64_t> places(frames.begin(), frames.end());
    for (std::size_t i = 0; i < places.size(); ++i) {
        std::memcpy(copy->data() + i * kPageSize, memory + places[i] * kPageSize, kPageSize);
    }
    return Mapped_pages(*copy, [count = views, keep = space, copy, places](std::span<std::byte>) {
        for (std::size_t i = 0; i < places.size(); ++i) {
            std::memcpy(keep.get() + places[i] * kPageSize, copy->data() + i * kPageSize, kPageSize);
        }
        --*count;
    });
}

Mapped_pages Fake_domain::view_present(std::span<const std::uint64_t> frames,
                                       const std::vector<bool>& present)
{
    const std::size_t size = frames.size() * kPageSize;
    void* mapped           = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) {
        std::abort();
    }
    auto* const start = static_cast<std::byte*>(mapped);
    for (std::size_t i = 0; i < frames.size(); ++i) {
        std::byte* const page = start + i * kPageSize;
        if (present[i]) {
            std::memcpy(page, memory + frames[i] * kPageSize, kPageSize);
        }
        mprotect(page, kPageSize, present[i] ? PROT_READ : PROT_NONE);
    }
    ++*views;
    return Mapped_pages({start, size}, [count = views](std::span<std::byte> bytes) {
        munmap(bytes.data(), bytes.size());
        --*count;
    });
}

} // namespace vmm::test
