// SPDX-License-Identifier: Apache-2.0
// shutdown, reboot: a request to the system inside the domain, and waiting for what comes of it.
#include "toolstack/xm/command.hpp"

#include "toolstack/control/domain_rows.hpp"
#include "toolstack/xm/tables.hpp"
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

// One that is suspended runs on after a checkpoint, or after a save that fails.
bool has_ended(const control::Domain_row& row)
{
    return row.state.dying || (row.shutdown_reason && row.shutdown_reason != "suspend");
}

Outcome<std::vector<std::string>> chosen_domains(Invocation& invocation)
{
    if (invocation.has("all") != invocation.words().empty())
        return usage_error("name the domains, or give --all for every one but Domain-0");
    if (!invocation.has("all"))
        return invocation.words();
    const auto answer = TRY(invocation.call(control::op::list));
    std::vector<std::string> ids;
    for (const auto& row : TRY(read_rows(TRY(list_field(answer, "domains")), control::domain_row_from_json)))
        if (row.domid != 0 && !has_ended(row))
            ids.push_back(std::to_string(row.domid));
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

// What fails for one domain keeps no other from being asked and waited for. All of it is told in one line,
// with the exit code of the first. Without vmmd the others would fail as well.
Outcome<> take_note(Outcome<>& noted, Failure failure)
{
    if (failure.exit == Exit::no_vmmd)
        return std::unexpected(std::move(failure));
    if (noted)
        noted = std::unexpected(std::move(failure));
    else
        noted.error().message += "; " + failure.message;
    return {};
}

Outcome<std::vector<Asked>> ask_all(Invocation& invocation, std::string_view op, Outcome<>& noted)
{
    std::vector<Asked> all;
    for (const auto& domain : TRY(chosen_domains(invocation))) {
        auto asked = ask(invocation, op, domain);
        if (asked)
            all.push_back(*std::move(asked));
        else if (!invocation.has("all") || asked.error().exit != Exit::no_domain) // gone since it was listed
            TRY(take_note(noted, std::move(asked.error())));
    }
    return all;
}

Outcome<> ask_and_wait(Invocation& invocation, std::string_view op)
{
    const auto timeout = invocation.option<unsigned>("timeout");
    if (timeout && !invocation.has("wait"))
        return usage_error("--timeout goes with --wait");
    Outcome<> noted;
    auto all = TRY(ask_all(invocation, op, noted));

    Client::Deadline deadline;
    if (timeout)
        deadline = Client::Clock::now() + std::chrono::seconds{*timeout};
    Json results = Json::array();
    for (auto& asked : all) {
        auto ended = invocation.has("wait") ? await(invocation, asked, deadline) : Outcome<>();
        if (ended)
            results.push_back(asked.result);
        else
            TRY(take_note(noted, std::move(ended.error())));
    }
    invocation.print_json({{"domains", results}});
    return noted;
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
