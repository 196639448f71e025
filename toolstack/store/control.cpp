// SPDX-License-Identifier: Apache-2.0
#include "toolstack/store/control.hpp"

#include "toolstack/base/log.hpp"
#include "toolstack/store/wire.hpp"

namespace vmm::store
{
namespace
{

std::string line(std::string name, std::size_t value)
{
    name.resize(24, ' ');
    return name + ": " + std::to_string(value) + '\n';
}

std::string show_quotas(const Quotas& quotas)
{
    return line("nodes", quotas.nodes) + line("watches", quotas.watches) +
           line("transactions", quotas.transactions) + line("transaction-nodes", quotas.transaction_nodes) +
           line("node-size", quotas.node_bytes) + line("permissions", quotas.permissions) +
           line("outstanding", quotas.pending_requests);
}

Result<std::string> quota(const Store& store, const std::vector<std::string_view>& words)
{
    if (words.size() == 1) {
        return join_strings({show_quotas(store.quotas())});
    }
    const auto domid = parse_decimal(words[1], kFirstReservedDomid - 1);
    if (words.size() != 2 || !domid) {
        return fail(Errc::invalid, "usage: quota [<domid>]");
    }
    return join_strings({line("nodes", store.nodes_owned_by(Domid(*domid)))});
}

} // namespace

Result<std::string> control_command(const Store& store, const std::vector<std::string_view>& words)
{
    const std::string_view command = words.empty() ? std::string_view() : words.front();
    if (command == "help") {
        return join_strings({"help\nprint <string>\nquota [<domid>]\n"});
    }
    if (command == "print" && words.size() == 2) {
        log::info("store control: " + std::string(words[1]));
        return join_strings({"OK"});
    }
    if (command == "quota") {
        return quota(store, words);
    }
    return fail(Errc::invalid, "unknown control command");
}

} // namespace vmm::store
