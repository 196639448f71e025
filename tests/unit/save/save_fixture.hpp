// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the tests of saved domains share: a directory that goes away, whole files as strings, and files put
// together record by record with checksums that hold, however wrong the rest is.

#include "toolstack/save/image_format.hpp"

#include <string>
#include <string_view>

namespace vmm::save::test
{

class Temporary_directory
{
  public:
    Temporary_directory();
    Temporary_directory(const Temporary_directory&)            = delete;
    Temporary_directory& operator=(const Temporary_directory&) = delete;
    ~Temporary_directory();

    [[nodiscard]] std::string file(std::string_view name) const { return path_ + "/" + std::string(name); }
    [[nodiscard]] std::size_t entries() const;

  private:
    std::string path_;
};

[[nodiscard]] std::span<const std::byte> bytes_of(std::string_view text);
[[nodiscard]] std::string text_of(std::span<const std::byte> bytes);
[[nodiscard]] std::string read_file(const std::string& path);
void write_file(const std::string& path, std::string_view content);

// `count` frames of bytes that differ from frame to frame and from seed to seed.
[[nodiscard]] std::string frames_of(std::size_t count, unsigned seed);

class Raw_image
{
  public:
    Raw_image() { seal(header_); }

    // Checksums, number and length are made to fit; the rest is taken as it is.
    Raw_image& add(Record_header header, std::string_view payload = {});
    Raw_image& end();                         // with the right counts
    Raw_image& end(const End_counts& counts); // with these
    [[nodiscard]] const std::string& bytes() const { return bytes_; }

    template <class Header>
    void seal(Header& header)
    {
        header.checksum = checksum_of(header);
        bytes_ += text_of(std::as_bytes(std::span(&header, 1)));
    }

  private:
    File_header header_;
    std::string bytes_;
    End_counts counts_;
};

// The first error met in reading all of the file, or nothing.
[[nodiscard]] std::string first_error(const std::string& path);

} // namespace vmm::save::test
