// SPDX-License-Identifier: Apache-2.0
//
// What moves the data of tests/bench inside dom0 and the guests: linked statically, so that it runs in any
// of them, and the same in every run (fixed sizes, fixed seed). It prints the nanoseconds of the domain's own
// monotonic clock; under -icount those are virtual. Status 1 and a line on stderr for what does not work.
//
//   probe serve PORT                             TCP: does what the others ask for, for ever
//   probe put|get ADDRESS PORT MIB               data to or from the server there
//   probe at ADDRESS PORT WORD...                runs `probe WORD...` where that server is
//   probe [rand]read|[rand]write DEVICE BLOCK_KIB MIB     past the cache, one request at a time
#include <arpa/inet.h>
#include <cpuid.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/fs.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace
{

constexpr std::uint64_t kMib        = 1 << 20;
constexpr std::size_t kStreamPiece  = 64 << 10;
constexpr std::size_t kBlockAligned = 4096;

[[noreturn]] void die(const std::string& what)
{
    std::perror(("probe: " + what).c_str());
    std::exit(1);
}

std::uint64_t number(const char* text)
{
    char* end                 = nullptr;
    const std::uint64_t value = std::strtoull(text, &end, 10);
    if (value == 0 || *end != '\0') {
        std::fprintf(stderr, "probe: '%s' is not a number above 0\n", text);
        std::exit(1);
    }
    return value;
}

// An exit that nobody else makes at this address: whoever counts exits sees where the work begins and ends.
[[gnu::noinline]] void leave_a_mark()
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    __cpuid(0, a, b, c, d);
}

void print_duration(const std::function<void()>& work)
{
    leave_a_mark();
    const auto begin = std::chrono::steady_clock::now();
    work();
    const std::chrono::nanoseconds took = std::chrono::steady_clock::now() - begin;
    leave_a_mark();
    std::printf("probe-ns %lld\n", static_cast<long long>(took.count()));
}

bool send_all(int fd, const void* data, std::size_t size)
{
    for (const char* at = static_cast<const char*>(data); size > 0;) {
        const ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
        size -= static_cast<std::size_t>(sent);
    }
    return true;
}

bool receive_all(int fd, void* data, std::size_t size)
{
    return recv(fd, data, size, MSG_WAITALL) == static_cast<ssize_t>(size);
}

bool stream(int fd, bool outwards, std::uint64_t bytes)
{
    std::vector<char> piece(kStreamPiece, 'x');
    for (std::uint64_t left = bytes; left > 0;) {
        const std::size_t now = std::min<std::uint64_t>(left, piece.size());
        if (outwards && !send_all(fd, piece.data(), now))
            return false;
        const ssize_t moved = outwards ? static_cast<ssize_t>(now) : recv(fd, piece.data(), now, 0);
        if (moved <= 0)
            return false;
        left -= static_cast<std::uint64_t>(moved);
    }
    return true;
}

// The last byte comes from whoever received the data, so that both ends agree when it was all there.
bool transfer(int fd, bool outwards, std::uint64_t bytes)
{
    char done = 1;
    return stream(fd, outwards, bytes) && (outwards ? receive_all(fd, &done, 1) : send_all(fd, &done, 1));
}

sockaddr_in address(const char* host, const char* port)
{
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port   = htons(static_cast<std::uint16_t>(number(port)));
    if (inet_pton(AF_INET, host, &where.sin_addr) != 1)
        die(std::string(host) + " is no IPv4 address");
    return where;
}

// A request is one line: put BYTES, get BYTES, or the words of a command. Empty when the client is gone.
std::vector<std::string> receive_request(int fd)
{
    std::vector<std::string> words(1);
    for (char c = 0; recv(fd, &c, 1, 0) == 1 && c != '\n';) {
        if (c == ' ')
            words.emplace_back();
        else
            words.back() += c;
    }
    return words;
}

void run_here(int output, std::vector<std::string>& words)
{
    const pid_t child = fork();
    if (child == 0) {
        dup2(output, STDOUT_FILENO);
        dup2(output, STDERR_FILENO);
        std::vector<char*> arguments{program_invocation_name};
        for (std::string& word : words)
            arguments.push_back(word.data());
        arguments.push_back(nullptr);
        execv("/proc/self/exe", arguments.data());
        _exit(1);
    }
    waitpid(child, nullptr, 0);
}

