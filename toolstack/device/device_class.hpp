// SPDX-License-Identifier: Apache-2.0
#pragma once
// How a class of devices plugs into the framework: derive from Device_class and hand the object to
// Devices::add. Devices owns every step that is the same for all classes (nodes, permissions, states, time
// limits, undoing, records); a class knows only what dom0 must do for its kind. It owns what it took in dom0
// from prepare() to release(), by address.
//
// The life of one device, and which thread of it is the class's:
//   prepare()   take what dom0 needs (open the image, start a server); says what to write to the store
//   (nodes are written in one transaction; dom0's kernel creates its backend and goes to InitWait)
//   connect()   the backend is there: the last step in dom0 (put the interface into its bridge)
//   (hotplug-status = connected; the two kernels do the rest)
//   ...
//   (the backend is closed, asked or because its domain has ended; nodes are removed)
//   release()   give back what prepare() took
//
// All calls come on the event loop and must not block it for long; a callback may be called at once or later,
// exactly once. release() follows every successful prepare() and every adopt(); a failed prepare() leaves
// nothing.

#include "toolstack/base/error.hpp"
#include "toolstack/device/address.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vmm::device
{

using Json = nlohmann::ordered_json;
using Done = std::function<void(Result<void>)>;
using Work = std::function<Result<void>()>;

// Names relative to the device's directory, with values.
using Nodes = std::vector<std::pair<std::string, std::string>>;

// What stands in the store besides what every device has (backend, frontend, their ids, state, online).
struct Prepared {
    Nodes frontend; // the guest can change these later: never read them back for a decision in dom0
    Nodes backend;  // the guest can read these
    std::string backend_type{}; // the directory of its backend, see Address; empty: as the class
};

struct Task {
    Address address;
    Json spec; // what was asked for, in the class's own JSON: the same as in the domain's config
    // Keeps facts that a restarted vmmd needs to find what was taken (a process id...). To be called before
    // that thing can outlive this process; the last call counts.
    std::function<void(Json record)> note;
};

class Device_class
{
  public:
    virtual ~Device_class() = default;

    [[nodiscard]] virtual std::string_view type() const = 0; // "vbd"

    // For messages: "disk xvda", "network interface 0".
    [[nodiscard]] virtual std::string describe(const Json& spec) const = 0;

    virtual void prepare(Task task, std::function<void(Result<Prepared>)> done) = 0;
    virtual void connect(const Address& address, Done done)                     = 0;
    virtual void release(const Address& address, std::function<void()> done)    = 0;

    // Between connect() and release(): gives what is behind the device that many bytes, more than it has.
    virtual void grow(const Address&, std::uint64_t, Done done)
    {
        done(fail(Errc::unsupported, "such a device has no size"));
    }

    // Between connect() and release(): does `work` while nothing has open what is behind the device, whose
    // file may be another one afterwards. Whatever comes of it, the device goes on; its guest waits.
    virtual void while_closed(const Address&, Work, Done done)
    {
        done(fail(Errc::unsupported, "what is behind such a device stays open"));
    }

    // Nobody has what would be behind such a device; the error says who does.
    [[nodiscard]] virtual Result<void> check_free(const Json&) const { return {}; }

    // vmmd was restarted: take the device up again from what task.note was given (null: nothing). An error
    // goes to the log; the device stays as it is until its domain ends.
    [[nodiscard]] virtual Result<void> adopt(Task task, const Json& record) = 0;
};

} // namespace vmm::device
