// SPDX-License-Identifier: Apache-2.0
// migrate, migrate-receive: a domain to another host while it runs. xm makes the connection, by running a
// command (ssh, vmm-tls) whose input and output it is, and hands it to vmmd; it carries no byte of the domain
// itself. vmmd calls everything off when this xm ends before it.
#include "toolstack/base/unique_fd.hpp"
#include "toolstack/xm/bar.hpp"
#include "toolstack/xm/command.hpp"

#include <boost/program_options/value_semantic.hpp>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>

namespace vmm::xm
{

namespace
{

using control::Client;

constexpr auto kBetweenLooks = std::chrono::milliseconds(250);
constexpr auto kToEnd        = std::chrono::seconds(5);

// The program whose input and output is the connection. It ends by itself when that does.
class Command_line
{
  public:
    Command_line(pid_t pid, Unique_fd connection) : pid_(pid), connection_(std::move(connection)) {}
    Command_line(Command_line&& other) noexcept
        : pid_(std::exchange(other.pid_, -1)), connection_(std::move(other.connection_))
    {
    }
    Command_line& operator=(Command_line&&) = delete;
    ~Command_line() { end(); }

    [[nodiscard]] int connection() const { return connection_.get(); }
    void let_go() { connection_.reset(); }

  private:
    void end()
    {
        let_go();
        for (auto waited = std::chrono::milliseconds(0); pid_ > 0; waited += kBetweenLooks / 10) {
            if (::waitpid(pid_, nullptr, WNOHANG) != 0)
                return;
            if (waited == kToEnd)
                ::kill(pid_, SIGTERM);
            std::this_thread::sleep_for(kBetweenLooks / 10);
        }
    }

