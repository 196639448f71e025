// SPDX-License-Identifier: Apache-2.0
#include "guest-drivers/backend/request_log.hpp"

#include "toolstack/base/unique_fd.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

namespace vmm::block
{

namespace
{

constexpr std::size_t kBytes = Request_log::kQueues * Request_log::kSlots * sizeof(Request_log::Entry);

Result<Unique_fd> open_file(const std::string& name)
{
    Unique_fd file(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    struct stat status {
    };
    if (!file || fstat(file.get(), &status) < 0) {
        return fail_errno("cannot open the log of requests " + name);
    }
    const bool ours = static_cast<std::size_t>(status.st_size) == kBytes;
    if (!ours && (ftruncate(file.get(), 0) < 0 || ftruncate(file.get(), kBytes) < 0)) {
        return fail_errno("cannot make the log of requests " + name);
    }
    return file;
}

} // namespace

Result<Request_log> Request_log::open(const std::string& name)
{
    const bool lasts     = !name.empty();
    const Unique_fd file = lasts ? TRY(open_file(name)) : Unique_fd();
    void* memory         = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                        lasts ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, file.get(), 0);
    if (memory == MAP_FAILED) {
        return fail_errno("cannot map the log of requests " + name);
    }
    return Request_log(static_cast<Entry*>(memory));
}

Request_log::~Request_log()
{
    if (entries_ != nullptr) {
        munmap(entries_, kBytes);
    }
}

// Only what was used is touched: the rest takes no memory.
void Request_log::clear()
{
    for (Entry* entry = entries_; entry != entries_ + kQueues * kSlots; ++entry) {
        if (entry->whole != 0) {
            entry->whole = 0;
        }
    }
}

} // namespace vmm::block
