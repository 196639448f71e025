// SPDX-License-Identifier: Apache-2.0
#include "toolstack/cpu/cpu_policy.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace vmm::cpu
{

namespace
{

// Where the words of a feature set stand. Words 16 and 17 are an MSR.
struct Place {
    std::uint32_t leaf, subleaf;
    std::uint32_t Leaf::*part;
};
constexpr std::array<Place, Feature_set::kWords> kPlaces{{
    {1, kNo_subleaf, &Leaf::edx},
    {1, kNo_subleaf, &Leaf::ecx},
    {0x80000001, kNo_subleaf, &Leaf::edx},
    {0x80000001, kNo_subleaf, &Leaf::ecx},
    {0xd, 1, &Leaf::eax},
    {7, 0, &Leaf::ebx},
    {7, 0, &Leaf::ecx},
    {0x80000007, kNo_subleaf, &Leaf::edx},
    {0x80000008, kNo_subleaf, &Leaf::ebx},
    {7, 0, &Leaf::edx},
    {7, 1, &Leaf::eax},
    {0x80000021, kNo_subleaf, &Leaf::eax},
    {7, 1, &Leaf::ebx},
    {7, 2, &Leaf::edx},
    {7, 1, &Leaf::ecx},
    {7, 1, &Leaf::edx},
    {},
    {},
    {0x80000021, kNo_subleaf, &Leaf::ecx},
}};

template <class Policy>
auto find(Policy& policy, std::uint32_t leaf, std::uint32_t subleaf = kNo_subleaf)
{
    return std::ranges::find_if(policy,
                                [&](const Leaf& l) { return l.leaf == leaf && l.subleaf == subleaf; });
}

// Calls put(word's number, the word in its leaf) for each word that the policy has.
template <class Policy, class Put>
void for_each_word(Policy& policy, Put put)
{
    for (unsigned word = 0; word < Feature_set::kWords; ++word) {
        const Place& place = kPlaces[word];
        if (place.part == nullptr) {
            continue;
        }
        if (const auto leaf = find(policy, place.leaf, place.subleaf); leaf != policy.end()) {
            put(word, (*leaf).*place.part);
        }
    }
}

std::string text_of(std::initializer_list<std::uint32_t> registers)
{
    std::string text;
    for (const std::uint32_t value : registers) {
        std::array<char, sizeof value> letters{};
        std::memcpy(letters.data(), &value, sizeof value);
        text.append(letters.data(), strnlen(letters.data(), letters.size()));
    }
    return text;
}

} // namespace

Feature_set features_of(const Cpu_policy& policy)
{
    Feature_set set;
    for_each_word(policy, [&](unsigned word, std::uint32_t value) { set.words[word] = value; });
    return set;
}

void set_features(Cpu_policy& policy, const Feature_set& features)
{
    for_each_word(policy, [&](unsigned word, std::uint32_t& value) { value = features.words[word]; });
}

std::string vendor_of(const Cpu_policy& policy)
{
    const auto leaf = find(policy, 0);
    return leaf == policy.end() ? "" : text_of({leaf->ebx, leaf->edx, leaf->ecx});
}

std::string model_of(const Cpu_policy& policy)
{
    std::string name;
    for (const std::uint32_t number : {0x80000002U, 0x80000003U, 0x80000004U}) {
        if (const auto leaf = find(policy, number); leaf != policy.end()) {
            name += text_of({leaf->eax, leaf->ebx, leaf->ecx, leaf->edx});
        }
    }
    const auto first = name.find_first_not_of(' '), last = name.find_last_not_of(' ');
    return first == std::string::npos ? "" : name.substr(first, last - first + 1);
}

Result<void> can_go_on(const Cpu_policy& lived_with, const Cpu_policy& offered)
{
    if (vendor_of(lived_with) != vendor_of(offered)) {
        return fail(Errc::unsupported,
                    "a processor of " + vendor_of(lived_with) + ", and this one is of " + vendor_of(offered));
    }
    if (const auto gone = missing(features_of(lived_with), features_of(offered)); !gone.empty()) {
        return fail(Errc::unsupported,
                    "a processor with " + listed(gone) + ", which this one does not offer");
    }
    return {};
}

} // namespace vmm::cpu