void answer(int client)
{
    std::vector<std::string> words = receive_request(client);
    if (words.size() == 2 && (words[0] == "put" || words[0] == "get"))
        transfer(client, words[0] == "get", number(words[1].c_str()));
    else
        run_here(client, words);
}

void serve(const char* port)
{
    const sockaddr_in where = address("0.0.0.0", port);
    const int listener      = socket(AF_INET, SOCK_STREAM, 0);
    const int on            = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0 ||
        listen(listener, 4) != 0)
        die("cannot listen");
    for (;;) {
        const int client = accept(listener, nullptr, nullptr);
        if (client < 0)
            continue;
        answer(client);
        close(client);
    }
}

int connect_and_ask(const char* host, const char* port, const std::string& request)
{
    const sockaddr_in where = address(host, port);
    const int server        = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(server, reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0 ||
        !send_all(server, request.data(), request.size()))
        die(std::string("no connection to ") + host);
    return server;
}

void move_data(const std::string& direction, const char* host, const char* port, std::uint64_t bytes)
{
    print_duration([&] {
        const int server = connect_and_ask(host, port, direction + ' ' + std::to_string(bytes) + '\n');
        if (!transfer(server, direction == "put", bytes))
            die("the connection broke");
        close(server);
    });
}

void run_there(const std::vector<const char*>& words)
{
    std::string request;
    for (std::size_t i = 3; i < words.size(); ++i)
        request += std::string(i > 3 ? " " : "") + words[i];
    const int server = connect_and_ask(words[1], words[2], request + '\n');
    char piece[512];
    for (ssize_t got = 0; (got = recv(server, piece, sizeof piece, 0)) > 0;)
        std::fwrite(piece, 1, static_cast<std::size_t>(got), stdout);
}

struct Disk_job {
    bool write;
    bool random;
    std::size_t block;
    std::uint64_t bytes;
};

void run_disk(const char* device, const Disk_job& job)
{
    const int fd       = open(device, O_DIRECT | (job.write ? O_RDWR : O_RDONLY));
    std::uint64_t size = 0;
    if (fd < 0 || ioctl(fd, BLKGETSIZE64, &size) != 0 || size < job.block)
        die(device);
    const std::uint64_t blocks = size / job.block;
    const std::unique_ptr<void, decltype(&std::free)> buffer(std::aligned_alloc(kBlockAligned, job.block),
                                                             std::free);
    std::memset(buffer.get(), 'x', job.block);
    std::mt19937_64 random(1);
    print_duration([&] {
        for (std::uint64_t i = 0; i < job.bytes / job.block; ++i) {
            const auto offset   = static_cast<off_t>((job.random ? random() : i) % blocks * job.block);
            const ssize_t moved = job.write ? pwrite(fd, buffer.get(), job.block, offset)
                                            : pread(fd, buffer.get(), job.block, offset);
            if (moved != static_cast<ssize_t>(job.block))
                die(device);
        }
    });
    close(fd);
}

} // namespace

int main(int count, char** arguments)
{
    const std::vector<const char*> words(arguments + 1, arguments + count);
    const std::string_view what = words.empty() ? "" : words[0];
    if (what == "serve" && words.size() == 2)
        serve(words[1]);
    else if ((what == "put" || what == "get") && words.size() == 4)
        move_data(words[0], words[1], words[2], number(words[3]) * kMib);
    else if (what == "at" && words.size() > 3)
        run_there(words);
    else if ((what == "read" || what == "write" || what == "randread" || what == "randwrite") &&
             words.size() == 4)
        run_disk(words[1], {what.ends_with("write"), what.starts_with("rand"), number(words[2]) * 1024,
                            number(words[3]) * kMib});
    else {
        std::fputs("usage: probe serve PORT | put|get ADDRESS PORT MIB | at ADDRESS PORT WORD... | "
                   "[rand]read|[rand]write DEVICE BLOCK_KIB MIB\n",
                   stderr);
        return 1;
    }
}
