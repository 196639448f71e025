// SPDX-License-Identifier: Apache-2.0
#pragma once
// The store of one host: the database, the Unix socket stock clients connect to, and the rings of the
// domains. The daemon owns one and calls it in-process, always with dom0's rights; guests reach it only
// through their rings. Single-threaded on the event loop given, which must outlive it. With a journal it
// survives the process: before anybody can see a change it is on file, and the next server with that file
// goes on where this one was, the domains' connections included.

#include "toolstack/base/domid.hpp"
#include "toolstack/base/error.hpp"
#include "toolstack/base/event_loop.hpp"
#include "toolstack/store/permissions.hpp"
#include "toolstack/store/quota.hpp"
#include "toolstack/store/ring_channel.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vmm
{

// What update() hands to its callback: reads see the batch's own changes, nobody else sees any before it
// succeeds.
class Store_batch
{
  public:
    virtual ~Store_batch() = default;

    [[nodiscard]] virtual Result<std::string> read(std::string_view path)                   = 0;
    [[nodiscard]] virtual Result<std::vector<std::string>> list(std::string_view path)      = 0;
    [[nodiscard]] virtual Result<void> write(std::string_view path, std::string_view value) = 0;
    [[nodiscard]] virtual Result<void> mkdir(std::string_view path)                         = 0;
    [[nodiscard]] virtual Result<void> remove(std::string_view path)                        = 0;
    [[nodiscard]] virtual Result<void> set_permissions(std::string_view path,
                                                       store::Permissions permissions)      = 0;
};

class Store_server
{
  public:
    struct Options {
        std::string socket_path =
            "/run/xenstored/socket"; // its directory is created; a stale socket is replaced
        store::Quotas quotas{};
        std::string journal{}; // on a tmpfs; its directory must exist. Empty: nothing is kept
    };
    // Called for requests of the stock tools (XS_INTRODUCE, XS_RELEASE, XS_RESUME) that come in over the
    // wire.
    struct Hooks {
        // Map the domain's store page, bind its event channel and call introduce(); an error goes back to the
        // client. Also called for a domain already introduced, to renew its channel.
        std::function<Result<void>(Domid domid, std::uint64_t gfn, std::uint32_t port)> on_introduce;
        std::function<void(Domid domid)> on_release; // the store has dropped the domain already
        std::function<void(Domid domid)> on_resume;  // its next shutdown is to be announced again
    };
    enum class Watch_handle : std::uint64_t {}; // 0 is never handed out
    using Watch_callback = std::function<void(const std::string& path)>;

    [[nodiscard]] static Result<std::unique_ptr<Store_server>> create(Event_loop& loop, Options options);
    Store_server(const Store_server&)            = delete;
    Store_server& operator=(const Store_server&) = delete;
    ~Store_server(); // closes every connection and removes the socket

    void set_hooks(Hooks hooks);

    // Paths are absolute, or relative to /local/domain/0. Codes: not_found, invalid (bad path)...
    [[nodiscard]] Result<std::string> read(std::string_view path);
    [[nodiscard]] bool exists(std::string_view path);
    [[nodiscard]] Result<std::vector<std::string>> list(std::string_view path); // leaf names, sorted
    [[nodiscard]] Result<void> write(std::string_view path,
                                     std::string_view value); // creates missing parents
    [[nodiscard]] Result<void> mkdir(std::string_view path);
    [[nodiscard]] Result<void> remove(std::string_view path); // with all below; absent is fine
    [[nodiscard]] Result<store::Permissions> permissions(std::string_view path);
    [[nodiscard]] Result<void> set_permissions(std::string_view path, store::Permissions permissions);

    // All of `change` or, when it returns an error, none of it; watches fire after it is complete.
    [[nodiscard]] Result<void> update(const std::function<Result<void>(Store_batch&)>& change);

    // Calls back on a later turn of the loop, first once for the registration and then for every change at or
    // below the path (`depth` levels below when given). Several changes of one path before the turn make one
    // call. Also for
    // "@introduceDomain" and "@releaseDomain". The callback may call anything here, unwatch() of itself
    // included.
    [[nodiscard]] Result<Watch_handle> watch(std::string_view path, Watch_callback callback,
                                             std::optional<unsigned> depth = std::nullopt);
    void unwatch(Watch_handle handle);

    // Whether a domain has a watch at the path or below it: with the nodes of a device's other end, whether
    // its kernel has taken the device up.
    [[nodiscard]] bool is_watched(std::string_view path, Domid by) const;
    // Calls back once, on a later turn, when that is not so, which may be at once. A call whose domain never
    // comes to that is dropped with the server.
    void when_unwatched(std::string_view path, Domid by, std::function<void()> call);

    // Serves a domain over its ring and announces @introduceDomain. For a domain introduced before, the new
    // channel replaces the old one and its watches, transactions and unsent replies are dropped. For one that
    // a former server left, it goes on as if nothing had happened. dom0 is introduced like others.
    [[nodiscard]] Result<void> introduce(Domid domid, std::unique_ptr<store::Ring_channel> channel);
    // Drops the domain's connection, watches, transactions, the nodes it owns and its permission entries, and
    // announces
    // @releaseDomain if it was introduced. Call it when a domain is gone, introduced or not.
    void release(Domid domid);
    // The domain has shut down or crashed and still exists: announces @releaseDomain.
    void announce_shutdown(Domid domid);
    [[nodiscard]] bool is_introduced(Domid domid) const;
    [[nodiscard]] std::vector<Domid> introduced() const;

    // The domain's event channel fired: serve what is on its ring. Unknown domains are ignored.
    void ring_event(Domid domid);

  private:
    class Impl;
    explicit Store_server(std::unique_ptr<Impl> impl);

    std::unique_ptr<Impl> impl_;
};

} // namespace vmm
