// SPDX-License-Identifier: Apache-2.0
#include "toolstack/tls/credentials.hpp"

#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

namespace vmm::tls
{

namespace
{

Result<void> check_secret(const std::string& path)
{
    struct stat status {
    };
    if (::stat(path.c_str(), &status) != 0) {
        return fail_errno("cannot read " + path);
    }
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return fail(Errc::access_denied, path + " is open to others than its owner: chmod 600 " + path);
    }
    return {};
}

} // namespace

void Free_context::operator()(SSL_CTX* context) const { SSL_CTX_free(context); }

std::string openssl_trouble()
{
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    const char* const reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    return reason != nullptr ? reason : "no reason given";
}

Result<Context> load_credentials(const std::string& directory)
{
    const std::string authority   = directory + "/" + kAuthority;
    const std::string certificate = directory + "/" + kCertificate;
    const std::string key         = directory + "/" + kKey;
    TRY(check_secret(key));
    Context context(SSL_CTX_new(TLS_method()));
    if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) != 1) {
        return fail(Errc::out_of_memory, "cannot start TLS: " + openssl_trouble());
    }
    if (SSL_CTX_load_verify_file(context.get(), authority.c_str()) != 1) {
        return fail(Errc::invalid, "cannot use " + authority + ": " + openssl_trouble());
    }
    if (SSL_CTX_use_certificate_chain_file(context.get(), certificate.c_str()) != 1) {
        return fail(Errc::invalid, "cannot use " + certificate + ": " + openssl_trouble());
    }
    if (SSL_CTX_use_PrivateKey_file(context.get(), key.c_str(), SSL_FILETYPE_PEM) != 1) {
        return fail(Errc::invalid, "cannot use " + key + ", or it is not the key of " + certificate + ": " +
                                       openssl_trouble());
    }
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    static_cast<void>(SSL_CTX_set_num_tickets(context.get(), 0)); // every connection shows its certificate
    SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return context;
}

} // namespace vmm::tls
