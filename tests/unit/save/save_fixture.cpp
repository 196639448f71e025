// SPDX-License-Identifier: Apache-2.0
#include "save_fixture.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

namespace vmm::save::test
{

Temporary_directory::Temporary_directory()
{
    char name[]       = "/tmp/plinth-save-XXXXXX";
    const char* given = ::mkdtemp(name);
    if (given == nullptr) {
        std::abort(); // a machine without a writable /tmp is none to test on
    }
    path_ = given;
}

Temporary_directory::~Temporary_directory()
{
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::size_t Temporary_directory::entries() const
{
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
}

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string text_of(std::span<const std::byte> bytes)
{
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string read_file(const std::string& path)
{
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const std::string& path, std::string_view content)
{
    std::filesystem::remove(path); // file systems flush a file that is written over, but not a new one
    std::ofstream file(path, std::ios::binary);
    file.write(content.data(), static_cast<std::streamsize>(content.size()));
}

std::string frames_of(std::size_t count, unsigned seed)
{
    std::mt19937_64 engine(seed);
    std::string frames(count * kPageSize, '\0');
    for (std::size_t at = 0; at < frames.size(); at += 64) { // an eighth of it: it can be compressed
        const std::uint64_t word = engine() | 1;
        frames.replace(at, sizeof word, reinterpret_cast<const char*>(&word), sizeof word);
    }
    return frames;
}

Raw_image& Raw_image::add(Record_header header, std::string_view payload)
{
    header.number      = static_cast<std::uint32_t>(counts_.records++);
    header.length      = static_cast<std::uint32_t>(payload.size());
    header.payload_sum = checksum(bytes_of(payload));
    counts_.frames += header.type == Record_type::frames ? header.count : 0;
    counts_.zero_frames += header.type == Record_type::zero_frames ? header.count : 0;
    seal(header);
    bytes_ += payload;
    return *this;
}

Raw_image& Raw_image::end() { return end(counts_); }

Raw_image& Raw_image::end(const End_counts& counts)
{
    Record_header header;
    header.type                   = Record_type::end;
    const End_counts before_added = counts;
    return add(header, text_of(std::as_bytes(std::span(&before_added, 1))));
}

std::string first_error(const std::string& path)
{
    auto reader = Image_reader::open(path);
    if (!reader) {
        return reader.error().message;
    }
    for (;;) {
        const auto record = reader->next();
        if (!record) {
            return record.error().message;
        }
        if (record->type == Record_type::end) {
            return {};
        }
    }
}

} // namespace vmm::save::test
