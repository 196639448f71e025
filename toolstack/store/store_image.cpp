// SPDX-License-Identifier: Apache-2.0
#include "toolstack/store/store_image.hpp"

#include "toolstack/store/change_record.hpp"
#include "toolstack/store/path.hpp"

#include <xen/io/xs_wire.h>

#include <algorithm>

namespace vmm::store
{
namespace
{

constexpr std::uint32_t kMostPermissions = 65536; // one for every domain there can be

Permissions get_permissions(Unpacker& from)
{
    Permissions permissions;
    const auto count = from.get<std::uint32_t>();
    for (std::uint32_t i = 0; i < count && i < kMostPermissions && from.is_good(); ++i) {
        const auto domid  = from.get<Domid>();
        const auto access = from.get<std::uint8_t>();
        permissions.push_back({domid, static_cast<Access>(access & static_cast<std::uint8_t>(Access::both))});
    }
    return permissions;
}

Ring_position get_position(Unpacker& from)
{
    const auto consumer = from.get<std::uint32_t>();
    return {consumer, from.get<std::uint32_t>()};
}

bool is_path(const std::string& text)
{
    const auto path = Path::parse(text, "/");
    return path && path->text() == text;
}

// Reads one record into an image.
class Reader
{
  public:
    Reader(Store_image& image, std::string_view record) : image_(image), from_(record) {}

    [[nodiscard]] bool read_all()
    {
        while (!from_.is_at_end()) {
            const auto tag = from_.get<Change_tag>();
            if (!read_of_tree(tag) || !from_.is_good()) {
                return false;
            }
        }
        return from_.is_good();
    }

  private:
    bool read_of_tree(Change_tag tag)
    {
        switch (tag) {
        case Change_tag::generation:
            image_.generation = std::max(image_.generation, from_.get<std::uint64_t>());
            return true;
        case Change_tag::node: return read_node();
        case Change_tag::removed: return read_removed();
        case Change_tag::special_permissions: {
            const std::string name(from_.get_text());
            Permissions permissions = get_permissions(from_);
            if (permissions.empty()) {
                return false;
            }
            image_.special_permissions[name] = std::move(permissions);
            return true;
        }
        default: return read_of_session(tag);
        }
    }

    bool read_node()
    {
        const std::string path(from_.get_text());
        const std::string value(from_.get_text());
        const Permissions permissions = get_permissions(from_);
        if (!from_.is_good() || permissions.empty() || !is_path(path)) {
            return false;
        }
        for (auto end = path.rfind('/'); end != 0 && end != path.npos; end = path.rfind('/', end - 1)) {
            if (!image_.nodes.try_emplace(path.substr(0, end), Saved_node{{}, permissions}).second) {
                break;
            }
        }
        image_.nodes[path] = {value, permissions};
        return true;
    }

    bool read_removed()
    {
        const std::string path(from_.get_text());
        const std::string below = path + '/';
        auto next               = image_.nodes.lower_bound(below);
        while (next != image_.nodes.end() && next->first.starts_with(below)) {
            next = image_.nodes.erase(next);
        }
        return image_.nodes.erase(path) == 1;
    }

    bool read_of_session(Change_tag tag)
    {
        const auto domid = from_.get<Domid>();
        if (tag == Change_tag::session) {
            Saved_session session;
            session.position       = get_position(from_);
            image_.sessions[domid] = std::move(session);
            return true;
        }
        const auto found = image_.sessions.find(domid);
        if (found == image_.sessions.end()) {
            return false;
        }
        if (tag == Change_tag::session_gone) {
            image_.sessions.erase(found);
            return true;
        }
        return read_change(tag, found->second);
    }

    bool read_change(Change_tag tag, Saved_session& session)
    {
        switch (tag) {
        case Change_tag::target: {
            const bool has_target = from_.get<std::uint8_t>() != 0;
            const auto target     = from_.get<Domid>();
            session.target        = has_target ? std::optional(target) : std::nullopt;
            return true;
        }
        case Change_tag::failed: session.failed = true; return true;
        case Change_tag::watch: return read_watch(session);
        case Change_tag::unwatch: {
            const std::string path(from_.get_text());
            return session.watches.erase({path, std::string(from_.get_text())}) == 1;
        }
        case Change_tag::transaction: session.transactions.insert(from_.get<std::uint32_t>()); return true;
        case Change_tag::transaction_gone: return session.transactions.erase(from_.get<std::uint32_t>()) == 1;
        case Change_tag::reset:
            session.watches.clear();
            session.transactions.clear();
            return true;
        case Change_tag::output: {
            const std::string bytes(from_.get_text());
            session.output.push_back({bytes, from_.get<std::uint8_t>() != 0});
            return !bytes.empty();
        }
        case Change_tag::position: return read_position(session);
        default: return false;
        }
    }

    bool read_watch(Saved_session& session)
    {
        const std::string path(from_.get_text());
        const std::string token(from_.get_text());
        Saved_watch watch;
        watch.hidden_prefix            = from_.get<std::uint32_t>();
        const bool has_depth           = from_.get<std::uint8_t>() != 0;
        const auto depth               = from_.get<unsigned>();
        watch.depth                    = has_depth ? std::optional(depth) : std::nullopt;
        watch.missed                   = from_.get<std::uint8_t>() != 0;
        session.watches[{path, token}] = watch;
        return path.starts_with('@') ? path.size() <= XENSTORE_REL_PATH_MAX : is_path(path);
    }

    bool read_position(Saved_session& session)
    {
        const Ring_position position = get_position(from_);
        const std::string partial(from_.get_text());
        const std::uint32_t sent = position.response_producer - session.position.response_producer;
        if (!from_.is_good() || sent > unsent_bytes(session)) {
            return false;
        }
        consume_output(session, sent);
        session.position        = position;
        session.partial_request = partial;
        return true;
    }

    Store_image& image_;
    Unpacker from_;
};

} // namespace

bool Store_image::apply(std::string_view record) { return Reader(*this, record).read_all(); }

std::string Store_image::to_record() const
{
    Change_record record;
    record.generation(generation);
    for (const auto& [path, node] : nodes) {
        record.node(path, node.value, node.permissions);
    }
    for (const auto& [name, permissions] : special_permissions) {
        record.special_permissions(name, permissions);
    }
    for (const auto& [domid, session] : sessions) {
        record.whole_session(domid, session);
    }
    return record.take();
}

std::size_t unsent_bytes(const Saved_session& session)
{
    std::size_t bytes = 0;
    for (const Saved_output& message : session.output) {
        bytes += message.bytes.size();
    }
    return bytes - session.sent;
}

void consume_output(Saved_session& session, std::size_t count)
{
    session.sent += count;
    while (!session.output.empty() && session.sent >= session.output.front().bytes.size()) {
        session.sent -= session.output.front().bytes.size();
        session.output.pop_front();
    }
}

} // namespace vmm::store
