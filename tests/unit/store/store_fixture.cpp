// SPDX-License-Identifier: Apache-2.0
#include "store_fixture.hpp"

#include <algorithm>
#include <stdexcept>

namespace vmm::store::test
{
namespace
{

std::string spaced(std::string strings)
{
    if (!strings.empty() && strings.back() == '\0') {
        strings.pop_back();
    }
    std::ranges::replace(strings, '\0', ' ');
    return strings;
}

} // namespace

Result<void> Fake_domains::introduce(Domid domid, std::uint64_t gfn, std::uint32_t port)
{
    calls.push_back("introduce " + vmm::to_string(domid) + " " + std::to_string(gfn) + " " +
                    std::to_string(port));
    known.insert(domid);
    return {};
}

void Fake_domains::release(Domid domid)
{
    calls.push_back("release " + vmm::to_string(domid));
    known.erase(domid);
}

void Fake_domains::resume(Domid domid) { calls.push_back("resume " + vmm::to_string(domid)); }

void Fake_domains::set_target(Domid domid, Domid target)
{
    calls.push_back("target " + vmm::to_string(domid) + " " + vmm::to_string(target));
}

std::vector<Message> Client::take_output()
{
    std::vector<Message> messages;
    Message_reader reader;
    while (!session_.outbox().empty()) {
        const std::string_view front = session_.outbox().front();
        const std::size_t count      = std::min(front.size(), reader.space().size());
        front.copy(reader.space().data(), count);
        if (reader.add(count) == Message_reader::Progress::complete) {
            messages.push_back(reader.take());
        }
        session_.consumed(count);
        bytes_taken_ += count;
    }
    return messages;
}

std::vector<Event> Client::events()
{
    for (const Message& message : take_output()) {
        const auto strings = split_strings(message.payload);
        if (message.type != XS_WATCH_EVENT || strings.size() != 2) {
            throw std::logic_error("a reply nobody waits for");
        }
        events_.push_back({std::string(strings[0]), std::string(strings[1])});
    }
    return std::exchange(events_, {});
}

std::string Client::send(std::uint32_t type, std::string payload, std::uint32_t transaction)
{
    handle_request(store_, session_, domains_, Message{type, 77, transaction, std::move(payload)});
    std::string answer;
    int answers = 0;
    for (const Message& message : take_output()) {
        if (message.type == XS_WATCH_EVENT) {
            const auto strings = split_strings(message.payload);
            events_.push_back({std::string(strings.at(0)), std::string(strings.at(1))});
            continue;
        }
        ++answers;
        const bool ours = message.request_id == 77 && message.transaction_id == transaction;
        if (!ours || (message.type != type && message.type != XS_ERROR)) {
            throw std::logic_error("the answer belongs to another request");
        }
        answer = message.payload;
        if (message.type == XS_ERROR) {
            answer.pop_back();
        }
    }
    if (answers != 1) {
        throw std::logic_error("not exactly one answer");
    }
    return answer;
}

std::string Client::write(std::string path, std::string value, std::uint32_t transaction)
{
    return spaced(send(XS_WRITE, z(path) + value, transaction));
}

std::string Client::get_perms(std::string path, std::uint32_t transaction)
{
    return spaced(send(XS_GET_PERMS, z(path), transaction));
}

std::string Client::set_perms(std::string path, std::string perms, std::uint32_t transaction)
{
    std::ranges::replace(perms, ' ', '\0');
    return spaced(send(XS_SET_PERMS, z(path) + z(perms), transaction));
}

std::string Client::directory(std::string path, std::uint32_t transaction)
{
    return spaced(send(XS_DIRECTORY, z(path), transaction));
}

std::string Client::watch(std::string path, std::string token, std::string depth)
{
    return spaced(send(XS_WATCH, z(path) + z(token) + z(depth)));
}

std::uint32_t Client::start()
{
    const std::string answer = send(XS_TRANSACTION_START, z(""));
    const auto id            = parse_decimal(spaced(answer), UINT32_MAX);
    if (!id) {
        throw std::runtime_error(answer);
    }
    return static_cast<std::uint32_t>(*id);
}

std::string Client::end(std::uint32_t transaction, bool commit)
{
    return spaced(send(XS_TRANSACTION_END, z(commit ? "T" : "F"), transaction));
}

} // namespace vmm::store::test
