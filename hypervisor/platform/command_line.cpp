// SPDX-License-Identifier: Apache-2.0
#include "platform/command_line.hpp"

#include "platform/text_scan.hpp"

#include <algorithm>

namespace vmm
{
namespace
{

bool parse_console(std::string_view value, Options& o)
{
    bool com1 = false, vga = false, none = false;
    while (!value.empty()) {
        const std::string_view word = take_until(value, ',');
        if (word == "com1")
            com1 = true;
        else if (word == "vga")
            vga = true;
        else if (word == "none")
            none = true;
        else
            return false;
    }
    if (none == (com1 || vga))
        return false;
    o.console_com1 = com1;
    o.console_vga  = vga;
    return true;
}

bool is_parity(char c) { return c == 'n' || c == 'o' || c == 'e' || c == 'm' || c == 's'; }

bool parse_frame(std::string_view frame, Uart_settings& s)
{
    if (frame.size() != 3 || frame[0] < '5' || frame[0] > '8' || (frame[2] != '1' && frame[2] != '2') ||
        !is_parity(frame[1]))
        return false;
    s.data_bits = static_cast<u8>(frame[0] - '0');
    s.parity    = frame[1];
    s.stop_bits = static_cast<u8>(frame[2] - '0');
    return true;
}

// baud[,frame[,port]]; each part may be empty.
bool parse_com1(std::string_view value, Options& o)
{
    Uart_settings s;
    const std::string_view baud  = take_until(value, ',');
    const std::string_view frame = take_until(value, ',');
    const std::string_view port  = value;
    if (baud == "auto") {
        s.baud = 0;
    } else if (!baud.empty()) {
        const auto number = parse_number(baud);
        if (!number || *number == 0 || 115200 % *number != 0 || 115200 / *number > 0xffff)
            return false;
        s.baud = static_cast<u32>(*number);
    }
    if (!frame.empty() && !parse_frame(frame, s))
        return false;
    if (!port.empty()) {
        const auto number = parse_number(port);
        if (!number || *number == 0 || *number > 0xfff8)
            return false;
        s.port = static_cast<u16>(*number);
    }
    o.com1 = s;
    return true;
}

// size[,max:size]; min:size is understood and, as dom0 gets exactly what is asked, has no effect.
bool parse_dom0_mem(std::string_view value, Options& o)
{
    u64 size = 0, max = 0;
    while (!value.empty()) {
        std::string_view word = take_until(value, ',');
        u64 ignored           = 0;
        u64* to               = &size;
        if (word.starts_with("max:"))
            to = &max;
        else if (word.starts_with("min:"))
            to = &ignored;
        if (to != &size)
            word.remove_prefix(4);
        const auto bytes = parse_size(word);
        if (!bytes || *bytes == 0)
            return false;
        *to = *bytes;
    }
    if (size == 0 && max == 0)
        return false;
    o.dom0_mem     = size != 0 ? size : max;
    o.dom0_mem_max = max;
    return true;
}

template <class T>
struct Word {
    std::string_view text;
    T meaning;
};

template <class T, std::size_t N>
bool parse_choice(const Word<T> (&words)[N], std::string_view text, T& to)
{
    const auto* found = std::ranges::find(words, text, &Word<T>::text);
    if (found == std::end(words))
        return false;
    to = found->meaning;
    return true;
}

bool parse_level(std::string_view word, log::Level& to)
{
    using enum log::Level;
    constexpr Word<log::Level> words[] = {{"none", none}, {"error", error}, {"warning", warning},
                                          {"info", info}, {"debug", debug}, {"all", debug}};
    return parse_choice(words, word, to);
}

bool parse_threshold(std::string_view value, log::Threshold& to)
{
    const std::string_view first = take_until(value, '/');
    log::Threshold threshold{};
    if (!parse_level(first, threshold.always) ||
        !parse_level(value.empty() ? first : value, threshold.limited))
        return false;
    to = threshold;
    return true;
}

bool parse_count(std::string_view value, unsigned limit, unsigned& to)
{
    const auto number = parse_number(value);
    if (!number || *number == 0 || *number > limit)
        return false;
    to = static_cast<unsigned>(*number);
    return true;
}

// A word by itself, or with =yes, =no and the like.
bool parse_flag(std::string_view value, bool& to)
{
    const auto is = parse_truth(value);
    to            = is.value_or(to);
    return is.has_value();
}

// Xen's two proportional ones are one here.
constexpr Word<Sched_kind> kSchedulers[] = {
    {"credit2", Sched_kind::fair}, {"credit", Sched_kind::fair}, {"null", Sched_kind::unshared}};

// Xen's third, sockets, is not here.
constexpr Word<Sched_granularity> kGranularities[] = {{"cpu", Sched_granularity::cpu},
                                                      {"core", Sched_granularity::core}};

constexpr Word<Clock_source> kClockSources[] = {{"tsc", Clock_source::tsc},
                                                {"acpi", Clock_source::acpi_timer}};

constexpr Word<bool> kEfiServices[] = {{"rs", true}, {"no-rs", false}};

struct Option {
    std::string_view name;
    std::string_view form;
    std::string_view meaning;
    bool (*parse)(std::string_view value, Options& options);
};

constexpr unsigned kMaxCpuOption = 4096;

constexpr Option kOptions[] = {
    {"console", "com1,vga or none", "where the hypervisor and dom0's hvc0 write", parse_console},
    {"com1", "baud[,8n1[,port]] or auto", "settings of the serial port", parse_com1},
    {"dom0_mem", "size[,max:size], as in 1024M", "memory of dom0", parse_dom0_mem},
    {"dom0_max_vcpus", "number", "virtual CPUs of dom0",
     [](std::string_view v, Options& o) { return parse_count(v, kMaxCpuOption, o.dom0_max_vcpus); }},
    {"dom0_vcpus_pin", "yes or no", "each virtual CPU of dom0 runs on the physical one of its number only",
     [](std::string_view v, Options& o) { return parse_flag(v, o.dom0_vcpus_pin); }},
    {"loglvl", "none, error, warning, info, debug or all; a/b: up to b, but not too many above a",
     "what the hypervisor says about itself",
     [](std::string_view v, Options& o) { return parse_threshold(v, o.loglvl); }},
    {"guest_loglvl", "as loglvl", "what the hypervisor says about what guests do",
     [](std::string_view v, Options& o) { return parse_threshold(v, o.guest_loglvl); }},
    {"noreboot", "yes or no", "stay halted after a panic, with the message on the screen",
     [](std::string_view v, Options& o) { return parse_flag(v, o.no_reboot); }},
    {"maxcpus", "number", "physical CPUs to use",
     [](std::string_view v, Options& o) { return parse_count(v, kMaxCpuOption, o.max_cpus); }},
    {"clocksource", "tsc or acpi",
     "what time is read from; by default the CPUs' counters unless they may change their rate",
     [](std::string_view v, Options& o) { return parse_choice(kClockSources, v, o.clock_source); }},
    {"sched", "credit2 or null",
     "how CPUs are given to vCPUs: shared by weight, or to each one of its own, for static partitioning",
     [](std::string_view v, Options& o) { return parse_choice(kSchedulers, v, o.sched); }},
    {"sched-gran", "cpu or core",
     "with core, vCPUs of different domains never run on threads of one core at the same time",
     [](std::string_view v, Options& o) { return parse_choice(kGranularities, v, o.sched_granularity); }},
    {"spec-ctrl",
     "no, yes, or of xen, hvm, pv, msr-sc, rsb, verw, md-clear, ibpb-entry, ibrs, ibpb, ssbd, l1d-flush, "
     "bhi-dis-s, div-scrub each word or no-word, and bti-thunk=retpoline or jmp",
     "measures against leaks by speculative execution; by default what the CPU needs",
     [](std::string_view v, Options& o) {
         o.spec_ctrl = v;
         return !v.empty();
     }},
    {"efi", "rs or no-rs", "whether dom0 may use the runtime services of UEFI firmware, as for EFI variables",
     [](std::string_view v, Options& o) { return parse_choice(kEfiServices, v, o.efi_services); }},
    {"help", "", "print this list while booting",
     [](std::string_view v, Options& o) { return parse_flag(v, o.help); }},
};

// What boot scripts written for Xen put there without asking; nothing to do for any of them.
constexpr std::string_view kIgnored[] = {"placeholder", "no-real-mode", "edd", "--"};

// Empty when no name is near.
std::string_view nearest_option(std::string_view word)
{
    std::string_view best;
    unsigned best_distance = 4; // as many mistakes as three
    for (const Option& option : kOptions) {
        if (word.size() >= 3 && option.name.starts_with(word))
            return option.name;
        const unsigned distance = edit_distance(word, option.name);
        if (distance < best_distance && distance * 2 < option.name.size()) {
            best_distance = distance;
            best          = option.name;
        }
    }
    return best;
}

void parse_word(std::string_view word, Options& options, Option_notes& notes)
{
    std::string_view value      = word;
    const std::string_view name = take_until(value, '=');
    if (std::ranges::find(kIgnored, name) != std::end(kIgnored))
        return;
    for (const Option& option : kOptions) {
        if (name != option.name)
            continue;
        if (!option.parse(value, options))
            notes.push({Option_note::Kind::bad_value, word, option.form});
        return;
    }
    notes.push({Option_note::Kind::unknown, word, nearest_option(name)});
}

} // namespace

void parse_command_line(std::string_view text, Options& options, Option_notes& notes)
{
    while (!text.empty()) {
        const std::string_view word = take_until(text, ' ');
        if (!word.empty())
            parse_word(word, options, notes);
    }
}

void for_each_option(void (*visit)(std::string_view, std::string_view, std::string_view))
{
    for (const Option& option : kOptions)
        visit(option.name, option.form, option.meaning);
}

} // namespace vmm
