// SPDX-License-Identifier: Apache-2.0
#pragma once
// What each message type of the protocol does: decode the payload, call the store or the session, encode the
// answer. One table decides who may send what. Types: xen/io/xs_wire.h; payloads: Xen's
// docs/misc/xenstore.txt.

#include "toolstack/store/session.hpp"

namespace vmm::store
{

// What requests about domains need from whoever runs the connections.
class Domain_control
{
  public:
    virtual ~Domain_control() = default;

    [[nodiscard]] virtual Result<void> introduce(Domid domid, std::uint64_t gfn, std::uint32_t port) = 0;
    virtual void release(Domid domid)                                                                = 0;
    virtual void resume(Domid domid)                                                                 = 0;
    [[nodiscard]] virtual bool is_introduced(Domid domid) const                                      = 0;
    virtual void set_target(Domid domid, Domid target)                                               = 0;
};

// Serves one request completely: the reply and all events it causes are queued when this returns.
void handle_request(Store& store, Session& session, Domain_control& domains, const Message& message);

} // namespace vmm::store
