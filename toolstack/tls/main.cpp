// SPDX-License-Identifier: Apache-2.0
//
// vmm-tls: carries a migration between two hosts. `connect` is what xm runs in place of ssh; `listen` runs xm
// migrate-receive for each host that connects and shows a certificate.
#include "toolstack/base/log.hpp"
#include "toolstack/tls/endpoint.hpp"
#include "toolstack/tls/link.hpp"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace
{

using namespace vmm;
using namespace vmm::tls;

constexpr unsigned kMostAtOnce = 16; // connections; more wait until one has ended

constexpr const char* kUsage =
    "usage: vmm-tls [--directory DIR] connect tcp:HOST:PORT\n"
    "       vmm-tls [--directory DIR] listen tcp:[HOST]:PORT [COMMAND [ARGUMENT]...]\n"
    "See vmm-tls(8).\n";

struct Call {
    std::string directory = kDirectory;
    bool listens          = false;
    Endpoint endpoint;
    std::vector<const char*> command; // ends with a null pointer
};

Result<Call> read_call(std::span<char*> words)
{
    Call call;
    if (words.size() > 1 && std::string_view(words[0]) == "--directory") {
        call.directory = words[1];
        words          = words.subspan(2);
    }
    const std::string_view verb = words.empty() ? "" : words[0];
    call.listens                = verb == "listen";
    if ((verb != "connect" && !call.listens) || words.size() < 2 || (!call.listens && words.size() > 2)) {
        return fail(Errc::invalid, "it is connect or listen, and where");
    }
    call.endpoint = TRY(parse_endpoint(words[1]));
    if (call.endpoint.host.empty() && !call.listens) {
        return fail(Errc::invalid, "there is no host to connect to");
    }
    call.command.assign(words.begin() + 2, words.end());
    if (call.command.empty()) {
        call.command = {"xm", "migrate-receive"};
    }
    call.command.push_back(nullptr);
    return call;
}

Result<void> connect(const Call& call)
{
    const Context context = TRY(load_credentials(call.directory));
    Link link             = TRY(Link::connect(*context, TRY(connect_to(call.endpoint)), call.endpoint.host));
    return link.carry(STDIN_FILENO, STDOUT_FILENO);
}

// Runs the command of the call; returns our end of what is its input and output.
Result<Unique_fd> start(const Call& call, pid_t& pid)
{
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
        return fail_errno("cannot make a connection");
    }
    Unique_fd ours(ends[0]);
    const Unique_fd theirs(ends[1]);
    pid = ::fork();
    if (pid < 0) {
        return fail_errno("cannot start a program");
    }
    if (pid == 0) {
        std::signal(SIGPIPE, SIG_DFL);
        ::dup2(theirs.get(), STDIN_FILENO);
        ::dup2(theirs.get(), STDOUT_FILENO);
        ::execvp(call.command[0], const_cast<char* const*>(call.command.data()));
        std::fprintf(stderr, "vmm-tls: cannot run %s: %s\n", call.command[0], std::strerror(errno));
        ::_exit(127);
    }
    return ours;
}

// In a process of its own: one that fails takes nobody with it.
Result<void> serve(const Call& call, SSL_CTX& context, Unique_fd socket)
{
    Link link = TRY(Link::accept(context, std::move(socket)));
    log::info(link.peer() + " has connected");
    pid_t pid       = -1;
    Unique_fd child = TRY(start(call, pid));
    auto carried    = link.carry(child.get(), child.get());
    child.reset();
    ::waitpid(pid, nullptr, 0);
    return carried;
}

void reap(unsigned& children)
{
    const bool full = children == kMostAtOnce;
    for (int options = full ? 0 : WNOHANG; children > 0 && ::waitpid(-1, nullptr, options) > 0;
         options     = WNOHANG) {
        --children;
    }
}

Result<void> listen(const Call& call)
{
    const Context context = TRY(load_credentials(call.directory));
    Unique_fd listener    = TRY(listen_at(call.endpoint));
    log::info("listening at " + call.endpoint.text());
    for (unsigned children = 0;;) {
        auto socket = accept_from(listener.get());
        if (!socket) {
            log::warning(socket.error().message);
            continue;
        }
        reap(children);
        const pid_t pid = ::fork();
        if (pid == 0) {
            listener.reset(); // a successor of this program may want the port
            const auto served = serve(call, *context, *std::move(socket));
            if (!served) {
                log::warning(served.error().message);
            }
            std::_Exit(served ? EXIT_SUCCESS : EXIT_FAILURE);
        }
        children += pid > 0 ? 1 : 0;
    }
}

} // namespace

int main(int argc, char** argv)
{
    std::signal(SIGPIPE, SIG_IGN);
    const auto call = read_call(std::span(argv, static_cast<std::size_t>(argc)).subspan(1));
    if (!call) {
        std::fprintf(stderr, "vmm-tls: %s\n%s", call.error().message.c_str(), kUsage);
        return 2;
    }
    if (const auto done = call->listens ? listen(*call) : connect(*call); !done) {
        std::fprintf(stderr, "vmm-tls: %s\n", done.error().message.c_str());
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
