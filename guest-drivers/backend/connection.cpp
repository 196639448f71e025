// SPDX-License-Identifier: Apache-2.0
#include "guest-drivers/backend/connection.hpp"

#include <algorithm>
#include <utility>

namespace vmm::block
{

Result<std::unique_ptr<Connection>> Connection::open(const Frontend_nodes& nodes, Services services)
{
    std::unique_ptr<Connection> connection(new Connection(std::move(services)));
    if (nodes.keeps_grants) {
        connection->kept_.emplace(connection->services_.grants, kKeptPerRing * nodes.rings.size());
    }
    connection->services_.disk.on_batch([self = connection.get()] { self->turn(); });
    for (const Frontend_nodes::Ring& ring : nodes.rings) {
        TRY(connection->add(ring, nodes.abi));
    }
    return connection;
}

Connection::~Connection()
{
    services_.disk.on_batch(nullptr);
    for (const Link& link : links_) {
        services_.events.unbind(link.port);
    }
}

Result<void> Connection::add(const Frontend_nodes::Ring& ring, protocol::Block_abi abi)
{
    Mapped_pages pages = services_.grants.map(ring.pages);
    if (!pages) {
        return fail(Errc::protocol, "the frontend's ring cannot be mapped: one of its " +
                                        std::to_string(ring.pages.size()) + " grants is not valid");
    }
    const Evtchn_port port   = TRY(services_.events.bind(ring.port, [this] { turn(); }));
    const std::size_t number = links_.size();
    Link& link               = links_.emplace_back();
    link.pages               = std::move(pages);
    link.port                = port;
    link.queue.emplace(link.pages.bytes(), abi, services_.log.queue(number),
                       Queue::Services{services_.grants, kept_ ? &*kept_ : nullptr, services_.disk,
                                       services_.buffers, services_.complaints});
    return {};
}

void Connection::turn()
{
    while (serve_all()) {
    }
    if (!closed_ && broken()) {
        services_.broken();
    } else if (closed_ &&
               std::ranges::all_of(links_, [](const Link& link) { return link.queue->under_way() == 0; })) {
        services_.idle();
    }
}

bool Connection::broken() const
{
    return std::ranges::any_of(links_, [](const Link& link) { return link.queue->broken(); });
}

// True when a queue waits for memory that nothing at the disk will give back: it has come back already. A
// broken queue keeps what it has until the connection goes: there is nothing to be had by going round before.
bool Connection::serve_all()
{
    for (Link& link : links_) {
        link.queue->serve();
    }
    services_.disk.submit();
    bool starved       = false;
    unsigned under_way = 0;
    for (Link& link : links_) {
        if (link.queue->settle()) {
            services_.events.notify(link.port);
        }
        starved |= link.queue->starved();
        under_way += link.queue->under_way();
    }
    return starved && under_way == 0 && !broken();
}

void Connection::notify_all()
{
    for (const Link& link : links_) {
        services_.events.notify(link.port);
    }
}

bool Connection::was_used()
{
    bool used = false;
    for (Link& link : links_) {
        used |= link.queue->newly_taken() != 0;
    }
    return used;
}

void Connection::close()
{
    closed_ = true;
    for (Link& link : links_) {
        link.queue->close();
    }
    turn();
}

} // namespace vmm::block
