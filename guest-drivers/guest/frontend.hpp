// SPDX-License-Identifier: Apache-2.0
//
// What the frontends of all device classes share: the two directories of a device in the store, and the
// handshake over their `state` nodes. A class of devices says what to share, how to name it in the store,
// what to read of the backend and how to take back. One thread calls it; nothing happens but in its calls.
// step() looks once and never waits; settle() waits. Not for the console and the store, whose ring and port
// the toolstack hands over. [protocol/handshake.hpp decides]
#pragma once

#include "guest/print.hpp"
#include "guest/store.hpp"
#include "guest/types.hpp"
#include "protocol/front_handshake.hpp"

#include <xen/xen.h>

#include <string_view>

namespace vmm::guest
{

using protocol::Front_phase;
using protocol::Xenbus_state;

class Frontend
{
  public:
    Frontend(const Frontend&)            = delete;
    Frontend& operator=(const Frontend&) = delete;

    // Takes up the device at "device/vif/0" (its frontend's directory). False: there is none. The directory's
    // name is not copied.
    bool open(Store& store, std::string_view directory);
    // Does what the backend's state asks for.
    Front_phase step();
    // Steps until the phase is reached; false: the deadline came first, or the device will never get there by
    // itself. A device that has gone counts as closed.
    bool settle(Front_phase wanted, u64 deadline);
    // Says Closed, as soon as what is on its way is answered. What was shared comes back when the backend
    // lets go: settle(closed).
    void close();
    // After closed: says that it wants the device again.
    void reopen();

    [[nodiscard]] Front_phase phase() const { return phase_; }
    [[nodiscard]] bool running() const { return phase_ == Front_phase::running; }
    // Grants that the backend had not let go when they were to be taken back for the last time.
    [[nodiscard]] u32 held() const { return held_; }

  protected:
    // `offered` is the state in which this class waits for its backend: Initialised or Connected.
    constexpr explicit Frontend(Xenbus_state offered) : offered_(offered) {}
    ~Frontend() = default;

    // Grants, port and fresh rings. After false, take_back() follows all the same.
    virtual bool share()   = 0;
    // Writes their nodes; in a transaction, so perhaps several times.
    virtual bool publish() = 0;
    // Reads the backend's nodes; false: it cannot be worked with. Called again when they may have changed.
    virtual bool agree()   = 0;
    // Whether nothing is on its way. (A stock backend that is left in the middle of something keeps the
    // ring.)
    virtual bool quiet() { return true; }
    // Takes back all that can be; the number of grants that are still in use. Called again later if not 0.
    virtual u32 take_back() = 0;

    [[nodiscard]] domid_t backend() const { return backend_; }
    // The last part of the directory.
    [[nodiscard]] std::string_view name() const { return directory_.substr(directory_.rfind('/') + 1); }
    bool put(std::string_view node, std::string_view value);
    bool put(std::string_view node, u64 value);
    Store::Answer own(std::string_view node);
    Store::Answer ask(std::string_view node);
    u64 ask_number(std::string_view node, u64 absent);
    // Over with this backend, at once: what it did cannot be worked with.
    void give_up();
    // Answers are still taken.
    [[nodiscard]] bool connected() const { return running() || phase_ == Front_phase::draining; }

  private:
    static constexpr u64 kLongestPath = 160; // with a node's name it fits into a Line

    bool find_backend();
    Xenbus_state backend_state();
    void say(Xenbus_state state);
    void offer();
    void release(Front_phase then);
    bool act(protocol::Front_step what);

    Store* store_ = nullptr;
    std::string_view directory_;
    char backend_path_[kLongestPath]{};
    u64 backend_length_ = 0;
    domid_t backend_    = 0;
    Xenbus_state offered_;
    Front_phase phase_ = Front_phase::gone;
    u32 held_          = 0;
};

} // namespace vmm::guest
