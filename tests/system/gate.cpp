// SPDX-License-Identifier: Apache-2.0
// gate POINT ADDRESS PORT: carries a migration between its standard input and output and a TCP port, as ssh
// would, up to a point that system.migrate names: a kind of record on the way to the target, or a word of its
// answers (toolstack/save/FORMAT.md). That record and what follows it stay here; the other direction goes on.
// It says its process id on standard error then, so that a test can kill whatever it likes in exactly that
// phase.
#include "toolstack/migrate/answers.hpp"
#include "toolstack/save/image_format.hpp"

#include <arpa/inet.h>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace
{

using vmm::save::Record_header;
using vmm::save::Record_type;

// Both end with the program: so does the connection, and whoever is at its ends hears of it.
void read_all(int from, void* to, std::size_t size)
{
    for (auto* at = static_cast<char*>(to); size != 0;) {
        const ssize_t got = ::read(from, at, size);
        if (got <= 0) {
            std::_Exit(0);
        }
        at += got;
        size -= static_cast<std::size_t>(got);
    }
}

void write_all(int to, const void* from, std::size_t size)
{
    for (const auto* at = static_cast<const char*>(from); size != 0;) {
        const ssize_t put = ::write(to, at, size);
        if (put <= 0) {
            std::_Exit(0);
        }
        at += put;
        size -= static_cast<std::size_t>(put);
    }
}

bool is(const std::string& point, const Record_header& record, const std::string& payload)
{
    switch (record.type) {
    case Record_type::description: return point == "description";
    case Record_type::frames: return point == "frames";
    case Record_type::processors: return point == "processors";
    case Record_type::commit: return point == "commit";
    case Record_type::answer: return payload.find("\"word\":\"" + point + "\"") != std::string::npos;
    default: return false;
    }
}

[[noreturn]] void carry(int from, int to, const std::string& point)
{
    vmm::save::File_header begin;
    read_all(from, &begin, sizeof begin);
    write_all(to, &begin, sizeof begin);
    for (std::string payload;;) {
        Record_header record;
        read_all(from, &record, sizeof record);
        payload.resize(record.length);
        read_all(from, payload.data(), payload.size());
        if (is(point, record, payload)) {
            std::fprintf(stderr, "%d\n", ::getpid());
            for (;;) {
                ::pause();
            }
        }
        write_all(to, &record, sizeof record);
        write_all(to, payload.data(), payload.size());
    }
}

int connect_to(const char* address, const char* port)
{
    const int connection = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in there{};
    there.sin_family = AF_INET;
    there.sin_port   = htons(static_cast<std::uint16_t>(std::atoi(port)));
    if (::inet_pton(AF_INET, address, &there.sin_addr) != 1 ||
        ::connect(connection, reinterpret_cast<const sockaddr*>(&there), sizeof there) != 0) {
        std::perror(address);
        std::exit(1);
    }
    return connection;
}

} // namespace

int main(int argc, char** argv)
{
    if (argc != 4) {
        std::fputs("gate POINT ADDRESS PORT\n", stderr);
        return 2;
    }
    const int connection    = connect_to(argv[2], argv[3]);
    const std::string point = argv[1];
    std::thread(carry, connection, STDOUT_FILENO, point).detach();
    carry(STDIN_FILENO, connection, point);
}
