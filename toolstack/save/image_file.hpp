// SPDX-License-Identifier: Apache-2.0
#pragma once
// The file of a saved domain: a header and a chain of checksummed records, as FORMAT.md in this folder
// specifies. The writer writes beside the place asked for and moves the whole file there when it is complete
// and on stable storage; the reader checks each record before it gives it out, and trusts no length in it.
// Neither knows what the records mean. Over a byte stream the same records carry a domain to another host,
// both ways, with some more of them; there is no file then and nothing comes at once.

#include "toolstack/base/error.hpp"
#include "toolstack/base/unique_fd.hpp"
#include "toolstack/save/byte_stream.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct ZSTD_CCtx_s;

namespace vmm::save
{

enum class Compression : std::uint8_t { none = 0, zstd = 1 };

enum class Record_type : std::uint32_t {
    description = 1, // JSON: what the domain is (saved_domain.hpp)
    frames      = 2, // contents of frames
    zero_frames = 3, // frames that hold only zeros
    processors  = 4, // HVM save records of <xen/hvm/save.h>
    end         = 5, // counts; nothing follows in a file
    point       = 6, // a description with disks: memory without them would be another domain
    // Only in a stream between two hosts:
    memory      = 16, // frames that have memory from now on, of zeros
    absent      = 17, // frames that have none any more
    answer      = 18, // JSON: the target's
    commit      = 19, // the domain is the target's
};

struct Record_header;

class Image_writer
{
  public:
    // `path` itself is touched by finish() only; a regular file there is replaced then, anything else
    // refused.
    [[nodiscard]] static Result<Image_writer> create(std::string path, Compression compression);
    Image_writer(Image_writer&&) noexcept;
    Image_writer& operator=(Image_writer&&) noexcept;
    ~Image_writer(); // what is not finished is removed

    // To the peer at the other end, which `name` is for messages; both outlive the writer.
    [[nodiscard]] static Result<Image_writer> over(Byte_stream& stream, std::string name,
                                                   Compression compression);

    // A description or the processors, or what has no payload; frames and the end have calls of their own.
    [[nodiscard]] Result<void> put(Record_type type, std::span<const std::byte> payload);
    // Whole frames from `first` on, in ascending order; compressed if that is on and makes them smaller.
    [[nodiscard]] Result<void> put_frames(std::uint64_t first, std::span<const std::byte> contents);
    [[nodiscard]] Result<void> put_zero_frames(std::uint64_t first, std::uint64_t count);
    // Frames as such: memory, absent.
    [[nodiscard]] Result<void> put_range(Record_type type, std::uint64_t first, std::uint64_t count);
    [[nodiscard]] Result<void> put_end();
    // What was put is on its way.
    [[nodiscard]] Result<void> flush();

    // Of a file: writes the end record, flushes to stable storage and moves the file into its place.
    [[nodiscard]] Result<void> finish();
    [[nodiscard]] std::uint64_t bytes() const { return bytes_; } // written so far

  private:
    struct Free_compressor {
        void operator()(ZSTD_CCtx_s* context) const;
    };

    Image_writer(std::string path, std::string partial, Unique_fd fd);
    Result<void> write_header();
    Result<void> start_compressor();
    Result<void> put_piece(std::uint64_t first, std::span<const std::byte> contents);
    Result<void> put_record(Record_header header, std::span<const std::byte> payload);
    Result<void> append(std::span<const std::byte> bytes);
    Result<void> write_out(std::span<const std::byte> bytes);
    Result<void> move_into_place();
    void abandon();

    std::string path_;
    std::string partial_; // empty: there is none to remove
    Unique_fd fd_;
    Byte_stream* stream_ = nullptr;                            // instead
    std::unique_ptr<ZSTD_CCtx_s, Free_compressor> compressor_; // none: frames are stored as they are
    std::vector<std::byte> compressed_;
    std::vector<std::byte> buffer_; // small records, until they are worth a write
    std::uint64_t bytes_       = 0;
    std::uint64_t records_     = 0;
    std::uint64_t frames_      = 0;
    std::uint64_t zero_frames_ = 0;
};

struct Record {
    Record_type type{};
    std::uint64_t first = 0;            // frames, zero_frames: the first one
    std::uint64_t count = 0;            // and how many
    std::span<const std::byte> payload; // uncompressed; valid until the next read
};

class Image_reader
{
  public:
    // Refuses what is no saved domain of a version known here; a file of Xen's own tools is named as such.
    [[nodiscard]] static Result<Image_reader> open(std::string path);

    // What a peer sends, which `name` is for messages; the stream outlives the reader. Waits for its first
    // bytes.
    [[nodiscard]] static Result<Image_reader> over(Byte_stream& stream, std::string name);

    // The next record; in a file there is none after Record_type::end. Errors name the file, the place in it,
    // and whether it is truncated or corrupted.
    [[nodiscard]] Result<Record> next();
    // The record last read is to be given out once more.
    void put_back() { again_ = true; }

    // For who understands the record last read, and finds that it cannot be right.
    [[nodiscard]] std::unexpected<Error> corrupted(std::string_view why) const;

    [[nodiscard]] std::uint64_t size() const { return size_; }         // of the file
    [[nodiscard]] std::uint64_t position() const { return position_; } // how far it was read

  private:
    Image_reader(std::string path, Unique_fd fd, std::uint64_t size);
    Result<void> read_file_header();
    Result<Record_header> read_record();
    Result<void> read(void* to, std::size_t size);
    Result<bool> interpret(const Record_header& header);
    Result<void> take_frames(const Record_header& header);
    Result<void> take_end();
    Result<std::size_t> read_some(char* to, std::size_t size);
    [[nodiscard]] std::unexpected<Error> truncated(std::string_view where) const;

    std::string path_;
    Unique_fd fd_;
    Byte_stream* stream_ = nullptr; // instead
    std::uint64_t size_;
    std::uint64_t position_ = 0;
    std::uint64_t start_    = 0; // of the record last read
    std::vector<std::byte> stored_;
    std::vector<std::byte> unpacked_;
    Record last_;
    bool again_                = false;
    std::uint64_t records_     = 0;
    std::uint64_t frames_      = 0;
    std::uint64_t zero_frames_ = 0;
};

} // namespace vmm::save
