// SPDX-License-Identifier: Apache-2.0
#include "toolstack/net/nftables.hpp"

#include <nftables/libnftables.h>

namespace vmm::net
{

void Nftables::Free::operator()(nft_ctx* context) const { nft_ctx_free(context); }

namespace
{

// The error is the first line; the second is the line of the rules that it is about, the third marks a place
// there.
std::string summary(const std::string& problems)
{
    const auto first  = problems.find('\n');
    const auto begin  = problems.find_first_not_of(" \n", first);
    const auto second = problems.find('\n', begin);
    const auto rule   = begin == problems.npos ? std::string() : problems.substr(begin, second - begin);
    return problems.substr(0, first) + (rule.empty() ? "" : " (" + rule + ")");
}

} // namespace

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
    std::string output         = nft_ctx_get_output_buffer(context_.get());
    const std::string problems = nft_ctx_get_error_buffer(context_.get());
    if (error != 0) {
        return fail(Errc::io, "nftables refused the rules: " + summary(problems));
    }
    return output;
}

Result<void> Nftables::apply(const std::string& commands)
{
    TRY(show(commands));
    return {};
}

} // namespace vmm::net
