// SPDX-License-Identifier: Apache-2.0
#include "toolstack/store/journal.hpp"

#include "toolstack/store/packed.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <zlib.h>

#include <cstdio>
#include <fstream>
#include <sstream>

namespace vmm::store
{
namespace
{

constexpr std::string_view kFormat = "vmm-store-journal 1 ";

std::uint32_t checksum(std::string_view bytes)
{
    return static_cast<std::uint32_t>(
        crc32_z(0, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

constexpr std::size_t kFrameBytes = 8;

Result<void> write_all(int fd, std::string_view bytes, const std::string& path)
{
    while (!bytes.empty()) {
        const ssize_t now = ::write(fd, bytes.data(), bytes.size());
        if (now < 0 && errno != EINTR) {
            return fail_errno("cannot write " + path);
        }
        bytes.remove_prefix(now > 0 ? static_cast<std::size_t>(now) : 0);
    }
    return {};
}

} // namespace

std::string framed(std::string_view record)
{
    Packer frame;
    frame.put(static_cast<std::uint32_t>(record.size()));
    frame.put(checksum(record));
    std::string bytes = frame.take();
    return bytes.append(record);
}

std::string present_boot()
{
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string boot;
    std::getline(file, boot);
    return boot;
}

Journal::Found read_records(std::string_view bytes)
{
    Journal::Found found;
    found.state           = Journal::Found::State::whole;
    std::string_view rest = bytes;
    const auto damaged    = [&](const char* how) {
        const std::size_t good = bytes.size() - rest.size();
        found                  = read_records(bytes.substr(0, good)); // without what the bad one began
        found.state            = Journal::Found::State::damaged;
        found.problem          = "the record at byte " + std::to_string(good) + " " + how;
        return std::move(found);
    };
    while (!rest.empty()) {
        Unpacker frame(rest.substr(0, kFrameBytes));
        const auto length = frame.get<std::uint32_t>();
        const auto sum    = frame.get<std::uint32_t>();
        if (!frame.is_good() || length > rest.size() - kFrameBytes) {
            found.state = Journal::Found::State::cut_short;
            return found;
        }
        const std::string_view record = rest.substr(kFrameBytes, length);
        if (checksum(record) != sum) {
            return damaged("has a wrong checksum");
        }
        if (!found.image.apply(record)) {
            return damaged("makes no sense");
        }
        rest.remove_prefix(kFrameBytes + length);
    }
    return found;
}

std::string Journal::header() const { return std::string(kFormat) + boot_ + "\n"; }

Result<Journal::Found> Journal::read() const
{
    std::ifstream file(path_, std::ios::binary);
    if (!file) {
        if (errno == ENOENT) {
            return Found{};
        }
        return fail_errno("cannot read " + path_);
    }
    std::ostringstream text;
    text << file.rdbuf();
    const std::string bytes = std::move(text).str();
    const auto end          = bytes.find('\n');
    if (!bytes.starts_with(kFormat) || end == bytes.npos) {
        return Found{{}, Found::State::damaged, "it does not begin as a journal of this version does"};
    }
    if (bytes.compare(0, end + 1, header()) != 0) {
        return Found{};
    }
    return read_records(std::string_view(bytes).substr(end + 1));
}

void Journal::set_aside() const { std::rename(path_.c_str(), (path_ + ".bad").c_str()); }

Result<void> Journal::replace(const Store_image& image)
{
    const std::string next = path_ + ".new";
    Unique_fd fd(::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600));
    if (!fd) {
        return fail_errno("cannot write " + next);
    }
    const std::string bytes = header() + framed(image.to_record());
    if (auto written = write_all(fd.get(), bytes, next); !written) {
        ::unlink(next.c_str());
        return written;
    }
    if (std::rename(next.c_str(), path_.c_str()) < 0) {
        return fail_errno("cannot replace " + path_);
    }
    fd_   = std::move(fd);
    size_ = image_size_ = bytes.size();
    return {};
}

Result<void> Journal::append(std::string_view record)
{
    const std::string bytes = framed(record);
    if (auto written = write_all(fd_.get(), bytes, path_); !written) {
        // What did get there would make everything after it unreadable.
        if (::ftruncate(fd_.get(), static_cast<off_t>(size_)) < 0) {
            return fail_errno(written.error().message + "; nor can it be cut back");
        }
        return written;
    }
    size_ += bytes.size();
    return {};
}

} // namespace vmm::store
