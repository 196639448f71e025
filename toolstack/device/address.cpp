// SPDX-License-Identifier: Apache-2.0
#include "toolstack/device/address.hpp"

namespace vmm::device
{

namespace
{

std::string backend_part(const Address& address)
{
    const std::string& type = address.backend_type.empty() ? address.type : address.backend_type;
    return "backend/" + type + "/" + to_string(address.domain) + "/" + std::to_string(address.number);
}

} // namespace

std::string Address::frontend_path() const
{
    return "/local/domain/" + to_string(domain) + "/device/" + type + "/" + std::to_string(number);
}

std::string Address::backend_path() const { return "/local/domain/0/" + backend_part(*this); }

std::string Address::backend_error_path() const { return "/local/domain/0/error/" + backend_part(*this); }

std::string Address::kernel_name() const
{
    return type + "-" + to_string(domain) + "-" + std::to_string(number);
}

} // namespace vmm::device
