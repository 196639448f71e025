// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/interpret.hpp"

#include "toolstack/base/error.hpp"
#include "toolstack/base/unique_fd.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <system_error>
#include <unistd.h>

namespace vmm::config
{

namespace
{

constexpr std::size_t kMax_file_size = std::size_t{1} << 20; // a config is a page; this keeps out /dev/zero

Result<std::string> read_file(const std::string& path)
{
    const Unique_fd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY)};
    if (!fd)
        return fail_errno("cannot be read");
    std::string text;
    for (std::array<char, 4096> chunk;;) {
        const ssize_t got = ::read(fd.get(), chunk.data(), chunk.size());
        if (got == 0)
            return text;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_errno("cannot be read");
        text.append(chunk.data(), static_cast<std::size_t>(got));
        if (text.size() > kMax_file_size)
            return fail(Errc::too_big, "is larger than 1 MiB, which no domain config is");
    }
}

} // namespace

std::expected<Settings, Diagnostic> load_settings(const std::string& path)
{
    const auto text = read_file(path);
    if (!text)
        return std::unexpected(Diagnostic{path, text.error().message});
    return parse_settings({Source::Kind::file, path}, *text);
}

std::expected<Interpretation, Diagnostic> load(const std::optional<std::string>& path,
                                               std::span<const std::string> overrides)
{
    auto settings = path ? load_settings(*path) : Settings{};
    if (!settings)
        return std::unexpected(std::move(settings.error()));
    for (const auto& argument : overrides) {
        auto more = parse_settings({Source::Kind::argument, argument}, argument);
        if (!more)
            return std::unexpected(std::move(more.error()));
        settings->insert(settings->end(), std::make_move_iterator(more->begin()),
                         std::make_move_iterator(more->end()));
    }
    std::error_code error;
    const auto directory = std::filesystem::current_path(error);
    return interpret(*settings, path.value_or("command line"), error ? "/" : directory.string());
}

} // namespace vmm::config
