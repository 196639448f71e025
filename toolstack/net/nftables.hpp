// SPDX-License-Identifier: Apache-2.0
#pragma once
// The packet filter of dom0's kernel, in the language of nft(8), over Debian's libnftables. A text is one
// transaction: all of it holds or nothing has changed.

#include "toolstack/base/error.hpp"

#include <memory>
#include <string>

struct nft_ctx;

namespace vmm::net
{

class Nftables
{
  public:
    [[nodiscard]] static Result<Nftables> open();

    [[nodiscard]] Result<void> apply(const std::string& commands);
    [[nodiscard]] Result<std::string> show(const std::string& command);

  private:
    struct Free {
        void operator()(nft_ctx* context) const;
    };
    explicit Nftables(nft_ctx* context) : context_(context) {}

    std::unique_ptr<nft_ctx, Free> context_;
};

} // namespace vmm::net
