// SPDX-License-Identifier: Apache-2.0
//
// As much of Ethernet, ARP, IPv4, ICMP, UDP and DNS as the test guest speaks: frames are put together in and
// read from flat buffers, numbers in the order of the network. Nothing read from a frame is used as a length
// or an offset before it is compared with what is there. [RFC 791, 792, 768, 826, 1035]
#pragma once

#include "guest/net.hpp"

#include <array>
#include <span>
#include <string_view>

namespace vmm::domu
{

using guest::Mac;
using guest::u16;
using guest::u32;
using guest::u64;
using guest::u8;

using Bytes = std::span<const u8>;

// "10.76.0.1" as a number; 0 for what is none.
u32 address_from(std::string_view text);

// The Internet checksum over the pieces put in; 0 over data that carries its own right one.
class Checksum
{
  public:
    void add(Bytes data); // of even length, but for the last
    void add(u32 number) { sum_ += (number >> 16) + (number & 0xffff); }
    [[nodiscard]] u16 folded() const; // as a pseudo header's
    [[nodiscard]] u16 value() const { return static_cast<u16>(~folded()); }

  private:
    u64 sum_ = 0;
};

class Frame
{
  public:
    void put8(u8 value)
    {
        if (length_ < sizeof bytes_)
            bytes_[length_++] = value;
    }
    void put16(u16 value);
    void put32(u32 value);
    void put(Bytes data);
    void set16(u32 at, u16 value);
    [[nodiscard]] u32 length() const { return length_; }
    [[nodiscard]] Bytes bytes() const { return {bytes_, length_}; }

  private:
    u8 bytes_[guest::Net::kFrameMax];
    u32 length_ = 0;
};

u16 read16(Bytes data, u64 at); // 0 beyond the end
u32 read32(Bytes data, u64 at);

struct Ends {
    Mac from_mac;
    Mac to_mac;
    u32 from;
    u32 to;
};

inline constexpr u16 kArp  = 0x0806;
inline constexpr u16 kIpv4 = 0x0800;
inline constexpr u8 kIcmp  = 1;
inline constexpr u8 kUdp   = 17;

inline constexpr u16 kArpRequest = 1;
inline constexpr u16 kArpAnswer  = 2;
inline constexpr u8 kEchoRequest = 8;
inline constexpr u8 kEchoAnswer  = 0;

Frame arp(const Ends& ends, u16 operation);
// With the checksum of ICMP.
Frame echo(const Ends& ends, u8 type, u16 id, u16 sequence, Bytes payload);
// With the checksum of UDP, or that of the pseudo header alone where the backend has to fill it in.
Frame udp(const Ends& ends, u16 from_port, u16 to_port, Bytes payload, bool blank_checksum);

// What a good IPv4 frame carries; `protocol` is 0 for any other frame, or one whose header is wrong.
struct Ip_view {
    u8 protocol = 0;
    u32 from    = 0;
    u32 to      = 0;
    Bytes payload;
};
Ip_view read_ip(Bytes frame);
// Of the payload of a good UDP packet.
[[nodiscard]] bool udp_checksum_right(const Ip_view& ip);

} // namespace vmm::domu
