// SPDX-License-Identifier: Apache-2.0
#pragma once
// How this daemon is set up: /etc/vmm/vmmd.conf (the same `key = value` language as domain files) and,
// stronger, the command line. An unknown key or a value out of range is an error with its place.

#include "toolstack/base/error.hpp"
#include "toolstack/base/log.hpp"

#include <cstdint>
#include <span>
#include <string>

namespace vmm
{

struct Settings {
    std::string socket        = "/run/vmm/vmmd.sock";
    std::string store_socket  = "/run/xenstored/socket";
    std::string store_journal = "/run/vmm/store.journal";
    std::string state_file    = "/run/vmm/domains.json";
    std::string pidfile       = "/run/vmm/vmmd.pid";
    std::string log_file; // empty: standard error only
    std::string log_level               = "info";
    std::string console_log_directory   = "/var/log/vmm/console"; // empty: consoles are not logged
    std::uint64_t console_log_kib       = 1024;
    std::uint64_t console_log_old_files = 2;
    std::string nat_bridge              = "vmm0"; // empty: no NAT network
    std::string nat_address             = "10.76.0.1/24";
    std::string dnsmasq                 = "/usr/sbin/dnsmasq";
    bool background                     = false;
};

enum class Start { run, help, version };

// Reads the command line and the configuration file it names (the default one may be absent).
struct Command_line {
    Start start = Start::run;
    Settings settings;
};
[[nodiscard]] Result<Command_line> read_settings(std::span<char* const> arguments);

[[nodiscard]] Result<void> apply_settings_text(Settings& settings, const std::string& path,
                                               std::string_view text);
[[nodiscard]] std::string usage();

} // namespace vmm
