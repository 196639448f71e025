// SPDX-License-Identifier: Apache-2.0
#include "toolstack/store/path.hpp"

#include <xen/io/xs_wire.h>

#include <algorithm>

namespace vmm::store
{
namespace
{

constexpr std::string_view kDomains = "/local/domain/";
constexpr std::size_t kDomidDigits  = 5;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_allowed(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '-' || c == '/' ||
           c == '_' || c == '@';
}

// The length of a leading "/local/domain/<n>/", which the length limit does not count.
std::size_t domain_prefix(std::string_view text)
{
    if (!text.starts_with(kDomains)) {
        return 0;
    }
    const std::string_view rest = text.substr(kDomains.size());
    const std::string_view head = rest.substr(0, kDomidDigits);
    const auto digits =
        static_cast<std::size_t>(std::find_if_not(head.begin(), head.end(), is_digit) - head.begin());
    return digits > 0 && digits < rest.size() && rest[digits] == '/' ? kDomains.size() + digits + 1 : 0;
}

bool is_valid(std::string_view text)
{
    if (text == "/") {
        return true;
    }
    return text.starts_with('/') && !text.ends_with('/') && text.find("//") == text.npos &&
           text.size() <= domain_prefix(text) + XENSTORE_REL_PATH_MAX &&
           std::ranges::all_of(text, is_allowed);
}

} // namespace

Result<Path> Path::parse(std::string_view text, std::string_view base)
{
    std::string full(text.starts_with('/') ? text : base);
    if (!text.starts_with('/')) {
        full.append("/").append(text);
    }
    if (text.starts_with('@') || !is_valid(full)) {
        return fail(Errc::invalid, "not a valid store path: '" + full.substr(0, 80) + "'");
    }
    return Path(std::move(full));
}

Path Path::parent() const
{
    const std::size_t slash = text_.rfind('/');
    return slash == 0 ? root() : Path(text_.substr(0, slash));
}

std::string_view Path::leaf() const& { return std::string_view(text_).substr(text_.rfind('/') + 1); }

Path Path::child(std::string_view name) const
{
    std::string text = is_root() ? std::string() : text_;
    text.append("/").append(name);
    return Path(std::move(text));
}

std::vector<std::string_view> Path::parts() const&
{
    std::vector<std::string_view> parts;
    const std::string_view text = text_;
    std::size_t start           = 1;
    while (start < text.size()) {
        const std::size_t end = std::min(text.find('/', start), text.size());
        parts.push_back(text.substr(start, end - start));
        start = end + 1;
    }
    return parts;
}

Path Path::first_parts(std::size_t count) const
{
    std::size_t end = 0;
    for (std::size_t i = 0; i < count && end != text_.npos; ++i) {
        end = text_.find('/', end + 1);
    }
    return end == 0 ? root() : Path(text_.substr(0, end));
}

std::string domain_path(Domid domid) { return std::string(kDomains) + to_string(domid); }

} // namespace vmm::store
