// SPDX-License-Identifier: Apache-2.0
#include "toolstack/store/store_server.hpp"

#include "toolstack/store/store_server_impl.hpp"

namespace vmm
{
namespace
{

using store::Path;
using store::Permissions;

const store::Caller kDaemon{};

Result<Path> parse(std::string_view text) { return Path::parse(text, store::domain_path(kDom0)); }

Result<std::vector<std::string>> names_of(const Result<store::Store::Listing>& listing)
{
    if (!listing) {
        return std::unexpected(listing.error());
    }
    std::vector<std::string> names;
    for (const std::string_view name : store::split_strings(listing->names)) {
        names.emplace_back(name);
    }
    return names;
}

// The operations of the daemon itself, at once or in a transaction.
class Direct final : public Store_batch
{
  public:
    Direct(store::Store& store, store::Transaction* transaction) : store_(store), transaction_(transaction) {}

    Result<std::string> read(std::string_view path) override
    {
        return store_.read(kDaemon, transaction_, TRY(parse(path)));
    }
    Result<std::vector<std::string>> list(std::string_view path) override
    {
        return names_of(store_.list(kDaemon, transaction_, TRY(parse(path))));
    }
    Result<void> write(std::string_view path, std::string_view value) override
    {
        return store_.write(kDaemon, transaction_, TRY(parse(path)), value);
    }
    Result<void> mkdir(std::string_view path) override
    {
        return store_.make_directory(kDaemon, transaction_, TRY(parse(path)));
    }
    // Unlike a client's RM, removing below a node that is not there is fine: the node asked for is gone.
    Result<void> remove(std::string_view path) override
    {
        const Result<void> removed = store_.remove(kDaemon, transaction_, TRY(parse(path)));
        return !removed && removed.error().code == Errc::not_found ? Result<void>{} : removed;
    }
    Result<void> set_permissions(std::string_view path, Permissions permissions) override
    {
        if (permissions.empty()) {
            return fail(Errc::invalid, "a node needs at least the permission that names its owner");
        }
        if (path.starts_with('@')) {
            return store_.set_special_permissions(kDaemon, path, std::move(permissions));
        }
        return store_.set_permissions(kDaemon, transaction_, TRY(parse(path)), std::move(permissions));
    }

  private:
    store::Store& store_;
    store::Transaction* transaction_;
};

} // namespace

Store_server::Store_server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Store_server::~Store_server() = default;

Result<std::unique_ptr<Store_server>> Store_server::create(Event_loop& loop, Options options)
{
    auto impl = std::make_unique<Impl>(loop, std::move(options));
    TRY(impl->open_journal());
    TRY(impl->listen());
    std::unique_ptr<Store_server> server(new Store_server(std::move(impl)));
    TRY(server->mkdir("/tool/xenstored")); // where clients look for the store's own properties
    return server;
}

void Store_server::set_hooks(Hooks hooks) { impl_->set_hooks(std::move(hooks)); }

Result<std::string> Store_server::read(std::string_view path)
{
    return Direct(impl_->store(), nullptr).read(path);
}

bool Store_server::exists(std::string_view path) { return read(path).has_value(); }

Result<std::vector<std::string>> Store_server::list(std::string_view path)
{
    return Direct(impl_->store(), nullptr).list(path);
}

// What the daemon changes is kept on the next turn of the loop, or before if a client is about to see it.

Result<void> Store_server::write(std::string_view path, std::string_view value)
{
    impl_->schedule();
    return Direct(impl_->store(), nullptr).write(path, value);
}

Result<void> Store_server::mkdir(std::string_view path)
{
    impl_->schedule();
    return Direct(impl_->store(), nullptr).mkdir(path);
}

Result<void> Store_server::remove(std::string_view path)
{
    impl_->schedule();
    return Direct(impl_->store(), nullptr).remove(path);
}

Result<Permissions> Store_server::permissions(std::string_view path)
{
    if (path.starts_with('@')) {
        return impl_->store().special_permissions(kDaemon, path);
    }
    return impl_->store().permissions(kDaemon, nullptr, TRY(parse(path)));
}

Result<void> Store_server::set_permissions(std::string_view path, Permissions permissions)
{
    impl_->schedule();
    return Direct(impl_->store(), nullptr).set_permissions(path, std::move(permissions));
}

Result<void> Store_server::update(const std::function<Result<void>(Store_batch&)>& change)
{
    impl_->schedule();
    const auto transaction = impl_->store().begin(kDaemon);
    Direct batch(impl_->store(), transaction.get());
    TRY(change(batch));
    return impl_->store().commit(kDaemon, *transaction);
}

Result<Store_server::Watch_handle> Store_server::watch(std::string_view path, Watch_callback callback,
                                                       std::optional<unsigned> depth)
{
    const bool special  = path.starts_with('@');
    std::string watched = special ? std::string(path) : TRY(parse(path)).text();
    return impl_->watch(std::move(watched), std::move(callback), depth);
}

void Store_server::unwatch(Watch_handle handle) { impl_->unwatch(handle); }

bool Store_server::is_watched(std::string_view path, Domid by) const { return impl_->is_watched(path, by); }

void Store_server::when_unwatched(std::string_view path, Domid by, std::function<void()> call)
{
    impl_->when_unwatched(std::string(path), by, std::move(call));
}

Result<void> Store_server::introduce(Domid domid, std::unique_ptr<store::Ring_channel> channel)
{
    return impl_->connect(domid, std::move(channel));
}

void Store_server::release(Domid domid)
{
    impl_->schedule();
    impl_->disconnect(domid);
}

void Store_server::announce_shutdown(Domid domid)
{
    impl_->store().announce_special(store::kReleaseDomain, domid);
}

bool Store_server::is_introduced(Domid domid) const { return impl_->is_introduced(domid); }

std::vector<Domid> Store_server::introduced() const { return impl_->introduced(); }

void Store_server::ring_event(Domid domid) { impl_->serve_ring(domid); }

} // namespace vmm
