// SPDX-License-Identifier: Apache-2.0
#include "toolstack/disk/followed_process.hpp"

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>

namespace vmm::disk
{

namespace
{

bool has_word(pid_t pid, const std::string& word)
{
    std::ifstream words("/proc/" + std::to_string(pid) + "/cmdline");
    for (std::string each; std::getline(words, each, '\0');) {
        if (each == word) {
            return true;
        }
    }
    return false;
}

} // namespace

Result<std::unique_ptr<Followed_process>> Followed_process::start(Event_loop& loop, const Program& program,
                                                                  Ended ended, const Note& note)
{
    const pid_t pid = TRY(vmm::start(program, note));
    std::unique_ptr<Followed_process> process(new Followed_process(loop, pid, true, std::move(ended)));
    if (const auto followed = process->follow(); !followed) {
        end_now(pid);
        return std::unexpected(followed.error());
    }
    return process;
}

std::unique_ptr<Followed_process> Followed_process::adopt(Event_loop& loop, pid_t pid,
                                                          const std::string& word, Ended ended)
{
    std::unique_ptr<Followed_process> process(new Followed_process(loop, pid, false, std::move(ended)));
    // Looked at after it is held: from then on the number stays this process's.
    return process->follow() && has_word(pid, word) ? std::move(process) : nullptr;
}

Result<void> Followed_process::follow()
{
    handle_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    if (!handle_) {
        return fail_errno("cannot follow process " + std::to_string(pid_));
    }
    return loop_.add(handle_.get(), EPOLLIN, [this](std::uint32_t) { has_ended(); });
}

Followed_process::~Followed_process()
{
    if (handle_) {
        loop_.remove(handle_.get());
    }
}

void Followed_process::signal(int number) const
{
    if (handle_) {
        ::syscall(SYS_pidfd_send_signal, handle_.get(), number, nullptr, 0);
    }
}

void Followed_process::has_ended()
{
    int status = 0;
    if (is_child_) {
        waitpid(pid_, &status, 0);
    }
    loop_.remove(handle_.get());
    handle_.reset();
    const Ended ended = ended_; // which may be the end of this object
    ended(is_child_ ? describe_end(status) : "ended", is_child_ && status == 0);
}

} // namespace vmm::disk
