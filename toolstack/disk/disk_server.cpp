// SPDX-License-Identifier: Apache-2.0
#include "toolstack/disk/disk_server.hpp"

#include "toolstack/base/log.hpp"
#include "toolstack/disk/eventually.hpp"
#include "toolstack/disk/image_file.hpp"
#include "toolstack/disk/last_words.hpp"
#include "toolstack/disk/qemu_image.hpp"

#include <fcntl.h>

#include <algorithm>
#include <csignal>
#include <utility>

namespace vmm::disk
{

using config::Disk;
using config::Disk_access;
using device::Done;
using device::Json;

namespace
{

const std::vector<std::string> kEnvironment{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};

Unique_fd file_for_words(const std::string& path)
{
    return Unique_fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
}

} // namespace

Disk_server::Disk_server(Event_loop& loop, const Server_programs& programs, device::Address address,
                         Disk disk, Note note)
    : loop_(loop), programs_(programs), address_(std::move(address)), disk_(std::move(disk)),
      note_(std::move(note))
{
}

Disk_server::~Disk_server()
{
    if (restart_) {
        loop_.cancel(*restart_);
    }
}

bool Disk_server::needs_nbd() const { return disk_.format != config::Disk_format::raw && !disk_.is_remote(); }

std::string Disk_server::name() const
{
    return "disk " + disk_.vdev + " of domain " + to_string(address_.domain);
}

std::string Disk_server::file(const std::string& ending) const
{
    return programs_.folder / (to_string(address_.domain) + "-" + std::to_string(address_.number) + ending);
}

void Disk_server::open(Done done)
{
    std::error_code error;
    std::filesystem::create_directories(programs_.folder, error);
    std::filesystem::remove(file(".log"), error); // another's, of the same number
    launch([this, done = std::move(done)](Result<void> result) {
        opened_ = result.has_value();
        done(std::move(result));
    });
}

void Disk_server::launch(Done done)
{
    launched_ = Event_loop::Clock::now();
    if (needs_nbd()) {
        launch_nbd(std::move(done));
    } else {
        launch_blkback(std::move(done));
    }
}

// Its number is in a file once the image is open. It serves one client and ends with it.
void Disk_server::launch_nbd(Done done)
{
    const std::string socket = file(".nbd");
    const std::string ready  = file(".pid");
    std::error_code error;
    std::filesystem::remove(socket, error);
    std::filesystem::remove(ready, error);
    const Qemu_image image = qemu_image(disk_, "--format");
    const Unique_fd words  = file_for_words(file(".words"));
    Program program{.words        = {programs_.nbd, "--socket=" + socket, "--pid-file=" + ready,
                                     "--discard=" + std::string(disk_.discard ? "unmap" : "ignore")},
                    .environment  = kEnvironment,
                    .error_output = words.get()};
    program.words.insert(program.words.end(), image.options.begin(), image.options.end());
    if (disk_.access == Disk_access::read_only) {
        program.words.emplace_back("--read-only");
    }
    program.words.insert(program.words.end(), {"--", image.name});
    auto nbd = Followed_process::start(
        loop_, program, [](const std::string&, bool) {},
        [this](pid_t pid) { take_note(blkback_ ? blkback_->pid() : 0, pid); });
    if (!nbd) {
        return done(fail(nbd.error().code, "disk " + disk_.vdev + ": " + nbd.error().message +
                                               ", which reads " + std::string(to_string(disk_.format)) +
                                               " images: install qemu-utils"));
    }
    nbd_ = *std::move(nbd);
    eventually(
        loop_, programs_.patience,
        [here = std::weak_ptr(here_), this, ready] {
            return !here.lock() || !nbd_->running() || std::filesystem::exists(ready);
        },
        while_here([this, done = std::move(done)](bool so) {
            if (so && nbd_->running()) {
                launch_blkback(done);
            } else {
                nbd_->signal(SIGKILL);
                const std::string said = last_words(file(".words"), "qemu-nbd");
                done(fail(Errc::io,
                          "disk " + disk_.vdev + ": " + disk_.target + ": qemu-nbd " +
                              (said.empty() ? "cannot open it as " + std::string(to_string(disk_.format)) +
                                                  ", and says nothing"
                                            : "says: " + said)));
            }
        }));
}

// Its log of requests is there once the disk is open.
void Disk_server::launch_blkback(Done done)
{
    Program program{.words       = {programs_.blkback, "--log", file(".log"), "--last-words", file(".words")},
                    .environment = kEnvironment};
    std::error_code error;
    std::filesystem::remove(file(".words"), error);
    if (disk_.access == Disk_access::read_only) {
        program.words.emplace_back("--read-only");
    } else if (disk_.access == Disk_access::shared) {
        program.words.emplace_back("--shared");
    }
    if (disk_.cdrom) {
        program.words.emplace_back("--cdrom");
    }
    if (!disk_.discard) {
        program.words.emplace_back("--no-discard");
    }
    const std::string source = needs_nbd() ? "nbd+unix:///?socket=" + file(".nbd") : disk_.target;
    program.words.insert(program.words.end(), {to_string(address_.domain), address_.backend_path(), source});
    auto blkback = Followed_process::start(
        loop_, program, [this](const std::string& how, bool well) { blkback_ended(how, well); },
        [this](pid_t pid) { take_note(pid, nbd_ ? nbd_->pid() : 0); });
    if (!blkback) {
        return done(fail(blkback.error().code, "disk " + disk_.vdev + ": " + blkback.error().message));
    }
    blkback_ = *std::move(blkback);
    eventually(
        loop_, programs_.patience,
        [here = std::weak_ptr(here_), this] {
            return !here.lock() || !blkback_->running() || std::filesystem::exists(file(".log"));
        },
        while_here([this, done = std::move(done)](bool so) {
            const bool opened = so && blkback_->running();
            if (!opened) {
                blkback_->signal(SIGKILL);
            }
            const std::string said = last_words(file(".words"), "vmm-blkback");
            done(opened ? Result<void>()
                        : fail(Errc::io, "disk " + disk_.vdev + ": vmm-blkback cannot serve " + disk_.target +
                                             (said.empty() ? ", and says nothing" : ": " + said)));
        }));
}

void Disk_server::take_note(pid_t blkback, pid_t nbd) { note_(Json{{"blkback", blkback}, {"nbd", nbd}}); }

bool Disk_server::is_record(const Json& record) { return record.is_object() && record.contains("blkback"); }

// What ended while there was no vmmd is started again.
void Disk_server::adopt(const Json& record)
{
    opened_   = true;
    launched_ = Event_loop::Clock::now();
    if (needs_nbd()) {
        nbd_ = Followed_process::adopt(loop_, record.value("nbd", 0), "--socket=" + file(".nbd"),
                                       [](const std::string&, bool) {});
    }
    blkback_ =
        Followed_process::adopt(loop_, record.value("blkback", 0), address_.backend_path(),
                                [this](const std::string& how, bool well) { blkback_ended(how, well); });
    if (!blkback_) {
        blkback_ended("ended while vmmd was away", false);
    }
}

// It tells why it could not go on, and what the guest has written and is not in the image.
void Disk_server::blkback_ended(const std::string& how, bool well)
{
    const std::string said = opened_ && !starting_ ? last_words(file(".words"), "vmm-blkback") : "";
    if (!said.empty()) {
        log::error(name() + ": vmm-blkback says: " + said);
    }
    ended(how, well);
}

// One that ended well has seen its device taken away.
void Disk_server::ended(const std::string& how, bool well)
{
    if (closing_ || closed_ || restart_ || !opened_ || well) {
        return;
    }
    constexpr unsigned kMostDoublings = 6;
    const bool soon                   = Event_loop::Clock::now() - launched_ < std::chrono::seconds(10);
    fails_                            = soon ? std::min(fails_ + 1, kMostDoublings) : 0;
    log::warning("vmm-blkback, which serves " + name() + ", " + how + "; it is started again");
    restart_ = loop_.after(programs_.pause * (1u << fails_), [this] { restart(); });
}

// As often as it takes: the guest waits.
void Disk_server::restart()
{
    restart_.reset();
    starting_ = true;
    launch_again(while_here([this](const Result<void>& result) {
        starting_ = false;
        if (!result) {
            log::error(result.error().message);
            ended("cannot be started", false);
        }
    }));
}

// What a qemu-nbd knows that is killed is lost, and the guest would go on without having heard of it. So it
// is asked to end, as it may have had no client to end with, and waited for, as the guest waits meanwhile.
void Disk_server::launch_again(Done done)
{
    if (closing_) {
        return done(fail(Errc::cancelled, name() + " is not served again: it goes"));
    }
    if (!nbd_ || !nbd_->running()) {
        return launch(std::move(done));
    }
    nbd_->signal(SIGTERM);
    const auto is_gone = [here = std::weak_ptr(here_), this] { return !here.lock() || !nbd_->running(); };
    eventually(loop_, programs_.patience, is_gone, while_here([this, done = std::move(done)](bool gone) {
                   if (!gone) {
                       log::warning(name() + ": its qemu-nbd does not end, and is waited for");
                   }
                   launch_again(done);
               }));
}

// Nobody may change an image that qemu-nbd has open, and it has no way to be told.
void Disk_server::grow(std::uint64_t bytes, Done done)
{
    if (!needs_nbd()) {
        return done(grow_file(disk_, bytes)); // vmm-blkback sees it
    }
    while_closed([this, bytes](Done back) { launch_img(bytes, std::move(back)); }, std::move(done));
}

bool Disk_server::is_served() const
{
    return opened_ && !closing_ && !closed_ && !starting_ && !restart_ && blkback_ && blkback_->running();
}

void Disk_server::while_closed(std::function<void(Done back)> work, Done done)
{
    const auto is_settled = [here = std::weak_ptr(here_), this] {
        return !here.lock() || closing_ || is_served(); // it may just be starting again
    };
    auto next = [this, work = std::move(work), done = std::move(done)](bool) {
        if (!is_served()) {
            return done(fail(Errc::busy, "disk " + disk_.vdev + ": its backend is just starting or ending"));
        }
        close_for(work, done);
    };
    eventually(loop_, programs_.patience, is_settled, while_here(std::move(next)));
}

// vmm-blkback ends when all that it has answered is in the image; otherwise it stays, and says why. What a
// qemu-nbd knew that had to be killed is not all in the image.
void Disk_server::close_for(std::function<void(Done back)> work, Done done)
{
    closed_ = true;
    std::error_code error;
    std::filesystem::remove(file(".words"), error);
    blkback_->signal(SIGTERM);
    auto back             = while_here([this, done = std::move(done)](const Result<void>& worked) {
        closed_ = false;
        if (!closing_ && !blkback_->running()) {
            restart();
        }
        done(worked);
    });
    const auto is_decided = [here = std::weak_ptr(here_), this] {
        return !here.lock() || !blkback_->running() || !last_words(file(".words"), "vmm-blkback").empty();
    };
    auto next = [this, work = std::move(work), back](bool) {
        const std::string said = last_words(file(".words"), "vmm-blkback");
        if (blkback_->running() || !said.empty()) {
            std::error_code ignored;
            std::filesystem::remove(file(".words"), ignored);
            return back(fail(Errc::io, "disk " + disk_.vdev + ": vmm-blkback " +
                                           (said.empty() ? "does not end" : "says: " + said)));
        }
        end_nbd(while_here([this, work, back](bool by_itself) {
            by_itself ? work(back)
                      : back(fail(Errc::timed_out, "disk " + disk_.vdev + ": qemu-nbd does not end"));
        }));
    };
    eventually(loop_, programs_.patience, is_decided, while_here(std::move(next)));
}

void Disk_server::launch_img(std::uint64_t bytes, Done done)
{
    const Qemu_image image = qemu_image(disk_, "-f");
    const Unique_fd words  = file_for_words(file(".words"));
    Program program{
        .words = {programs_.img, "resize", "-q"}, .environment = kEnvironment, .error_output = words.get()};
    program.words.insert(program.words.end(), image.options.begin(), image.options.end());
    program.words.insert(program.words.end(), {"--", image.name, std::to_string(bytes)});
    auto ended = [this, done](const std::string& how, bool well) {
        // Not inside a call of the process that is looked at here.
        loop_.defer(while_here([this, done, how, well] {
            const std::string said = last_words(file(".words"), "qemu-img");
            done(well ? Result<void>()
                      : fail(Errc::io, "disk " + disk_.vdev + ": " + disk_.target + ": qemu-img " +
                                           (said.empty() ? how : "says: " + said)));
        }));
    };
    auto img = Followed_process::start(loop_, program, std::move(ended));
    if (!img) {
        return done(fail(img.error().code, "disk " + disk_.vdev + ": " + img.error().message +
                                               ", which makes images grow: install qemu-utils"));
    }
    img_ = *std::move(img);
}

// An image has one qemu-nbd at a time, so that nothing of the last one is written after the next has begun.
void Disk_server::end_nbd(std::function<void(bool by_itself)> done)
{
    if (!nbd_ || !nbd_->running()) {
        return done(true);
    }
    const auto is_gone = [here = std::weak_ptr(here_), this] { return !here.lock() || !nbd_->running(); };
    eventually(loop_, programs_.patience, is_gone,
               while_here([this, is_gone, done = std::move(done)](bool gone) {
                   if (gone) {
                       return done(true);
                   }
                   nbd_->signal(SIGKILL);
                   eventually(loop_, programs_.patience, is_gone, while_here([done](bool) { done(false); }));
               }));
}

void Disk_server::close(std::function<void()> done)
{
    closing_ = true;
    if (restart_) {
        loop_.cancel(*std::exchange(restart_, std::nullopt));
    }
    const auto is_gone = [this] { return (!blkback_ || !blkback_->running()) && !closed_; };
    eventually(loop_, programs_.patience, is_gone, [this, done = std::move(done)](bool gone) {
        if (!gone) {
            log::warning("what serves " + name() + " does not end; it is killed");
            for (const Process* process : {&blkback_, &img_}) {
                if (*process) {
                    (*process)->signal(SIGKILL);
                }
            }
        }
        end_nbd([this, done](bool) {
            std::error_code error;
            for (const char* const ending : {".log", ".nbd", ".pid", ".words"}) {
                std::filesystem::remove(file(ending), error);
            }
            done();
        });
    });
}

} // namespace vmm::disk
