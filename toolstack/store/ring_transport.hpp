// SPDX-License-Identifier: Apache-2.0
#pragma once
// The transport over a domain's ring page (struct xenstore_domain_interface, xen/io/xs_wire.h; protocol in
// Xen's docs/misc/xenstore-ring.txt). The guest writes the page at any time and may be hostile: each index is
// read once, checked, and the two that are ours are kept privately, so nothing the guest does moves an access
// out of the ring.

#include "toolstack/store/ring_channel.hpp"
#include "toolstack/store/store_image.hpp"
#include "toolstack/store/transport.hpp"

#include <cstdint>
#include <memory>
#include <optional>

namespace vmm::store
{

class Ring_transport final : public Transport
{
  public:
    enum class Failure : std::uint32_t { communication = 1, indices = 2, protocol = 3 }; // XENSTORE_ERROR_*

    // Goes on where the page's indices are, or from an empty ring if they make no sense; a wish to reconnect
    // stays to be answered. The first notify() always tells the guest: dom0's kernel starts its bus only
    // then.
    explicit Ring_transport(std::unique_ptr<Ring_channel> channel);

    // Goes on where a former process was: at `place`, with `unsent` bytes of output made but perhaps not
    // sent. Returns how many of them the guest can see already. None when the page does not fit that; then
    // nothing has changed.
    [[nodiscard]] std::optional<std::size_t> resume(const Ring_position& place, std::size_t unsent);
    [[nodiscard]] Ring_position position() const { return {request_consumer_, response_producer_}; }

    [[nodiscard]] Result<std::size_t> read(std::span<char> into) override;
    void acknowledge() override;
    [[nodiscard]] Result<std::size_t> write(std::string_view bytes) override;
    [[nodiscard]] bool has_input() override;
    void notify() override;

    // The guest has asked for a fresh start of the connection.
    [[nodiscard]] bool wants_reconnect() const;
    // Empties both rings, clears the guest's request and any failure shown, and tells the guest.
    void reset();
    // Shows the guest why it is no longer served.
    void show_failure(Failure failure);

  private:
    [[nodiscard]] xenstore_domain_interface& page() const { return *channel_->page(); }

    std::unique_ptr<Ring_channel> channel_;
    std::uint32_t request_consumer_;
    std::uint32_t response_producer_;
    bool moved_ = true; // something the guest has not been told of
};

} // namespace vmm::store
