// SPDX-License-Identifier: Apache-2.0
#include "toolstack/disk/layer_exchange.hpp"

#include "toolstack/base/child_process.hpp"
#include "toolstack/base/unique_fd.hpp"
#include "toolstack/disk/last_words.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>
#include <vector>

namespace vmm::disk
{

namespace
{

using config::Disk;

// The beginning of every qcow2 image; numbers are big endian. [QEMU docs/interop/qcow2.txt]
constexpr std::size_t kHeader                 = 72;
constexpr std::array<unsigned char, 4> kMagic = {'Q', 'F', 'I', 0xfb};
constexpr std::size_t kSizeAt                 = 24;

std::string folder_of(const std::string& path) { return std::filesystem::path(path).parent_path(); }

bool is_there(const std::string& path)
{
    struct stat status {
    };
    return ::lstat(path.c_str(), &status) == 0;
}

// Names are exchanged where the file is, not where a link to it is.
Result<std::string> real_path(const std::string& vdev, const std::string& path)
{
    char* const real = ::realpath(path.c_str(), nullptr);
    if (real == nullptr) {
        return fail_errno("disk " + vdev + ": " + path + " cannot be opened");
    }
    std::string result = real;
    ::free(real); // NOLINT: as realpath() wants it
    return result;
}

// What the guest sees of the image, in bytes.
Result<std::uint64_t> size_of_qcow2(const std::string& vdev, const std::string& path)
{
    const std::string name = "disk " + vdev + ": " + path;
    const Unique_fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat status {
    };
    if (!file || ::fstat(file.get(), &status) != 0) {
        return fail_errno(name + " cannot be opened");
    }
    std::array<unsigned char, kHeader> header{};
    if (!S_ISREG(status.st_mode) ||
        ::pread(file.get(), header.data(), header.size(), 0) != static_cast<ssize_t>(header.size()) ||
        !std::equal(kMagic.begin(), kMagic.end(), header.begin())) {
        return fail(Errc::unsupported, name + " is no file in qcow2 format: its state cannot be frozen");
    }
    std::uint64_t size = 0;
    for (std::size_t i = 0; i < sizeof size; ++i) {
        size = size << 8 | header[kSizeAt + i];
    }
    return size;
}

// "/srv/a.qcow2.frozen-20261122-131500", or with a number behind if that is taken.
std::string free_name(const std::string& image, std::string_view word, std::time_t when)
{
    std::tm utc{};
    ::gmtime_r(&when, &utc);
    std::array<char, 32> stamp{};
    std::strftime(stamp.data(), stamp.size(), "%Y%m%d-%H%M%S", &utc);
    const std::string first = image + "." + std::string(word) + "-" + stamp.data();
    std::string name        = first;
    for (unsigned i = 2; is_there(name); ++i) {
        name = first + "-" + std::to_string(i);
    }
    return name;
}

// Made here, so that nobody else can read it before it has the owner and the mode of the other.
Result<void> make_file(const std::string& path, const std::string& like)
{
    struct stat status {
    };
    ::unlink(path.c_str()); // of one that was cut off
    const Unique_fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file || ::stat(like.c_str(), &status) != 0 ||
        ::fchown(file.get(), status.st_uid, status.st_gid) != 0 ||
        ::fchmod(file.get(), status.st_mode & 07777) != 0) {
        return fail_errno("cannot make " + path);
    }
    return {};
}

Result<void> flush(const std::string& path)
{
    const Unique_fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file || ::fsync(file.get()) != 0) {
        return fail_errno("cannot write " + path + " to stable storage");
    }
    return {};
}

Result<void> run_qemu_img(const std::string& vdev, std::vector<std::string> words)
{
    const Unique_fd said(::memfd_create("qemu-img", MFD_CLOEXEC));
    const auto child = start({.words        = std::move(words),
                              .environment  = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
                              .ends_with_us = false,
                              .error_output = said.get()});
    if (!child) {
        return fail(child.error().code, "disk " + vdev + ": " + child.error().message +
                                            ", which makes qcow2 images: install qemu-utils");
    }
    int status = 0;
    while (::waitpid(*child, &status, 0) < 0 && errno == EINTR) {
    }
    if (status == 0) {
        return {};
    }
    const std::string words_said = last_words("/proc/self/fd/" + std::to_string(said.get()), "qemu-img");
    return fail(Errc::io, "disk " + vdev + ": qemu-img " +
                              (words_said.empty() ? describe_end(status) : "says: " + words_said));
}

} // namespace

Result<void> check_can_freeze(const Disk& disk)
{
    const std::string name = "disk " + disk.vdev + " (" + disk.target + ") ";
    if (disk.format != config::Disk_format::qcow2 || disk.is_remote()) {
        return fail(Errc::unsupported,
                    name + "is writable and " +
                        (disk.is_remote() ? "an NBD export" : std::string(to_string(disk.format))) +
                        ", and only a qcow2 file can be frozen: make it one with qemu-img convert -O qcow2");
    }
    if (!disk.key_file.empty()) {
        return fail(Errc::unsupported,
                    name + "is encrypted, and what is written after it was frozen would not be: an "
                           "encrypted disk cannot be frozen");
    }
    return {};
}

