// SPDX-License-Identifier: Apache-2.0
#include "toolstack/migrate/memory_receiver.hpp"

#include "toolstack/save/memory_image.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

namespace vmm::migrate
{

namespace
{

using save::Record;
using save::Record_type;

constexpr std::size_t kGathered        = 2048 * kPageSize;
constexpr std::uint64_t kWorthClearing = 64; // frames; fewer are written like any others

std::uint64_t frames_of(const Guest_layout& layout)
{
    return layout.high_ram != 0 ? raw(gfn_of(kHighRamStart + layout.high_ram)) : raw(gfn_of(kHighRamStart));
}

} // namespace

Memory_receiver::Memory_receiver(Build_control& control, Domid id, const Guest_layout& layout,
                                 save::Image_reader& in)
    : control_(control), id_(id), in_(in), limit_(layout.pages()), memory_(control, id),
      there_(frames_of(layout)), gathered_(std::make_unique_for_overwrite<std::byte[]>(kGathered))
{
}

Result<void> Memory_receiver::take(const Record& record)
{
    TRY(check(record));
    switch (record.type) {
    case Record_type::memory: return add(record);
    case Record_type::absent: return drop(record);
    case Record_type::frames: return write(record.first, record.payload);
    default: return clear(record.first, record.count);
    }
}

Result<void> Memory_receiver::check(const Record& record) const
{
    if (!save::can_have_memory(record.first, record.count) || record.first + record.count > there_.size()) {
        return in_.corrupted("no domain has memory at frame " + std::to_string(record.first) + " and the " +
                             std::to_string(record.count) + " from there");
    }
    const bool wanted = record.type != Record_type::memory;
    const auto begin  = there_.begin() + static_cast<std::ptrdiff_t>(record.first);
    const auto end    = begin + static_cast<std::ptrdiff_t>(record.count);
    if (std::find(begin, end, !wanted) != end) {
        return in_.corrupted("it speaks of memory at frame " + std::to_string(record.first) +
                             " that is not as it says");
    }
    if (record.type == Record_type::memory && record.count > limit_ - present_) {
        return in_.corrupted("it holds more memory than the " + std::to_string(limit_ * (kPageSize / 1024)) +
                             " KiB that its domain may have");
    }
    return {};
}

Result<void> Memory_receiver::add(const Record& record)
{
    TRY(memory_.populate_range(record.first * kPageSize, (record.first + record.count) * kPageSize));
    std::fill_n(there_.begin() + static_cast<std::ptrdiff_t>(record.first), record.count, true);
    present_ += record.count;
    return clear_new(record.first, record.count);
}

// Zeros are not sent of memory that is new.
Result<void> Memory_receiver::clear_new(std::uint64_t first, std::uint64_t count)
{
    if (!fresh_is_zero_) {
        fresh_is_zero_ = TRY(memory_.is_fresh_memory_zero(Gfn{first}));
    }
    return *fresh_is_zero_ ? Result<void>() : memory_.clear(first * kPageSize, count * kPageSize);
}

Result<void> Memory_receiver::drop(const Record& record)
{
    TRY(flush());
    constexpr std::uint64_t kMost = 1024;
    std::vector<std::uint64_t> frames;
    for (std::uint64_t at = 0; at < record.count; at += frames.size()) {
        frames.resize(std::min(record.count - at, kMost));
        std::iota(frames.begin(), frames.end(), record.first + at);
        TRY(control_.take_back(id_, frames));
    }
    std::fill_n(there_.begin() + static_cast<std::ptrdiff_t>(record.first), record.count, false);
    present_ -= record.count;
    return {};
}

Result<void> Memory_receiver::write(std::uint64_t first, Byte_view contents)
{
    if (contents.size() > kGathered - used_) {
        TRY(flush());
    }
    std::byte* const place = gathered_.get() + used_;
    std::memcpy(place, contents.data(), contents.size());
    used_ += contents.size();
    return memory_.put(first * kPageSize, Byte_view(place, contents.size()));
}

Result<void> Memory_receiver::clear(std::uint64_t first, std::uint64_t count)
{
    static constexpr std::array<std::byte, kPageSize> kZeros{};
    if (count < kWorthClearing) {
        for (std::uint64_t i = 0; i < count; ++i) {
            TRY(memory_.put((first + i) * kPageSize, kZeros));
        }
        return {};
    }
    TRY(flush());
    return memory_.clear(first * kPageSize, count * kPageSize);
}

Result<void> Memory_receiver::flush()
{
    used_ = 0;
    return memory_.flush();
}

} // namespace vmm::migrate
