// SPDX-License-Identifier: Apache-2.0
#include "toolstack/build/image_bytes.hpp"

#include "toolstack/base/unique_fd.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace vmm
{

Result<Image_bytes> Image_bytes::allocate(std::size_t size)
{
    if (size == 0) {
        return Image_bytes();
    }
    void* data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) {
        return fail_errno("cannot get " + std::to_string(size >> 20) + " MiB of memory");
    }
    madvise(data, size, MADV_HUGEPAGE); // a wish only: refused, the block works all the same
    return Image_bytes(static_cast<std::byte*>(data), size);
}

Result<Image_bytes> Image_bytes::read_file(const std::string& path, std::size_t limit,
                                           const std::string& what)
{
    const Unique_fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd) {
        return fail_errno(what + " " + path);
    }
    struct stat status {
    };
    if (fstat(fd.get(), &status) < 0) {
        return fail_errno(what + " " + path);
    }
    if (!S_ISREG(status.st_mode)) {
        return fail(Errc::invalid, what + " " + path + ": not a regular file");
    }
    const auto size = static_cast<std::size_t>(status.st_size);
    if (size == 0) {
        return fail(Errc::invalid, what + " " + path + ": the file is empty");
    }
    if (size > limit) {
        return fail(Errc::too_big, what + " " + path + ": " + std::to_string(size >> 20) + " MiB, at most " +
                                       std::to_string(limit >> 20) + " MiB are accepted");
    }
    Image_bytes image = TRY(allocate(size));
    std::size_t done  = 0;
    while (done < size) {
        const ssize_t got = ::read(fd.get(), image.data_ + done, size - done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return fail_errno(what + " " + path);
        }
        if (got == 0) {
            return fail(Errc::io, what + " " + path + ": the file shrank while it was read");
        }
        done += static_cast<std::size_t>(got);
    }
    return image;
}

Image_bytes::Image_bytes(Image_bytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0))
{
}

Image_bytes& Image_bytes::operator=(Image_bytes&& other) noexcept
{
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

Image_bytes::~Image_bytes()
{
    if (data_ != nullptr) {
        munmap(data_, size_);
    }
}

} // namespace vmm
