// SPDX-License-Identifier: Apache-2.0
// Domains to files, from files, and to other hosts.
#include "fake_vmmd.hpp"

#include <catch2/catch.hpp>

#include <csignal>
#include <filesystem>
#include <fstream>

using namespace vmm;
using test::Fake_vmmd;
using test::run_xm;

TEST_CASE("A file without a name is told before vmmd is asked")
{
    Fake_vmmd fake;
    CHECK(run_xm({"save", "a", ""}).err == "xm save: the name of the file is empty\n");
    CHECK(run_xm({"restore", ""}).exit == 2);
    CHECK(fake.requests().empty());
}

TEST_CASE("A file in a directory that is gone is an error that says so")
{
    Fake_vmmd fake;
    const auto before = std::filesystem::current_path();
    const auto gone   = fake.folder() + "/gone";
    std::filesystem::create_directory(gone);
    std::filesystem::current_path(gone);
    std::filesystem::remove(gone);
    const auto ran = run_xm({"save", "a", "file"});
    std::filesystem::current_path(before);
    CHECK(ran.exit == 1);
    CHECK(ran.err == "xm save: cannot tell the current directory, from which file counts: No such file or "
                     "directory\n");
    CHECK(fake.requests().empty());
}

TEST_CASE("The program that is the connection to another host is not interrupted with xm")
{
    Fake_vmmd fake;
    fake.answer("migrate", {{"name", "a"}, {"bytes", 0}, {"rounds", 1}, {"downtime_ms", 1}});
    const auto told = fake.folder() + "/told";
    const auto ran  = run_xm({"migrate", "--ssh", "", "a", "grep SigIgn /proc/self/status >" + told});
    CHECK(ran.err == "");
    std::string name, mask;
    std::ifstream(told) >> name >> mask;
    REQUIRE(mask.size() == 16);
    CHECK((std::stoull(mask, nullptr, 16) >> (SIGINT - 1) & 1) == 1);
}
