// SPDX-License-Identifier: Apache-2.0
#include "toolstack/build/byte_view.hpp"
#include "toolstack/save/image_format.hpp"
#include "toolstack/save/memory_image.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace vmm::save
{

std::vector<Frame_range> ranges_of(const Guest_layout& layout)
{
    return {
        {0, layout.low_ram / kPageSize},
        {raw(gfn_of(kAcpiAddress)), layout.acpi_size / kPageSize},
        {raw(kStorePage), 1},
        {raw(kConsolePage), 1},
        {raw(gfn_of(kHighRamStart)), layout.high_ram / kPageSize},
    };
}

namespace
{

class Memory_writer
{
  public:
    Memory_writer(Build_control& build, Domid id, Image_writer& out) : build_(build), id_(id), out_(out) {}

    // At most a record's worth of frames, above all those before.
    Result<void> write(std::uint64_t first, std::uint64_t count);
    Result<void> flush_zeros();
    [[nodiscard]] const Memory_counts& counts() const { return counts_; }

  private:
    enum class Content { absent, zero, data };

    [[nodiscard]] Content content(Byte_view view, std::size_t page) const;
    Result<void> add_zeros(std::uint64_t first, std::uint64_t count);

    Build_control& build_;
    Domid id_;
    Image_writer& out_;
    Memory_counts counts_;
    std::vector<std::uint64_t> frames_;
    std::vector<bool> present_;
    Frame_range zeros_{}; // seen and not written yet: they may go on
};

Memory_writer::Content Memory_writer::content(Byte_view view, std::size_t page) const
{
    if (!present_[page]) {
        return Content::absent;
    }
    return is_zero(view.subspan(page * kPageSize, kPageSize)) ? Content::zero : Content::data;
}

Result<void> Memory_writer::write(std::uint64_t first, std::uint64_t count)
{
    frames_.resize(count);
    std::iota(frames_.begin(), frames_.end(), first);
    const Mapped_pages view = TRY(build_.map_present(id_, frames_, present_));
    const Byte_view bytes   = view.bytes();
    for (std::size_t begin = 0, end = 0; begin < count; begin = end) {
        const Content run = content(bytes, begin);
        for (end = begin + 1; end < count && content(bytes, end) == run; ++end) {
        }
        if (run == Content::zero) {
            TRY(add_zeros(first + begin, end - begin));
        } else if (run == Content::data) {
            TRY(flush_zeros());
            TRY(out_.put_frames(first + begin, bytes.subspan(begin * kPageSize, (end - begin) * kPageSize)));
            counts_.present += end - begin;
        }
    }
    return {};
}

Result<void> Memory_writer::add_zeros(std::uint64_t first, std::uint64_t count)
{
    if (first != zeros_.first + zeros_.count) {
        TRY(flush_zeros());
        zeros_.first = first;
    }
    zeros_.count += count;
    counts_.present += count;
    counts_.zero += count;
    return {};
}

Result<void> Memory_writer::flush_zeros()
{
    const Frame_range zeros = std::exchange(zeros_, {});
    return zeros.count == 0 ? Result<void>{} : out_.put_zero_frames(zeros.first, zeros.count);
}

} // namespace

Result<Memory_counts> write_memory(Build_control& build, Domid id, const Guest_layout& layout,
                                   Image_writer& out, const Progress& progress)
{
    Memory_writer writer(build, id, out);
    std::uint64_t done = 0;
    for (const Frame_range& range : ranges_of(layout)) {
        for (std::uint64_t at = 0; at < range.count;) {
            const std::uint64_t piece = std::min<std::uint64_t>(range.count - at, kMostFrames);
            TRY(writer.write(range.first + at, piece));
            at += piece;
            done += piece;
            if (progress && !progress(done, layout.pages())) {
                return fail(Errc::cancelled, "the save of domain " + to_string(id) + " was cancelled");
            }
        }
    }
    TRY(writer.flush_zeros());
    return writer.counts();
}

} // namespace vmm::save
