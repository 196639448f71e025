// SPDX-License-Identifier: Apache-2.0
#pragma once
// The one error type of the toolstack: an errno-valued code for programs and one sentence for people. It is a
// plain value that travels in Result<T>; nothing here throws or logs. A message says what was tried, why it
// failed and, where that is not obvious, what to do; it carries no trailing newline or full stop.

#include <cerrno>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace vmm
{

// Values are errno numbers, so any errno converts losslessly with Errc(errno), named here or not.
enum class Errc : int {
    not_permitted      = EPERM,
    not_found          = ENOENT,
    no_such_domain     = ESRCH,
    interrupted        = EINTR,
    io                 = EIO,
    too_big            = E2BIG,
    bad_descriptor     = EBADF,
    again              = EAGAIN,
    out_of_memory      = ENOMEM,
    access_denied      = EACCES,
    busy               = EBUSY,
    exists             = EEXIST,
    not_a_directory    = ENOTDIR,
    is_a_directory     = EISDIR,
    invalid            = EINVAL,
    no_space           = ENOSPC,
    read_only          = EROFS,
    out_of_range       = ERANGE,
    broken_pipe        = EPIPE,
    not_implemented    = ENOSYS,
    not_empty          = ENOTEMPTY,
    protocol           = EPROTO,
    unsupported        = EOPNOTSUPP,
    connection_refused = ECONNREFUSED,
    already_connected  = EISCONN,
    not_connected      = ENOTCONN,
    timed_out          = ETIMEDOUT,
    cancelled          = ECANCELED,
};

struct Error {
    Errc code = Errc::invalid;
    std::string message;
};

template <class T>
using Result = std::expected<T, Error>;

// `return fail(Errc::invalid, "memory: expected MiB, found 'lots'");`
[[nodiscard]] inline std::unexpected<Error> fail(Errc code, std::string message)
{
    return std::unexpected(Error{code, std::move(message)});
}

// `return fail_errno("open /etc/vmm/a.cfg");` adds what errno says: "open /etc/vmm/a.cfg: No such file or
// directory".
[[nodiscard]] std::unexpected<Error> fail_errno(std::string_view what);
[[nodiscard]] std::unexpected<Error> fail_errno(std::string_view what, int error_number);

} // namespace vmm

#define VMM_TRY_NAME_(line, counter) try_result_##line##_##counter
#define VMM_TRY_NAME(line, counter) VMM_TRY_NAME_(line, counter)
// NOLINTBEGIN(bugprone-macro-parentheses): `name` is declared here, which parentheses would not allow
#define VMM_TRY(name, expression)                                                                            \
    __extension__({                                                                                          \
        auto name = (expression);                                                                            \
        if (!name) {                                                                                         \
            return std::unexpected(std::move(name).error());                                                 \
        }                                                                                                    \
        *std::move(name);                                                                                    \
    })
// NOLINTEND(bugprone-macro-parentheses)

// `auto fd = TRY(open_socket(path));` or `TRY(flush());`: the value, or return the error to the caller.
#define TRY(expression) VMM_TRY(VMM_TRY_NAME(__LINE__, __COUNTER__), expression)
