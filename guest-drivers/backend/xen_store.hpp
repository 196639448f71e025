// SPDX-License-Identifier: Apache-2.0
#pragma once
// The store over its socket, by Xen's own client library. The daemon behind it may be killed and come back:
// then the link is set up anew, with its watches, and everything is reported as changed. Requests wait for
// their answers; while there is no daemon they fail at once.

#include "guest-drivers/backend/store_link.hpp"
#include "toolstack/base/event_loop.hpp"
#include "toolstack/base/unique_fd.hpp"

#include <functional>
#include <memory>

struct xs_handle;

namespace vmm::block
{

class Xen_store final : public Store_link
{
  public:
    using Changed = std::function<void()>;

    // `changed` is called from the loop when anything that is watched may have changed.
    [[nodiscard]] static Result<std::unique_ptr<Xen_store>> open(Event_loop& loop, Changed changed);
    Xen_store(const Xen_store&)            = delete;
    Xen_store& operator=(const Xen_store&) = delete;
    ~Xen_store() override;

    [[nodiscard]] Result<std::optional<std::string>> read(const std::string& path) override;
    [[nodiscard]] Result<bool> write_if(const std::string& guard, const Nodes& nodes) override;

    [[nodiscard]] Result<void> watch(const std::string& path) override;

  private:
    struct Close {
        void operator()(xs_handle* handle) const;
    };

    Xen_store(Event_loop& loop, Changed changed) : loop_(loop), changed_(std::move(changed)) {}
    Result<void> connect();
    void disconnect();
    void reconnect();
    Result<void> hold_line();
    void take_events();
    void lost();

    Event_loop& loop_;
    Changed changed_;
    std::unique_ptr<xs_handle, Close> handle_;
    Unique_fd line_; // a connection without requests: its end is the daemon's, which the library tells nobody
    std::vector<std::string> paths_;
};

} // namespace vmm::block
