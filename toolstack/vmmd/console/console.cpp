// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/console/console.hpp"

#include "toolstack/base/log.hpp"

#include <sys/epoll.h>

#include <limits>
#include <utility>

namespace vmm
{

namespace
{

constexpr std::size_t kTypedAtOnce = 256;
constexpr auto kPause              = std::chrono::milliseconds(100);

} // namespace

Console::Console(Event_loop& loop, Guest_links& links, Terminal_watch& terminals, Mapped_pages page,
                 std::optional<Log_file> log)
    : loop_(loop), links_(links), terminals_(terminals), page_(std::move(page)),
      ring_(reinterpret_cast<xencons_interface*>(page_.data())), log_(std::move(log)),
      allowance_(kBurst, kBytesPerSecond, Event_loop::Clock::now())
{
}

Result<std::unique_ptr<Console>> Console::create(Event_loop& loop, Guest_links& links,
                                                 Terminal_watch& terminals, const Place& place,
                                                 std::optional<Log_file> log)
{
    Mapped_pages page = TRY(links.map_ring(place.domid, Ring::console, place.page));
    std::unique_ptr<Console> console(new Console(loop, links, terminals, std::move(page), std::move(log)));
    TRY(console->connect(place));
    return console;
}

Result<void> Console::connect(const Place& place)
{
    port_ = TRY(links_.bind(place.domid, place.port, [this] { on_guest(); }));
    if (const auto opened = open_terminal(); !opened) {
        close_terminal();
        log::error("the console of domain " + to_string(place.domid) +
                   " has no terminal: " + opened.error().message);
    }
    on_guest(); // an adopted domain may have printed while nobody listened
    return {};
}

Result<void> Console::open_terminal()
{
    pty_ = TRY(Pty::open());
    TRY(loop_.add(pty_->fd(), EPOLLIN, [this](std::uint32_t events) { on_terminal(events); }));
    attachment_ = TRY(terminals_.add(pty_->path(), [this] { flush_to_pty(); }));
    return {};
}

void Console::close_terminal()
{
    if (attachment_) {
        terminals_.remove(*attachment_);
        attachment_.reset();
    }
    if (pty_) {
        loop_.remove(pty_->fd());
        pty_.reset();
    }
}

Console::~Console()
{
    if (resume_) {
        loop_.cancel(*resume_);
    }
    close_terminal();
    if (port_) {
        links_.unbind(*port_);
    }
}

void Console::accept(const std::string& text)
{
    if (log_) {
        log_->append(text);
    }
    backlog_.append(text);
    flush_to_pty();
}

void Console::drain()
{
    std::string text;
    ring_.take_output(text, std::numeric_limits<std::size_t>::max());
    accept(text);
}

void Console::on_guest()
{
    const std::size_t allowed = allowance_.available(Event_loop::Clock::now());
    std::string text;
    const std::size_t took = ring_.take_output(text, allowed);
    allowance_.use(took);
    if (took != 0) {
        accept(text);
    }
    const bool typed = !typed_.empty();
    if (typed) {
        on_typed();
    }
    if (took != 0) {
        links_.notify(*port_);
    }
    if (took == allowed) {
        pause_output();
    }
}

void Console::pause_output()
{
    if (!resume_) {
        resume_ = loop_.after(kPause, [this] {
            resume_.reset();
            on_guest();
        });
    }
}

void Console::on_typed()
{
    const std::size_t gave = ring_.give_input(typed_);
    typed_.erase(0, gave);
    if (gave != 0) {
        links_.notify(*port_);
    }
    watch_terminal();
}

void Console::on_terminal(std::uint32_t events)
{
    if ((events & EPOLLIN) != 0 && typed_.empty()) {
        typed_ = pty_->read(kTypedAtOnce);
        on_typed();
    }
    if ((events & EPOLLOUT) != 0) {
        flush_to_pty();
    }
}

bool Console::is_attached() const { return attachment_ && terminals_.is_attached(*attachment_); }

void Console::flush_to_pty()
{
    while (is_attached() && !backlog_.empty()) {
        const std::size_t done = pty_->write(backlog_.text());
        if (done == 0) {
            break;
        }
        backlog_.consume(done);
    }
    watch_terminal();
}

// Input is read only while the last of it has gone to the guest; room for output matters only to somebody
// attached.
void Console::watch_terminal()
{
    if (!pty_) {
        return;
    }
    std::uint32_t events = 0;
    if (typed_.empty()) {
        events |= EPOLLIN;
    }
    if (is_attached() && !backlog_.empty()) {
        events |= EPOLLOUT;
    }
    // The descriptor was added in open_terminal() and stays until the destructor; changing what is watched
    // cannot fail then.
    static_cast<void>(loop_.modify(pty_->fd(), events));
}

} // namespace vmm
