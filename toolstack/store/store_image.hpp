// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a store must know again after its process ended, as plain data: the nodes, and of every domain's
// connection its watches, open transactions, unsent output and the place on the ring. Clients of the socket
// are not in it: they end with the process. A record (change_record.hpp) turns one image into the next.

#include "toolstack/store/permissions.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace vmm::store
{

struct Saved_node {
    std::string value;
    Permissions permissions;
    friend bool operator==(const Saved_node&, const Saved_node&) = default;
};

struct Saved_watch {
    std::size_t hidden_prefix = 0;
    std::optional<unsigned> depth{};
    bool missed                                                    = false;
    friend bool operator==(const Saved_watch&, const Saved_watch&) = default;
};

struct Saved_output {
    std::string bytes; // one message
    bool is_event                                                    = false;
    friend bool operator==(const Saved_output&, const Saved_output&) = default;
};

// Where the two ring indices that are the store's own stand (xen/io/xs_wire.h).
struct Ring_position {
    std::uint32_t request_consumer                                     = 0;
    std::uint32_t response_producer                                    = 0;
    friend bool operator==(const Ring_position&, const Ring_position&) = default;
};

struct Saved_session {
    using Watch_key = std::pair<std::string, std::string>; // path, token

    std::optional<Domid> target{};
    bool failed = false; // not served until the guest asks to reconnect
    std::map<Watch_key, Saved_watch> watches;
    std::set<std::uint32_t> transactions;
    Ring_position position;
    std::string partial_request; // taken off the ring, not yet a whole message
    std::deque<Saved_output> output;
    std::size_t sent                                                   = 0; // bytes of the first of `output`
    friend bool operator==(const Saved_session&, const Saved_session&) = default;
};

struct Store_image {
    std::uint64_t generation = 0;            // no lower than any a client has seen
    std::map<std::string, Saved_node> nodes; // by path; a parent sorts before what is below it
    std::map<std::string, Permissions> special_permissions;
    std::map<Domid, Saved_session> sessions;

    // False when the record is none: the image is then what it had come to.
    [[nodiscard]] bool apply(std::string_view record);
    // One record that turns the empty image into this one.
    [[nodiscard]] std::string to_record() const;

    friend bool operator==(const Store_image&, const Store_image&) = default;
};

// How many bytes of `output` have not been sent.
[[nodiscard]] std::size_t unsent_bytes(const Saved_session& session);
// Takes `count` bytes off the front of `output`; count <= unsent_bytes(session).
void consume_output(Saved_session& session, std::size_t count);

} // namespace vmm::store
