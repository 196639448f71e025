// SPDX-License-Identifier: Apache-2.0
// The messages between `xm` and `vmmd`: one JSON object per line over a Unix stream socket. README.md in this
// folder is the table of operations with every argument and result field; this header holds what both sides
// must spell alike. No sockets here (line_channel.hpp for the server, client.hpp for the client), no meaning
// of operations either.
#pragma once

#include "toolstack/base/error.hpp"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace vmm::control
{

using Json = nlohmann::ordered_json; // keeps field order: `xm info` prints in the order vmmd sent

inline constexpr std::string_view kDefault_socket = "/run/vmm/vmmd.sock";
inline constexpr std::size_t kMax_line = 4'194'304; // `dmesg` is the longest; more is a broken peer

// VMMD_SOCKET from the environment, else kDefault_socket.
[[nodiscard]] std::string socket_path();

namespace op
{
inline constexpr std::string_view create        = "create";
inline constexpr std::string_view list          = "list";
inline constexpr std::string_view console       = "console";
inline constexpr std::string_view pause         = "pause";
inline constexpr std::string_view unpause       = "unpause";
inline constexpr std::string_view shutdown      = "shutdown";
inline constexpr std::string_view reboot        = "reboot";
inline constexpr std::string_view destroy       = "destroy";
inline constexpr std::string_view wait          = "wait";
inline constexpr std::string_view rename        = "rename";
inline constexpr std::string_view domid         = "domid";
inline constexpr std::string_view domname       = "domname";
inline constexpr std::string_view mem_set       = "mem-set";
inline constexpr std::string_view mem_max       = "mem-max";
inline constexpr std::string_view vcpu_list     = "vcpu-list";
inline constexpr std::string_view vcpu_pin      = "vcpu-pin";
inline constexpr std::string_view vcpu_set      = "vcpu-set";
inline constexpr std::string_view sched_list    = "sched-list";
inline constexpr std::string_view sched_set     = "sched-set";
inline constexpr std::string_view pool_list     = "pool-list";
inline constexpr std::string_view pool_create   = "pool-create";
inline constexpr std::string_view pool_destroy  = "pool-destroy";
inline constexpr std::string_view pool_rename   = "pool-rename";
inline constexpr std::string_view pool_cpus     = "pool-cpus";
inline constexpr std::string_view pool_move     = "pool-move";
inline constexpr std::string_view cpu_online    = "cpu-online";
inline constexpr std::string_view info          = "info";
inline constexpr std::string_view cpu_policy    = "cpu-policy";
inline constexpr std::string_view dmesg         = "dmesg";
inline constexpr std::string_view uptime        = "uptime";
inline constexpr std::string_view sysrq         = "sysrq";
inline constexpr std::string_view device_attach = "device-attach";
inline constexpr std::string_view device_detach = "device-detach";
inline constexpr std::string_view device_change = "device-change";
inline constexpr std::string_view device_grow   = "device-grow";
inline constexpr std::string_view device_list   = "device-list";
inline constexpr std::string_view save          = "save";
inline constexpr std::string_view restore       = "restore";
inline constexpr std::string_view fork          = "fork";
inline constexpr std::string_view progress      = "progress";
inline constexpr std::string_view migrate       = "migrate";
inline constexpr std::string_view receive       = "receive";
inline constexpr std::string_view take_back     = "take-back";
inline constexpr std::string_view migration     = "migration";
} // namespace op

// What kind of failure, for programs; the message is for people. The strings are in code_name().
enum class Code {
    bad_request,   // not JSON, no such field, wrong type: a fault of the client program
    unknown_op,    // this vmmd is older than the client
    bad_config,    // the config cannot be a domain
    bad_value,     // an argument the operation refuses (a memory size, a name)
    no_domain,     // nothing has that name, id or UUID
    exists,        // name or UUID taken
    no_file,       // kernel or ramdisk cannot be read
    bad_kernel,    // not a kernel that can start here
    no_memory,     // needed and free are both in the message
    bad_state,     // the domain cannot do that now (dying, paused, has no console, does not answer)
    not_permitted, // the hypervisor refused, or it is Domain-0
    unsupported,   // understood, but not on this hypervisor
    internal,      // a fault in vmmd or below
};

[[nodiscard]] std::string_view code_name(Code code);
[[nodiscard]] std::optional<Code> parse_code(std::string_view name);
[[nodiscard]] Code code_for(Errc errc); // the natural wire code of an error from the layers below

struct Failure {
    Code code = Code::internal;
    std::string message; // one line: what happened, why, what to do
};

struct Request {
    std::uint64_t id = 0; // chosen by the client, unique among its unanswered requests
    std::string op;
    Json args = Json::object();
};

struct Reply {
    std::uint64_t id = 0; // 0 when the request could not be read far enough to know it
    std::expected<Json, Failure> result;
};

// Encoded lines include the newline. Bytes that are not UTF-8 are replaced, never a reason to fail.
[[nodiscard]] std::string encode(const Request& request);
[[nodiscard]] std::string encode(const Reply& reply);

// Decoding a request fails with the Reply to send back (Code::bad_request, and the id if it could be read).
[[nodiscard]] std::expected<Request, Reply> decode_request(std::string_view line);
[[nodiscard]] Result<Reply> decode_reply(std::string_view line);

[[nodiscard]] inline Reply success(std::uint64_t id, Json result = Json::object())
{
    return {id, std::move(result)};
}
[[nodiscard]] inline Reply failure(std::uint64_t id, Code code, std::string message)
{
    return {id, std::unexpected(Failure{code, std::move(message)})};
}
[[nodiscard]] inline Reply failure(std::uint64_t id, const Error& error)
{
    return failure(id, code_for(error.code), error.message);
}

} // namespace vmm::control
