// SPDX-License-Identifier: Apache-2.0
#pragma once
// One block device from its backend's side: follows the store, does what handshake.hpp says is next, and has
// a Connection while the frontend is connected. It never trusts the frontend: one that breaks the protocol is
// disconnected, said so once, and served again after it has closed. It ends when the toolstack takes the
// device away or the domain is gone.

#include "guest-drivers/backend/connection.hpp"
#include "guest-drivers/backend/handshake.hpp"
#include "toolstack/base/event_loop.hpp"

#include <functional>
#include <memory>
#include <string>

namespace vmm::block
{

class Device
{
  public:
    struct Settings {
        Domid frontend{};
        std::string path; // the backend's directory in the store
        bool cdrom = false;
        Offer offer{};
        Event_loop::Duration farewell = std::chrono::milliseconds(250); // see see_off()
    };
    struct Services {
        Event_loop& loop;
        Store_link& store;
        Disk& disk;
        Buffer_pool& buffers;
        Grants& grants;
        Events& events;
        Complaints& complaints;
        Request_log& log;
    };

    Device(Settings settings, Services services) : settings_(std::move(settings)), services_(services) {}
    Device(const Device&)            = delete;
    Device& operator=(const Device&) = delete;

    // Waits for the device's nodes to be there, and takes up where they say a predecessor was. `ended` is
    // called once, from the loop.
    [[nodiscard]] Result<void> begin(std::function<void()> ended);
    // The nodes are there.
    [[nodiscard]] bool begun();

    // Something in the store may have changed.
    void look();
    // The image may have another size.
    void measure();

  private:
    using State = protocol::Xenbus_state;

    [[nodiscard]] Result<std::optional<Situation>> situation();
    void perform(Step step);
    void offer();
    void connect();
    void let_go(bool end);
    void disconnect(std::function<void()> then);
    [[nodiscard]] bool is_used_by_living_guest();
    void see_off();
    void linger(unsigned quiet, unsigned passed);
    void gone();
    void fault(const std::string& why);
    void disconnected();
    bool tell_size();
    bool say(State state, Store_link::Nodes nodes = {});
    bool say_unsaid();
    [[nodiscard]] Store_link::Nodes properties() const;

    Settings settings_;
    Services services_;
    std::string frontend_path_;
    std::function<void()> ended_;
    State own_ = State::initialising;
    Store_link::Nodes unsaid_; // what the store was not there to take
    std::unique_ptr<Connection> connection_;
    bool closing_        = false; // the connection closes; nothing else happens until it has
    unsigned idle_looks_ = 0;     // of measure() between which the guest asked for nothing
    std::function<void()> when_disconnected_;
};

} // namespace vmm::block
