// SPDX-License-Identifier: Apache-2.0
#pragma once
// One domain's console: its ring, the pseudo-terminal people attach to, the log file, and the flow between
// them. A guest that prints without end is slowed down by leaving its ring full; a reader that does not read
// loses the oldest output; neither ever blocks the daemon. Dies with the domain; drain() first to keep its
// last words.

#include "toolstack/base/event_loop.hpp"
#include "toolstack/vmmd/console/allowance.hpp"
#include "toolstack/vmmd/console/backlog.hpp"
#include "toolstack/vmmd/console/console_ring.hpp"
#include "toolstack/vmmd/console/log_file.hpp"
#include "toolstack/vmmd/console/pty.hpp"
#include "toolstack/vmmd/console/terminal_watch.hpp"
#include "toolstack/vmmd/guest_links.hpp"
#include "toolstack/xen/mapped_pages.hpp"

#include <memory>
#include <optional>
#include <string>

namespace vmm
{

class Console
{
  public:
    struct Place {
        Domid domid{};
        Gfn page{};
        Evtchn_port port{}; // the domain's
    };

    // Without a log file it works all the same. When no terminal can be made, which goes to the log, what the
    // guest prints is taken nevertheless: its driver would wait for room in the ring for ever.
    [[nodiscard]] static Result<std::unique_ptr<Console>> create(Event_loop& loop, Guest_links& links,
                                                                 Terminal_watch& terminals,
                                                                 const Place& place,
                                                                 std::optional<Log_file> log);
    Console(const Console&)            = delete;
    Console& operator=(const Console&) = delete;
    ~Console();

    [[nodiscard]] std::string tty() const { return pty_ ? pty_->path() : ""; } // empty: it has no terminal
    // Takes what is on the ring now, whatever the allowance.
    void drain();

  private:
    static constexpr std::size_t kBacklog        = 64U << 10;
    static constexpr std::size_t kBurst          = 1U << 20;
    static constexpr std::size_t kBytesPerSecond = 512U << 10;

    Console(Event_loop& loop, Guest_links& links, Terminal_watch& terminals, Mapped_pages page,
            std::optional<Log_file> log);
    Result<void> connect(const Place& place);
    Result<void> open_terminal();
    void close_terminal();
    void on_guest();
    void on_typed();
    void on_terminal(std::uint32_t events);
    void accept(const std::string& text);
    [[nodiscard]] bool is_attached() const;
    void flush_to_pty();
    void pause_output();
    void watch_terminal();

    Event_loop& loop_;
    Guest_links& links_;
    Terminal_watch& terminals_;
    Mapped_pages page_;
    Console_ring ring_;
    std::optional<Pty> pty_;
    std::optional<Log_file> log_;
    std::optional<Terminal_watch::Id> attachment_;
    std::optional<Evtchn_port> port_;
    Backlog backlog_{kBacklog};
    Allowance allowance_;
    std::optional<Event_loop::Timer_id> resume_;
    std::string typed_; // read from the terminal, not yet in the ring
};

} // namespace vmm
