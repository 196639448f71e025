// SPDX-License-Identifier: Apache-2.0
#include "toolstack/store/requests.hpp"

#include "toolstack/store/control.hpp"

#include <xen/io/xs_wire.h>
#include <xen/xen.h>

#include <array>
#include <charconv>
#include <limits>

namespace vmm::store
{
namespace
{

constexpr std::uint64_t kMaxDomid = std::numeric_limits<std::uint16_t>::max();

struct Request {
    Store& store;
    Session& session;
    Domain_control& domains;
    const Message& message;
    Transaction* transaction = nullptr;
    Watch* new_watch         = nullptr; // its first event follows the reply

    [[nodiscard]] const Caller& caller() const { return session.caller(); }
    [[nodiscard]] std::string_view payload() const { return message.payload; }
};

using Reply = Result<std::string>;

std::unexpected<Error> malformed() { return fail(Errc::invalid, "malformed request"); }

Reply done(const Result<void>& result)
{
    if (!result) {
        return std::unexpected(result.error());
    }
    return join_strings({"OK"});
}

Result<Path> only_path(const Request& request)
{
    const auto text = only_string(request.payload());
    return text ? request.session.resolve(*text) : malformed();
}

Result<Domid> parse_domid(std::string_view text)
{
    const auto number = parse_decimal(text, kMaxDomid);
    return number ? Result<Domid>(Domid(*number)) : malformed();
}

Result<Domid> only_domid(const Request& request)
{
    const auto text = only_string(request.payload());
    return text ? parse_domid(*text) : malformed();
}

// A guest that RELEASE, RESUME or SET_TARGET may name.
Result<Domid> introduced(const Request& request, Domid domid)
{
    if (domid == kDom0) {
        return malformed();
    }
    if (!request.domains.is_introduced(domid)) {
        return fail(Errc::not_found, "domain " + to_string(domid) + " is not introduced");
    }
    return domid;
}

Reply read(Request& request)
{
    return request.store.read(request.caller(), request.transaction, TRY(only_path(request)));
}

Reply write(Request& request)
{
    const std::size_t end = request.payload().find('\0');
    if (end == std::string_view::npos) {
        return malformed();
    }
    const Path path = TRY(request.session.resolve(request.payload().substr(0, end)));
    return done(
        request.store.write(request.caller(), request.transaction, path, request.payload().substr(end + 1)));
}

Reply make_directory(Request& request)
{
    return done(request.store.make_directory(request.caller(), request.transaction, TRY(only_path(request))));
}

Reply remove(Request& request)
{
    return done(request.store.remove(request.caller(), request.transaction, TRY(only_path(request))));
}

Reply directory(Request& request)
{
    return TRY(request.store.list(request.caller(), request.transaction, TRY(only_path(request)))).names;
}

// Whole names from an offset on, as many as fit; an empty name after them says that these were the last.
Reply directory_part(Request& request)
{
    const auto strings = split_strings(request.payload());
    if (strings.size() != 2) {
        return malformed();
    }
    const auto offset = parse_decimal(strings[1], std::numeric_limits<std::uint32_t>::max());
    if (!offset) {
        return malformed();
    }
    const Path path              = TRY(request.session.resolve(strings[0]));
    const Store::Listing listing = TRY(request.store.list(request.caller(), request.transaction, path));
    std::string reply            = join_strings({std::to_string(listing.generation)});
    std::string_view rest =
        std::string_view(listing.names).substr(std::min<std::size_t>(*offset, listing.names.size()));
    while (!rest.empty()) {
        const std::size_t length = rest.find('\0') + 1;
        if (reply.size() + length + 1 > kPayloadMax) {
            return reply;
        }
        reply.append(rest.substr(0, length));
        rest.remove_prefix(length);
    }
    reply.push_back('\0');
    return reply;
}

Reply get_permissions(Request& request)
{
    const auto text               = only_string(request.payload());
    const bool special            = text && text->starts_with('@');
    const Permissions permissions = TRY(
        special ? request.store.special_permissions(request.caller(), *text)
                : request.store.permissions(request.caller(), request.transaction, TRY(only_path(request))));
    std::string reply;
    for (const Permission& permission : permissions) {
        reply += to_string(permission) + '\0';
    }
    return reply;
}

Reply set_permissions(Request& request)
{
    const auto strings = split_strings(request.payload());
    if (strings.size() < 2) {
        return malformed();
    }
    Permissions permissions;
    for (std::size_t i = 1; i < strings.size(); ++i) {
        permissions.push_back(TRY(parse_permission(strings[i])));
    }
    if (strings[0].starts_with('@')) {
        return done(
            request.store.set_special_permissions(request.caller(), strings[0], std::move(permissions)));
    }
    const Path path = TRY(request.session.resolve(strings[0]));
    return done(
        request.store.set_permissions(request.caller(), request.transaction, path, std::move(permissions)));
}

Reply watch(Request& request)
{
    const auto strings = split_strings(request.payload());
    if (strings.size() != 2 && strings.size() != 3) {
        return malformed();
    }
    std::optional<unsigned> depth;
    if (strings.size() == 3) {
        const auto number = parse_decimal(strings[2], std::numeric_limits<unsigned>::max());
        if (!number) {
            return malformed();
        }
        depth = static_cast<unsigned>(*number);
    }
    request.new_watch = TRY(request.session.add_watch(strings[0], strings[1], depth));
    return done({});
}

Reply unwatch(Request& request)
{
    const auto strings = split_strings(request.payload());
    if (strings.size() != 2) {
        return malformed();
    }
    return done(request.session.remove_watch(strings[0], strings[1]));
}

Reply reset_watches(Request& request)
{
    request.session.reset();
    return done({});
}

Reply start_transaction(Request& request)
{
    if (request.transaction != nullptr) {
        return fail(Errc::busy, "transactions do not nest");
    }
    return join_strings({std::to_string(TRY(request.session.start_transaction()))});
}

Reply end_transaction(Request& request)
{
    const auto verdict = only_string(request.payload());
    if (verdict != "T" && verdict != "F") {
        return malformed();
    }
    return done(request.session.end_transaction(request.message.transaction_id, verdict == "T"));
}

Reply introduce(Request& request)
{
    const auto strings = split_strings(request.payload());
    if (strings.size() < 3) {
        return malformed();
    }
    const Domid domid = TRY(parse_domid(strings[0]));
    std::int64_t gfn  = 0; // signed on the wire
    const char* end   = strings[1].data() + strings[1].size();
    const auto parsed = std::from_chars(strings[1].data(), end, gfn);
    const auto port   = parse_decimal(strings[2], std::numeric_limits<std::uint32_t>::max());
    if (domid == kDom0 || to_number(domid) >= kFirstReservedDomid || parsed.ec != std::errc{} ||
        parsed.ptr != end || !port || *port == 0) {
        return malformed();
    }
    return done(
        request.domains.introduce(domid, static_cast<std::uint64_t>(gfn), static_cast<std::uint32_t>(*port)));
}

Reply release(Request& request)
{
    request.domains.release(TRY(introduced(request, TRY(only_domid(request)))));
    return done({});
}

Reply resume(Request& request)
{
    request.domains.resume(TRY(introduced(request, TRY(only_domid(request)))));
    return done({});
}

Reply set_target(Request& request)
{
    const auto strings = split_strings(request.payload());
    if (strings.size() < 2) {
        return malformed();
    }
    const Domid domid = TRY(introduced(request, TRY(parse_domid(strings[0]))));
    request.domains.set_target(domid, TRY(introduced(request, TRY(parse_domid(strings[1])))));
    return done({});
}

Reply is_introduced(Request& request)
{
    const Domid domid = TRY(only_domid(request));
    const bool yes    = to_number(domid) == DOMID_SELF || request.domains.is_introduced(domid);
    return join_strings({yes ? "T" : "F"});
}

Reply get_domain_path(Request& request) { return join_strings({domain_path(TRY(only_domid(request)))}); }

Reply control(Request& request) { return control_command(request.store, split_strings(request.payload())); }

struct Operation {
    Reply (*handler)(Request&)       = nullptr;
    enum class For { all, dom0 } who = For::all;
    bool in_transaction              = true; // otherwise the transaction id is ignored
};

constexpr auto kOperations = [] {
    using enum Operation::For;
    std::array<Operation, XS_TYPE_COUNT> table{};
    table[XS_CONTROL]              = {control, dom0};
    table[XS_DIRECTORY]            = {directory};
    table[XS_READ]                 = {read};
    table[XS_GET_PERMS]            = {get_permissions};
    table[XS_WATCH]                = {watch, all, false};
    table[XS_UNWATCH]              = {unwatch, all, false};
    table[XS_TRANSACTION_START]    = {start_transaction};
    table[XS_TRANSACTION_END]      = {end_transaction};
    table[XS_INTRODUCE]            = {introduce, dom0};
    table[XS_RELEASE]              = {release, dom0};
    table[XS_GET_DOMAIN_PATH]      = {get_domain_path};
    table[XS_WRITE]                = {write};
    table[XS_MKDIR]                = {make_directory};
    table[XS_RM]                   = {remove};
    table[XS_SET_PERMS]            = {set_permissions};
    table[XS_IS_DOMAIN_INTRODUCED] = {is_introduced, dom0};
    table[XS_RESUME]               = {resume, dom0};
    table[XS_SET_TARGET]           = {set_target, dom0};
    table[XS_RESET_WATCHES]        = {reset_watches};
    table[XS_DIRECTORY_PART]       = {directory_part};
    return table;
}();

Reply dispatch(Request& request)
{
    const std::uint32_t type = request.message.type;
    if (type >= kOperations.size() || kOperations[type].handler == nullptr) {
        return fail(Errc::not_implemented, "unknown request type " + std::to_string(type));
    }
    const Operation& operation = kOperations[type];
    if (operation.who == Operation::For::dom0 && !request.caller().is_privileged()) {
        return fail(Errc::access_denied, "only dom0 may send this request");
    }
    if (operation.in_transaction && request.message.transaction_id != 0) {
        request.transaction = TRY(request.session.find_transaction(request.message.transaction_id));
    }
    return operation.handler(request);
}

} // namespace

void handle_request(Store& store, Session& session, Domain_control& domains, const Message& message)
{
    Request request{store, session, domains, message};
    Reply reply = dispatch(request);
    if (reply && reply->size() > kPayloadMax) {
        reply = fail(Errc::too_big, "the answer does not fit a message");
    }
    Message answer{message.type, message.request_id, message.transaction_id, {}};
    if (reply) {
        answer.payload = std::move(*reply);
    } else {
        answer.type    = XS_ERROR;
        answer.payload = join_strings({wire_name(reply.error().code)});
    }
    session.reply(answer);
    if (request.new_watch != nullptr) {
        session.deliver(*request.new_watch, request.new_watch->path);
    }
}

} // namespace vmm::store
