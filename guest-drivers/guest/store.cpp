// SPDX-License-Identifier: Apache-2.0
#include "guest/store.hpp"

#include "guest/events.hpp"
#include "guest/hypercall.hpp"

namespace vmm::guest
{

namespace
{
void wake(evtchn_port_t) {} // the interrupt itself ends the wait
} // namespace

bool Store::open()
{
    u64 pfn  = 0;
    u64 port = 0;
    if (get_param(DOMID_SELF, HVM_PARAM_STORE_PFN, pfn) != 0 ||
        get_param(DOMID_SELF, HVM_PARAM_STORE_EVTCHN, port) != 0 || pfn == 0 || port == 0)
        return false;
    ring_ = at_gpa<xenstore_domain_interface>(pfn * kPageSize);
    port_ = static_cast<evtchn_port_t>(port);
    events::listen(port_, wake);
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

// Reads one message into payload_, or into event_ when it is a watch event. A length the protocol does not
// allow cannot be skipped safely: the ring is given up.
xsd_sockmsg Store::receive()
{
    xsd_sockmsg header{};
    get(&header, sizeof header);
    if (header.len > XENSTORE_PAYLOAD_MAX)
        shut_down(SHUTDOWN_crash);
    get(header.type == XS_WATCH_EVENT ? event_ : payload_, header.len);
    return header;
}

Store::Answer Store::request(u32 type, Piece first, Piece second)
{
    const auto length = [](Piece p) { return static_cast<u32>(p.text.size() + (p.terminated ? 1 : 0)); };
    xsd_sockmsg header{};
    header.type   = type;
    header.req_id = ++request_id_;
    header.len    = length(first) + length(second);
    put(&header, sizeof header);
    for (const Piece piece : {first, second}) {
        put(piece.text.data(), static_cast<u32>(piece.text.size()));
        if (piece.terminated)
            put("", 1);
    }
    for (;;) {
        const xsd_sockmsg answer = receive();
        const std::string_view text(payload_, answer.len);
        if (answer.type == XS_WATCH_EVENT)
            event_length_ = answer.len;
        else if (answer.type == XS_ERROR)
            return {{}, text.substr(0, text.find('\0'))};
        else
            return {text, {}};
    }
}

Store::Answer Store::read(std::string_view path) { return request(XS_READ, {path, true}); }
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

std::string_view Store::next_event()
{
    while (event_length_ == 0) {
        const xsd_sockmsg message = receive();
        if (message.type == XS_WATCH_EVENT)
            event_length_ = message.len;
    }
    const u32 length = event_length_;
    event_length_    = 0;
    return {event_, length};
}

} // namespace vmm::guest
