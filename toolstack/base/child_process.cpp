// SPDX-License-Identifier: Apache-2.0
#include "toolstack/base/child_process.hpp"

#include "toolstack/base/unique_fd.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <optional>

namespace vmm
{

namespace
{

std::vector<char*> pointers(std::vector<std::string>& words)
{
    std::vector<char*> result;
    result.reserve(words.size() + 1);
    for (std::string& word : words) {
        result.push_back(word.data());
    }
    result.push_back(nullptr);
    return result;
}

struct Pipe {
    Unique_fd reading;
    Unique_fd writing;
};

std::optional<Pipe> make_pipe()
{
    int ends[2];
    return ::pipe2(ends, O_CLOEXEC) == 0 ? std::optional<Pipe>({Unique_fd(ends[0]), Unique_fd(ends[1])})
                                         : std::nullopt;
}

// Until the parent says that it has taken note. Its end is told by a signal, as another child of it may have
// its end of the pipe.
void await_note(pid_t parent, int noted)
{
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    char word   = 0;
    ssize_t got = 0;
    while (::getppid() == parent && (got = ::read(noted, &word, 1)) < 0 && errno == EINTR) {
    }
    if (got != 1) {
        ::_exit(127);
    }
}

// Between fork and exec: only what is safe in a signal handler, since other threads may hold any lock.
[[noreturn]] void become(char* const* words, char* const* environment, const Program& program, int report)
{
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, program.ends_with_us ? SIGTERM : 0);
    struct sigaction by_default {
    };
    by_default.sa_handler = SIG_DFL;
    ::sigaction(SIGPIPE, &by_default, nullptr);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    const int null = ::open("/dev/null", O_RDONLY);
    if (null >= 0) {
        ::dup2(null, STDIN_FILENO);
    }
    if (program.error_output >= 0) {
        ::dup2(program.error_output, STDERR_FILENO);
    }
    ::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
    ::execve(words[0], words, environment);
    const int why                       = errno;
    [[maybe_unused]] const auto written = ::write(report, &why, sizeof why);
    ::_exit(127);
}

} // namespace

Result<pid_t> start(const Program& program, const std::function<void(pid_t)>& note)
{
    auto words             = program.words;
    auto environment       = program.environment;
    const auto arguments   = pointers(words);
    const auto variables   = pointers(environment);
    const std::string what = "cannot start " + program.words.front();
    auto noted             = make_pipe();
    auto report            = make_pipe();
    if (!noted || !report) {
        return fail_errno(what);
    }
    const pid_t parent = ::getpid();
    const pid_t child  = ::fork();
    if (child < 0) {
        return fail_errno(what);
    }
    if (child == 0) {
        noted->writing.reset();
        await_note(parent, noted->reading.get());
        become(arguments.data(), variables.data(), program, report->writing.get());
    }
    report->writing.reset();
    if (note) {
        note(child);
    }
    int why     = 0;
    ssize_t got = ::write(noted->writing.get(), "", 1);
    do {
        got = ::read(report->reading.get(), &why, sizeof why);
    } while (got < 0 && errno == EINTR);
    if (got == sizeof why) {
        ::waitpid(child, nullptr, 0);
        return fail_errno(what, why);
    }
    return child;
}

void end_now(pid_t child)
{
    ::kill(-child, SIGKILL);
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
}

std::string describe_end(int wait_status)
{
    return WIFSIGNALED(wait_status) ? "was killed by signal " + std::to_string(WTERMSIG(wait_status))
                                    : "ended with status " + std::to_string(WEXITSTATUS(wait_status));
}

} // namespace vmm
