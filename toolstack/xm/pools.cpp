// SPDX-License-Identifier: Apache-2.0
// cpupool-*: CPUs apart from others. Words and tables are those of xl.
#include "toolstack/xm/command.hpp"

#include "toolstack/config/cpu_set.hpp"
#include "toolstack/xm/tables.hpp"

#include <algorithm>
#include <set>

namespace vmm::xm
{

namespace
{

Outcome<> ask(Invocation& invocation, std::string_view op, Json args)
{
    invocation.print_json(TRY(invocation.call(op, std::move(args))));
    return {};
}

Outcome<> check_cpus(const std::string& text)
{
    if (const auto cpus = config::Cpu_set::parse(text); !cpus)
        return usage_error("cpus: " + cpus.error());
    return {};
}

// As xl's users write it for a shell, quotes and brackets may stand around and within.
std::string bare(std::string text)
{
    std::erase_if(text, [](char c) { return c == '"' || c == '\'' || c == '[' || c == ']'; });
    return text;
}

// "0-3,5"
std::string list_of(const Json& cpus)
{
    std::set<unsigned> numbers;
    for (const auto& cpu : cpus)
        if (cpu.is_number_unsigned())
            numbers.insert(cpu.get<unsigned>());
    return numbers.empty() ? "" : config::Cpu_set::of(std::move(numbers)).to_string();
}

Outcome<> change_cpus(Invocation& invocation, bool add)
{
    TRY(check_cpus(invocation.word(1)));
    return ask(invocation, control::op::pool_cpus,
               {{"pool", invocation.word(0)}, {"cpus", invocation.word(1)}, {"add", add}});
}

} // namespace

void cpupool_list_options(Options& options) { options.add_options()("cpus,c", "show which CPUs each has"); }

Outcome<> cpupool_list(Invocation& invocation)
{
    auto answer      = TRY(invocation.call(control::op::pool_list));
    Json rows        = TRY(list_field(answer, "pools"));
    const auto other = [&](const Json& row) { return row.value("name", "") != invocation.word(0); };
    if (!invocation.words().empty()) {
        rows.erase(std::remove_if(rows.begin(), rows.end(), other), rows.end());
        if (rows.empty())
            return failed("there is no CPU pool \"" + invocation.word(0) +
                          "\": xm cpupool-list shows those there are");
    }
    answer["pools"] = rows;
    if (invocation.print_json(answer))
        return {};
    const bool lists = invocation.has("cpus");
    invocation.out() << "Name               "
                     << (lists ? "CPU list\n" : "CPUs   Sched     Active   Domain count\n");
    for (const auto& row : rows) {
        const auto cpus = TRY(list_field(row, "cpus"));
        invocation.out() << format("%-19s", one_line(TRY(text_field(row, "name"))).c_str());
        if (lists)
            invocation.out() << list_of(cpus) << '\n';
        else
            invocation.out() << format("%3zu %9s       y       %4llu\n", cpus.size(),
                                       one_line(TRY(text_field(row, "scheduler"))).c_str(),
                                       static_cast<unsigned long long>(TRY(number_field(row, "domains"))));
    }
    return {};
}

Outcome<> cpupool_create(Invocation& invocation)
{
    Json args = Json::object();
    for (const auto& word : invocation.words()) {
        const auto equals = word.find('=');
        const auto key    = word.substr(0, equals);
        if (equals == std::string::npos || (key != "name" && key != "sched" && key != "cpus"))
            return usage_error("\"" + one_line(word) + "\" is none of name=, sched= and cpus=");
        args[key == "sched" ? "scheduler" : key] = bare(word.substr(equals + 1));
    }
    if (!args.contains("name"))
        return usage_error("a pool needs a name: name=NAME");
    if (args.contains("cpus"))
        TRY(check_cpus(args["cpus"].get<std::string>()));
    return ask(invocation, control::op::pool_create, std::move(args));
}

Outcome<> cpupool_destroy(Invocation& invocation)
{
    return ask(invocation, control::op::pool_destroy, {{"pool", invocation.word(0)}});
}

Outcome<> cpupool_rename(Invocation& invocation)
{
    return ask(invocation, control::op::pool_rename,
               {{"pool", invocation.word(0)}, {"name", invocation.word(1)}});
}

Outcome<> cpupool_cpu_add(Invocation& invocation) { return change_cpus(invocation, true); }

Outcome<> cpupool_cpu_remove(Invocation& invocation) { return change_cpus(invocation, false); }

Outcome<> cpupool_migrate(Invocation& invocation)
{
    return ask(invocation, control::op::pool_move,
               {{"domain", invocation.word(0)}, {"pool", invocation.word(1)}});
}

} // namespace vmm::xm
