// SPDX-License-Identifier: Apache-2.0
#include "guest-drivers/backend/frontend_nodes.hpp"

#include <algorithm>
#include <bit>
#include <charconv>

namespace vmm::block
{

namespace
{

class Reader
{
  public:
    Reader(Store_link& store, const std::string& path) : store_(store), path_(path) {}

    [[nodiscard]] Result<std::optional<std::string>> text(const std::string& name) const
    {
        return store_.read(path_ + "/" + name);
    }
    [[nodiscard]] Result<std::optional<std::uint32_t>> number(const std::string& name) const
    {
        const auto value = TRY(text(name));
        if (!value) {
            return std::nullopt;
        }
        std::uint32_t number   = 0;
        const char* const last = value->data() + value->size();
        const auto [end, code] = std::from_chars(value->data(), last, number);
        if (code != std::errc() || end != last) {
            return wrong(name, "'" + value->substr(0, 20) + "' is no number");
        }
        return number;
    }
    [[nodiscard]] Result<std::uint32_t> number_or(const std::string& name, std::uint32_t absent) const
    {
        return TRY(number(name)).value_or(absent);
    }
    [[nodiscard]] Result<std::uint32_t> required(const std::string& name) const
    {
        const auto value = TRY(number(name));
        if (!value) {
            return wrong(name, "there is no such node");
        }
        return *value;
    }
    [[nodiscard]] std::unexpected<Error> wrong(const std::string& name, const std::string& why) const
    {
        return fail(Errc::protocol, "the frontend's node " + path_ + "/" + name + ": " + why);
    }
    [[nodiscard]] Reader below(const std::string& name) const { return Reader(store_, path_ + "/" + name); }

  private:
    Store_link& store_;
    std::string path_;
};

// The newer spelling (an order) or the older (a number of pages); one page if there is neither.
Result<unsigned> ring_page_order(const Reader& frontend, unsigned most)
{
    const std::uint32_t pages = TRY(frontend.number_or("num-ring-pages", 1));
    if (!std::has_single_bit(pages)) {
        return frontend.wrong("num-ring-pages", std::to_string(pages) + " is no power of two");
    }
    const auto order =
        TRY(frontend.number_or("ring-page-order", static_cast<std::uint32_t>(std::countr_zero(pages))));
    if (order > most) {
        return frontend.wrong("ring-page-order", "more than the " + std::to_string(most) + " offered");
    }
    return order;
}

Result<Frontend_nodes::Ring> read_ring(const Reader& queue, unsigned order)
{
    Frontend_nodes::Ring ring;
    for (unsigned page = 0; page < 1u << order; ++page) {
        const std::string numbered = "ring-ref" + std::to_string(page);
        const auto single          = order == 0 ? TRY(queue.number("ring-ref")) : std::nullopt;
        ring.pages.push_back(single ? *single : TRY(queue.required(numbered)));
    }
    ring.port = Evtchn_port{TRY(queue.required("event-channel"))};
    return ring;
}

} // namespace

Result<Frontend_nodes> read_frontend(Store_link& store, const std::string& frontend_path, const Offer& offer)
{
    const Reader frontend(store, frontend_path);
    Frontend_nodes nodes;
    const std::string protocol = TRY(frontend.text("protocol")).value_or("");
    const auto abi             = protocol::block_abi_from(protocol);
    if (!abi) {
        return frontend.wrong("protocol", "'" + protocol.substr(0, 20) + "' is not known here");
    }
    nodes.abi          = *abi;
    nodes.keeps_grants = TRY(frontend.number_or("feature-persistent", 0)) != 0;

    const unsigned order  = TRY(ring_page_order(frontend, offer.ring_page_order));
    const unsigned queues = TRY(frontend.number_or("multi-queue-num-queues", 1));
    if (queues == 0 || queues > offer.queues) {
        return frontend.wrong("multi-queue-num-queues",
                              "between 1 and " + std::to_string(offer.queues) + " are offered");
    }
    if (queues == 1) {
        nodes.rings.push_back(TRY(read_ring(frontend, order)));
        return nodes;
    }
    for (unsigned queue = 0; queue < queues; ++queue) {
        nodes.rings.push_back(TRY(read_ring(frontend.below("queue-" + std::to_string(queue)), order)));
    }
    return nodes;
}

} // namespace vmm::block
