// SPDX-License-Identifier: Apache-2.0
#include "toolstack/store/ring_transport.hpp"

#include <xen/io/xs_wire.h>

#include <algorithm>
#include <atomic>
#include <cstring>

namespace vmm::store
{
namespace
{

// Named in docs/misc/xenstore-ring.txt; the header of Xen 4.17 does not have it yet.
constexpr std::uint32_t kFeatureWatchDepth = 4;

std::uint32_t load(std::uint32_t& shared) { return std::atomic_ref(shared).load(std::memory_order_acquire); }

void store(std::uint32_t& shared, std::uint32_t value)
{
    std::atomic_ref(shared).store(value, std::memory_order_release);
}

std::unexpected<Error> bad_indices()
{
    return fail(Errc::protocol, "the guest's ring indices are inconsistent");
}

} // namespace

Ring_transport::Ring_transport(std::unique_ptr<Ring_channel> channel)
    : channel_(std::move(channel)), request_consumer_(load(page().req_cons)),
      response_producer_(load(page().rsp_prod))
{
    const bool sane = load(page().req_prod) - request_consumer_ <= XENSTORE_RING_SIZE &&
                      response_producer_ - load(page().rsp_cons) <= XENSTORE_RING_SIZE;
    if (!sane && !wants_reconnect()) {
        reset();
    }
    store(page().error, XENSTORE_ERROR_NONE);
    store(page().server_features,
          XENSTORE_SERVER_FEATURE_RECONNECTION | XENSTORE_SERVER_FEATURE_ERROR | kFeatureWatchDepth);
}

std::optional<std::size_t> Ring_transport::resume(const Ring_position& place, std::size_t unsent)
{
    const std::uint32_t sent     = load(page().rsp_prod) - place.response_producer;
    const std::uint32_t unacked  = place.request_consumer - load(page().req_cons);
    const std::uint32_t waiting  = load(page().req_prod) - place.request_consumer;
    const std::uint32_t untaken  = load(page().rsp_prod) - load(page().rsp_cons);
    constexpr std::uint32_t kMax = XENSTORE_RING_SIZE;
    if (sent > unsent || unacked > kMax || waiting > kMax || untaken > kMax) {
        return std::nullopt;
    }
    request_consumer_  = place.request_consumer;
    response_producer_ = place.response_producer + sent;
    acknowledge();
    return sent;
}

Result<std::size_t> Ring_transport::read(std::span<char> into)
{
    const std::uint32_t available = load(page().req_prod) - request_consumer_;
    if (available > XENSTORE_RING_SIZE) {
        return bad_indices();
    }
    const std::size_t count = std::min<std::size_t>(available, into.size());
    const std::size_t start = MASK_XENSTORE_IDX(request_consumer_);
    const std::size_t first = std::min<std::size_t>(count, XENSTORE_RING_SIZE - start);
    std::memcpy(into.data(), page().req + start, first);
    std::memcpy(into.data() + first, page().req, count - first);
    request_consumer_ += static_cast<std::uint32_t>(count);
    return count;
}

// Only now may the guest write over what was read.
void Ring_transport::acknowledge()
{
    if (load(page().req_cons) != request_consumer_) {
        store(page().req_cons, request_consumer_);
        moved_ = true;
    }
}

Result<std::size_t> Ring_transport::write(std::string_view bytes)
{
    // A guest sends an event for room only if it found the ring full: whether it is full is looked up after
    // all that was written has been shown.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const std::uint32_t used = response_producer_ - load(page().rsp_cons);
    if (used > XENSTORE_RING_SIZE) {
        return bad_indices();
    }
    const std::size_t count = std::min<std::size_t>(XENSTORE_RING_SIZE - used, bytes.size());
    const std::size_t start = MASK_XENSTORE_IDX(response_producer_);
    const std::size_t first = std::min<std::size_t>(count, XENSTORE_RING_SIZE - start);
    std::memcpy(page().rsp + start, bytes.data(), first);
    std::memcpy(page().rsp, bytes.data() + first, count - first);
    response_producer_ += static_cast<std::uint32_t>(count);
    store(page().rsp_prod, response_producer_);
    moved_ = moved_ || count > 0;
    return count;
}

// A guest sends an event for a request only if it found all earlier ones taken, and looks at that after it
// has moved its own index: here it is the other way round.
bool Ring_transport::has_input()
{
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return load(page().req_prod) != request_consumer_;
}

void Ring_transport::notify()
{
    if (std::exchange(moved_, false)) {
        channel_->notify();
    }
}

bool Ring_transport::wants_reconnect() const { return load(page().connection) == XENSTORE_RECONNECT; }

void Ring_transport::reset()
{
    request_consumer_ = response_producer_ = 0;
    store(page().req_cons, 0);
    store(page().req_prod, 0);
    store(page().rsp_cons, 0);
    store(page().rsp_prod, 0);
    store(page().error, XENSTORE_ERROR_NONE);
    store(page().connection, XENSTORE_CONNECTED);
    moved_ = false;
    channel_->notify();
}

void Ring_transport::show_failure(Failure failure)
{
    store(page().error, static_cast<std::uint32_t>(failure));
    channel_->notify();
}

} // namespace vmm::store
