// SPDX-License-Identifier: Apache-2.0
#pragma once
// Bytes to and from one peer, in order. Who reads or writes waits, on whatever thread that is; how long, and
// how it is called off, is the implementation's (toolstack/migrate/descriptor_stream.hpp).

#include "toolstack/base/error.hpp"

#include <cstddef>
#include <span>

namespace vmm::save
{

class Byte_stream
{
  public:
    virtual ~Byte_stream() = default;

    // At least one byte; 0 when the peer sends no more.
    [[nodiscard]] virtual Result<std::size_t> read(std::span<std::byte> to)    = 0;
    [[nodiscard]] virtual Result<void> write(std::span<const std::byte> bytes) = 0;
};

} // namespace vmm::save
