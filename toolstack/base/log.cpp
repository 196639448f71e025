// SPDX-License-Identifier: Apache-2.0
#include "toolstack/base/log.hpp"

#include "toolstack/base/unique_fd.hpp"

#include <fcntl.h>
#include <time.h>

#include <array>
#include <cstdio>

namespace vmm::log
{
namespace
{

constexpr std::array<std::string_view, 4> kLevelNames = {"debug", "info", "warning", "error"};

struct State {
    Level least    = Level::info;
    bool to_stderr = true;
    std::string path;
    Unique_fd file;
};

State& state()
{
    static State the_state;
    return the_state;
}

std::string timestamp()
{
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    tm parts{};
    gmtime_r(&now.tv_sec, &parts);
    std::array<char, 64> text{};
    const std::size_t length = strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
    std::array<char, 8> milliseconds{};
    std::snprintf(milliseconds.data(), milliseconds.size(), ".%03dZ",
                  static_cast<int>(now.tv_nsec / 1'000'000));
    return std::string(text.data(), length) + milliseconds.data();
}

std::string printable(std::string_view message)
{
    std::string out(message);
    for (char& c : out) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            c = '?';
        }
    }
    return out;
}

// A log that cannot be written must not stop the daemon, so a short or failed write is dropped.
void emit(int fd, std::string_view line)
{
    [[maybe_unused]] const ssize_t written = ::write(fd, line.data(), line.size());
}

} // namespace

void set_level(Level least) { state().least = least; }

Level level() { return state().least; }

Result<Level> parse_level(std::string_view name)
{
    for (std::size_t i = 0; i < kLevelNames.size(); ++i) {
        if (kLevelNames[i] == name) {
            return static_cast<Level>(i);
        }
    }
    return fail(Errc::invalid,
                "log level '" + std::string(name) + "' is none of debug, info, warning, error");
}

Result<void> open_file(const std::string& path, bool also_stderr)
{
    Unique_fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640));
    if (!file) {
        return fail_errno("open log file " + path);
    }
    state().file      = std::move(file);
    state().path      = path;
    state().to_stderr = also_stderr;
    return {};
}

Result<void> reopen()
{
    if (state().path.empty()) {
        return {};
    }
    return open_file(std::string(state().path), state().to_stderr);
}

void write(Level at, std::string_view message)
{
    State& log = state();
    if (at < log.least) {
        return;
    }
    const std::string line = timestamp() + " " + std::string(kLevelNames[static_cast<std::size_t>(at)]) +
                             ": " + printable(message) + "\n";
    if (log.to_stderr) {
        emit(STDERR_FILENO, line);
    }
    if (log.file) {
        emit(log.file.get(), line);
    }
}

} // namespace vmm::log
