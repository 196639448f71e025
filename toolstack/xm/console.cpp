// SPDX-License-Identifier: Apache-2.0
#include "toolstack/xm/console.hpp"

#include "toolstack/xm/command.hpp"
#include "toolstack/xm/console_session.hpp"
#include "toolstack/xm/terminal.hpp"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sys/signalfd.h>
#include <system_error>
#include <unistd.h>

namespace vmm::xm
{

namespace
{

// Signals that end a program, held back so that the terminal is put right first. Ctrl-C itself is not among
// what a raw terminal sends.
class Held_signals
{
  public:
    Held_signals()
    {
        ::sigemptyset(&held_);
        for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT})
            ::sigaddset(&held_, number);
        ::pthread_sigmask(SIG_BLOCK, &held_, &before_);
        fd_ = Unique_fd{::signalfd(-1, &held_, SFD_CLOEXEC | SFD_NONBLOCK)};
    }
    Held_signals(const Held_signals&)            = delete;
    Held_signals& operator=(const Held_signals&) = delete;
    ~Held_signals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); } // one that came now takes effect

    [[nodiscard]] int fd() const { return fd_.get(); }

  private:
    sigset_t held_{};
    sigset_t before_{};
    Unique_fd fd_;
};

struct Place {
    std::uint64_t domid = 0;
    std::string name;
    std::string pty;
};

Outcome<Place> find_console(Invocation& invocation, const std::string& domain)
{
    const auto answer = TRY(invocation.call(control::op::console, {{"domain", domain}}));
    return Place{TRY(number_field(answer, "domid")), TRY(text_field(answer, "name")),
                 TRY(text_field(answer, "pty"))};
}

Outcome<Unique_fd> open_pty(const Place& place)
{
    Unique_fd pty{::open(place.pty.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)};
    if (!pty)
        return failed("cannot open " + place.pty + ", the console of " + place.name + ": " +
                      std::generic_category().message(errno));
    // With echo on, everything the domain prints would come back to it as if typed.
    termios settings{};
    if (::tcgetattr(pty.get(), &settings) == 0) {
        ::cfmakeraw(&settings);
        ::tcsetattr(pty.get(), TCSANOW, &settings);
    }
    return pty;
}

Outcome<std::optional<Ending>> attach_once(Invocation& invocation, const Place& place)
{
    auto* const vmmd = TRY(invocation.vmmd());
    const auto wait  = vmmd->start(control::op::wait, {{"domid", place.domid}});
    if (!wait)
        return std::unexpected(to_failure(wait.error()));
    auto pty = TRY(open_pty(place));
    const Held_signals signals;
    const Raw_terminal raw{invocation.io().in_fd};
    return Console_session{
        invocation.io().in_fd, invocation.io().out_fd, std::move(pty), signals.fd(), *vmmd, *wait}
        .run();
}

bool is_interactive(const Invocation& invocation) { return ::isatty(invocation.io().in_fd) == 1; }

// Remarks go to stderr, apart from what the domain prints, and not at all with --json.
void remark(Invocation& invocation, const std::string& text)
{
    if (!invocation.json())
        invocation.io().err << (is_interactive(invocation) ? "\n[" : "[") << one_line(text) << "]\n"
                            << std::flush;
}

} // namespace

Outcome<> attach_console(Invocation& invocation, const std::string& domain)
{
    invocation.out().flush();
    auto place = TRY(find_console(invocation, domain));
    if (is_interactive(invocation))
        remark(invocation, "console of " + place.name + "; Ctrl-] leaves it");
    for (;;) {
        const auto ending = TRY(attach_once(invocation, place));
        if (!ending) {
            remark(invocation, "left the console of " + place.name + "; it goes on");
            return {};
        }
        remark(invocation, ending->describe(place.name));
        if (!ending->new_domid)
            return {};
        place = TRY(find_console(invocation, std::to_string(*ending->new_domid)));
    }
}

Outcome<> console(Invocation& invocation) { return attach_console(invocation, invocation.word(0)); }

} // namespace vmm::xm
