// SPDX-License-Identifier: Apache-2.0
#include "efi/boot_entry.hpp"

#include "base/format.hpp"
#include "platform/text_scan.hpp"

namespace vmm::efi
{
namespace
{

constexpr std::string_view kBlank  = " \t\r";
constexpr std::string_view kGlobal = "global";

enum class Key : u8 { standard, options, kernel, ramdisk, count };
constexpr std::string_view kKeys[] = {"default", "options", "kernel", "ramdisk"};
static_assert(std::size(kKeys) == static_cast<std::size_t>(Key::count));

struct Values {
    std::string_view of[std::size(kKeys)];

    std::string_view& operator[](Key key) { return of[static_cast<std::size_t>(key)]; }
};

std::string_view trimmed(std::string_view text)
{
    const auto first = text.find_first_not_of(kBlank);
    if (first == text.npos)
        return {};
    return text.substr(first, text.find_last_not_of(kBlank) + 1 - first);
}

class Reader
{
  public:
    Reader(std::string_view file, std::string_view wanted, Report report)
        : rest_(file), wanted_(wanted), report_(report)
    {
        constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
        if (rest_.starts_with(byte_order_mark))
            rest_.remove_prefix(byte_order_mark.size());
    }

    // Of all lines, what stands in [global] and in the section that is wanted. Sections of one name are one.
    void read()
    {
        while (!rest_.empty()) {
            ++line_;
            const auto text = trimmed(take_until(rest_, '\n'));
            if (text.empty() || text.starts_with('#') || text.starts_with(';'))
                continue;
            if (text.starts_with('['))
                begin_section(text);
            else
                take_value(text);
        }
    }

    [[nodiscard]] std::string_view first() const { return first_; }
    [[nodiscard]] bool found() const { return found_; }
    // Of the section, and where it says nothing of [global].
    std::string_view value(Key key) { return section_[key].empty() ? global_[key] : section_[key]; }

  private:
    template <class... Args>
    void complain(std::string_view format, const Args&... args)
    {
        std::array<char, 200> text{};
        report_(line_, format_to(text, format, args...));
    }

    void begin_section(std::string_view text)
    {
        into_ = nullptr;
        if (!text.ends_with(']')) {
            complain("\"{}\": a section's name ends with ]; what follows is passed over", text);
            return;
        }
        const auto name = trimmed(text.substr(1, text.size() - 2));
        if (name == kGlobal) {
            into_ = &global_;
            return;
        }
        if (first_.empty())
            first_ = name;
        into_ = &others_;
        if (!wanted_.empty() && name == wanted_) {
            found_ = true;
            into_  = &section_;
        }
    }

    void take_value(std::string_view text)
    {
        const auto equals = text.find('=');
        const auto name   = trimmed(text.substr(0, equals));
        if (equals == text.npos)
            complain("\"{}\": neither [section] nor key = value", text);
        else if (const auto key = find_key(name); key && into_ != nullptr)
            (*into_)[*key] = trimmed(text.substr(equals + 1));
        else if (!key)
            complain("no key \"{}\"; did you mean \"{}\"?", name, nearest(name));
    }

    static std::optional<Key> find_key(std::string_view name)
    {
        for (std::size_t i = 0; i < std::size(kKeys); ++i) {
            if (kKeys[i] == name)
                return static_cast<Key>(i);
        }
        return {};
    }

    static std::string_view nearest(std::string_view name)
    {
        std::string_view best = kKeys[0];
        for (const auto key : kKeys) {
            if (edit_distance(name, key) < edit_distance(name, best))
                best = key;
        }
        return best;
    }

    std::string_view rest_;
    std::string_view wanted_;
    Report report_;
    unsigned line_ = 0;
    std::string_view first_; // section that is not [global]
    bool found_ = false;
    Values global_;
    Values section_;
    Values others_; // read for their mistakes only
    Values* into_ = nullptr;
};

std::string_view standard_entry(std::string_view file)
{
    Reader whole(file, {}, [](unsigned, std::string_view) {});
    whole.read();
    const auto named = whole.value(Key::standard);
    return named.empty() ? whole.first() : named;
}

} // namespace

std::optional<Boot_entry> find_boot_entry(std::string_view file, std::string_view wanted, Report report)
{
    const auto name = wanted.empty() ? standard_entry(file) : wanted;
    Reader reader(file, name, report);
    reader.read();
    std::array<char, 200> text{};
    if (!reader.found()) {
        report(0, name.empty()
                      ? "it has no section: at least [plinth] and in it kernel = FILE are needed"
                      : format_to(text, "it has no section [{}]; the first is [{}]", name, reader.first()));
        return {};
    }
    auto arguments    = reader.value(Key::kernel);
    const auto end    = arguments.find_first_of(kBlank);
    const auto kernel = arguments.substr(0, end);
    if (kernel.empty()) {
        report(0, format_to(text, "section [{}] has no kernel = FILE", name));
        return {};
    }
    return Boot_entry{
        .name             = name,
        .options          = reader.value(Key::options),
        .kernel           = kernel,
        .kernel_arguments = end == arguments.npos ? std::string_view() : trimmed(arguments.substr(end)),
        .ramdisk          = reader.value(Key::ramdisk),
    };
}

} // namespace vmm::efi
