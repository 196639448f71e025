// SPDX-License-Identifier: Apache-2.0
#include "toolstack/disk/nbd_server.hpp"

#include "toolstack/base/child_process.hpp"
#include "toolstack/base/log.hpp"
#include "toolstack/disk/eventually.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <vector>

namespace vmm::disk
{

namespace
{

constexpr auto kDevice_patience = std::chrono::seconds(5);
constexpr auto kEnd_patience    = std::chrono::seconds(20); // it may have much to write out

// Past the page cache where the file system allows it: the guest has a cache of its own.
bool can_bypass_cache(const config::Disk& disk)
{
    return !disk.is_remote() && Unique_fd(::open(disk.target.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT));
}

std::string format_of(const config::Disk& disk)
{
    return disk.format == config::Disk_format::vhd ? "vpc" : std::string(config::to_string(disk.format));
}

// The last line, without its own name in front.
std::string last_words(const std::string& path)
{
    std::ifstream file(path);
    std::string last;
    for (std::string line; std::getline(file, line);) {
        if (!line.empty()) {
            last = line;
        }
    }
    constexpr std::string_view kName = "qemu-nbd: ";
    return last.starts_with(kName) ? last.substr(kName.size()) : last;
}

// sysfs may name a thread; signals and pidfds are for the process.
std::optional<pid_t> process_of(pid_t thread)
{
    std::ifstream status("/proc/" + std::to_string(thread) + "/status");
    for (std::string word; status >> word;) {
        if (pid_t process = 0; word == "Tgid:" && status >> process) {
            return process;
        }
    }
    return std::nullopt;
}

void signal_process(const Unique_fd& process, int number)
{
    ::syscall(SYS_pidfd_send_signal, process.get(), number, nullptr, 0U); // fails only if it has ended
}

} // namespace

Result<std::unique_ptr<Nbd_server>> Nbd_server::launch(Event_loop& loop, const Sysfs& sysfs,
                                                       const Nbd_setup& setup, unsigned index,
                                                       const config::Disk& disk,
                                                       std::function<void(Result<void>)> ready)
{
    std::unique_ptr<Nbd_server> server(new Nbd_server(loop, sysfs, setup, index));
    server->ready_ = std::move(ready);
    TRY(server->spawn(disk));
    return server;
}

Result<std::unique_ptr<Nbd_server>> Nbd_server::find(Event_loop& loop, const Sysfs& sysfs,
                                                     const Nbd_setup& setup, unsigned index)
{
    std::unique_ptr<Nbd_server> server(new Nbd_server(loop, sysfs, setup, index));
    TRY(server->watch_process());
    return server;
}

Nbd_server::~Nbd_server()
{
    if (launcher_ != 0) {
        loop_.forget_child(launcher_);
    }
    if (process_) {
        loop_.remove(process_.get());
    }
    if (killer_) {
        loop_.cancel(*killer_);
    }
}

std::string Nbd_server::file(const char* ending) const
{
    return setup_.folder + "/nbd" + std::to_string(index_) + ending;
}

Result<void> Nbd_server::spawn(const config::Disk& disk)
{
    std::error_code error;
    std::filesystem::create_directories(setup_.folder, error);
    const Unique_fd words(::open(file(".log").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!words) {
        return fail_errno("cannot make " + file(".log"));
    }
    Program program;
    program.error_output = words.get();
    program.words        = {setup_.program,
                            "--connect=" + path(),
                            "--socket=" + file(".sock"),
                            "--format=" + format_of(disk),
                     can_bypass_cache(disk) ? "--cache=none" : "--cache=writeback",
                     disk.discard ? "--discard=unmap" : "--discard=ignore"};
    if (disk.access == config::Disk_access::read_only) {
        program.words.emplace_back("--read-only");
    }
    program.words.push_back(disk.target);
    const auto started = start(program);
    if (!started) {
        return fail(started.error().code, started.error().message + " (the package qemu-utils has it)");
    }
    launcher_ = *started;
    return loop_.on_child_exit(launcher_, [this](int status) { launched(status); });
}

void Nbd_server::launched(int wait_status)
{
    launcher_ = 0;
    if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0) {
        wait_for_device();
        return;
    }
    const std::string said = last_words(file(".log"));
    forget_files();
    const auto ready = std::move(ready_);
    ready(fail(Errc::io, "qemu-nbd " + (said.empty() ? describe_end(wait_status) : "says: " + said)));
}

void Nbd_server::wait_for_device()
{
    const auto has_size = [this, alive = std::weak_ptr(alive_)] {
        return !alive.lock() || sysfs_.nbd_sectors(index_) > 0;
    };
    eventually(loop_, kDevice_patience, has_size, [this, alive = std::weak_ptr(alive_)](bool there) {
        if (!alive.lock()) {
            return;
        }
        auto watched     = watch_process(); // to end it, if for nothing else
        const auto ready = std::move(ready_);
        ready(there ? std::move(watched) : fail(Errc::timed_out, path() + " has got no size from qemu-nbd"));
    });
}

Result<void> Nbd_server::watch_process()
{
    const auto thread  = sysfs_.nbd_user(index_);
    const auto process = thread ? process_of(*thread) : std::nullopt;
    if (!process) {
        return fail(Errc::not_found, "nothing serves " + path() + " any more");
    }
    process_.reset(static_cast<int>(::syscall(SYS_pidfd_open, *process, 0U)));
    if (!process_) {
        return fail_errno("cannot watch the process that serves " + path());
    }
    return loop_.add(process_.get(), EPOLLIN, [this](std::uint32_t) { process_ended(); });
}

void Nbd_server::process_ended()
{
    loop_.remove(process_.get());
    process_.reset();
    if (const auto killer = std::exchange(killer_, std::nullopt)) {
        loop_.cancel(*killer);
    }
    if (const auto done = std::exchange(stopped_, nullptr)) {
        forget_files();
        done();
        return;
    }
    const std::string said = last_words(file(".log"));
    log::error("qemu-nbd, which serves " + path() + ", has ended by itself" +
               (said.empty() ? "" : " (\"" + said + "\")") + ": its domain gets I/O errors from this disk");
}

void Nbd_server::forget_files() const
{
    for (const char* const ending : {".log", ".sock"}) {
        std::error_code error;
        std::filesystem::remove(file(ending), error);
    }
}

void Nbd_server::stop(std::function<void()> done)
{
    if (!process_) {
        forget_files();
        done();
        return;
    }
    stopped_ = std::move(done);
    signal_process(process_, SIGTERM);
    killer_ = loop_.after(kEnd_patience, [this] {
        killer_.reset();
        log::warning("qemu-nbd, which serves " + path() + ", does not end and is killed");
        signal_process(process_, SIGKILL);
    });
}

} // namespace vmm::disk
