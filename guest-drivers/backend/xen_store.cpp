// SPDX-License-Identifier: Apache-2.0
#include "guest-drivers/backend/xen_store.hpp"

#include "toolstack/base/log.hpp"

extern "C" {
#include <xenstore.h>
}

#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>
#include <cstring>

namespace vmm::block
{

namespace
{

struct Free {
    void operator()(void* memory) const { std::free(memory); }
};

constexpr std::chrono::seconds kRetry{1};

} // namespace

void Xen_store::Close::operator()(xs_handle* handle) const { xs_close(handle); }

Result<std::unique_ptr<Xen_store>> Xen_store::open(Event_loop& loop, Changed changed)
{
    std::unique_ptr<Xen_store> store(new Xen_store(loop, std::move(changed)));
    TRY(store->connect());
    return store;
}

Xen_store::~Xen_store() { disconnect(); }

Result<void> Xen_store::connect()
{
    TRY(hold_line());
    // Only by the socket: through the kernel's device a request would wait for a daemon that is not there.
    handle_.reset(xs_open(XS_UNWATCH_FILTER | XS_OPEN_SOCKETONLY));
    if (!handle_) {
        return fail_errno("cannot reach the store (is vmmd running?)");
    }
    for (const std::string& path : paths_) {
        if (!xs_watch(handle_.get(), path.c_str(), path.c_str())) {
            return fail_errno("cannot watch " + path + " in the store");
        }
    }
    return loop_.add(xs_fileno(handle_.get()), EPOLLIN, [this](std::uint32_t) { take_events(); });
}

Result<void> Xen_store::hold_line()
{
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    std::strncpy(address.sun_path, xs_daemon_socket(), sizeof address.sun_path - 1);
    line_.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!line_ || ::connect(line_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
        return fail_errno("cannot reach the store at " + std::string(address.sun_path));
    }
    return loop_.add(line_.get(), EPOLLRDHUP, [this](std::uint32_t) { lost(); });
}

void Xen_store::disconnect()
{
    if (line_) {
        loop_.remove(line_.get());
        line_.reset();
    }
    if (handle_) {
        loop_.remove(xs_fileno(handle_.get()));
        handle_.reset();
    }
}

void Xen_store::reconnect()
{
    if (connect()) {
        log::info("the store is back");
        changed_();
        return;
    }
    disconnect();
    loop_.after(kRetry, [this] { reconnect(); });
}

Result<void> Xen_store::watch(const std::string& path)
{
    paths_.push_back(path);
    if (handle_ && !xs_watch(handle_.get(), path.c_str(), path.c_str())) {
        return fail_errno("cannot watch " + path + " in the store");
    }
    return {};
}

void Xen_store::take_events()
{
    bool any = false;
    while (const std::unique_ptr<char*, Free> event{xs_check_watch(handle_.get())}) {
        any = true;
    }
    if (any) {
        changed_();
    }
}

void Xen_store::lost()
{
    log::warning("the store is gone; waiting for it to come back, the disk is served meanwhile");
    disconnect();
    loop_.after(kRetry, [this] { reconnect(); });
}

Result<std::optional<std::string>> Xen_store::read(const std::string& path)
{
    if (!handle_) {
        return fail(Errc::not_connected, "the store is gone");
    }
    unsigned length = 0;
    const std::unique_ptr<char, Free> value(
        static_cast<char*>(xs_read(handle_.get(), XBT_NULL, path.c_str(), &length)));
    if (value) {
        return std::string(value.get(), length);
    }
    if (errno == ENOENT || errno == EACCES) {
        return std::optional<std::string>();
    }
    return fail_errno("cannot read " + path + " in the store");
}

Result<bool> Xen_store::write_if(const std::string& guard, const Nodes& nodes)
{
    if (!handle_) {
        return fail(Errc::not_connected, "the store is gone");
    }
    xs_handle* store = handle_.get();
    for (;;) {
        const xs_transaction_t transaction = xs_transaction_start(store);
        if (transaction == XBT_NULL) {
            return fail_errno("cannot change the store");
        }
        unsigned length = 0;
        const std::unique_ptr<void, Free> there(xs_read(store, transaction, guard.c_str(), &length));
        int error    = there ? 0 : errno;
        bool written = there != nullptr;
        for (const auto& [path, value] : nodes) {
            written = written && xs_write(store, transaction, path.c_str(), value.data(),
                                          static_cast<unsigned>(value.size()));
            error   = written || error != 0 ? error : errno;
        }
        if (xs_transaction_end(store, transaction, !written)) {
            return written || error == ENOENT
                       ? Result<bool>(written)
                       : fail_errno("cannot write below " + guard + " in the store", error);
        }
        if (errno != EAGAIN) {
            return fail_errno("cannot change the store");
        }
    }
}

} // namespace vmm::block
