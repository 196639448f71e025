// SPDX-License-Identifier: Apache-2.0
#include "toolstack/save/image_format.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace vmm::save
{

namespace
{

constexpr std::size_t kBufferBytes = 1 << 20;
constexpr int kZstdLevel           = 1; // of those that pay, the one that keeps up with a disk

Result<void> check_target(const std::string& path)
{
    struct stat status {
    };
    if (::lstat(path.c_str(), &status) == 0) {
        if (!S_ISREG(status.st_mode)) {
            return fail(Errc::exists,
                        "cannot save to " + path +
                            ": something is there that is not a regular file; choose another name");
        }
    } else if (errno != ENOENT) {
        return fail_errno("cannot save to " + path);
    }
    return {};
}

// Who writes a partial file holds its lock, so one without a lock is the rest of a save that was killed.
Result<void> remove_left_over(const std::string& partial)
{
    const Unique_fd old(::open(partial.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    if (!old && errno == ENOENT) {
        return {};
    }
    struct stat status {
    };
    if (!old || ::fstat(old.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
        return fail(Errc::exists, partial + " is in the way and is not a regular file; remove it");
    }
    if (::flock(old.get(), LOCK_EX | LOCK_NB) != 0) {
        return fail(Errc::busy,
                    "another save is writing " + partial + "; wait for it or choose another name");
    }
    if (::unlink(partial.c_str()) != 0 && errno != ENOENT) {
        return fail_errno("cannot remove " + partial + ", which a save left that was killed");
    }
    return {};
}

// A new file of ours: never one that somebody else made and may have open.
Result<Unique_fd> create_partial(const std::string& partial)
{
    constexpr int kAttempts = 3; // somebody may take our lock for an instant to see if we live
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        Unique_fd fd(::open(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!fd && errno != EEXIST) {
            return fail_errno("cannot create " + partial);
        }
        struct stat status {
        };
        if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0 && ::fstat(fd.get(), &status) == 0 &&
            status.st_nlink == 1) {
            return fd;
        }
        if (!fd) {
            TRY(remove_left_over(partial));
        }
    }
    return fail(Errc::busy, "another save is writing " + partial + "; wait for it or choose another name");
}

Result<void> flush_directory_of(const std::string& path)
{
    const auto slash            = path.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    const Unique_fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || ::fsync(fd.get()) != 0) {
        return fail_errno("cannot flush the directory of " + path);
    }
    return {};
}

} // namespace

void Image_writer::Free_compressor::operator()(ZSTD_CCtx_s* context) const { ZSTD_freeCCtx(context); }

Image_writer::Image_writer(std::string path, std::string partial, Unique_fd fd)
    : path_(std::move(path)), partial_(std::move(partial)), fd_(std::move(fd))
{
    buffer_.reserve(kBufferBytes);
}

Image_writer::Image_writer(Image_writer&& other) noexcept
    : path_(std::move(other.path_)), partial_(std::exchange(other.partial_, {})), fd_(std::move(other.fd_)),
      stream_(other.stream_), compressor_(std::move(other.compressor_)),
      compressed_(std::move(other.compressed_)), buffer_(std::move(other.buffer_)), bytes_(other.bytes_),
      records_(other.records_), frames_(other.frames_), zero_frames_(other.zero_frames_)
{
}

Image_writer& Image_writer::operator=(Image_writer&& other) noexcept
{
    if (this != &other) {
        abandon();
        path_        = std::move(other.path_);
        partial_     = std::exchange(other.partial_, {});
        fd_          = std::move(other.fd_);
        stream_      = other.stream_;
        compressor_  = std::move(other.compressor_);
        compressed_  = std::move(other.compressed_);
        buffer_      = std::move(other.buffer_);
        bytes_       = other.bytes_;
        records_     = other.records_;
        frames_      = other.frames_;
        zero_frames_ = other.zero_frames_;
    }
    return *this;
}

Image_writer::~Image_writer() { abandon(); }

void Image_writer::abandon()
{
    if (!partial_.empty()) {
        ::unlink(partial_.c_str()); // while its lock is held
        partial_.clear();
    }
    fd_.reset();
}

Result<Image_writer> Image_writer::create(std::string path, Compression compression)
{
    TRY(check_target(path));
    std::string partial = path + ".partial";
    Unique_fd fd        = TRY(create_partial(partial));
    Image_writer writer(std::move(path), std::move(partial), std::move(fd));
    if (compression == Compression::zstd) {
        TRY(writer.start_compressor());
    }
    TRY(writer.write_header());
    return writer;
}

Result<Image_writer> Image_writer::over(Byte_stream& stream, std::string name, Compression compression)
{
    Image_writer writer(std::move(name), {}, {});
    writer.stream_ = &stream;
    if (compression == Compression::zstd) {
        TRY(writer.start_compressor());
    }
    TRY(writer.write_header());
    return writer;
}

Result<void> Image_writer::start_compressor()
{
    compressor_.reset(ZSTD_createCCtx());
    if (!compressor_ ||
        ZSTD_isError(ZSTD_CCtx_setParameter(compressor_.get(), ZSTD_c_compressionLevel, kZstdLevel)) != 0U) {
        return fail(Errc::out_of_memory, "no memory to compress " + path_);
    }
    compressed_.resize(ZSTD_compressBound(kMostFrames * kPageSize));
    return {};
}

Result<void> Image_writer::write_header()
{
    File_header header;
    header.magic    = stream_ != nullptr ? kStreamMagic : kMagic;
    header.checksum = checksum_of(header);
    return append(std::as_bytes(std::span(&header, 1)));
}

Result<void> Image_writer::put(Record_type type, std::span<const std::byte> payload)
{
    if (payload.size() > kMostPayload) {
        return fail(Errc::too_big, "cannot write " + path_ + ": a record of " +
                                       std::to_string(payload.size()) +
                                       " bytes is more than the format allows");
    }
    Record_header header;
    header.type = type;
    return put_record(header, payload);
}

Result<void> Image_writer::put_frames(std::uint64_t first, std::span<const std::byte> contents)
{
    constexpr std::size_t kMostBytes = kMostFrames * kPageSize;
    while (!contents.empty()) {
        const auto piece = contents.first(std::min(contents.size(), kMostBytes));
        TRY(put_piece(first, piece));
        contents = contents.subspan(piece.size());
        first += piece.size() / kPageSize;
    }
    return {};
}

Result<void> Image_writer::put_piece(std::uint64_t first, std::span<const std::byte> contents)
{
    Record_header header;
    header.type  = Record_type::frames;
    header.first = first;
    header.count = contents.size() / kPageSize;
    frames_ += header.count;
    if (compressor_) {
        const std::size_t got = ZSTD_compress2(compressor_.get(), compressed_.data(), compressed_.size(),
                                               contents.data(), contents.size());
        if (ZSTD_isError(got) != 0U) {
            return fail(Errc::out_of_memory, "cannot compress " + path_ + ": " + ZSTD_getErrorName(got));
        }
        if (got < contents.size()) {
            header.flags = kFlagZstd;
            contents     = std::span(compressed_).first(got);
        }
    }
    return put_record(header, contents);
}

Result<void> Image_writer::put_zero_frames(std::uint64_t first, std::uint64_t count)
{
    Record_header header;
    header.type  = Record_type::zero_frames;
    header.first = first;
    header.count = count;
    zero_frames_ += count;
    return put_record(header, {});
}

Result<void> Image_writer::put_range(Record_type type, std::uint64_t first, std::uint64_t count)
{
    Record_header header;
    header.type  = type;
    header.first = first;
    header.count = count;
    return put_record(header, {});
}

Result<void> Image_writer::put_record(Record_header header, std::span<const std::byte> payload)
{
    header.length      = static_cast<std::uint32_t>(payload.size());
    header.number      = static_cast<std::uint32_t>(records_++);
    header.payload_sum = checksum(payload);
    header.checksum    = checksum_of(header);
    TRY(append(std::as_bytes(std::span(&header, 1))));
    return append(payload);
}

Result<void> Image_writer::append(std::span<const std::byte> bytes)
{
    bytes_ += bytes.size();
    if (buffer_.size() + bytes.size() > kBufferBytes) {
        TRY(flush());
    }
    if (bytes.size() > kBufferBytes) {
        return write_out(bytes);
    }
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    return {};
}

Result<void> Image_writer::flush()
{
    TRY(write_out(buffer_));
    buffer_.clear();
    return {};
}

Result<void> Image_writer::write_out(std::span<const std::byte> bytes)
{
    if (stream_ != nullptr) {
        return stream_->write(bytes);
    }
    if (!fd_) {
        return fail(Errc::io, "cannot write " + path_ + ": an earlier write to it failed");
    }
    while (!bytes.empty()) {
        const ssize_t done = ::write(fd_.get(), bytes.data(), bytes.size());
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0) {
            const int why = errno;
            abandon(); // at once: the space may be wanted, and nothing can make this file whole
            return fail_errno("cannot write " + path_, why);
        }
        bytes = bytes.subspan(static_cast<std::size_t>(done));
    }
    return {};
}

Result<void> Image_writer::put_end()
{
    const End_counts counts{records_, frames_, zero_frames_};
    Record_header header;
    header.type = Record_type::end;
    return put_record(header, std::as_bytes(std::span(&counts, 1)));
}

Result<void> Image_writer::finish()
{
    TRY(put_end());
    TRY(flush());
    if (::fsync(fd_.get()) != 0) {
        return fail_errno("cannot write " + path_);
    }
    return move_into_place();
}

Result<void> Image_writer::move_into_place()
{
    TRY(check_target(path_)); // once more: it may have come meanwhile
    if (::rename(partial_.c_str(), path_.c_str()) != 0) {
        return fail_errno("cannot move the saved domain to " + path_);
    }
    partial_.clear();
    if (auto flushed = flush_directory_of(path_); !flushed) {
        ::unlink(path_.c_str()); // told as failed, so nobody may restore it
        return flushed;
    }
    return {};
}

} // namespace vmm::save
