// SPDX-License-Identifier: Apache-2.0
#pragma once
// A guest on its ring of the store, which sets watches and takes them back.
#include "toolstack/store/store_server.hpp"
#include "toolstack/store/wire.hpp"

#include <xen/io/xs_wire.h>

#include <memory>
#include <string>

namespace vmm::store::test
{

class Watching_guest
{
  public:
    Watching_guest(Store_server& server, Domid domid) : server_(server), domid_(domid)
    {
        server_.introduce(domid, std::make_unique<Channel>(page_)).value();
    }

    void watch(const std::string& path) { send(XS_WATCH, path); }
    void unwatch(const std::string& path) { send(XS_UNWATCH, path); }

  private:
    class Channel final : public Ring_channel
    {
      public:
        explicit Channel(xenstore_domain_interface& page) : page_(page) {}
        xenstore_domain_interface* page() override { return &page_; }
        void notify() override { page_.rsp_cons = page_.rsp_prod; } // the guest takes whatever comes

      private:
        xenstore_domain_interface& page_;
    };

    void send(std::uint32_t type, const std::string& path)
    {
        using namespace std::string_literals;
        for (const char c : serialise({type, 1, 0, path + "\0token\0"s})) {
            page_.req[MASK_XENSTORE_IDX(page_.req_prod++)] = c;
        }
        server_.ring_event(domid_);
    }

    Store_server& server_;
    Domid domid_;
    xenstore_domain_interface page_{};
};

} // namespace vmm::store::test
