// SPDX-License-Identifier: Apache-2.0
#pragma once
// All devices of all domains, and the one way in which any of them comes and goes (device_class.hpp shows the
// steps). Driven by the store's watches and by time limits, on vmmd's loop; nothing here waits. A device that
// fails on the way is undone to the last node before the error is told. What a restarted vmmd must know is in
// the records file: start() reads it, then each domain that lives on is adopted, then drop_orphans() takes
// down what is left.

#include "toolstack/base/error.hpp"
#include "toolstack/base/event_loop.hpp"
#include "toolstack/device/address.hpp"
#include "toolstack/device/device_class.hpp"
#include "toolstack/device/device_nodes.hpp"
#include "toolstack/device/records.hpp"
#include "toolstack/store/store_server.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace vmm::device
{

struct Wanted {
    Address address;
    Json spec;
};

// A device as it is now; `frontend` and `backend` are what stands in the store.
struct Row {
    Address address;
    Json spec;
    State frontend = State::absent;
    State backend  = State::absent;
    Json ring = Json::object(); // what the frontend told about its ring and event channel, as text: it comes
                                // from the guest
};

struct Patience {
    Event_loop::Duration backend = std::chrono::seconds(30); // for dom0's kernel
    Event_loop::Duration guest   = std::chrono::seconds(10); // for a guest asked to let go
    Event_loop::Duration notice  = std::chrono::seconds(2);  // for a guest to see that the nodes are gone
};

enum class Removal { ask, force };

class Devices
{
  public:
    Devices(Event_loop& loop, Store_server& store, Record_file records, Patience patience = {})
        : loop_(loop), store_(store), records_(std::move(records)), patience_(patience)
    {
    }
    Devices(const Devices&)            = delete;
    Devices& operator=(const Devices&) = delete;
    ~Devices();

    void add(Device_class& device_class);

    void start();
    void adopt(Domid domain);
    // But for those of `others`, which are alive and nobody's to adopt.
    void drop_orphans(const std::set<Domid>& others);

    // All of them, or none: then the error is the first one's. `done` is called once, from inside only when
    // there is nothing to do.
    void plug(std::vector<Wanted> wanted, Done done);

    // Asked: when the guest does not let go in time the device stays, the error says so, and it goes when the
    // guest does let go. Forced: it goes now, whatever the guest does with it.
    void unplug(const Address& address, Removal how, Done done);

    // What is behind the device, which is plugged, is to have that many bytes, more than it has.
    void grow(const Address& address, std::uint64_t bytes, Done done);

    // Does `work` while nothing has open what is behind the device, which is plugged and goes on afterwards.
    void while_closed(const Address& address, Work work, Done done);
    [[nodiscard]] Result<void> check_free(const std::string& type, const Json& spec) const;

    // For who was told that it stays for now. Nothing is called for a device that is not there.
    void when_gone(const Address& address, std::function<void()> call);

    // The domain has stopped for good, or never ran: all its devices go, also those just being plugged.
    // `done` is called at once if it has none.
    void unplug_all(Domid domain, std::function<void()> done);

    // Busy while one of them is just coming or going.
    [[nodiscard]] Result<void> check_settled(Domid domain) const;

    [[nodiscard]] bool has(const Address& address) const { return devices_.contains(address); }
    // An empty type means every class.
    [[nodiscard]] std::vector<Row> list(Domid domain, const std::string& type = {}) const;

  private:
    enum class Phase {
        preparing,  // with the class
        waiting,    // for the backend to reach InitWait
        connecting, // with the class
        plugged,
        asked,     // the guest is to let go
        leaving,   // the backend is to let go
        releasing, // with the class, and until the guest has seen that the nodes are gone
        orphan,    // read from the records, not adopted
    };
    struct Device {
        Address address;
        Json spec;
        Json note;
        Device_class* device_class = nullptr;
        Phase phase                = Phase::preparing;
        bool complete              = false; // whoever asked for it has been told that it is there
        bool domain_stays          = false; // the device is taken from a domain that goes on
        std::optional<Error> trouble; // set while it is on its way: it must go as soon as possible, and why
        std::optional<Store_server::Watch_handle> watch;
        std::optional<Event_loop::Timer_id> timer;
        Done plugged; // told how plugging ended
        Done let_go;  // told whether the guest let go
        std::vector<std::function<void()>> when_gone;

        [[nodiscard]] std::string name() const;
    };
    using Device_ptr = std::shared_ptr<Device>;
    using Weak       = std::weak_ptr<Device>; // held by callbacks: the device may be gone when they come

    [[nodiscard]] Device_class* plugged_class(const Address& address, const Done& done);
    void plug_one(Wanted wanted, Done done);
    Task task_for(const Device_ptr& device);
    void prepared(const Device_ptr& device, Result<Prepared> result);
    void check_backend(const Device_ptr& device);
    void connect(const Device_ptr& device);
    void connected(const Device_ptr& device, Result<void> result);
    void give_up(const Device_ptr& device, Error error);
    Error backend_failure(const Device& device, const std::string& what);

    [[nodiscard]] bool is_taken_up(const Address& address) const;
    void tell_to_close(const Device& device);
    void check_asked(const Device_ptr& device);
    void take_down(const Device_ptr& device);
    void check_leaving(const Device_ptr& device);
    void release(const Device_ptr& device);
    void wait_for_notice(const Device_ptr& device);
    void gone(const Device_ptr& device);

    // Calls `check` now and whenever the backend's state changes; `late`, if any, when that has led nowhere
    // in time.
    using Step = void (Devices::*)(const Device_ptr& device);
    Result<void> follow(const Device_ptr& device, Event_loop::Duration patience, Step check,
                        std::function<void(const Device_ptr&)> late);
    void stop_following(Device& device);
    void save();

    Event_loop& loop_;
    Store_server& store_;
    Record_file records_;
    Patience patience_;
    std::map<std::string, Device_class*> classes_;
    std::map<Address, Device_ptr> devices_;
};

} // namespace vmm::device
