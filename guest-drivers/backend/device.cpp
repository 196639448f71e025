// SPDX-License-Identifier: Apache-2.0
#include "guest-drivers/backend/device.hpp"

#include "toolstack/base/log.hpp"

#include <utility>

namespace vmm::block
{

namespace
{

std::string yes_no(bool yes) { return yes ? "1" : "0"; }

// How long a guest must have asked for nothing to be through with its disk, how long it is left alone first,
// and how long it is seen off at most; in times of Settings::farewell, each begun when the last has passed,
// so that a machine that stood still counts as one.
constexpr unsigned kQuiet    = 8;
constexpr unsigned kAlone    = 4;
constexpr unsigned kFarewell = 20;

// "/local/domain/0/backend/..." has its place for words about trouble in "/local/domain/0/error/backend/...".
std::string error_path(const std::string& path)
{
    const auto at = path.find("/backend/");
    return path.substr(0, at) + "/error" + (at == std::string::npos ? "" : path.substr(at)) + "/error";
}

} // namespace

Result<void> Device::begin(std::function<void()> ended)
{
    ended_ = std::move(ended);
    return services_.store.watch(settings_.path);
}

// The nodes come all at once.
bool Device::begun()
{
    if (!frontend_path_.empty()) {
        return true;
    }
    const auto frontend = services_.store.read(settings_.path + "/frontend");
    const auto state    = services_.store.read(settings_.path + "/state");
    if (!frontend || !*frontend || !state || !*state) {
        return false;
    }
    frontend_path_ = **frontend;
    own_           = protocol::state_from(**state);
    if (own_ == State::init_wait) { // offered by a predecessor, who may have offered otherwise
        own_ = State::initialising;
    }
    if (const auto watched = services_.store.watch(frontend_path_ + "/state"); !watched) {
        log::warning(watched.error().message);
    }
    return true;
}

Result<std::optional<Situation>> Device::situation()
{
    Situation now;
    if (!TRY(services_.store.read(settings_.path + "/state"))) {
        return std::nullopt;
    }
    if (const auto frontend = TRY(services_.store.read(frontend_path_ + "/state"))) {
        now.frontend = protocol::state_from(*frontend);
    }
    now.own       = own_;
    now.online    = TRY(services_.store.read(settings_.path + "/online")) == "1";
    now.connected = connection_ != nullptr;
    return now;
}

void Device::look()
{
    if (closing_ || !begun()) {
        return;
    }
    const auto now = situation();
    if (!now) {
        return; // the store is away: it is looked at again when it is back
    }
    if (!*now) {
        return gone();
    }
    const Step step = next_step(**now);
    if (step == Step::wait && (*now)->online) { // else the toolstack has said Closing, which stands
        say_unsaid();
    }
    perform(step);
}

void Device::perform(Step step)
{
    switch (step) {
    case Step::wait: break;
    case Step::offer: offer(); break;
    case Step::connect: connect(); break;
    case Step::close: say(State::closing); break;
    case Step::let_go: let_go(false); break;
    case Step::let_go_and_end: let_go(true); break;
    }
}

void Device::offer()
{
    const Disk_shape& shape = services_.disk.shape();
    const unsigned order    = settings_.offer.ring_page_order;
    Store_link::Nodes nodes{
        {"feature-persistent", "1"},
        {"feature-flush-cache", "1"},
        {"feature-barrier", "0"},
        {"feature-max-indirect-segments", std::to_string(kMostSegments)},
        {"feature-discard", yes_no(shape.discard)},
        {"max-ring-page-order", std::to_string(order)},
        {"max-ring-pages", std::to_string(1u << order)},
        {"multi-queue-max-queues", std::to_string(settings_.offer.queues)},
    };
    if (shape.discard) {
        nodes.insert(nodes.end(), {{"discard-granularity", std::to_string(shape.discard_granularity)},
                                   {"discard-alignment", "0"},
                                   {"discard-secure", "0"}});
    }
    say(State::init_wait, std::move(nodes));
}

// Sectors are always of 512 bytes: what frontends take for granted.
Store_link::Nodes Device::properties() const
{
    const Disk_shape& shape = services_.disk.shape();
    const unsigned info     = (shape.read_only ? VDISK_READONLY : 0u) | (settings_.cdrom ? VDISK_CDROM : 0u);
    return {{"sectors", std::to_string(shape.sectors)},
            {"info", std::to_string(info)},
            {"sector-size", std::to_string(protocol::kSectorSize)},
            {"physical-sector-size", std::to_string(shape.physical_sector)}};
}

// After a pause in which it may have grown. False when there is nobody to tell.
bool Device::tell_size()
{
    const auto told = services_.store.read(settings_.path + "/sectors");
    const bool same = told && *told == std::to_string(services_.disk.shape().sectors);
    return same || say(State::connected, properties());
}

void Device::connect()
{
    const auto nodes = read_frontend(services_.store, frontend_path_, settings_.offer);
    if (!nodes) {
        return nodes.error().code == Errc::protocol ? fault(nodes.error().message) : void();
    }
    const bool taken_over = own_ == State::connected;
    if (!taken_over) {
        services_.log.clear();
    }
    auto connection = Connection::open(
        *nodes,
        {.grants     = services_.grants,
         .events     = services_.events,
         .disk       = services_.disk,
         .buffers    = services_.buffers,
         .complaints = services_.complaints,
         .log        = services_.log,
         .broken = [this] { fault("the frontend's ring makes no sense: more requests than it can hold"); },
         .idle   = [this] { services_.loop.defer([this] { disconnected(); }); }});
    if (!connection) {
        return fault(connection.error().message);
    }
    connection_ = std::move(*connection);
    idle_looks_ = 0;
    if (taken_over ? tell_size() : say(State::connected, properties())) {
        connection_->turn();
        if (taken_over) {
            log::info("goes on where its predecessor stopped");
            connection_->notify_all();
        }
    }
}

// The frontend's doing: it is not served any more until it has closed and comes again.
void Device::fault(const std::string& why)
{
    if (closing_) {
        return;
    }
    services_.complaints.say(why + "; the disk is disconnected until the guest closes it");
    (void)services_.store.write_if(settings_.path + "/state", {{error_path(settings_.path), why}});
    disconnect([this] { say(State::closing); });
}

void Device::let_go(bool end)
{
    if (end && connection_ != nullptr && is_used_by_living_guest()) {
        return see_off();
    }
    disconnect([this, end] {
        const bool told = say(State::closed);
        if (end && told) {
            gone();
        }
    });
}

// `then` is called when nothing is under way any more.
void Device::disconnect(std::function<void()> then)
{
    if (connection_ == nullptr) {
        return then();
    }
    closing_           = true;
    when_disconnected_ = [this, then = std::move(then)] {
        connection_.reset();
        closing_ = false;
        then();
        look();
    };
    services_.loop.defer([this] { connection_->close(); });
}

void Device::disconnected()
{
    if (const auto then = std::exchange(when_disconnected_, nullptr)) {
        then();
    }
}

// The toolstack says Closing in this end's place when it takes a disk from a guest that goes on. A frontend
// that said Closing first is through.
bool Device::is_used_by_living_guest()
{
    const auto state = services_.store.read(settings_.path + "/state");
    const bool lives = state && *state && protocol::state_from(**state) == State::closing;
    return lives && own_ != State::closing && (idle_looks_ == 0 || connection_->was_used());
}

// A guest's kernel cannot let go of a disk before it has an answer to everything that its programs had asked
// before it heard of the end, and some of that reaches the ring only now: it is refused, until there is no
// more. Linux stops its queues as it hears of the end, and starts them again when an event comes
// [drivers/block/xen-blkfront.c, blkfront_closing, kick_pending_request_queues]. Before 5.14 it closes when
// all is done, and an event that comes before it has also forgotten the disk, moments later, is its end: so
// the first is sent late.
void Device::see_off()
{
    closing_           = true;
    when_disconnected_ = [this] {
        if (say(State::closed)) {
            linger(0, 0);
        }
    };
    services_.loop.defer([this] { connection_->close(); });
}

void Device::linger(unsigned quiet, unsigned passed)
{
    if (quiet == kQuiet || passed == kFarewell) {
        connection_.reset();
        return gone();
    }
    if (passed >= kAlone) {
        connection_->notify_all();
    }
    services_.loop.after(settings_.farewell, [this, quiet, passed] {
        linger(connection_->was_used() ? 0 : quiet + 1, passed + 1);
    });
}

void Device::gone()
{
    if (connection_ != nullptr) {
        return disconnect([this] { gone(); });
    }
    if (ended_) {
        std::exchange(ended_, nullptr)();
    }
}

// False when there is nobody to say it to any more; then the device has come to its end.
bool Device::say(State state, Store_link::Nodes nodes)
{
    own_ = state;
    for (auto& [name, value] : nodes) {
        name.insert(0, settings_.path + "/");
    }
    nodes.emplace_back(settings_.path + "/state", protocol::text_of(state));
    unsaid_ = std::move(nodes);
    return say_unsaid();
}

bool Device::say_unsaid()
{
    if (unsaid_.empty()) {
        return true;
    }
    const auto written = services_.store.write_if(settings_.path + "/state", unsaid_);
    if (!written) {
        log::warning(written.error().message);
        return true; // said again when the store is back, unless there is something else to say by then
    }
    unsaid_.clear();
    if (!*written) {
        gone();
    }
    return *written;
}

void Device::measure()
{
    const std::uint64_t before = services_.disk.shape().sectors;
    services_.disk.measure();
    idle_looks_ = connection_ != nullptr && connection_->was_used() ? 0 : idle_looks_ + 1;
    if (services_.disk.shape().sectors != before && connection_ != nullptr && !closing_) {
        log::info("the disk has " + std::to_string(services_.disk.shape().sectors) + " sectors now");
        say(State::connected, properties());
    }
}

} // namespace vmm::block
