// SPDX-License-Identifier: Apache-2.0
#pragma once
// The store on file, for the next process: a whole image first, then one record for each group of changes,
// each with its length and CRC-32. append() is one write, so a process killed at any moment leaves whole
// records and at most one cut short, which read() drops. The file is meant for a tmpfs: it outlives the
// process, not the machine, and one of an earlier boot counts as none. It grows to a few times the image and
// is then to be replaced.

#include "toolstack/base/error.hpp"
#include "toolstack/base/unique_fd.hpp"
#include "toolstack/store/store_image.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace vmm::store
{

class Journal
{
  public:
    struct Found {
        enum class State {
            none,      // no file, or one of another boot
            whole,     // all of it was read, a record that was being written apart
            cut_short, // the same, and such a record was dropped
            damaged    // from some place on it makes no sense; the image is what came before
        };
        Store_image image;
        State state = State::none;
        std::string problem; // where and how, if damaged
    };

    // `boot` names this boot of the machine; any text without newline.
    Journal(std::string path, std::string boot) : path_(std::move(path)), boot_(std::move(boot)) {}

    // An error when there is a file and it cannot be read at all.
    [[nodiscard]] Result<Found> read() const;
    // Moves the file to NAME.bad, for whoever wants to know what happened to it.
    void set_aside() const;

    // Makes the file hold this image and nothing else; on failure it is what it was.
    [[nodiscard]] Result<void> replace(const Store_image& image);
    // Adds a record; only after replace(). On failure the file holds what it held before.
    [[nodiscard]] Result<void> append(std::string_view record);
    [[nodiscard]] bool is_long() const { return size_ > 2 * image_size_ + kSlack; }

    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    static constexpr std::uint64_t kSlack = 512U << 10; // bytes

    [[nodiscard]] std::string header() const;

    std::string path_;
    std::string boot_;
    Unique_fd fd_;
    std::uint64_t size_       = 0;
    std::uint64_t image_size_ = 0; // of the image at its beginning
};

// What the kernel names the present boot by.
[[nodiscard]] std::string present_boot();

// A record as it stands in the file: length, checksum, bytes.
[[nodiscard]] std::string framed(std::string_view record);
// What a row of those holds.
[[nodiscard]] Journal::Found read_records(std::string_view bytes);

} // namespace vmm::store
