// SPDX-License-Identifier: Apache-2.0
// cpu-policy: which processor domains see, and what it has in common with those of other hosts, as a line for
// configurations.
#include "toolstack/config/interpret.hpp"
#include "toolstack/cpu/wanted_features.hpp"
#include "toolstack/xm/command.hpp"

#include <boost/program_options/value_semantic.hpp>

#include <algorithm>

namespace vmm::xm
{

namespace
{

using Files = std::vector<std::string>;

// Of what `xm cpu-policy` printed on another host.
Outcome<cpu::Feature_set> features_in(const std::string& file)
{
    const auto settings = config::load_settings(file);
    if (!settings)
        return config_error(settings.error().to_string());
    const auto line  = std::ranges::find(*settings, "cpuid", &config::Setting::key);
    const auto* text = line == settings->end() ? nullptr : std::get_if<std::string>(&line->value.what);
    if (text == nullptr)
        return config_error(file + ": has no line cpuid = \"...\", as `xm cpu-policy` prints it");
    auto features = cpu::Feature_set::parse(*text);
    if (!features)
        return config_error(line->value.place() + ": cpuid: " + features.error());
    return *features;
}

} // namespace

void cpu_policy_options(Options& options)
{
    options.add_options()("with,w", boost::program_options::value<Files>()->value_name("FILE")->composing(),
                          "what another host printed: show what both have; may be given more than once");
}

Outcome<> cpu_policy(Invocation& invocation)
{
    auto answer   = TRY(invocation.call(control::op::cpu_policy, invocation.words().empty()
                                                                     ? Json::object()
                                                                     : Json{{"domain", invocation.word(0)}}));
    auto features = cpu::Feature_set::parse(TRY(text_field(answer, "cpuid")));
    if (!features)
        return failed("vmmd's answer makes no sense: " + features.error());
    for (const auto& file : invocation.option<Files>("with").value_or(Files()))
        *features = *features & TRY(features_in(file));
    answer["cpuid"]    = features->to_string();
    answer["features"] = cpu::names_of(*features);
    if (invocation.print_json(answer))
        return {};
    invocation.out() << "# " << one_line(TRY(text_field(answer, "model"))) << '\n';
    std::string line = "#";
    for (const auto& name : cpu::names_of(*features)) {
        if (line.size() + 1 + name.size() > 78) {
            invocation.out() << line << '\n';
            line = "#";
        }
        line += ' ' + name;
    }
    invocation.out() << line << "\ncpuid = \"" << features->to_string() << "\"\n";
    return {};
}

} // namespace vmm::xm
