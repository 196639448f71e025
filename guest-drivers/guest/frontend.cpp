// SPDX-License-Identifier: Apache-2.0
#include "guest/frontend.hpp"

#include "protocol/number.hpp"

namespace vmm::guest
{

using protocol::Front_step;

namespace
{

template <class... Pieces>
Line joined(const Pieces&... pieces)
{
    Line line;
    (line.put(pieces), ...);
    return line;
}

} // namespace

bool Frontend::open(Store& store, std::string_view directory)
{
    store_     = &store;
    directory_ = directory;
    if (directory.size() > kLongestPath || !find_backend())
        return false;
    phase_ = Front_phase::waiting;
    say(Xenbus_state::initialising);
    return true;
}

// The path is the toolstack's to write, but a guest may be handed anything.
bool Frontend::find_backend()
{
    const u64 domain = protocol::number_from(own("backend-id").text, DOMID_FIRST_RESERVED);
    if (domain >= DOMID_FIRST_RESERVED)
        return false;
    backend_                 = static_cast<domid_t>(domain);
    const Store::Answer path = own("backend");
    if (!path.ok() || path.text.empty() || path.text.size() > kLongestPath)
        return false;
    backend_length_          = path.text.copy(backend_path_, kLongestPath);
    const Line state         = joined(std::string_view(backend_path_, backend_length_), "/state");
    const Store::Answer seen = store_->notice(state.text());
    return seen.ok() || seen.error == "EEXIST"; // it was open before
}

bool Frontend::put(std::string_view node, std::string_view value)
{
    return store_->write(joined(directory_, "/", node).text(), value).ok();
}

bool Frontend::put(std::string_view node, u64 value) { return put(node, joined(value).text()); }

Store::Answer Frontend::own(std::string_view node)
{
    return store_->read(joined(directory_, "/", node).text());
}

Store::Answer Frontend::ask(std::string_view node)
{
    return store_->read(joined(std::string_view(backend_path_, backend_length_), "/", node).text());
}

u64 Frontend::ask_number(std::string_view node, u64 absent)
{
    const Store::Answer answer = ask(node);
    return answer.ok() ? protocol::number_from(answer.text, absent) : absent;
}

Xenbus_state Frontend::backend_state()
{
    const Store::Answer answer = ask("state");
    return answer.ok() ? protocol::state_from(answer.text) : Xenbus_state::unknown;
}

// A refusal means that the directory has gone; the next look at the backend will tell.
void Frontend::say(Xenbus_state state) { put("state", protocol::text_of(state)); }

void Frontend::offer()
{
    if (share() && store_->transact([&] { return publish() && put("state", protocol::text_of(offered_)); })) {
        phase_ = Front_phase::offered;
        return;
    }
    phase_ = Front_phase::leaving;
    say(Xenbus_state::closed);
}

void Frontend::release(Front_phase then)
{
    held_ = take_back();
    if (held_ == 0)
        phase_ = then;
    else if (phase_ != Front_phase::leaving) {
        phase_ = Front_phase::leaving;
        say(Xenbus_state::closed);
    }
}

// True when there may be something more to do at once.
bool Frontend::act(Front_step what)
{
    switch (what) {
    case Front_step::wait: return false;
    case Front_step::offer: offer(); return true;
    case Front_step::accept:
        if (!agree()) {
            close();
            return true;
        }
        phase_ = Front_phase::running;
        if (offered_ != Xenbus_state::connected)
            say(Xenbus_state::connected);
        return false;
    case Front_step::refresh:
        if (!agree())
            close();
        return false;
    case Front_step::let_go: close(); return true;
    case Front_step::finish:
        if (!quiet())
            return false;
        give_up();
        return true;
    case Front_step::take_back: release(Front_phase::closed); return false;
    case Front_step::start_over:
        release(Front_phase::waiting);
        if (phase_ != Front_phase::waiting)
            return false;
        say(Xenbus_state::initialising);
        return true;
    case Front_step::vanish:
        release(Front_phase::gone);
        if (phase_ == Front_phase::gone)
            store_->unnotice(joined(std::string_view(backend_path_, backend_length_), "/state").text());
        return false;
    }
    return false;
}

Front_phase Frontend::step()
{
    while (act(protocol::front_step(phase_, backend_state()))) {
    }
    return phase_;
}

bool Frontend::settle(Front_phase wanted, u64 deadline)
{
    for (;;) {
        const u64 seen = store_->notices();
        if (step() == wanted)
            return true;
        if (phase_ == Front_phase::gone)
            return wanted == Front_phase::closed;
        if (phase_ == Front_phase::closed && wanted != Front_phase::gone)
            return false;
        // What a backend still holds is not announced when it lets go: ask again soon.
        const u64 again = phase_ == Front_phase::leaving ? system_time() + 20 * kMillisecond : deadline;
        wait_until([&] { return store_->notices() != seen || (phase_ == Front_phase::draining && quiet()); },
                   again < deadline ? again : deadline);
        if (system_time() >= deadline)
            return false;
    }
}

void Frontend::close()
{
    if (running() && !quiet())
        phase_ = Front_phase::draining;
    else if (phase_ != Front_phase::draining)
        give_up();
}

void Frontend::give_up()
{
    if (phase_ == Front_phase::gone || phase_ == Front_phase::closed)
        return;
    phase_ = phase_ == Front_phase::waiting ? Front_phase::closed : Front_phase::leaving;
    say(Xenbus_state::closed);
}

void Frontend::reopen()
{
    if (phase_ != Front_phase::closed)
        return;
    phase_ = Front_phase::waiting;
    say(Xenbus_state::initialising);
}

} // namespace vmm::guest
