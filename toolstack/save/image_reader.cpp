// SPDX-License-Identifier: Apache-2.0
#include "toolstack/build/decompress.hpp"
#include "toolstack/save/image_format.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

namespace vmm::save
{

namespace
{

// How files of Xen's own tools begin: xl's header, the streams of libxl and libxc behind it, and xend's.
constexpr std::string_view kXenBeginnings[] = {
    "Xen saved domain, xl format",
    "LibxlFmt",
    "\xff\xff\xff\xff\xff\xff\xff\xffXENF",
    "LinuxGuestRecord",
};

bool is_xens(std::string_view beginning)
{
    return std::ranges::any_of(kXenBeginnings, [&](auto known) { return beginning.starts_with(known); });
}

// What a record of a known type must and must not have, beyond its payload.
std::optional<std::string_view> find_wrong(const Record_header& header)
{
    const bool is_memory = header.type == Record_type::frames || header.type == Record_type::zero_frames ||
                           header.type == Record_type::memory || header.type == Record_type::absent;
    if (!is_memory && (header.first != 0 || header.count != 0)) {
        return "a record without frames counts some";
    }
    if ((header.flags & kFlagZstd) != 0 && header.type != Record_type::frames) {
        return "a record is compressed that must not be";
    }
    if (is_memory &&
        (header.count == 0 || header.first >= kFrameNumbers || header.count > kFrameNumbers - header.first)) {
        return "it names frames that cannot be";
    }
    if (header.type == Record_type::frames && header.count > kMostFrames) {
        return "a record holds more frames than allowed";
    }
    if (is_memory && header.type != Record_type::frames && header.length != 0) {
        return "a record of zeros has contents";
    }
    return std::nullopt;
}

bool is_known(Record_type type, bool stream)
{
    return (type >= Record_type::description && type <= Record_type::point) ||
           (stream && type >= Record_type::memory && type <= Record_type::commit);
}

} // namespace

Image_reader::Image_reader(std::string path, Unique_fd fd, std::uint64_t size)
    : path_(std::move(path)), fd_(std::move(fd)), size_(size)
{
}

Result<Image_reader> Image_reader::open(std::string path)
{
    Unique_fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat status {
    };
    if (!fd || ::fstat(fd.get(), &status) != 0) {
        return fail_errno("cannot read " + path);
    }
    if (!S_ISREG(status.st_mode)) {
        return fail(Errc::invalid, "cannot restore from " + path + ": it is not a regular file");
    }
    Image_reader reader(std::move(path), std::move(fd), static_cast<std::uint64_t>(status.st_size));
    TRY(reader.read_file_header());
    return reader;
}

Result<Image_reader> Image_reader::over(Byte_stream& stream, std::string name)
{
    Image_reader reader(std::move(name), {}, std::numeric_limits<std::uint64_t>::max());
    reader.stream_ = &stream;
    File_header header;
    TRY(reader.read(&header, sizeof header));
    if (header.magic != kStreamMagic || header.frame_size != kPageSize) {
        return fail(Errc::protocol,
                    reader.path_ + " is not an xm of this project: it sends something else than a domain");
    }
    if (header.version != kVersion) {
        return fail(Errc::unsupported, reader.path_ + " speaks version " + std::to_string(header.version) +
                                           " of the migration protocol; this vmmd speaks " +
                                           std::to_string(kVersion));
    }
    if (header.checksum != checksum_of(header)) {
        return reader.corrupted("the checksum of its header does not match");
    }
    return reader;
}

Result<void> Image_reader::read_file_header()
{
    constexpr std::size_t kBeginning = 32;
    std::string beginning(std::min<std::uint64_t>(size_, kBeginning), '\0');
    TRY(read(beginning.data(), beginning.size()));
    position_ = 0;
    const std::string_view magic(reinterpret_cast<const char*>(kMagic.data()), kMagic.size());
    if (is_xens(beginning)) {
        return fail(Errc::invalid, path_ + " was written by Xen's xl; restore it with xl restore");
    }
    if (!beginning.starts_with(magic.substr(0, beginning.size())) || beginning.empty()) {
        return fail(Errc::invalid, path_ + " was not written by xm save");
    }
    if (size_ < sizeof(File_header)) {
        return truncated("before its first record");
    }
    File_header header;
    TRY(read(&header, sizeof header));
    if (header.version != kVersion) {
        return fail(Errc::unsupported, path_ + " is of format version " + std::to_string(header.version) +
                                           "; this vmmd reads " + std::to_string(kVersion));
    }
    if (header.checksum != checksum_of(header)) {
        return corrupted("the checksum of its header does not match");
    }
    if (header.frame_size != kPageSize) {
        return fail(Errc::unsupported, path_ + " has frames of " + std::to_string(header.frame_size) +
                                           " bytes; this vmmd reads " + std::to_string(kPageSize));
    }
    return {};
}

Result<Record> Image_reader::next()
{
    if (std::exchange(again_, false)) {
        return last_;
    }
    if (last_.type == Record_type::end && stream_ == nullptr) {
        return fail(Errc::invalid, path_ + " has no record behind its last");
    }
    for (;;) {
        const Record_header header = TRY(read_record());
        if (TRY(interpret(header))) {
            return last_;
        }
    }
}

Result<Record_header> Image_reader::read_record()
{
    start_ = position_;
    if (size_ - position_ < sizeof(Record_header)) {
        return truncated(position_ == size_ ? "before its end record" : "inside a record");
    }
    Record_header header;
    TRY(read(&header, sizeof header));
    if (header.checksum != checksum_of(header)) {
        return corrupted("the checksum of a record's header does not match");
    }
    if (header.number != static_cast<std::uint32_t>(records_)) {
        return corrupted("record " + std::to_string(header.number) + " is where record " +
                         std::to_string(records_) + " belongs");
    }
    ++records_;
    if (header.length > kMostPayload) {
        return corrupted("a record is longer than allowed");
    }
    if (header.length > size_ - position_) {
        return truncated("inside a record");
    }
    stored_.resize(header.length);
    TRY(read(stored_.data(), stored_.size()));
    if (header.payload_sum != checksum(stored_)) {
        return corrupted("the checksum of a record's contents does not match");
    }
    return header;
}

// False: it is not for us.
Result<bool> Image_reader::interpret(const Record_header& header)
{
    if (!is_known(header.type, stream_ != nullptr)) {
        if ((header.flags & kFlagOptional) != 0) {
            return false;
        }
        return fail(Errc::unsupported, path_ + " holds a record of type " +
                                           std::to_string(static_cast<std::uint32_t>(header.type)) +
                                           ", which this vmmd does not know; restore it with a newer one");
    }
    if ((header.flags & ~(kFlagZstd | kFlagOptional)) != 0) {
        return fail(Errc::unsupported,
                    path_ + " is encoded in a way this vmmd does not know; restore it with a newer one");
    }
    if (const auto wrong = find_wrong(header)) {
        return corrupted(*wrong);
    }
    last_ = {header.type, header.first, header.count, stored_};
    switch (header.type) {
    case Record_type::frames: TRY(take_frames(header)); break;
    case Record_type::zero_frames: zero_frames_ += header.count; break;
    case Record_type::end: TRY(take_end()); break;
    default: break;
    }
    return true;
}

Result<void> Image_reader::take_frames(const Record_header& header)
{
    const std::size_t size = header.count * kPageSize;
    if ((header.flags & kFlagZstd) != 0) {
        unpacked_.resize(std::max(unpacked_.size(), size));
        last_.payload = std::span(unpacked_).first(size);
        if (const auto done = decompress_zstd(stored_, std::span(unpacked_).first(size)); !done) {
            return corrupted(done.error().message);
        }
    } else if (stored_.size() != size) {
        return corrupted("a record does not hold the frames it counts");
    }
    frames_ += header.count;
    return {};
}

Result<void> Image_reader::take_end()
{
    End_counts counts;
    if (stored_.size() != sizeof counts) {
        return corrupted("its end record is not one");
    }
    std::memcpy(&counts, stored_.data(), sizeof counts);
    if (counts.records != records_ - 1 || counts.frames != frames_ || counts.zero_frames != zero_frames_) {
        return corrupted("its end record counts other records than are there");
    }
    if (position_ != size_ && stream_ == nullptr) {
        return corrupted(std::to_string(size_ - position_) + " bytes follow its end record");
    }
    return {};
}

Result<void> Image_reader::read(void* to, std::size_t size)
{
    auto* at = static_cast<char*>(to);
    while (size > 0) {
        const std::size_t got = TRY(read_some(at, size));
        if (got == 0 && stream_ != nullptr) {
            return fail(Errc::io, "the connection to " + path_ + " has ended");
        }
        if (got == 0) {
            return truncated("while it is read");
        }
        at += got;
        size -= got;
        position_ += got;
    }
    return {};
}

Result<std::size_t> Image_reader::read_some(char* to, std::size_t size)
{
    if (stream_ != nullptr) {
        return stream_->read(std::as_writable_bytes(std::span(to, size)));
    }
    for (;;) {
        const ssize_t got = ::pread(fd_.get(), to, size, static_cast<off_t>(position_));
        if (got >= 0) {
            return static_cast<std::size_t>(got);
        }
        if (errno != EINTR) {
            return fail_errno("cannot read " + path_);
        }
    }
}

std::unexpected<Error> Image_reader::truncated(std::string_view where) const
{
    return fail(Errc::invalid, path_ + " is truncated: it ends at byte " + std::to_string(size_) + ", " +
                                   std::string(where));
}

std::unexpected<Error> Image_reader::corrupted(std::string_view why) const
{
    return fail(Errc::invalid,
                path_ + " is corrupted at byte " + std::to_string(start_) + ": " + std::string(why));
}

} // namespace vmm::save