std::string branch_name(const std::string& image, const std::string& name)
{
    const std::filesystem::path path = image;
    return path.parent_path() / (path.stem().string() + "-" + name + path.extension().string());
}

Result<Layer_exchange> Layer_exchange::prepare(const std::string& qemu_img, const Plan& plan,
                                               const std::string& like)
{
    const std::uint64_t size          = TRY(size_of_qcow2(plan.vdev, like));
    const std::filesystem::path place = plan.image;
    Layer_exchange exchange(plan, place.parent_path() / ("." + place.filename().string() + ".vmm-new"));
    TRY(make_file(exchange.fresh_, like));
    // It does not look at what is behind, which may not have its name yet.
    TRY(run_qemu_img(plan.vdev, {qemu_img, "create", "-q", "-f", "qcow2", "-u", "-F", "qcow2", "-b",
                                 plan.behind, "--", exchange.fresh_, std::to_string(size)}));
    TRY(flush(exchange.fresh_));
    return exchange;
}

Result<Layer_exchange> Layer_exchange::freeze(const std::string& qemu_img, const Disk& disk, std::time_t when)
{
    TRY(check_can_freeze(disk));
    const std::string image = TRY(real_path(disk.vdev, disk.target));
    const std::string base  = free_name(image, "frozen", when);
    return prepare(qemu_img, {disk.vdev, image, base, base}, image);
}

Result<Layer_exchange> Layer_exchange::go_back(const std::string& qemu_img, const std::string& vdev,
                                               const std::string& image, const std::string& base,
                                               std::time_t when)
{
    if (!is_there(base)) {
        return fail(Errc::not_found,
                    "disk " + vdev + ": " + base + ", the state it was frozen in, is not there any more");
    }
    const std::string place = is_there(image) ? TRY(real_path(vdev, image)) : image;
    return prepare(qemu_img, {vdev, place, base, is_there(place) ? free_name(place, "left", when) : ""},
                   base);
}

Result<Layer_exchange> Layer_exchange::branch(const std::string& qemu_img, const Layer_exchange& frozen,
                                              const std::string& image)
{
    return prepare(qemu_img, {frozen.plan_.vdev, image, frozen.plan_.behind, ""}, frozen.plan_.image);
}

Layer_exchange::Layer_exchange(Layer_exchange&& other) noexcept
    : plan_(std::move(other.plan_)), fresh_(std::exchange(other.fresh_, {})), committed_(other.committed_)
{
}

Layer_exchange::~Layer_exchange()
{
    if (!fresh_.empty()) {
        ::unlink(fresh_.c_str());
    }
}

// link() never writes over anything, so neither name can take another file's place.
Result<void> Layer_exchange::commit()
{
    const std::string& old_name = plan_.aside.empty() ? fresh_ : plan_.image;
    const std::string& new_name = plan_.aside.empty() ? plan_.image : plan_.aside;
    if (::link(old_name.c_str(), new_name.c_str()) != 0) {
        return fail_errno("disk " + plan_.vdev + ": cannot give " + old_name + " the name " + new_name);
    }
    if (plan_.aside.empty()) {
        ::unlink(fresh_.c_str());
    } else if (::rename(fresh_.c_str(), plan_.image.c_str()) != 0) {
        const auto failed = fail_errno("disk " + plan_.vdev + ": cannot put an image at " + plan_.image);
        ::unlink(plan_.aside.c_str());
        return failed;
    }
    fresh_.clear();
    committed_ = true;
    return {};
}

Result<void> Layer_exchange::make_durable() const
{
    TRY(flush(plan_.behind));
    return flush(folder_of(plan_.image));
}

Result<bool> Layer_exchange::put_back(const std::string& image, const std::string& aside)
{
    struct stat now {
    };
    struct stat before {
    };
    if (::lstat(aside.c_str(), &before) != 0 && errno == ENOENT) {
        return false;
    }
    // Two names of one file: it was about to be exchanged.
    const bool same =
        ::lstat(image.c_str(), &now) == 0 && now.st_ino == before.st_ino && now.st_dev == before.st_dev;
    if ((same ? ::unlink(aside.c_str()) : ::rename(aside.c_str(), image.c_str())) != 0) {
        return fail_errno("cannot put back what was at " + image + ", which is " + aside + " now");
    }
    return !same;
}

Result<void> Layer_exchange::undo()
{
    if (!std::exchange(committed_, false)) {
        return {};
    }
    const int done = plan_.aside.empty() ? ::unlink(plan_.image.c_str())
                                         : ::rename(plan_.aside.c_str(), plan_.image.c_str());
    if (done != 0) {
        return fail_errno("disk " + plan_.vdev + ": cannot undo what was done to " + plan_.image +
                          (plan_.aside.empty() ? "" : ", which is " + plan_.aside + " now"));
    }
    return {};
}

} // namespace vmm::disk
