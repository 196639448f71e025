// SPDX-License-Identifier: Apache-2.0
#include "fake_vmmd.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace vmm::test
{

namespace
{

constexpr auto kPatience = std::chrono::seconds{20};

} // namespace

Fake_vmmd::Fake_vmmd()
{
    REQUIRE(::mkdtemp(folder_.data()) != nullptr);
    socket_ = folder_ + "/vmmd.sock";
    ::setenv("VMMD_SOCKET", socket_.c_str(), 1);

    listener_ = Unique_fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, socket_.c_str(), socket_.size());
    REQUIRE(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener_.get(), 8) == 0);
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    wake_read_  = Unique_fd{ends[0]};
    wake_write_ = Unique_fd{ends[1]};

    loop_ = Event_loop::create().value();
    REQUIRE(loop_->add(listener_.get(), EPOLLIN, [this](std::uint32_t) { accept_one(); }));
    REQUIRE(loop_->add(wake_read_.get(), EPOLLIN, [this](std::uint32_t) { run_queue(); }));
    thread_ = std::thread{[this] { serve(); }};
}

Fake_vmmd::~Fake_vmmd()
{
    on_loop([this] { loop_->stop(); });
    thread_.join();
    connections_.clear();
    ::unsetenv("VMMD_SOCKET");
    std::filesystem::remove_all(folder_);
}

void Fake_vmmd::serve() { static_cast<void>(loop_->run()); }

void Fake_vmmd::on_loop(std::function<void()> work)
{
    {
        const std::lock_guard lock{mutex_};
        queue_.push_back(std::move(work));
    }
    static_cast<void>(::write(wake_write_.get(), "x", 1) == 1);
}

void Fake_vmmd::run_queue()
{
    char drop[64];
    static_cast<void>(::read(wake_read_.get(), drop, sizeof drop) > 0);
    std::vector<std::function<void()>> work;
    {
        const std::lock_guard lock{mutex_};
        work.swap(queue_);
    }
    for (const auto& one : work)
        one();
}

void Fake_vmmd::accept_one()
{
    Unique_fd socket{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)};
    if (!socket)
        return;
    const auto id = next_connection_++;
    auto channel  = control::Line_channel::create(
         *loop_, std::move(socket), [this, id](std::string line) { on_line(id, line); },
         [this, id](const std::string&) {
            connections_.erase(id);
            const std::lock_guard lock{mutex_};
            ++hang_ups_;
            changed_.notify_all();
        });
    connections_.emplace(id, Connection{*std::move(channel)});
}

void Fake_vmmd::on_line(std::uint64_t connection, const std::string& line)
{
    auto& channel      = *connections_.at(connection).channel;
    const auto request = control::decode_request(line);
    if (!request)
        return channel.send(encode(request.error()));
    const std::lock_guard lock{mutex_};
    requests_.push_back(request->op + " " + request->args.dump());
    changed_.notify_all();
    if (std::ranges::find(hang_up_ops_, request->op) != hang_up_ops_.end()) {
        connections_.erase(connection);
    } else if (const Answer* const answer = answer_to(requests_.back(), request->op)) {
        channel.send(encode(control::Reply{request->id, *answer}));
    } else {
        held_.insert_or_assign(request->op, std::pair{connection, request->id});
    }
}

const Fake_vmmd::Answer* Fake_vmmd::answer_to(const std::string& request, const std::string& op) const
{
    const auto exact  = answers_.find(request);
    const auto answer = exact != answers_.end() ? exact : answers_.find(op);
    return answer != answers_.end() ? &answer->second : nullptr;
}

void Fake_vmmd::answer(std::string_view op, Json result)
{
    const std::lock_guard lock{mutex_};
    answers_.insert_or_assign(std::string{op}, std::move(result));
}

void Fake_vmmd::refuse(std::string_view op, control::Code code, std::string message)
{
    const std::lock_guard lock{mutex_};
    answers_.insert_or_assign(std::string{op}, std::unexpected(control::Failure{code, std::move(message)}));
}

void Fake_vmmd::hang_up_on(std::string_view op)
{
    const std::lock_guard lock{mutex_};
    hang_up_ops_.emplace_back(op);
}

void Fake_vmmd::answer_held(std::string_view op, Json result)
{
    std::pair<std::uint64_t, std::uint64_t> whom;
    {
        std::unique_lock lock{mutex_};
        REQUIRE(changed_.wait_for(lock, kPatience, [&] { return held_.contains(op); }));
        whom = held_.find(op)->second;
        held_.erase(held_.find(op));
    }
    on_loop([this, whom, result = std::move(result)] {
        if (const auto it = connections_.find(whom.first); it != connections_.end())
            it->second.channel->send(encode(control::success(whom.second, result)));
    });
}

void Fake_vmmd::send_raw(std::string bytes)
{
    on_loop([this, bytes = std::move(bytes)] {
        for (const auto& [id, connection] : connections_)
            connection.channel->send(bytes);
    });
}

std::vector<std::string> Fake_vmmd::requests() const
{
    const std::lock_guard lock{mutex_};
    return requests_;
}

void Fake_vmmd::wait_for_request(std::string_view op) const
{
    const auto came = [&] {
        return std::ranges::any_of(requests_,
                                   [&](const auto& r) { return r.starts_with(std::string{op} + " "); });
    };
    std::unique_lock lock{mutex_};
    REQUIRE(changed_.wait_for(lock, kPatience, came));
}

void Fake_vmmd::wait_for_hang_ups(unsigned count) const
{
    std::unique_lock lock{mutex_};
    REQUIRE(changed_.wait_for(lock, kPatience, [&] { return hang_ups_ >= count; }));
}

Ran run_xm(std::vector<std::string> arguments, int in_fd, int out_fd)
{
    std::ostringstream out, err;
    xm::Io io{out, err, in_fd, out_fd};
    const int exit = xm::run(arguments, io);
    return {exit, out.str(), err.str()};
}

} // namespace vmm::test
