// SPDX-License-Identifier: Apache-2.0
#include "guest/store.hpp"

#include "guest/events.hpp"
#include "guest/hypercall.hpp"
#include "protocol/number.hpp"

namespace vmm::guest
{

bool Store::open()
{
    u64 pfn  = 0;
    u64 port = 0;
    if (get_param(DOMID_SELF, HVM_PARAM_STORE_PFN, pfn) != 0 ||
        get_param(DOMID_SELF, HVM_PARAM_STORE_EVTCHN, port) != 0 || pfn == 0 || port == 0)
        return false;
    ring_ = at_gpa<xenstore_domain_interface>(pfn * kPageSize);
    port_ = static_cast<evtchn_port_t>(port);
    events::listen(port_, events::ignore);
    return true;
}

void Store::put(const void* bytes, u32 count)
{
    Byte_ring out(ring_->req, sizeof ring_->req, ring_->req_cons, ring_->req_prod);
    const char* from = static_cast<const char*>(bytes);
    while (count > 0) {
        const u32 done = out.write(from, count);
        from += done;
        count -= done;
        events::send(port_);
        if (done == 0)
            asm volatile("sti; hlt; cli" : : : "memory");
    }
}

void Store::get(void* bytes, u32 count)
{
    Byte_ring in(ring_->rsp, sizeof ring_->rsp, ring_->rsp_cons, ring_->rsp_prod);
    char* to = static_cast<char*>(bytes);
    while (count > 0) {
        const u32 done = in.read(to, count);
        to += done;
        count -= done;
        if (done == 0)
            asm volatile("sti; hlt; cli" : : : "memory");
        else
            events::send(port_);
    }
}

// One message in payload_; a watch event has been put where it belongs. A length the protocol does not allow
// cannot be skipped safely.
xsd_sockmsg Store::receive()
{
    xsd_sockmsg header{};
    get(&header, sizeof header);
    if (header.len > XENSTORE_PAYLOAD_MAX)
        shut_down(SHUTDOWN_crash);
    get(payload_, header.len);
    if (header.type == XS_WATCH_EVENT) {
        const std::string_view event(payload_, header.len);
        if (event.ends_with(kNoticeEnd))
            ++notices_;
        else
            events_.put(event);
    }
    return header;
}

// Nobody has asked anything, so all there can be is events.
void Store::receive_events()
{
    while (Byte_ring(ring_->rsp, sizeof ring_->rsp, ring_->rsp_cons, ring_->rsp_prod).readable())
        receive();
}

Store::Answer Store::request(u32 type, Piece first, Piece second)
{
    const auto length = [](Piece p) { return static_cast<u32>(p.text.size() + (p.terminated ? 1 : 0)); };
    xsd_sockmsg header{};
    header.type   = type;
    header.req_id = ++request_id_;
    header.tx_id  = transaction_;
    header.len    = length(first) + length(second);
    if (header.len > XENSTORE_PAYLOAD_MAX)
        return {{}, "E2BIG"};
    put(&header, sizeof header);
    for (const Piece piece : {first, second}) {
        put(piece.text.data(), static_cast<u32>(piece.text.size()));
        if (piece.terminated)
            put("", 1);
    }
    for (;;) {
        const xsd_sockmsg answer = receive();
        if (answer.type == XS_WATCH_EVENT || answer.req_id != header.req_id)
            continue;
        const std::string_view text(payload_, answer.len);
        if (answer.type == XS_ERROR)
            return {{}, text.substr(0, text.find('\0'))};
        return {text, {}};
    }
}

Store::Answer Store::read(std::string_view path) { return request(XS_READ, {path, true}); }
Store::Answer Store::make(std::string_view path) { return request(XS_MKDIR, {path, true}); }
Store::Answer Store::list(std::string_view path) { return request(XS_DIRECTORY, {path, true}); }
Store::Answer Store::remove(std::string_view path) { return request(XS_RM, {path, true}); }
Store::Answer Store::write(std::string_view path, std::string_view value)
{
    return request(XS_WRITE, {path, true}, {value, false});
}
Store::Answer Store::watch(std::string_view path, std::string_view token)
{
    return request(XS_WATCH, {path, true}, {token, true});
}
Store::Answer Store::unwatch(std::string_view path, std::string_view token)
{
    return request(XS_UNWATCH, {path, true}, {token, true});
}

bool Store::take_event(Watch_event& to)
{
    receive_events();
    return events_.take(to);
}

bool Store::wait_event(Watch_event& to, u64 deadline)
{
    return wait_until([&] { return take_event(to); }, deadline);
}

u64 Store::notices()
{
    receive_events();
    return notices_;
}

bool Store::begin()
{
    const Answer id = request(XS_TRANSACTION_START, {"", true});
    const u64 given = protocol::number_from(id.text.substr(0, id.text.find('\0')), 0);
    transaction_    = static_cast<u32>(given);
    return id.ok() && transaction_ != 0 && transaction_ == given;
}

Store::End Store::end(bool commit)
{
    const Answer answer = request(XS_TRANSACTION_END, {commit ? "T" : "F", true});
    transaction_        = 0;
    if (answer.ok())
        return End::done;
    return answer.error == "EAGAIN" ? End::again : End::failed;
}

} // namespace vmm::guest
