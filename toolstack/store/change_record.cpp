// SPDX-License-Identifier: Apache-2.0
#include "toolstack/store/change_record.hpp"

namespace vmm::store
{

void Change_record::begin(Change_tag tag, Domid domid)
{
    packer_.put(tag);
    packer_.put(domid);
}

void Change_record::put(const Permissions& permissions)
{
    packer_.put(static_cast<std::uint32_t>(permissions.size()));
    for (const Permission& permission : permissions) {
        packer_.put(permission.domid);
        packer_.put(permission.access);
    }
}

void Change_record::put(const Ring_position& position)
{
    packer_.put(position.request_consumer);
    packer_.put(position.response_producer);
}

void Change_record::generation(std::uint64_t number)
{
    packer_.put(Change_tag::generation);
    packer_.put(number);
}

void Change_record::node(std::string_view path, std::string_view value, const Permissions& permissions)
{
    packer_.put(Change_tag::node);
    packer_.put_text(path);
    packer_.put_text(value);
    put(permissions);
}

void Change_record::removed(std::string_view path)
{
    packer_.put(Change_tag::removed);
    packer_.put_text(path);
}

void Change_record::special_permissions(std::string_view name, const Permissions& permissions)
{
    packer_.put(Change_tag::special_permissions);
    packer_.put_text(name);
    put(permissions);
}

void Change_record::session(Domid domid, const Ring_position& position)
{
    begin(Change_tag::session, domid);
    put(position);
}

void Change_record::session_gone(Domid domid) { begin(Change_tag::session_gone, domid); }

void Change_record::target(Domid domid, std::optional<Domid> target)
{
    begin(Change_tag::target, domid);
    packer_.put(target.has_value());
    packer_.put(target.value_or(Domid{}));
}

void Change_record::failed(Domid domid) { begin(Change_tag::failed, domid); }

void Change_record::watch(Domid domid, std::string_view path, std::string_view token,
                          const Saved_watch& watch)
{
    begin(Change_tag::watch, domid);
    packer_.put_text(path);
    packer_.put_text(token);
    packer_.put(static_cast<std::uint32_t>(watch.hidden_prefix));
    packer_.put(watch.depth.has_value());
    packer_.put(watch.depth.value_or(0));
    packer_.put(watch.missed);
}

void Change_record::unwatch(Domid domid, std::string_view path, std::string_view token)
{
    begin(Change_tag::unwatch, domid);
    packer_.put_text(path);
    packer_.put_text(token);
}

void Change_record::transaction(Domid domid, std::uint32_t id)
{
    begin(Change_tag::transaction, domid);
    packer_.put(id);
}

void Change_record::transaction_gone(Domid domid, std::uint32_t id)
{
    begin(Change_tag::transaction_gone, domid);
    packer_.put(id);
}

void Change_record::reset(Domid domid) { begin(Change_tag::reset, domid); }

void Change_record::output(Domid domid, std::string_view bytes, bool is_event)
{
    begin(Change_tag::output, domid);
    packer_.put_text(bytes);
    packer_.put(is_event);
}

void Change_record::position(Domid domid, const Ring_position& position, std::string_view partial_request)
{
    begin(Change_tag::position, domid);
    put(position);
    packer_.put_text(partial_request);
}

// What has been sent of the first output lies before the position, so the session begins that much earlier.
void Change_record::whole_session(Domid domid, const Saved_session& saved)
{
    Ring_position begin = saved.position;
    begin.response_producer -= static_cast<std::uint32_t>(saved.sent);
    session(domid, begin);
    if (saved.target) {
        target(domid, saved.target);
    }
    if (saved.failed) {
        failed(domid);
    }
    for (const auto& [key, saved_watch] : saved.watches) {
        watch(domid, key.first, key.second, saved_watch);
    }
    for (const std::uint32_t id : saved.transactions) {
        transaction(domid, id);
    }
    for (const Saved_output& message : saved.output) {
        output(domid, message.bytes, message.is_event);
    }
    position(domid, saved.position, saved.partial_request);
}

} // namespace vmm::store
