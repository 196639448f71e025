// SPDX-License-Identifier: Apache-2.0
#pragma once
// Who this host is and whom it believes: three PEM files in one directory, which README.md in this folder
// tells how to make. Both ends of every connection show a certificate of the authority, and nothing older
// than TLS 1.3 is spoken.

#include "toolstack/base/error.hpp"

#include <memory>
#include <string>

#include <openssl/types.h>

namespace vmm::tls
{

inline constexpr const char* kDirectory   = "/etc/vmm/tls";
inline constexpr const char* kAuthority   = "authority.pem"; // whose certificates are believed
inline constexpr const char* kCertificate = "host.pem";      // this host's
inline constexpr const char* kKey         = "host.key";      // for the eyes of its owner only

struct Free_context {
    void operator()(SSL_CTX* context) const;
};
using Context = std::unique_ptr<SSL_CTX, Free_context>;

[[nodiscard]] Result<Context> load_credentials(const std::string& directory);

// What OpenSSL has noted on this thread, in words; it notes it no more afterwards.
[[nodiscard]] std::string openssl_trouble();

} // namespace vmm::tls
