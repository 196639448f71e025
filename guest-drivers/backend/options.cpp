// SPDX-License-Identifier: Apache-2.0
#include "guest-drivers/backend/options.hpp"

#include <getopt.h>

#include <charconv>
#include <string_view>

namespace vmm::block
{

namespace
{

constexpr option kOptions[] = {{"read-only", no_argument, nullptr, 'r'},
                               {"cdrom", no_argument, nullptr, 'c'},
                               {"no-discard", no_argument, nullptr, 'd'},
                               {"queues", required_argument, nullptr, 'q'},
                               {"ring-page-order", required_argument, nullptr, 'o'},
                               {"shared", no_argument, nullptr, 's'},
                               {"log", required_argument, nullptr, 'l'},
                               {"last-words", required_argument, nullptr, 'w'},
                               {"help", no_argument, nullptr, 'h'},
                               {}};

constexpr unsigned kMostQueues = Request_log::kQueues;
constexpr unsigned kMostOrder  = 4; // what Linux' frontends know

Result<unsigned> number(std::string_view what, std::string_view text, unsigned least, unsigned most)
{
    unsigned value         = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc() || end != text.data() + text.size() || value < least || value > most) {
        return fail(Errc::invalid, std::string(what) + ": expected a number from " + std::to_string(least) +
                                       " to " + std::to_string(most) + ", found '" + std::string(text) + "'");
    }
    return value;
}

} // namespace

std::string usage()
{
    return "usage: vmm-blkback [OPTION...] DOMID BACKEND-PATH IMAGE\n"
           "Serves a disk to a domain; started by vmmd. See vmm-blkback(8).\n"
           "  DOMID               the domain the disk is for\n"
           "  BACKEND-PATH        the device's directory in the store, /local/domain/0/backend/...\n"
           "  IMAGE               a raw image, a block device, or an NBD URI (nbd+unix:///NAME?socket=PATH)\n"
           "  --read-only         the guest cannot write\n"
           "  --shared            others may write the image, too\n"
           "  --cdrom             the guest sees a CD-ROM drive\n"
           "  --no-discard        discard is not offered\n"
           "  --queues N          offers the guest that many rings (4)\n"
           "  --ring-page-order N offers rings of two to the power of N pages (4)\n"
           "  --log FILE          requests under way, for the process that follows if this one is killed\n"
           "  --last-words FILE   why it cannot serve or go on, or what was written is not all in the image\n"
           "  --help              this text\n";
}

Result<Options> parse_options(std::span<char* const> words)
{
    Options options;
    Offer& offer = options.device.offer;
    optind       = 1;
    opterr       = 0;
    for (;;) {
        const int which = getopt_long(static_cast<int>(words.size()), words.data(), "h", kOptions, nullptr);
        if (which == -1) {
            break;
        }
        switch (which) {
        case 'r': options.image.read_only = true; break;
        case 'c': options.device.cdrom = true; break;
        case 'd': options.image.discard = false; break;
        case 'q': offer.queues = TRY(number("--queues", optarg, 1, kMostQueues)); break;
        case 'o': offer.ring_page_order = TRY(number("--ring-page-order", optarg, 0, kMostOrder)); break;
        case 's': options.image.shared = true; break;
        case 'l': options.log = optarg; break;
        case 'w': options.last_words = optarg; break;
        case 'h': options.help = true; return options;
        default: return fail(Errc::invalid, "there is no such option, or its value is missing; see --help");
        }
    }
    const auto rest = words.subspan(static_cast<std::size_t>(optind));
    if (rest.size() != 3) {
        return fail(Errc::invalid, "expected DOMID BACKEND-PATH IMAGE; see --help");
    }
    options.device.frontend =
        Domid{static_cast<std::uint16_t>(TRY(number("DOMID", rest[0], 0, kFirstReservedDomid - 1)))};
    options.device.path = rest[1];
    options.source      = rest[2];
    if (!options.device.path.starts_with('/')) {
        return fail(Errc::invalid, "BACKEND-PATH: expected an absolute path of the store, found '" +
                                       options.device.path + "'");
    }
    return options;
}

} // namespace vmm::block
