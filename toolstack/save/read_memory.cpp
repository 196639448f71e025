// SPDX-License-Identifier: Apache-2.0
#include "toolstack/build/guest_memory.hpp"
#include "toolstack/save/image_format.hpp"
#include "toolstack/save/memory_image.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>

namespace vmm::save
{

// The reverse of what layout.hpp says.
bool can_have_memory(std::uint64_t first, std::uint64_t count)
{
    const auto within = [&](std::uint64_t begin, std::uint64_t end) {
        return first >= begin && count <= end - first && first < end;
    };
    return within(0, raw(gfn_of(kLowRamEnd))) ||
           within(raw(gfn_of(kAcpiAddress)), raw(gfn_of(kSpecialPages))) ||
           within(raw(kStorePage), raw(kStorePage) + 1) || within(raw(kConsolePage), raw(kConsolePage) + 1) ||
           within(raw(gfn_of(kHighRamStart)), kFrameNumbers);
}

namespace
{

constexpr std::size_t kLargeFrames  = 512;              // of 2 MiB
constexpr std::size_t kWindowFrames = 4 * kLargeFrames; // gathered before the hypervisor is asked for any
constexpr std::size_t kWindowBytes  = kWindowFrames * kPageSize;

// Records come in ascending order and may begin and end anywhere, while memory is best given in 2 MiB
// extents: so what falls in one window is gathered first.
class Memory_reader
{
  public:
    Memory_reader(Build_control& build, Domid id, Image_reader& in, std::uint64_t limit)
        : memory_(build, id), in_(in), limit_(limit),
          contents_(std::make_unique_for_overwrite<std::byte[]>(kWindowBytes))
    {
    }

    // True: a window was completed by it.
    Result<bool> take(const Record& record);
    Result<void> finish_window();
    [[nodiscard]] const Memory_counts& counts() const { return counts_; }

  private:
    enum class Content : std::uint8_t { absent, zero, data };

    Result<void> check(const Record& record) const;
    Result<void> populate();
    Result<void> fill();
    Result<void> clear(std::size_t begin, std::size_t end);
    [[nodiscard]] bool is_whole(std::size_t block) const;
    [[nodiscard]] std::uint64_t address(std::size_t in_window) const
    {
        return (window_ + in_window) * kPageSize;
    }

    Guest_memory memory_;
    Image_reader& in_;
    std::uint64_t limit_;
    std::uint64_t next_   = 0; // frames below are done
    std::uint64_t window_ = 0; // its first frame
    bool gathered_        = false;
    std::array<Content, kWindowFrames> state_{};
    std::unique_ptr<std::byte[]> contents_;
    std::optional<bool> fresh_is_zero_;
    Memory_counts counts_;
};

Result<void> Memory_reader::check(const Record& record) const
{
    if (record.first < next_) {
        return in_.corrupted("frame " + std::to_string(record.first) + " comes twice or out of order");
    }
    if (!can_have_memory(record.first, record.count)) {
        return in_.corrupted("no domain has memory at frame " + std::to_string(record.first) + " and the " +
                             std::to_string(record.count) + " from there");
    }
    if (record.count > limit_ - counts_.present) {
        return in_.corrupted("it holds more memory than the " + std::to_string(limit_ * (kPageSize / 1024)) +
                             " KiB that its domain may have");
    }
    return {};
}

Result<bool> Memory_reader::take(const Record& record)
{
    TRY(check(record));
    const bool zero = record.type == Record_type::zero_frames;
    bool completed  = false;
    for (std::uint64_t done = 0; done < record.count;) {
        const std::uint64_t frame  = record.first + done;
        const std::uint64_t window = frame / kWindowFrames * kWindowFrames;
        if (window != window_) {
            TRY(finish_window());
            window_   = window;
            completed = true;
        }
        const std::size_t place = frame - window;
        const std::size_t count = std::min<std::uint64_t>(record.count - done, kWindowFrames - place);
        std::fill_n(state_.begin() + static_cast<std::ptrdiff_t>(place), count,
                    zero ? Content::zero : Content::data);
        if (!zero) {
            std::memcpy(contents_.get() + place * kPageSize, record.payload.data() + done * kPageSize,
                        count * kPageSize);
        }
        gathered_ = true;
        done += count;
    }
    next_ = record.first + record.count;
    counts_.present += record.count;
    counts_.zero += zero ? record.count : 0;
    return completed;
}

Result<void> Memory_reader::finish_window()
{
    if (gathered_) {
        TRY(populate());
        TRY(fill());
        state_.fill(Content::absent);
        gathered_ = false;
    }
    return {};
}

bool Memory_reader::is_whole(std::size_t block) const
{
    const auto begin = state_.begin() + static_cast<std::ptrdiff_t>(block);
    return std::find(begin, begin + kLargeFrames, Content::absent) == begin + kLargeFrames;
}

Result<void> Memory_reader::populate()
{
    std::vector<std::uint64_t> singles;
    for (std::size_t block = 0; block < kWindowFrames; block += kLargeFrames) {
        if (is_whole(block)) {
            TRY(memory_.populate_range(address(block), address(block + kLargeFrames)));
            continue;
        }
        for (std::size_t i = block; i < block + kLargeFrames; ++i) {
            if (state_[i] != Content::absent) {
                singles.push_back(window_ + i);
            }
        }
    }
    return singles.empty() ? Result<void>{} : memory_.populate_frames(singles);
}

Result<void> Memory_reader::fill()
{
    for (std::size_t begin = 0, end = 0; begin < kWindowFrames; begin = end) {
        const Content run = state_[begin];
        for (end = begin + 1; end < kWindowFrames && state_[end] == run; ++end) {
        }
        if (run == Content::zero) {
            TRY(clear(begin, end));
        } else if (run == Content::data) {
            TRY(memory_.put(address(begin),
                            Byte_view(contents_.get() + begin * kPageSize, (end - begin) * kPageSize)));
        }
    }
    return memory_.flush();
}

Result<void> Memory_reader::clear(std::size_t begin, std::size_t end)
{
    if (!fresh_is_zero_) {
        fresh_is_zero_ = TRY(memory_.is_fresh_memory_zero(gfn_of(address(begin))));
    }
    return *fresh_is_zero_ ? Result<void>{} : memory_.clear(address(begin), (end - begin) * kPageSize);
}

} // namespace

Result<Memory_counts> read_memory(Build_control& build, Domid id, Image_reader& in, std::uint64_t limit,
                                  const Progress& progress)
{
    Memory_reader reader(build, id, in, limit);
    for (;;) {
        const Record record = TRY(in.next());
        if (record.type != Record_type::frames && record.type != Record_type::zero_frames) {
            in.put_back();
            TRY(reader.finish_window());
            return reader.counts();
        }
        if (TRY(reader.take(record)) && progress &&
            !progress(in.position() / kPageSize, in.size() / kPageSize)) {
            return fail(Errc::cancelled, "the restore of domain " + to_string(id) + " was cancelled");
        }
    }
}

} // namespace vmm::save
