// SPDX-License-Identifier: Apache-2.0
#include "efi/boot_entry.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace vmm::efi;

namespace
{

std::vector<std::string> said;

std::optional<Boot_entry> find(std::string_view file, std::string_view wanted = {})
{
    said.clear();
    return find_boot_entry(file, wanted, [](unsigned line, std::string_view text) {
        said.push_back(std::to_string(line) + ": " + std::string(text));
    });
}

constexpr std::string_view kFile = "# one for each day\r\n"
                                   "[global]\r\n"
                                   "default=debian\r\n"
                                   "options = console=com1\r\n"
                                   "\r\n"
                                   "[ debian ]\r\n"
                                   "  kernel=vmlinuz root=/dev/sda1   ro\r\n"
                                   "\tramdisk\t=\tinitrd.img\r\n"
                                   "[rescue]\r\n"
                                   "; alone\r\n"
                                   "kernel=/rescue\\vmlinuz\r\n"
                                   "options=console=vga noreboot\r\n";

} // namespace

TEST_CASE("efi: the section that is asked for, with what holds for all")
{
    auto entry = find(kFile);
    REQUIRE(entry);
    CHECK(entry->name == "debian");
    CHECK(entry->kernel == "vmlinuz");
    CHECK(entry->kernel_arguments == "root=/dev/sda1   ro");
    CHECK(entry->ramdisk == "initrd.img");
    CHECK(entry->options == "console=com1");

    entry = find(kFile, "rescue");
    REQUIRE(entry);
    CHECK(entry->kernel == "/rescue\\vmlinuz");
    CHECK(entry->kernel_arguments.empty());
    CHECK(entry->ramdisk.empty());
    CHECK(entry->options == "console=vga noreboot");
    CHECK(said.empty());
}

TEST_CASE("efi: without a default it is the first section")
{
    const auto entry = find("\xef\xbb\xbf[a]\nkernel=1\n[b]\nkernel=2");
    REQUIRE(entry);
    CHECK(entry->kernel == "1");
    CHECK(find("[a]\nkernel=1\n[b]\nkernel=2", "b")->kernel == "2");
}

TEST_CASE("efi: a line that is not understood is named and passed over")
{
    const auto entry = find("[a]\n"
                            "kernle=1\n"
                            "what is this\n"
                            "kernel=2\n"
                            "[b\n"
                            "kernel=3\n"
                            "[c]\n"
                            "initrd=4\n");
    REQUIRE(entry);
    CHECK(entry->kernel == "2");
    REQUIRE(said.size() == 4);
    CHECK(said[0] == "2: no key \"kernle\"; did you mean \"kernel\"?");
    CHECK(said[1] == "3: \"what is this\": neither [section] nor key = value");
    CHECK(said[2].starts_with("5: \"[b\""));
    CHECK(said[3].starts_with("8: no key \"initrd\""));
}

TEST_CASE("efi: what cannot be booted is said")
{
    CHECK_FALSE(find(""));
    CHECK(said.back() == "0: it has no section: at least [plinth] and in it kernel = FILE are needed");
    CHECK_FALSE(find(kFile, "debain"));
    CHECK(said.back() == "0: it has no section [debain]; the first is [debian]");
    CHECK_FALSE(find("[global]\ndefault=b\n[a]\nkernel=1\n"));
    CHECK(said.back() == "0: it has no section [b]; the first is [a]");
    CHECK_FALSE(find("[a]\nramdisk=1\n[b]\nkernel=1\n"));
    CHECK(said.back() == "0: section [a] has no kernel = FILE");
    CHECK_FALSE(find("[global]\nkernel=1\n"));
}
