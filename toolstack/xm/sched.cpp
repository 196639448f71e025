// SPDX-License-Identifier: Apache-2.0
// sched-credit, vcpu-pin, vcpu-set: how much domains get of the CPUs, of which, and how many of their own.
// Words and tables are those of xl.
#include "toolstack/xm/command.hpp"

#include "toolstack/config/cpu_set.hpp"
#include "toolstack/control/domain_rows.hpp"
#include "toolstack/xm/tables.hpp"

#include <boost/program_options/value_semantic.hpp>

#include <charconv>

namespace vmm::xm
{

namespace
{

Outcome<unsigned> parse_number(const std::string& what, const std::string& word)
{
    unsigned number         = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (word.empty() || error != std::errc{} || end != word.data() + word.size())
        return usage_error(what + ": \"" + one_line(word) + "\" is not a whole number that is not negative");
    return number;
}

// Checked here for a message without a detour; "-" leaves it as it is.
Outcome<> add_cpus(Json& args, const char* key, const std::string& word)
{
    if (word == "-")
        return {};
    if (const auto cpus = config::Cpu_set::parse(word); !cpus)
        return usage_error(std::string{key} + " affinity: " + cpus.error());
    args[key] = word;
    return {};
}

Outcome<> set_cpu(Invocation& invocation, bool online)
{
    const auto cpu = TRY(parse_number("CPU", invocation.word(0)));
    invocation.print_json(TRY(invocation.call(control::op::cpu_online, {{"cpu", cpu}, {"online", online}})));
    return {};
}

} // namespace

void sched_credit_options(Options& options)
{
    namespace po = boost::program_options;
    options.add_options()("domain,d", po::value<std::string>()->value_name("DOMAIN"),
                          "only this domain")("weight,w", po::value<std::string>()->value_name("WEIGHT"),
                                              "its share, relative to others: 1 to 65535")(
        "cap,c", po::value<std::string>()->value_name("CAP"),
        "the most it may use, in percent of one CPU; 0: no limit");
}

Outcome<> sched_credit(Invocation& invocation)
{
    const auto domain = invocation.option<std::string>("domain");
    if (invocation.has("weight") || invocation.has("cap")) {
        if (!domain)
            return usage_error("say with -d which domain gets the weight or the cap");
        Json args{{"domain", *domain}};
        for (const char* const key : {"weight", "cap"})
            if (const auto word = invocation.option<std::string>(key))
                args[key] = TRY(parse_number(key, *word));
        invocation.print_json(TRY(invocation.call(control::op::sched_set, std::move(args))));
        return {};
    }
    const auto asked  = domain ? std::vector{*domain} : std::vector<std::string>{};
    const auto answer = TRY(invocation.call(control::op::sched_list, domain_arguments(asked)));
    if (invocation.print_json(answer))
        return {};
    const auto rows = TRY(read_rows(TRY(list_field(answer, "domains")), control::sched_row_from_json));
    invocation.out() << "Name                                ID Weight  Cap\n";
    for (const auto& row : rows)
        invocation.out() << format("%-33s %4u %6u %4u\n", one_line(row.name).c_str(), row.domid, row.weight,
                                   row.cap);
    return {};
}

Outcome<> vcpu_pin(Invocation& invocation)
{
    Json args{{"domain", invocation.word(0)}};
    if (invocation.word(1) != "all")
        args["vcpu"] = TRY(parse_number("vCPU", invocation.word(1)));
    TRY(add_cpus(args, "hard", invocation.word(2)));
    if (invocation.words().size() > 3)
        TRY(add_cpus(args, "soft", invocation.word(3)));
    if (!args.contains("hard") && !args.contains("soft"))
        return usage_error("nothing is to be changed: give CPUs for the hard or the soft affinity");
    invocation.print_json(TRY(invocation.call(control::op::vcpu_pin, std::move(args))));
    return {};
}

Outcome<> vcpu_set(Invocation& invocation)
{
    const auto count = TRY(parse_number("COUNT", invocation.word(1)));
    invocation.print_json(
        TRY(invocation.call(control::op::vcpu_set, {{"domain", invocation.word(0)}, {"count", count}})));
    return {};
}

Outcome<> cpu_offline(Invocation& invocation) { return set_cpu(invocation, false); }

Outcome<> cpu_online(Invocation& invocation) { return set_cpu(invocation, true); }

} // namespace vmm::xm
