// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/interpret.hpp"

#include "toolstack/config/foreign_keys.hpp"
#include "toolstack/config/key_reader.hpp"
#include "toolstack/config/nearest.hpp"
#include "toolstack/config/shown.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

namespace vmm::config
{

namespace
{

using Merged   = std::map<std::string, Setting, std::less<>>; // one setting a key: what counts in the end
using Warnings = std::vector<Diagnostic>;

std::unexpected<Diagnostic> error_at(std::string place, const std::string& key, const std::string& clause)
{
    return std::unexpected(Diagnostic{std::move(place), key + ": " + clause});
}

std::unexpected<Diagnostic> unknown_key(const Setting& setting)
{
    std::vector<std::string_view> all = known_keys();
    for (const auto& foreign : foreign_keys())
        all.push_back(foreign.name);
    const auto close       = nearest(setting.key, all);
    const std::string hint = close ? "did you mean \"" + std::string{*close} + "\"?"
                                   : std::string{"xm.cfg(5) lists those there are"};
    return std::unexpected(
        Diagnostic{setting.key_place(), "unknown key \"" + shown(setting.key) + "\": " + hint});
}

// `key += value`: text is put behind text, entries behind entries. Numbers count as text, as xl has it.
std::expected<void, Diagnostic> append(Setting& to, const Setting& more)
{
    auto* const list          = std::get_if<std::vector<Value>>(&to.value.what);
    const auto* const entries = std::get_if<std::vector<Value>>(&more.value.what);
    if ((list == nullptr) != (entries == nullptr))
        return error_at(more.value.place(), more.key,
                        "+= joins two lists or two texts, not one with the other");
    if (list != nullptr) {
        list->insert(list->end(), entries->begin(), entries->end());
        return {};
    }
    const auto text = [](const Value& value) {
        const auto* const number = std::get_if<Number>(&value.what);
        return number != nullptr ? number->spelling : std::get<std::string>(value.what);
    };
    to.value.what = text(to.value) + text(more.value);
    return {};
}

std::expected<Merged, Diagnostic> merge(const Settings& settings, Warnings& warnings)
{
    Merged merged;
    for (const auto& setting : settings) {
        const auto [it, is_new] = merged.try_emplace(setting.key, setting);
        if (is_new)
            continue;
        if (setting.kind == Setting::Kind::append) {
            if (auto result = append(it->second, setting); !result)
                return std::unexpected(std::move(result.error()));
            continue;
        }
        if (it->second.value.source == setting.value.source)
            warnings.push_back(
                {setting.key_place(),
                 setting.key + ": set before at " + it->second.key_place() + "; the later value counts"});
        it->second = setting;
    }
    return merged;
}

bool asks_for_nothing(const Value& value)
{
    if (const auto* number = std::get_if<Number>(&value.what))
        return number->value == 0;
    if (const auto* text = std::get_if<std::string>(&value.what))
        return text->empty();
    return std::get<std::vector<Value>>(value.what).empty();
}

std::expected<void, Diagnostic> read_setting(const Setting& setting, Draft& draft, Warnings& warnings)
{
    if (const auto* const reader = find_key_reader(setting.key)) {
        draft.remarks.clear();
        if (const auto result = reader->read(setting.value, draft); !result)
            return error_at(result.error().place.value_or(setting.value.place()), setting.key,
                            result.error().message);
        for (const auto& remark : draft.remarks)
            warnings.push_back({remark.place, setting.key + ": " + remark.message});
        return {};
    }
    const auto* const foreign = find_foreign_key(setting.key);
    if (foreign == nullptr)
        return unknown_key(setting);
    if (foreign->treatment == Foreign_key::Treatment::ignored)
        warnings.push_back({setting.key_place(), setting.key + ": ignored, " + std::string{foreign->note}});
    else if (!asks_for_nothing(setting.value))
        return error_at(setting.key_place(), setting.key, std::string{foreign->note});
    return {};
}

// root and extra are how command lines were written before `cmdline`; it wins over them, as in xl.
void join_command_line(Draft& draft, const Merged& merged, Warnings& warnings)
{
    if (draft.cmdline) {
        draft.config.cmdline = *draft.cmdline;
        for (const auto* key : {"root", "extra"})
            if (const auto it = merged.find(key); it != merged.end())
                warnings.push_back(
                    {it->second.key_place(), std::string{key} + ": ignored, cmdline is given too"});
        return;
    }
    if (draft.root)
        draft.config.cmdline = "root=" + *draft.root;
    if (draft.extra)
        draft.config.cmdline += (draft.config.cmdline.empty() ? "" : " ") + *draft.extra;
}

void fill_in_defaults(Draft& draft)
{
    auto& config      = draft.config;
    config.memory_mib = draft.memory.value_or(draft.maxmem.value_or(kDefault_memory_mib));
    config.maxmem_mib = draft.maxmem.value_or(config.memory_mib);
    config.maxvcpus   = draft.maxvcpus.value_or(config.vcpus);
    if (draft.every_vcpu && !draft.every_vcpu->is_all())
        config.affinity.assign(config.maxvcpus, *draft.every_vcpu);
    if (draft.every_vcpu_soft && !draft.every_vcpu_soft->is_all())
        config.soft_affinity.assign(config.maxvcpus, *draft.every_vcpu_soft);
    complete(config);
}

} // namespace

std::vector<std::string_view> known_keys()
{
    std::vector<std::string_view> names;
    for (const auto& reader : key_readers())
        names.push_back(reader.name);
    return names;
}

std::expected<Interpretation, Diagnostic> interpret(const Settings& settings, std::string_view origin,
                                                    std::string_view directory)
{
    Interpretation result;
    auto merged = merge(settings, result.warnings);
    if (!merged)
        return std::unexpected(std::move(merged.error()));

    Draft draft;
    draft.directory = directory;
    // In the order of the text, so that the first mistake a reader sees is the first one reported.
    for (const auto& setting : settings) {
        const auto& counts = merged->at(setting.key);
        if (counts.value.source != setting.value.source || counts.key_at != setting.key_at)
            continue;
        if (auto read = read_setting(counts, draft, result.warnings); !read)
            return std::unexpected(std::move(read.error()));
    }
    join_command_line(draft, *merged, result.warnings);
    fill_in_defaults(draft);

    if (const auto valid = validate(draft.config); !valid) {
        const auto& [key, message] = valid.error();
        const auto it              = merged->find(key);
        return error_at(it == merged->end() ? std::string{origin} : it->second.value.place(), key, message);
    }
    result.config = std::move(draft.config);
    return result;
}

} // namespace vmm::config