    pid_t pid_;
    Unique_fd connection_;
};

Outcome<Command_line> run_command(const std::string& script, const std::string& host)
{
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return failed("cannot make a connection: " + std::string(std::strerror(errno)));
    Unique_fd ours(ends[0]);
    const Unique_fd theirs(ends[1]);
    const pid_t pid = ::fork();
    if (pid < 0)
        return failed("cannot start a program: " + std::string(std::strerror(errno)));
    if (pid == 0) {
        std::signal(SIGPIPE, SIG_DFL);
        // Ctrl-C is for xm: the connection stays as long as vmmd needs it, which may be past the point where
        // the migration can be called off.
        std::signal(SIGINT, SIG_IGN);
        ::dup2(theirs.get(), STDIN_FILENO);
        ::dup2(theirs.get(), STDOUT_FILENO);
        ::execl("/bin/sh", "sh", "-c", script.c_str(), host.c_str(), nullptr);
        ::_exit(127);
    }
    return Command_line(pid, std::move(ours));
}

// What the other host is called.
Outcome<std::string> peer_of(const Invocation& invocation)
{
    const auto to = invocation.option<std::string>("to");
    if (invocation.words().size() != (to ? 1U : 2U))
        return usage_error(to ? "migrate --to needs a domain and nothing else"
                              : "migrate needs a domain and a host");
    if (to && invocation.option<std::string>("ssh"))
        return usage_error("it is either --to or --ssh");
    return to ? *to : invocation.word(1);
}

Outcome<Command_line> connect(const Invocation& invocation)
{
    if (const auto to = invocation.option<std::string>("to"))
        return run_command("exec vmm-tls connect \"$0\"", *to);
    const auto ssh   = invocation.option<std::string>("ssh").value_or("ssh");
    const auto& host = invocation.word(1);
    if (ssh.empty())
        return run_command("exec " + host, "sh");
    return run_command("exec " + ssh + " \"$0\" xm migrate-receive", host);
}

std::string in_words(const Json& state)
{
    const auto phase = state.value("phase", std::string());
    return phase == "copying" ? "round " + std::to_string(state.value("round", 0u)) + " " : phase + " ";
}

Outcome<Json> follow(Invocation& invocation, Client& vmmd, Client::Request_id request)
{
    Bar bar(invocation.io().err);
    for (;;) {
        auto answer = vmmd.finish(request, Client::Clock::now() + kBetweenLooks);
        if (answer)
            return *answer;
        if (answer.error().kind != control::Call_failure::Kind::timed_out)
            return std::unexpected(to_failure(answer.error()));
        if (!bar.shown())
            continue;
        if (const auto state = vmmd.call(control::op::migration, {{"domain", invocation.word(0)}})) {
            const auto of = TRY(number_field(*state, "of"));
            bar.show(of - TRY(number_field(*state, "left")), of, in_words(*state));
        }
    }
}

Outcome<> take_back(Invocation& invocation)
{
    if (invocation.words().size() != 1)
        return usage_error("--take-back needs a domain and nothing else");
    const auto answer = TRY(invocation.call(control::op::take_back, {{"domain", invocation.word(0)}}));
    if (!invocation.print_json(answer))
        invocation.out() << TRY(text_field(answer, "name")) << " runs on here\n";
    return {};
}

Outcome<Json> arguments_of(const Invocation& invocation, const std::string& peer)
{
    Json args{{"domain", invocation.word(0)}, {"peer", peer}};
    if (const auto given = invocation.option<unsigned>("max-downtime"))
        args["max_downtime_ms"] = *given;
    if (const auto given = invocation.option<unsigned>("bandwidth"))
        args["bandwidth"] = std::uint64_t{*given} << 20;
    const auto compression = invocation.option<std::string>("compress").value_or("none");
    if (compression != "zstd" && compression != "none")
        return usage_error("--compress is zstd or none, not \"" + compression + "\"");
    args["compress"] = compression;
    return args;
}

} // namespace

void migrate_options(Options& options)
{
    namespace po = boost::program_options;
    options.add_options()("live,l", "while it runs; that is the only way there is")(
        "ssh,s", po::value<std::string>()->value_name("COMMAND"),
        "what connects to HOST, for sh; empty: HOST itself is a command (ssh)")(
        "to,t", po::value<std::string>()->value_name("tcp:HOST:PORT"),
        "by TLS to vmm-tls there, in place of HOST")("max-downtime", po::value<unsigned>()->value_name("MS"),
                                                     "how long it may stand still (60)")(
        "bandwidth", po::value<unsigned>()->value_name("MIB"),
        "most MiB in a second (no limit)")("compress", po::value<std::string>()->value_name("zstd|none"),
                                           "how memory is compressed on the way (none)")(
        "take-back", "DOMAIN does not run where it was handed over to: it runs on here");
}

Outcome<> migrate(Invocation& invocation)
{
    if (invocation.has("take-back"))
        return take_back(invocation);
    const auto peer  = TRY(peer_of(invocation));
    const Json args  = TRY(arguments_of(invocation, peer));
    auto* const vmmd = TRY(invocation.vmmd());
    auto command     = TRY(connect(invocation));
    const std::array fds{command.connection(), command.connection()};
    const auto request = vmmd->start(control::op::migrate, args, fds);
    if (!request)
        return std::unexpected(to_failure(request.error()));
    command.let_go();
    const Json answer = TRY(follow(invocation, *vmmd, *request));
    if (!invocation.print_json(answer))
        invocation.out() << TRY(text_field(answer, "name")) << " runs on " << peer << ": "
                         << TRY(number_field(answer, "bytes")) / (1 << 20) << " MiB in "
                         << TRY(number_field(answer, "rounds")) << " rounds, still for "
                         << TRY(number_field(answer, "downtime_ms")) << " ms\n";
    return {};
}

void receive_options(Options& options) { options.add_options()("paused,p", "leave it paused"); }

Outcome<> migrate_receive(Invocation& invocation)
{
    if (::isatty(invocation.io().in_fd) == 1)
        return usage_error("migrate-receive is run by xm migrate on the other host, not by people");
    auto* const vmmd = TRY(invocation.vmmd());
    const std::array fds{invocation.io().in_fd, invocation.io().out_fd};
    const auto request = vmmd->start(control::op::receive, {{"paused", invocation.has("paused")}}, fds);
    const auto answer  = request ? vmmd->finish(*request) : std::unexpected(request.error());
    return answer ? Outcome<>() : std::unexpected(to_failure(answer.error()));
}

} // namespace vmm::xm
