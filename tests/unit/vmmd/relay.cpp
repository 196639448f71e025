// SPDX-License-Identifier: Apache-2.0
#include "relay.hpp"

#include "toolstack/save/image_format.hpp"

#include <nlohmann/json.hpp>

#include <sys/socket.h>

#include <cstddef>
#include <span>
#include <vector>

namespace vmm::test
{

namespace
{

bool take(int fd, std::span<std::byte> to)
{
    // Reading nothing would wait for something.
    return to.empty() || ::recv(fd, to.data(), to.size(), MSG_WAITALL) == static_cast<ssize_t>(to.size());
}

bool give(int fd, std::span<const std::byte> bytes)
{
    while (!bytes.empty()) {
        const ssize_t done = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (done <= 0) {
            return false;
        }
        bytes = bytes.subspan(static_cast<std::size_t>(done));
    }
    return true;
}

std::string name_of(const save::Record_header& header, std::span<const std::byte> payload)
{
    switch (header.type) {
    case save::Record_type::description: return "description";
    case save::Record_type::frames: return "frames";
    case save::Record_type::processors: return "processors";
    case save::Record_type::end: return "end";
    case save::Record_type::commit: return "commit";
    case save::Record_type::answer: {
        const auto* const text = reinterpret_cast<const char*>(payload.data());
        return nlohmann::json::parse(text, text + payload.size()).value("word", "error");
    }
    default: return "other";
    }
}

} // namespace

Relay::Relay(Unique_fd source, Unique_fd target, std::string hold)
    : ends_{std::move(source), std::move(target)},
      hold_(std::move(hold)), threads_{std::thread([this] { carry(ends_[0].get(), ends_[1].get()); }),
                                       std::thread([this] { carry(ends_[1].get(), ends_[0].get()); })}
{
}

Relay::~Relay()
{
    cut();
    for (std::thread& thread : threads_) {
        thread.join();
    }
}

void Relay::pass_on()
{
    const std::lock_guard lock(mutex_);
    go_on_ = true;
    told_.notify_all();
}

void Relay::cut()
{
    const std::lock_guard lock(mutex_);
    cut_ = true;
    for (const Unique_fd& end : ends_) {
        ::shutdown(end.get(), SHUT_RDWR);
    }
    told_.notify_all();
}

void Relay::carry(int from, int to)
{
    std::array<std::byte, sizeof(save::File_header)> header{};
    if (take(from, header) && give(to, header)) {
        while (carry_record(from, to)) {
        }
    }
    cut();
}

bool Relay::carry_record(int from, int to)
{
    save::Record_header header;
    if (!take(from, std::as_writable_bytes(std::span(&header, 1)))) {
        return false;
    }
    std::vector<std::byte> payload(header.length);
    return take(from, payload) && wait_at(name_of(header, payload)) &&
           give(to, std::as_bytes(std::span(&header, 1))) && give(to, payload);
}

bool Relay::wait_at(const std::string& name)
{
    std::unique_lock lock(mutex_);
    if (name == hold_ && !go_on_) {
        held_ = true;
        told_.wait(lock, [this] { return go_on_ || cut_; });
    }
    return !cut_;
}

} // namespace vmm::test
