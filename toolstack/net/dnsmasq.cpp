// SPDX-License-Identifier: Apache-2.0
#include "toolstack/net/dnsmasq.hpp"

#include "toolstack/base/child_process.hpp"
#include "toolstack/base/log.hpp"
#include "toolstack/base/unique_fd.hpp"

#include <fcntl.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>

namespace vmm::net
{

namespace
{

using std::chrono::seconds;

Result<void> replace_file(const std::string& path, const std::string& text)
{
    const std::string fresh = path + ".new";
    const Unique_fd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!fd || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        ::rename(fresh.c_str(), path.c_str()) != 0) {
        return fail_errno("cannot write " + path);
    }
    return {};
}

// It gives up root for one of these; a system that has none of them runs nothing but root anyway.
std::string account()
{
    for (const char* name : {"dnsmasq", "nobody"}) {
        if (::getpwnam(name) != nullptr) {
            return name;
        }
    }
    return "root";
}

} // namespace

Dnsmasq::~Dnsmasq()
{
    if (restart_) {
        loop_.cancel(*restart_);
    }
    if (process_) {
        loop_.forget_child(*process_);
        ::kill(*process_, SIGTERM);
    }
}

std::string Dnsmasq::configuration() const
{
    const std::string dir = setup_.directory + "/";
    return "# Written by vmmd, for the network on " + setup_.bridge + ".\n" + "interface=" + setup_.bridge +
           "\n"
           "except-interface=lo\n"
           "bind-interfaces\n"
           "no-hosts\n"
           "domain-needed\n"
           "bogus-priv\n"
           "user=" +
           account() +
           "\n"
           "pid-file=\n"
           "leasefile-ro\n"
           "dhcp-authoritative\n"
           "dhcp-range=" +
           setup_.gateway.network().address() +
           ",static,1h\n"
           "dhcp-no-override\n"
           "dhcp-hostsfile=" +
           dir + "dhcp-hosts\naddn-hosts=" + dir + "dns-hosts\n";
}

Result<void> Dnsmasq::serve(const Leases& leases)
{
    std::error_code error;
    std::filesystem::create_directories(setup_.directory, error);
    if (error) {
        return fail(Errc(error.value()), "cannot make " + setup_.directory + ": " + error.message());
    }
    TRY(replace_file(setup_.directory + "/dhcp-hosts", leases.dhcp_hosts()));
    TRY(replace_file(setup_.directory + "/dns-hosts", leases.dns_hosts()));
    TRY(replace_file(setup_.directory + "/dnsmasq.conf", configuration()));
    if (!process_) {
        return restart_ ? Result<void>{} : launch();
    }
    // A running one would go on to hold back addresses that it gave to those who have gone, so it is
    // replaced: that takes some milliseconds, and a guest that asks meanwhile asks again.
    ending_on_purpose_ = true;
    ::kill(*process_, SIGTERM);
    return {};
}

Result<void> Dnsmasq::launch()
{
    restart_.reset();
    ending_on_purpose_ = false;
    launched_          = Event_loop::Clock::now();
    const auto child   = start({.words        = {setup_.program, "--keep-in-foreground",
                                                 "--conf-file=" + setup_.directory + "/dnsmasq.conf"},
                                .environment  = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
                                .ends_with_us = true});
    if (!child) {
        return fail(child.error().code,
                    child.error().message + ", the DHCP server of the NAT network: install dnsmasq-base");
    }
    if (const auto watched = loop_.on_child_exit(*child, [this](int status) { ended(status); }); !watched) {
        end_now(*child);
        return watched;
    }
    process_ = *child;
    return {};
}

void Dnsmasq::launch_again()
{
    if (const auto launched = launch(); !launched) {
        log::error(launched.error().message + "; it is tried again");
        ++quick_ends_;
        launch_later();
    }
}

void Dnsmasq::launch_later()
{
    restart_ =
        loop_.after(seconds(std::min(1U << std::min(quick_ends_, 6U), 60U)), [this] { launch_again(); });
}

void Dnsmasq::ended(int wait_status)
{
    process_.reset();
    const bool was_quick = Event_loop::Clock::now() - launched_ < seconds(10);
    quick_ends_          = was_quick && !ending_on_purpose_ ? quick_ends_ + 1 : 0;
    if (!ending_on_purpose_) {
        log::warning("dnsmasq for " + setup_.bridge + " " + describe_end(wait_status) +
                     "; it is started again");
    }
    if (quick_ends_ > 0) {
        launch_later();
    } else {
        launch_again();
    }
}

} // namespace vmm::net
