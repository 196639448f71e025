// SPDX-License-Identifier: Apache-2.0
// list, vcpu-list, uptime: the tables. Columns and widths are those of xl, which scripts cut by.
#include "toolstack/xm/command.hpp"

#include "toolstack/control/domain_rows.hpp"
#include "toolstack/xm/tables.hpp"

namespace vmm::xm
{

namespace
{

double seconds(std::uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e9; }

void print_domains(const std::vector<control::Domain_row>& rows, std::ostream& out)
{
    out << "Name                                        ID   Mem VCPUs\tState\tTime(s)\n";
    for (const auto& row : rows)
        out << format("%-40s %5u %5llu %5u     %s  %8.1f\n", one_line(row.name).c_str(), row.domid,
                      static_cast<unsigned long long>(row.memory_kib >> 10), row.vcpus,
                      row.state.letters().c_str(), seconds(row.cpu_time_ns));
}

void print_vcpus(const std::vector<control::Vcpu_row>& rows, std::ostream& out)
{
    out << "Name                                ID  VCPU   CPU State   Time(s) Affinity (Hard / Soft)\n";
    for (const auto& row : rows) {
        const auto cpu = row.cpu ? std::to_string(*row.cpu) : std::string{"-"};
        out << format("%-32s %5u %5u %5s   %3s %9.1f  %s / %s\n", one_line(row.name).c_str(), row.domid,
                      row.vcpu, cpu.c_str(), row.state.letters().substr(0, 3).c_str(),
                      seconds(row.cpu_time_ns), one_line(row.affinity).c_str(),
                      one_line(row.soft_affinity).c_str());
    }
}

std::string uptime_text(std::uint64_t seconds_up)
{
    const auto days = seconds_up / 86400;
    auto clock      = format("%llu:%02llu:%02llu", static_cast<unsigned long long>(seconds_up / 3600 % 24),
                             static_cast<unsigned long long>(seconds_up / 60 % 60),
                             static_cast<unsigned long long>(seconds_up % 60));
    if (days == 0)
        return clock;
    return std::to_string(days) + (days == 1 ? " day, " : " days, ") + clock;
}

} // namespace

void list_options(Options& options)
{
    options.add_options()("long,l", "show everything that is known, as JSON");
}

Outcome<> list(Invocation& invocation)
{
    auto args         = domain_arguments(invocation.words());
    args["long"]      = invocation.has("long");
    const auto answer = TRY(invocation.call(control::op::list, std::move(args)));
    if (invocation.print_json(answer))
        return {};
    const auto domains = TRY(list_field(answer, "domains"));
    if (invocation.has("long"))
        invocation.out() << domains.dump(4, ' ', false, Json::error_handler_t::replace) << '\n';
    else
        print_domains(TRY(read_rows(domains, control::domain_row_from_json)), invocation.out());
    return {};
}

Outcome<> vcpu_list(Invocation& invocation)
{
    const auto answer = TRY(invocation.call(control::op::vcpu_list, domain_arguments(invocation.words())));
    if (invocation.print_json(answer))
        return {};
    const auto vcpus = TRY(list_field(answer, "vcpus"));
    print_vcpus(TRY(read_rows(vcpus, control::vcpu_row_from_json)), invocation.out());
    return {};
}

Outcome<> uptime(Invocation& invocation)
{
    const auto answer = TRY(invocation.call(control::op::uptime, domain_arguments(invocation.words())));
    if (invocation.print_json(answer))
        return {};
    std::string table = "Name                                ID Uptime\n";
    for (const auto& row : TRY(list_field(answer, "domains")))
        table += format("%-32s %5llu %s\n", one_line(TRY(text_field(row, "name"))).c_str(),
                        static_cast<unsigned long long>(TRY(number_field(row, "domid"))),
                        uptime_text(TRY(number_field(row, "uptime_s"))).c_str());
    invocation.out() << table;
    return {};
}

} // namespace vmm::xm
