// SPDX-License-Identifier: Apache-2.0
#pragma once
// How bytes reach one client and come from it, without ever waiting. Implemented over a socket and over a
// domain's ring.

#include "toolstack/base/error.hpp"

#include <cstddef>
#include <span>
#include <string_view>

namespace vmm::store
{

class Transport
{
  public:
    Transport()                            = default;
    Transport(const Transport&)            = delete;
    Transport& operator=(const Transport&) = delete;
    virtual ~Transport()                   = default;

    // How many bytes were moved; 0 means not now. An error ends the connection. What was read may stay with
    // the other side, to be had again by a successor, until acknowledge().
    [[nodiscard]] virtual Result<std::size_t> read(std::span<char> into)    = 0;
    virtual void acknowledge()                                              = 0;
    [[nodiscard]] virtual Result<std::size_t> write(std::string_view bytes) = 0;
    // Whether there is more than the last read() found. Asked after acknowledge(): what the other side wrote
    // before that it need not tell of.
    [[nodiscard]] virtual bool has_input()                                  = 0;
    // Tells the other side of all reads and writes since the last call.
    virtual void notify()                                                   = 0;
};

} // namespace vmm::store
