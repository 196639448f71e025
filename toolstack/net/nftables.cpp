// SPDX-License-Identifier: Apache-2.0
#include "toolstack/net/nftables.hpp"

#include <nftables/libnftables.h>

namespace vmm::net
{

void Nftables::Free::operator()(nft_ctx* context) const { nft_ctx_free(context); }

Result<Nftables> Nftables::open()
{
    Nftables filter(nft_ctx_new(NFT_CTX_DEFAULT));
    if (!filter.context_ || nft_ctx_buffer_output(filter.context_.get()) != 0 ||
        nft_ctx_buffer_error(filter.context_.get()) != 0) {
        return fail(Errc::out_of_memory, "cannot set up nftables: out of memory");
    }
    return filter;
}

Result<std::string> Nftables::show(const std::string& command)
{
    const int error            = nft_run_cmd_from_buffer(context_.get(), command.c_str());
    const std::string output   = nft_ctx_get_output_buffer(context_.get());
    const std::string problems = nft_ctx_get_error_buffer(context_.get());
    if (error != 0) {
        // Its first line is the error, the rest shows the place in the rules.
        return fail(Errc::io, "nftables refused the rules: " + problems.substr(0, problems.find('\n')));
    }
    return output;
}

Result<void> Nftables::apply(const std::string& commands)
{
    TRY(show(commands));
    return {};
}

} // namespace vmm::net
