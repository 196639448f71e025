// SPDX-License-Identifier: Apache-2.0
#include "toolstack/migrate/memory_sender.hpp"

#include "toolstack/build/byte_view.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

namespace vmm::migrate
{

namespace
{

constexpr std::size_t kPiece = 1024; // frames that are mapped at once, and most of one record

std::uint64_t end_of(const std::vector<save::Frame_range>& ranges)
{
    std::uint64_t end = 0;
    for (const save::Frame_range& range : ranges) {
        end = std::max(end, range.first + range.count);
    }
    return end;
}

std::unexpected<Error> cancelled() { return fail(Errc::cancelled, "it was cancelled"); }

// Calls visit(begin, end) for each stretch of consecutive frames that `alike` says belong together.
template <class Alike, class Visit>
Result<void> for_each_run(const std::vector<std::uint64_t>& frames, Alike alike, Visit visit)
{
    for (std::size_t begin = 0, end = 0; begin < frames.size(); begin = end) {
        for (end = begin + 1; end < frames.size() && frames[end] == frames[end - 1] + 1 && alike(begin, end);
             ++end) {
        }
        TRY(visit(begin, end));
    }
    return {};
}

} // namespace

Memory_sender::Memory_sender(Domid id, const Guest_layout& layout)
    : id_(id), ranges_(save::ranges_of(layout)), there_(end_of(ranges_)), log_((there_.size() + 63) / 64),
      to_send_(log_.size())
{
}

std::uint64_t Memory_sender::frames() const
{
    std::uint64_t all = 0;
    for (const save::Frame_range& range : ranges_) {
        all += range.count;
    }
    return all;
}

Result<void> Memory_sender::send_all(Build_control& control, save::Image_writer& out,
                                     const Progress& progress)
{
    std::uint64_t left = this->frames();
    std::vector<std::uint64_t> frames;
    for (const save::Frame_range& range : ranges_) {
        for (std::uint64_t at = 0; at < range.count; at += frames.size()) {
            frames.resize(std::min<std::uint64_t>(range.count - at, kPiece));
            std::iota(frames.begin(), frames.end(), range.first + at);
            TRY(send(control, out, frames));
            left -= frames.size();
            if (!progress(left)) {
                return cancelled();
            }
        }
    }
    return out.flush();
}

Result<void> Memory_sender::take_log(Build_control& control)
{
    TRY(control.take_write_log(id_, log_));
    waiting_ = 0;
    for (const save::Frame_range& range : ranges_) {
        for (std::uint64_t frame = range.first; frame < range.first + range.count;) {
            const std::uint64_t bit = frame % 64;
            std::uint64_t& word     = to_send_[frame / 64];
            const std::uint64_t end = std::min(range.first + range.count, frame - bit + 64);
            const std::uint64_t of_range =
                (~std::uint64_t{0} << bit) & (~std::uint64_t{0} >> (63 - (end - 1) % 64));
            word |= log_[frame / 64] & of_range;
            waiting_ += static_cast<std::uint64_t>(std::popcount(word & of_range));
            frame = end;
        }
    }
    return {};
}

Result<void> Memory_sender::send_waiting(Build_control& control, save::Image_writer& out,
                                         const Progress& progress)
{
    std::vector<std::uint64_t> frames;
    const auto send_piece = [&]() -> Result<void> {
        TRY(send(control, out, frames));
        waiting_ -= frames.size();
        frames.clear();
        return progress(waiting_) ? Result<void>() : cancelled();
    };
    for (std::size_t i = 0; i < to_send_.size(); ++i) {
        for (; to_send_[i] != 0; to_send_[i] &= to_send_[i] - 1) {
            frames.push_back(i * 64 + static_cast<unsigned>(std::countr_zero(to_send_[i])));
            if (frames.size() == kPiece) {
                TRY(send_piece());
            }
        }
    }
    if (!frames.empty()) {
        TRY(send_piece());
    }
    return out.flush();
}

Result<void> Memory_sender::tell_presence(save::Image_writer& out, const std::vector<std::uint64_t>& frames,
                                          const std::vector<Content>& content)
{
    const auto present = [&](std::size_t i) { return content[i] != Content::absent; };
    const auto change  = [&](std::size_t i) { return present(i) != there_[frames[i]]; };
    const auto alike   = [&](std::size_t begin, std::size_t i) {
        return change(i) == change(begin) && present(i) == present(begin);
    };
    return for_each_run(frames, alike, [&](std::size_t begin, std::size_t end) -> Result<void> {
        if (!change(begin)) {
            return {};
        }
        for (std::size_t i = begin; i < end; ++i) {
            there_[frames[i]] = present(begin);
        }
        present(begin) ? present_count_ += end - begin : present_count_ -= end - begin;
        return out.put_range(present(begin) ? save::Record_type::memory : save::Record_type::absent,
                             frames[begin], end - begin);
    });
}

// A view of a domain that runs changes while it is looked at, so checksums are of a copy.
Result<std::vector<Memory_sender::Content>> Memory_sender::copy(Build_control& control,
                                                                const std::vector<std::uint64_t>& frames)
{
    std::vector<bool> present;
    const Mapped_pages view = TRY(control.map_present(id_, frames, present));
    copy_.resize(kPiece * kPageSize);
    std::vector<Content> content(frames.size(), Content::absent);
    for (std::size_t i = 0; i < frames.size(); ++i) {
        if (present[i]) {
            std::byte* const page = copy_.data() + i * kPageSize;
            std::memcpy(page, view.bytes().data() + i * kPageSize, kPageSize);
            content[i] = is_zero(Byte_view(page, kPageSize)) ? Content::zero : Content::data;
        }
    }
    return content;
}

Result<void> Memory_sender::send(Build_control& control, save::Image_writer& out,
                                 const std::vector<std::uint64_t>& frames)
{
    const std::vector<Content> content = TRY(copy(control, frames));
    const Byte_view bytes(copy_);
    // Zeros need not be told of frames that are new to the other side.
    std::vector<bool> known;
    known.reserve(frames.size());
    for (const std::uint64_t frame : frames) {
        known.push_back(there_[frame]);
    }
    TRY(tell_presence(out, frames, content));
    const auto alike = [&](std::size_t begin, std::size_t i) {
        return content[i] == content[begin] && known[i] == known[begin];
    };
    TRY(for_each_run(frames, alike, [&](std::size_t begin, std::size_t end) -> Result<void> {
        if (content[begin] == Content::data) {
            return out.put_frames(frames[begin], bytes.subspan(begin * kPageSize, (end - begin) * kPageSize));
        }
        if (content[begin] == Content::zero && known[begin]) {
            return out.put_zero_frames(frames[begin], end - begin);
        }
        return {};
    }));
    sent_ += frames.size();
    return {};
}

} // namespace vmm::migrate
