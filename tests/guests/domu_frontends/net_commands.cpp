// SPDX-License-Identifier: Apache-2.0
#include "domu_frontends/commands.hpp"
#include "domu_frontends/packets.hpp"

namespace vmm::domu
{

using guest::Front_phase;
using guest::Net;

namespace
{

constexpr u64 kPatience   = 30; // seconds
constexpr u32 kWindow     = 24; // packets in flight
constexpr u32 kRepeats    = 5;  // dom0 may drop an answer when it is short of buffers
constexpr u16 kEchoId     = 0x7e57;
constexpr u32 kEchoHeader = 8;
constexpr u16 kDnsPort    = 53;
constexpr u16 kOurPort    = 40000;
constexpr Mac kEveryone   = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

guest::Net_memory memory;
constinit Net filled(memory);
constinit Net blank(memory, Net::Checksum::may_be_blank);
constinit Net* net = nullptr; // the one that is open
u32 own_ip         = 0;
char directory[]   = "device/vif/0";

u8 incoming[guest::kPageSize];

// The content of echo number `n`: each its own.
Bytes echo_payload(u32 n, u64 size)
{
    static u8 data[Net::kFrameMax];
    for (u64 i = 0; i < size; ++i)
        data[i] = static_cast<u8>(n * 31 + i * 7 + (n >> 8) + (i >> 8));
    return {data, size};
}

bool transmit(const Frame& frame, bool blank_checksum = false)
{
    const bool sent = net->send(frame.bytes(), blank_checksum);
    net->flush();
    return sent;
}

struct Incoming {
    Bytes frame;
    bool blank;
};
Incoming next_frame()
{
    const Net::Received got = net->receive(incoming);
    return {Bytes(incoming, got.length), got.blank_checksum};
}

Mac mac_at(Bytes frame, u64 at)
{
    Mac mac{};
    for (u64 i = 0; i < mac.size() && at + i < frame.size(); ++i)
        mac[i] = frame[at + i];
    return mac;
}

// Everybody's questions: who has this address, are you there.
void answer(Bytes frame)
{
    if (read16(frame, 12) == kArp && read16(frame, 20) == kArpRequest && read32(frame, 38) == own_ip) {
        const Mac asker = mac_at(frame, 22);
        transmit(arp({net->mac(), asker, own_ip, read32(frame, 28)}, kArpAnswer));
        return;
    }
    const Ip_view ip = read_ip(frame);
    if (ip.protocol == kIcmp && ip.payload.size() >= kEchoHeader && ip.to == own_ip &&
        read16(ip.payload, 0) == kEchoRequest << 8)
        transmit(echo({net->mac(), mac_at(frame, 6), own_ip, ip.from}, kEchoAnswer, read16(ip.payload, 4),
                      read16(ip.payload, 6), ip.payload.subspan(8)));
}

// Calls `look` for each frame that comes until it returns true; false: nothing fit before the deadline.
template <class Look>
bool receive_until(Look look, u64 deadline)
{
    for (;;) {
        while (true) {
            const Incoming got = next_frame();
            if (got.frame.empty())
                break;
            if (look(got))
                return true;
            answer(got.frame);
        }
        if (!net->running() ||
            !guest::wait_until([] { return net->readable() || !net->running(); }, deadline))
            return false;
    }
}

Outcome resolve(u32 ip, Mac& mac)
{
    for (u32 tries = 0; tries < kPatience; ++tries) {
        transmit(arp({net->mac(), kEveryone, own_ip, ip}, kArpRequest));
        if (receive_until(
                [&](const Incoming& got) {
                    const bool fits = read16(got.frame, 12) == kArp && read16(got.frame, 20) == kArpAnswer &&
                                      read32(got.frame, 28) == ip;
                    if (fits)
                        mac = mac_at(got.frame, 22);
                    return fits;
                },
                guest::in_seconds(1)))
            return good();
    }
    return failure("nobody says to have that address");
}

// A running interface and the neighbour's MAC.
Outcome reach(std::string_view address, Ends& ends)
{
    if (!net || !net->running())
        return failure("the interface is not open");
    ends.from = own_ip;
    ends.to   = address_from(address);
    if (ends.to == 0)
        return failure("'", address, "' is no address");
    ends.from_mac = net->mac();
    return resolve(ends.to, ends.to_mac);
}

// Which of the packets in flight are still awaited, by number modulo kWindow.
struct Flight {
    u32 sent              = 0;
    u32 back              = 0;
    bool awaited[kWindow] = {};
    [[nodiscard]] bool room(u32 count) const { return sent < count && !awaited[sent % kWindow]; }
};

bool send_echo(const Ends& ends, u32 n, u64 size)
{
    return net->send(echo(ends, kEchoRequest, kEchoId, static_cast<u16>(n), echo_payload(n, size)).bytes());
}

u32 send_again(const Ends& ends, const Flight& flight, u64 size)
{
    u32 count = 0;
    for (u32 n = flight.sent < kWindow ? 0 : flight.sent - kWindow; n < flight.sent; ++n)
        count += flight.awaited[n % kWindow] && send_echo(ends, n, size);
    return count;
}

enum class Echo { other, right, wrong };
Echo judge(Bytes frame, const Ends& ends, Flight& flight, u64 size)
{
    const Ip_view ip = read_ip(frame);
    if (ip.protocol != kIcmp || ip.payload.size() < kEchoHeader || ip.from != ends.to ||
        read16(ip.payload, 0) != kEchoAnswer || read16(ip.payload, 4) != kEchoId)
        return Echo::other;
    const u32 low    = read16(ip.payload, 6);
    const u32 n      = flight.sent - ((flight.sent - low) & 0xffff);
    const Bytes want = echo_payload(n, size);
    Checksum sum;
    sum.add(ip.payload);
    const Bytes got = ip.payload.subspan(kEchoHeader);
    if (sum.value() != 0 || got.size() != size || __builtin_memcmp(got.data(), want.data(), size) != 0)
        return Echo::wrong;
    if (flight.sent - n > kWindow || !flight.awaited[n % kWindow])
        return Echo::other; // the answer to one that was sent twice
    flight.awaited[n % kWindow] = false;
    ++flight.back;
    return Echo::right;
}

} // namespace

void follow_network()
{
    if (net)
        net->step();
}

bool answer_network()
{
    if (!net || !net->running())
        return false;
    const Incoming got = next_frame();
    if (got.frame.empty())
        return net->readable();
    answer(got.frame);
    return true;
}

Outcome net_open(Words words)
{
    directory[sizeof directory - 2] = words[0][0];
    own_ip                          = address_from(words[1]);
    net                             = words.size() > 2 ? &blank : &filled;
    if (own_ip == 0 || !net->open(store, directory)) {
        net = nullptr;
        return failure("there is no such interface");
    }
    if (!net->settle(Front_phase::running, guest::in_seconds(kPatience)))
        return failure("the backend does not connect");
    return good();
}

Outcome net_close(Words)
{
    if (!net)
        return failure("no interface");
    net->close();
    return net->settle(Front_phase::closed, guest::in_seconds(kPatience))
               ? good()
               : failure("the backend holds ", net->held(), " pages");
}

Outcome net_reopen(Words)
{
    if (!net)
        return failure("no interface");
    net->reopen();
    return net->settle(Front_phase::running, guest::in_seconds(kPatience))
               ? good()
               : failure("the backend does not connect");
}

Outcome net_gone(Words)
{
    return net && net->settle(Front_phase::gone, guest::in_seconds(kPatience)) ? good()
                                                                               : failure("it is still there");
}

Outcome net_ping(Words words)
{
    Ends ends{};
    if (const Outcome reached = reach(words[0], ends); !reached.good())
        return reached;
    const u64 count = number(words[1], 0);
    const u64 size  = number(words[2], 0);
    if (count == 0 || count > 1'000'000 || size == 0 || size > 1400)
        return failure("how many, and of which size?");
    Flight flight;
    u32 wrong   = 0;
    u32 repeats = 0;
    u32 resent  = 0;
    while (flight.back < count) {
        while (flight.room(static_cast<u32>(count)) && send_echo(ends, flight.sent, size))
            flight.awaited[flight.sent++ % kWindow] = true;
        net->flush();
        if (receive_until(
                [&](const Incoming& got) {
                    const Echo kind = judge(got.frame, ends, flight, size);
                    wrong += kind == Echo::wrong;
                    return kind == Echo::right;
                },
                guest::in_seconds(1))) {
            repeats = 0;
        } else if (++repeats <= kRepeats && net->running()) {
            resent += send_again(ends, flight, size);
        } else {
            return failure("only ", flight.back, " of ", flight.sent, " came back; ", wrong, " were wrong");
        }
    }
    guest::print("echoes: ", flight.back, " sent again: ", resent);
    return wrong == 0 ? good() : failure(wrong, " were wrong");
}

Outcome net_dns(Words words)
{
    Ends ends{};
    if (const Outcome reached = reach(words[0], ends); !reached.good())
        return reached;
    const bool ask_blank = words.size() > 2;
    Frame query; // as a buffer: only the payload is wanted
    for (const u16 value : {kEchoId, u16{0x0100}, u16{1}, u16{0}, u16{0}, u16{0}})
        query.put16(value);
    query.put8(static_cast<u8>(words[1].size()));
    for (const char c : words[1])
        query.put8(static_cast<u8>(c));
    query.put8(0);
    query.put16(1); // A
    query.put16(1); // IN
    u32 found      = 0;
    bool was_blank = false;
    bool was_right = false;
    for (u32 tries = 0; tries < 5 && found == 0; ++tries) {
        transmit(udp(ends, kOurPort, kDnsPort, query.bytes(), ask_blank), ask_blank);
        receive_until(
            [&](const Incoming& got) {
                const Ip_view ip = read_ip(got.frame);
                if (ip.protocol != kUdp || read16(ip.payload, 0) != kDnsPort ||
                    read16(ip.payload, 2) != kOurPort || read16(ip.payload, 8) != kEchoId ||
                    ip.payload.size() < 12)
                    return false;
                was_blank = got.blank;
                was_right = udp_checksum_right(ip);
                found     = read32(ip.payload, ip.payload.size() - 4);
                return true;
            },
            guest::in_seconds(3));
    }
    if (found == 0)
        return failure("no answer");
    guest::print("address: ", found >> 24, ".", found >> 16 & 255, ".", found >> 8 & 255, ".", found & 255);
    guest::print("checksum: ", was_blank ? "blank" : was_right ? "right" : "wrong");
    return was_blank || was_right ? good() : failure("the answer's checksum is wrong");
}

// What no station understands, and what this end must not let out.
Outcome net_junk(Words words)
{
    Ends ends{};
    if (const Outcome reached = reach(words[0], ends); !reached.good())
        return reached;
    static u8 huge[guest::kPageSize];
    if (net->send({huge, Net::kFrameMin - 1}) || net->send({huge, Net::kFrameMax + 1}) ||
        net->send({huge, sizeof huge}))
        return failure("a frame of a bad length was taken");
    const u64 count = number(words[1], 0);
    for (u64 i = 0; i < count; ++i) {
        const u64 size   = Net::kFrameMin + i * 37 % (Net::kFrameMax - Net::kFrameMin);
        const Bytes body = echo_payload(static_cast<u32>(i), size);
        Frame frame;
        frame.put(i % 3 == 0 ? kEveryone : ends.to_mac);
        frame.put(ends.from_mac);
        frame.put(body.subspan(12));
        if (i % 2 == 0)
            frame.set16(12, i % 4 == 0 ? kIpv4 : kArp);
        if (!guest::wait_until([] { return net->writable() || !net->running(); }, guest::in_seconds(5)) ||
            !transmit(frame))
            return failure("no room after ", i, " frames");
    }
    return good();
}

Outcome net_counters(Words)
{
    if (!net)
        return failure("no interface");
    const Net::Counters& c = net->counters();
    guest::print("sent ", c.sent, " dropped ", c.dropped, " received ", c.received, " refused ", c.refused);
    return good();
}

} // namespace vmm::domu
