// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/control_server.hpp"

#include "toolstack/base/log.hpp"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <utility>

namespace vmm
{

namespace
{

constexpr int kBacklogOfClients = 16;
constexpr auto kAcceptPause     = std::chrono::seconds(1);

Result<Unique_fd> listen_at(const std::string& path)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        return fail(Errc::too_big, "the path of the control socket is too long: " + path);
    }
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    std::error_code ignored; // bind() will say what is wrong with the directory
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
    Unique_fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    ::unlink(path.c_str()); // of a predecessor: the pid file makes sure that it is gone
    const mode_t before = umask(0177);
    const bool bound =
        fd && ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    const int error = errno;
    umask(before);
    if (!bound) {
        return fail_errno("cannot listen on " + path, error);
    }
    if (::listen(fd.get(), kBacklogOfClients) < 0) {
        return fail_errno("cannot listen on " + path);
    }
    return fd;
}

bool peer_is_there(int fd)
{
    pollfd look{fd, POLLRDHUP, 0};
    return ::poll(&look, 1, 0) >= 0 && (look.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) == 0;
}

} // namespace

Result<std::unique_ptr<Control_server>> Control_server::create(Event_loop& loop, Operations& operations,
                                                               std::string path)
{
    Unique_fd listener = TRY(listen_at(path));
    std::unique_ptr<Control_server> server(
        new Control_server(loop, operations, std::move(path), std::move(listener)));
    TRY(server->start_accepting());
    return server;
}

Result<void> Control_server::start_accepting()
{
    return loop_.add(listener_.get(), EPOLLIN, [this](std::uint32_t) { accept_client(); });
}

// Out of descriptors, say: the socket would stay readable and keep the loop spinning.
void Control_server::pause_accepting()
{
    loop_.remove(listener_.get());
    accept_timer_ = loop_.after(kAcceptPause, [this] {
        accept_timer_.reset();
        if (const auto started = start_accepting(); !started) {
            log::error(started.error().message);
            pause_accepting();
        }
    });
}

Control_server::~Control_server()
{
    if (accept_timer_) {
        loop_.cancel(*accept_timer_);
    }
    loop_.remove(listener_.get());
    ::unlink(path_.c_str());
}

void Control_server::accept_client()
{
    Unique_fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) {
        if (errno != EAGAIN && errno != EINTR) { // else it has gone again
            log::error(fail_errno("accept a client").error().message);
            pause_accepting();
        }
        return;
    }
    auto connection                      = std::make_shared<Connection>();
    connection->fd                       = socket.get();
    const std::weak_ptr<Connection> weak = connection;
    auto channel                         = control::Line_channel::create(
                                loop_, std::move(socket), [this, weak](const std::string& line) { perform(weak, line); },
                                [this, weak](const std::string&) { drop(weak); });
    if (!channel) {
        log::warning("a client was turned away: " + channel.error().message);
        return;
    }
    connection->channel = std::move(*channel);
    connections_.emplace(connection.get(), std::move(connection));
}

void Control_server::perform(const std::weak_ptr<Connection>& weak, const std::string& line)
{
    const Connection_ptr connection = weak.lock();
    if (!connection) {
        return;
    }
    auto request = control::decode_request(line);
    if (!request) {
        connection->channel->send(control::encode(request.error()));
        return;
    }
    const std::uint64_t number = next_request_++;
    // Present before the operation starts, so that an immediate answer finds something to erase.
    connection->pending.emplace(number, Operations::Cancel());
    Client client;
    client.answer = [weak, number, id = request->id](Answer answer) {
        if (const Connection_ptr alive = weak.lock(); alive && alive->pending.erase(number) != 0) {
            alive->channel->send(control::encode(control::Reply{id, std::move(answer)}));
        }
    };
    client.is_there = [weak] {
        const Connection_ptr alive = weak.lock();
        return alive && alive->channel->is_open() && peer_is_there(alive->fd);
    };
    client.take_descriptors = [weak] {
        const Connection_ptr alive = weak.lock();
        return alive ? alive->channel->take_descriptors() : std::vector<Unique_fd>();
    };
    auto cancel = operations_.perform(request->op, request->args, std::move(client));
    if (const auto entry = connection->pending.find(number); entry != connection->pending.end()) {
        entry->second = std::move(cancel);
    }
}

void Control_server::drop(const std::weak_ptr<Connection>& weak)
{
    const Connection_ptr connection = weak.lock();
    if (!connection) {
        return;
    }
    connections_.erase(connection.get());
    for (const auto& [number, cancel] : std::exchange(connection->pending, {})) {
        if (cancel) {
            cancel();
        }
    }
}

} // namespace vmm
