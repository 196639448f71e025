// SPDX-License-Identifier: Apache-2.0
#include "domu_frontends/packets.hpp"

#include "protocol/number.hpp"

namespace vmm::domu
{

namespace
{

constexpr u32 kEthernetHeader = 14;
constexpr u32 kIpHeader       = 20;
constexpr u32 kIcmpHeader     = 8;
constexpr u32 kUdpHeader      = 8;
constexpr u16 kDoNotFragment  = 0x4000;

void begin(Frame& frame, const Ends& ends, u16 type)
{
    frame.put(ends.to_mac);
    frame.put(ends.from_mac);
    frame.put16(type);
}

void begin_ip(Frame& frame, const Ends& ends, u8 protocol, u64 payload)
{
    begin(frame, ends, kIpv4);
    frame.put16(0x4500);
    frame.put16(static_cast<u16>(kIpHeader + payload));
    frame.put16(0);
    frame.put16(kDoNotFragment);
    frame.put8(64);
    frame.put8(protocol);
    frame.put16(0);
    frame.put32(ends.from);
    frame.put32(ends.to);
    Checksum sum;
    sum.add(frame.bytes().subspan(kEthernetHeader));
    frame.set16(kEthernetHeader + 10, sum.value());
}

void add_pseudo_header(Checksum& sum, u32 from, u32 to, u64 length)
{
    sum.add(from);
    sum.add(to);
    sum.add(kUdp);
    sum.add(static_cast<u32>(length));
}

} // namespace

u32 address_from(std::string_view text)
{
    u32 address = 0;
    for (int part = 0; part < 4; ++part) {
        const u64 dot = text.find('.');
        const u64 n   = protocol::number_from(text.substr(0, dot), 256);
        if (n > 255 || (dot == text.npos) != (part == 3))
            return 0;
        address = address << 8 | static_cast<u32>(n);
        text    = dot == text.npos ? text : text.substr(dot + 1);
    }
    return address;
}

void Checksum::add(Bytes data)
{
    for (u64 i = 0; i < data.size(); i += 2)
        sum_ += static_cast<u64>(data[i] << 8 | (i + 1 < data.size() ? data[i + 1] : 0));
}

u16 Checksum::folded() const
{
    u64 sum = sum_;
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<u16>(sum);
}

void Frame::put16(u16 value)
{
    put8(static_cast<u8>(value >> 8));
    put8(static_cast<u8>(value));
}

void Frame::put32(u32 value)
{
    put16(static_cast<u16>(value >> 16));
    put16(static_cast<u16>(value));
}

void Frame::put(Bytes data)
{
    for (const u8 byte : data)
        put8(byte);
}

void Frame::set16(u32 at, u16 value)
{
    bytes_[at]     = static_cast<u8>(value >> 8);
    bytes_[at + 1] = static_cast<u8>(value);
}

u16 read16(Bytes data, u64 at)
{
    return at + 2 > data.size() ? u16{0} : static_cast<u16>(data[at] << 8 | data[at + 1]);
}

u32 read32(Bytes data, u64 at) { return u32{read16(data, at)} << 16 | read16(data, at + 2); }

Frame arp(const Ends& ends, u16 operation)
{
    Frame frame;
    begin(frame, ends, kArp);
    frame.put16(1); // Ethernet
    frame.put16(kIpv4);
    frame.put8(6);
    frame.put8(4);
    frame.put16(operation);
    frame.put(ends.from_mac);
    frame.put32(ends.from);
    frame.put(operation == kArpRequest ? Mac{} : ends.to_mac);
    frame.put32(ends.to);
    return frame;
}

Frame echo(const Ends& ends, u8 type, u16 id, u16 sequence, Bytes payload)
{
    Frame frame;
    begin_ip(frame, ends, kIcmp, kIcmpHeader + payload.size());
    const u32 start = frame.length();
    frame.put8(type);
    frame.put8(0);
    frame.put16(0);
    frame.put16(id);
    frame.put16(sequence);
    frame.put(payload);
    Checksum sum;
    sum.add(frame.bytes().subspan(start));
    frame.set16(start + 2, sum.value());
    return frame;
}

Frame udp(const Ends& ends, u16 from_port, u16 to_port, Bytes payload, bool blank_checksum)
{
    Frame frame;
    const u64 length = kUdpHeader + payload.size();
    begin_ip(frame, ends, kUdp, length);
    const u32 start = frame.length();
    frame.put16(from_port);
    frame.put16(to_port);
    frame.put16(static_cast<u16>(length));
    frame.put16(0);
    frame.put(payload);
    Checksum sum;
    add_pseudo_header(sum, ends.from, ends.to, length);
    if (!blank_checksum)
        sum.add(frame.bytes().subspan(start));
    frame.set16(start + 6, blank_checksum ? sum.folded() : sum.value());
    return frame;
}

Ip_view read_ip(Bytes frame)
{
    if (read16(frame, 12) != kIpv4 || frame.size() < kEthernetHeader + kIpHeader)
        return {};
    const Bytes packet = frame.subspan(kEthernetHeader);
    const u64 header   = u64{packet[0]} % 16 * 4;
    const u64 length   = read16(packet, 2);
    if (packet[0] / 16 != 4 || header < kIpHeader || length < header || length > packet.size())
        return {};
    Checksum sum;
    sum.add(packet.first(header));
    if (sum.value() != 0)
        return {};
    return {packet[9], read32(packet, 12), read32(packet, 16), packet.subspan(header, length - header)};
}

bool udp_checksum_right(const Ip_view& ip)
{
    Checksum sum;
    add_pseudo_header(sum, ip.from, ip.to, ip.payload.size());
    sum.add(ip.payload);
    return ip.payload.size() >= kUdpHeader && read16(ip.payload, 4) == ip.payload.size() &&
           read16(ip.payload, 6) != 0 && sum.value() == 0;
}

} // namespace vmm::domu
