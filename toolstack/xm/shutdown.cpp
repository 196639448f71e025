// SPDX-License-Identifier: Apache-2.0
// shutdown, reboot: a request to the system inside the domain, and waiting for what comes of it.
#include "toolstack/xm/command.hpp"

#include "toolstack/xm/waiting.hpp"

#include <boost/program_options/value_semantic.hpp>

namespace vmm::xm
{

namespace
{

using control::Client;

struct Asked {
    std::string name;
    std::uint64_t domid = 0;
    Client::Request_id wait{}; // only with --wait
    Json result;
};

Outcome<std::vector<std::string>> chosen_domains(Invocation& invocation)
{
    if (invocation.has("all") != invocation.words().empty())
        return usage_error("name the domains, or give --all for every one but Domain-0");
    if (!invocation.has("all"))
        return invocation.words();
    const auto answer = TRY(invocation.call(control::op::list));
    std::vector<std::string> ids;
    for (const auto& row : TRY(list_field(answer, "domains")))
        if (const auto id = TRY(number_field(row, "domid")); id != 0)
            ids.push_back(std::to_string(id));
    return ids;
}

// The wait is opened before the domain is asked: so a domain that is gone in an instant is not missed.
Outcome<Asked> ask(Invocation& invocation, std::string_view op, const std::string& domain)
{
    Asked asked;
    const auto identity = TRY(invocation.call(control::op::domname, {{"domain", domain}}));
    asked.name          = TRY(text_field(identity, "name"));
    asked.domid         = TRY(number_field(identity, "domid"));
    if (invocation.has("wait")) {
        auto* const vmmd = TRY(invocation.vmmd());
        const auto wait  = vmmd->start(control::op::wait, {{"domid", asked.domid}});
        if (!wait)
            return std::unexpected(to_failure(wait.error()));
        asked.wait = *wait;
    }
    asked.result = TRY(invocation.call(op, {{"domain", std::to_string(asked.domid)}}));
    return asked;
}

Outcome<> await(Invocation& invocation, Asked& asked, Client::Deadline deadline)
{
    auto* const vmmd  = TRY(invocation.vmmd());
    const auto answer = vmmd->finish(asked.wait, deadline);
    if (!answer) {
        auto failure = to_failure(answer.error());
        if (failure.exit == Exit::timed_out)
            failure.message =
                asked.name + " has not ended in time: it may not listen; 'xm destroy' does not ask";
        return std::unexpected(std::move(failure));
    }
    const auto ending = TRY(read_ending(*answer));
    if (!invocation.json())
        invocation.out() << ending.describe(asked.name) << '\n' << std::flush;
    asked.result = *answer;
    return {};
}

Outcome<> ask_and_wait(Invocation& invocation, std::string_view op)
{
    const auto timeout = invocation.option<unsigned>("timeout");
    if (timeout && !invocation.has("wait"))
        return usage_error("--timeout goes with --wait");
    std::vector<Asked> all;
    for (const auto& domain : TRY(chosen_domains(invocation)))
        all.push_back(TRY(ask(invocation, op, domain)));

    Client::Deadline deadline;
    if (timeout)
        deadline = Client::Clock::now() + std::chrono::seconds{*timeout};
    Json results = Json::array();
    for (auto& asked : all) {
        if (invocation.has("wait"))
            TRY(await(invocation, asked, deadline));
        results.push_back(asked.result);
    }
    invocation.print_json({{"domains", results}});
    return {};
}

} // namespace

void shutdown_options(Options& options)
{
    auto* const seconds = boost::program_options::value<unsigned>()->value_name("SECONDS");
    options.add_options()("wait,w", "return when the domain has ended")(
        "timeout,t", seconds, "wait no longer than this")("all,a", "all domains but Domain-0");
}

Outcome<> shutdown(Invocation& invocation) { return ask_and_wait(invocation, control::op::shutdown); }

Outcome<> reboot(Invocation& invocation) { return ask_and_wait(invocation, control::op::reboot); }

} // namespace vmm::xm
