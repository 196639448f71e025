// SPDX-License-Identifier: Apache-2.0
#include "guest/net.hpp"

#include "guest/events.hpp"
#include "guest/grants.hpp"

namespace vmm::guest
{

namespace
{

constexpr u32 kShowAt = 16; // buffers given back before the backend is told without being asked

int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

} // namespace

std::optional<Mac> mac_from(std::string_view text)
{
    Mac mac{};
    if (text.size() != mac.size() * 3 - 1)
        return std::nullopt;
    for (u64 i = 0; i < mac.size(); ++i) {
        const int high = digit_of(text[i * 3]);
        const int low  = digit_of(text[i * 3 + 1]);
        if (high < 0 || low < 0 || (i + 1 < mac.size() && text[i * 3 + 2] != ':'))
            return std::nullopt;
        mac[i] = static_cast<u8>(high << 4 | low);
    }
    return mac;
}

Frame_fault check_received(const netif_rx_response& response, u16 offered_flags)
{
    if (response.status <= 0)
        return Frame_fault::error;
    if ((response.flags & ~offered_flags) != 0)
        return Frame_fault::not_offered;
    const u64 end = u64{response.offset} + static_cast<u64>(response.status);
    if (static_cast<u32>(response.status) < Net::kFrameMin || end > kPageSize)
        return Frame_fault::length;
    return Frame_fault::ok;
}

u16 Net::offered_flags() const
{
    return checksum_ == Checksum::filled ? NETRXF_data_validated : NETRXF_data_validated | NETRXF_csum_blank;
}

bool Net::share()
{
    const std::optional<Mac> mac = mac_from(own("mac").text);
    const s64 port               = events::alloc_unbound(backend());
    if (port > 0)
        port_ = static_cast<evtchn_port_t>(port);
    if (!mac || port <= 0)
        return false;
    mac_ = *mac;
    tx_.emplace(&memory_.tx_ring, sizeof memory_.tx_ring);
    rx_.emplace(&memory_.rx_ring, sizeof memory_.rx_ring);
    tx_ref_     = grants::share(backend(), &memory_.tx_ring, true);
    rx_ref_     = grants::share(backend(), &memory_.rx_ring, true);
    bool whole  = tx_ref_ != 0 && rx_ref_ != 0;
    free_count_ = unshown_ = 0;
    for (u32 i = 0; i < kBuffers; ++i) {
        tx_buffers_[i]       = {grants::share(backend(), &memory_.tx[i], false), false};
        rx_buffers_[i]       = {grants::share(backend(), &memory_.rx[i], true), false};
        whole                = whole && tx_buffers_[i].ref != 0 && rx_buffers_[i].ref != 0;
        free_[free_count_++] = static_cast<u16>(i);
    }
    if (!whole)
        return false;
    for (u32 i = 0; i < kBuffers; ++i)
        post(i);
    show_posted();
    events::listen(port_, events::ignore);
    return true;
}

bool Net::publish()
{
    const bool blank = checksum_ == Checksum::may_be_blank;
    return put("tx-ring-ref", tx_ref_) && put("rx-ring-ref", rx_ref_) && put("event-channel", port_) &&
           put("request-rx-copy", 1) && put("feature-rx-notify", 1) && put("feature-sg", u64{0}) &&
           put("feature-gso-tcpv4", u64{0}) && put("feature-gso-tcpv6", u64{0}) &&
           put("feature-no-csum-offload", u64{!blank}) && put("feature-ipv6-csum-offload", u64{blank});
}

// Nothing a backend can say of itself changes how a one-page frame is sent; it has to be able to copy.
bool Net::agree() { return ask_number("feature-rx-copy", 0) == 1; }

u32 Net::take_back()
{
    if (port_ != 0)
        events::close(port_);
    port_    = 0;
    u32 held = 0;
    held += !grants::unshare(tx_ref_);
    held += !grants::unshare(rx_ref_);
    for (u32 i = 0; i < kBuffers; ++i) {
        held += !grants::unshare(tx_buffers_[i].ref);
        held += !grants::unshare(rx_buffers_[i].ref);
    }
    return held;
}

void Net::post(u32 buffer)
{
    netif_rx_request& request  = rx_->next();
    request.id                 = static_cast<u16>(buffer);
    request.pad                = 0;
    request.gref               = rx_buffers_[buffer].ref;
    rx_buffers_[buffer].posted = true;
    ++unshown_;
}

void Net::show_posted()
{
    unshown_ = 0;
    if (rx_->push() && port_ != 0)
        events::send(port_);
}

// Takes back the buffers of frames that are sent.
void Net::reap()
{
    netif_tx_response response{};
    while (tx_->take(response)) {
        if (response.id >= kBuffers || !tx_buffers_[response.id].posted) {
            give_up();
            return;
        }
        tx_buffers_[response.id].posted = false;
        free_[free_count_++]            = response.id;
        ++(response.status == NETIF_RSP_OKAY ? counters_.sent : counters_.dropped);
    }
    if (tx_->broken())
        give_up();
}

bool Net::send(std::span<const u8> frame, bool blank_checksum)
{
    if (frame.size() < kFrameMin || frame.size() > kFrameMax || !writable())
        return false;
    const u16 buffer = free_[--free_count_];
    __builtin_memcpy(memory_.tx[buffer].bytes, frame.data(), frame.size());
    netif_tx_request& request  = tx_->next();
    request.gref               = tx_buffers_[buffer].ref;
    request.offset             = 0;
    request.flags              = blank_checksum ? NETTXF_csum_blank | NETTXF_data_validated : 0;
    request.id                 = buffer;
    request.size               = static_cast<u16>(frame.size());
    tx_buffers_[buffer].posted = true;
    return true;
}

void Net::flush()
{
    if (running() && tx_->push())
        events::send(port_);
}

bool Net::writable()
{
    if (!running())
        return false;
    reap();
    if (running() && free_count_ == 0 && tx_->rearm())
        reap();
    return running() && free_count_ != 0;
}

bool Net::readable()
{
    if (!running())
        return false;
    if (rx_->broken())
        give_up();
    return running() && (rx_->readable() || rx_->rearm());
}

Net::Received Net::receive(std::span<u8> to)
{
    Received result{};
    netif_rx_response response{};
    while (result.length == 0 && readable() && rx_->take(response)) {
        if (response.id >= kBuffers || !rx_buffers_[response.id].posted) {
            give_up();
            break;
        }
        rx_buffers_[response.id].posted = false;
        const auto length               = static_cast<u32>(response.status);
        if (check_received(response, offered_flags()) == Frame_fault::ok && length <= to.size()) {
            __builtin_memcpy(to.data(), memory_.rx[response.id].bytes + response.offset, length);
            result = {length, (response.flags & NETRXF_csum_blank) != 0};
            ++counters_.received;
        } else {
            ++counters_.refused;
        }
        post(response.id);
    }
    if (running() && unshown_ >= kShowAt)
        show_posted();
    return result;
}

} // namespace vmm::guest
