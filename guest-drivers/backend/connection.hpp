// SPDX-License-Identifier: Apache-2.0
#pragma once
// The rings of one frontend while they are connected: their pages, ports and queues, and what they share. It
// goes when nothing is under way any more, for the disk may still write into its memory.

#include "guest-drivers/backend/buffer_pool.hpp"
#include "guest-drivers/backend/events.hpp"
#include "guest-drivers/backend/frontend_nodes.hpp"
#include "guest-drivers/backend/queue.hpp"

#include <functional>
#include <list>
#include <memory>
#include <optional>

namespace vmm::block
{

class Connection
{
  public:
    struct Services {
        Grants& grants;
        Events& events;
        Disk& disk;
        Buffer_pool& buffers;
        Complaints& complaints;
        Request_log& log;
        std::function<void()> broken; // a ring makes no sense any more; told once
        std::function<void()> idle;   // closed, and nothing is under way: told at each turn
    };

    [[nodiscard]] static Result<std::unique_ptr<Connection>> open(const Frontend_nodes& nodes,
                                                                  Services services);
    Connection(const Connection&)            = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection();

    // Whatever there is to do: take, start, answer, notify.
    void turn();
    // An event for the frontend: of answers that a predecessor may have left untold, or to have it look
    // again.
    void notify_all();
    // From now on requests are refused; those under way end, and are answered.
    void close();
    // The frontend has asked for something since the last call.
    [[nodiscard]] bool was_used();

  private:
    struct Link {
        Mapped_pages pages;
        Evtchn_port port{};
        std::optional<Queue> queue;
    };

    explicit Connection(Services services) : services_(std::move(services)) {}
    Result<void> add(const Frontend_nodes::Ring& ring, protocol::Block_abi abi);
    [[nodiscard]] bool serve_all();
    [[nodiscard]] bool broken() const;

    static constexpr std::size_t kKeptPerRing = 1056; // 32 requests with 32 pages and one of segments each

    Services services_;
    std::optional<Kept_grants> kept_;
    std::list<Link> links_;
    bool closed_ = false;
};

} // namespace vmm::block
