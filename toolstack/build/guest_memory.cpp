// SPDX-License-Identifier: Apache-2.0
#include "toolstack/build/guest_memory.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace vmm
{

namespace
{

constexpr unsigned kLargeOrder        = 9; // 2 MiB
constexpr std::uint64_t kLargePage    = kPageSize << kLargeOrder;
constexpr std::size_t kExtentsPerCall = 1024;
constexpr std::uint64_t kPiece        = std::uint64_t{1} << 30; // between two looks at whether to go on

} // namespace

Result<void> Guest_memory::populate_frames(const std::vector<std::uint64_t>& frames)
{
    const std::size_t got = TRY(build_.populate(id_, frames, 0));
    if (got != frames.size()) {
        return fail(Errc::out_of_memory, "the hypervisor ran out of memory for domain " + to_string(id_));
    }
    return {};
}

Result<void> Guest_memory::populate_range(std::uint64_t begin, std::uint64_t end)
{
    std::vector<std::uint64_t> frames;
    std::uint64_t at = begin;
    while (at < end) {
        frames.clear();
        const bool large         = at % kLargePage == 0 && end - at >= kLargePage;
        const std::uint64_t step = large ? kLargePage : kPageSize;
        for (std::uint64_t next = at; end - next >= step && frames.size() < kExtentsPerCall; next += step) {
            frames.push_back(next >> kPageShift);
        }
        if (!large) {
            TRY(populate_frames(frames));
            at += frames.size() * kPageSize;
            continue;
        }
        const std::size_t got = TRY(build_.populate(id_, frames, kLargeOrder));
        at += got * kLargePage;
        if (got < frames.size()) { // no free 2 MiB block left: this one in small pages, then try again
            frames.clear();
            for (std::uint64_t next = at; next < at + kLargePage; next += kPageSize) {
                frames.push_back(next >> kPageShift);
            }
            TRY(populate_frames(frames));
            at += kLargePage;
        }
    }
    return {};
}

Result<void> Guest_memory::populate(const Guest_layout& layout, const Progress& progress)
{
    const std::pair<std::uint64_t, std::uint64_t> ranges[] = {
        {0, layout.low_ram}, {kHighRamStart, kHighRamStart + layout.high_ram}};
    std::uint64_t done = 0;
    for (auto [at, end] : ranges) {
        for (; at < end; at += kPiece) {
            const std::uint64_t size = std::min(kPiece, end - at);
            TRY(populate_range(at, at + size));
            done += size / kPageSize;
            if (progress && !progress(done, layout.pages())) {
                return fail(Errc::cancelled, "cancelled");
            }
        }
    }
    std::vector<std::uint64_t> frames{raw(kStorePage), raw(kConsolePage)};
    for (std::uint64_t at = 0; at < layout.acpi_size; at += kPageSize) {
        frames.push_back((kAcpiAddress + at) >> kPageShift);
    }
    return populate_frames(frames);
}

Result<void> Guest_memory::put(std::uint64_t address, Byte_view bytes)
{
    while (!bytes.empty()) {
        const std::uint64_t frame   = address >> kPageShift;
        const std::uint64_t in_page = address % kPageSize;
        if (frames_.empty() || frames_.back() != frame) {
            if (frames_.size() == kWindowPages) {
                TRY(flush());
            }
            frames_.push_back(frame);
        }
        const std::size_t offset = (frames_.size() - 1) * kPageSize + in_page;
        // As far as the window goes, in one piece.
        const std::size_t size =
            std::min(bytes.size(), (kWindowPages - frames_.size() + 1) * kPageSize - in_page);
        for (std::uint64_t next = frame + 1; next <= (address + size - 1) >> kPageShift; ++next) {
            frames_.push_back(next);
        }
        pieces_.push_back({offset, bytes.first(size)});
        bytes = bytes.subspan(size);
        address += size;
    }
    return {};
}

Result<void> Guest_memory::flush()
{
    if (frames_.empty()) {
        return {};
    }
    const Mapped_pages window = TRY(build_.map(id_, frames_));
    for (const Piece& piece : pieces_) {
        std::memcpy(window.data() + piece.window_offset, piece.bytes.data(), piece.bytes.size());
    }
    frames_.clear();
    pieces_.clear();
    return {};
}

Result<void> Guest_memory::clear(std::uint64_t address, std::uint64_t size)
{
    std::vector<std::uint64_t> frames;
    for (std::uint64_t done = 0; done < size;) {
        const std::uint64_t in_page = address % kPageSize;
        const std::uint64_t now     = std::min(size - done, kWindowPages * kPageSize - in_page);
        frames.clear();
        for (std::uint64_t frame = address >> kPageShift; frame <= (address + now - 1) >> kPageShift;
             ++frame) {
            frames.push_back(frame);
        }
        const Mapped_pages window = TRY(build_.map(id_, frames));
        std::memset(window.data() + in_page, 0, now);
        done += now;
        address += now;
    }
    return {};
}

Result<bool> Guest_memory::is_fresh_memory_zero(Gfn untouched)
{
    const std::uint64_t frame = raw(untouched);
    const Mapped_pages view   = TRY(build_.map(id_, std::span(&frame, 1)));
    return is_zero(view.bytes());
}

} // namespace vmm
