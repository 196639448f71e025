// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/interpret.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace vmm::config;

namespace
{

class Temporary_file
{
  public:
    explicit Temporary_file(std::string_view text)
    {
        const int fd = ::mkstemp(path_.data());
        REQUIRE(fd >= 0);
        ::close(fd);
        std::ofstream{path_} << text;
    }
    ~Temporary_file() { std::filesystem::remove(path_); }
    Temporary_file(const Temporary_file&)            = delete;
    Temporary_file& operator=(const Temporary_file&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_ = "/tmp/vmm-config-test-XXXXXX";
};

} // namespace

TEST_CASE("A file is loaded and arguments win over it")
{
    const Temporary_file file{"name = 'a'\nkernel = '/k'\nmemory = 64\nextra='x'\n"};
    const std::string overrides[] = {"memory=128; vcpus=2", "name=b", "extra+=' y'"};
    const auto result             = load(file.path(), overrides);
    REQUIRE(result);
    CHECK(result->config.memory_mib == 128);
    CHECK(result->config.vcpus == 2);
    CHECK(result->config.name == "b");
    CHECK(result->config.cmdline == "x y");
    CHECK(result->warnings.empty());
}

TEST_CASE("A mistake in an argument is told with the argument")
{
    const Temporary_file file{"name = 'a'\nkernel = '/k'\n"};
    const std::string overrides[] = {"memory=1"};
    const auto result             = load(file.path(), overrides);
    REQUIRE_FALSE(result);
    CHECK(result.error().to_string() ==
          "memory=1, column 8: memory: 1 is out of range, give 16 to 16777216 (MiB)");
}

TEST_CASE("A mistake in an entry is told with the argument that added it, or with the file it stands in")
{
    const Temporary_file file{"name = 'a'\nkernel = '/k'\n"
                              "disk = [ '/a,raw,xvda' ]; vif = [ 'nat' ]; cpus = [ '0' ]\n"};
    const auto told = [&](const std::string& argument) {
        const auto result = load(file.path(), std::span{&argument, 1});
        return result ? result->warnings.at(0).to_string() : result.error().to_string();
    };
    CHECK(told("disk+=['/b,qcow3,xvdb']").starts_with("disk+=['/b,qcow3,xvdb'], column 12: disk: format: "));
    CHECK(told("disk+=[['/b']]") == "disk+=[['/b']], column 8: disk: expected text in quotes, found a list");
    CHECK(told("vif+=['macc=1']").starts_with("vif+=['macc=1'], column 8: vif: \"macc\" is not known"));
    CHECK(told("vif+=[1]").starts_with("vif+=[1], column 7: vif: expected text such as "));
    CHECK(told("vif+=['model=e1000']").starts_with("vif+=['model=e1000'], column 7: vif: model: ignored"));
    CHECK(told("cpus+=['x']").starts_with("cpus+=['x'], column 8: cpus: entry 2: \"x\" is not a CPU number"));

    const Temporary_file bad{"name = 'a'\nkernel = '/k'\ndisk = [ '/a,raw3,xvda' ]\n"};
    const std::string good = "disk+=['/b,raw,xvdb']";
    CHECK(load(bad.path(), std::span{&good, 1}).error().place == bad.path() + ":3:14");
}

TEST_CASE("A relative path counts from the current directory")
{
    const Temporary_file file{"name = 'a'\nkernel = 'k'\n"};
    const auto result = load(file.path(), {});
    REQUIRE(result);
    CHECK(result->config.kernel == std::filesystem::current_path().string() + "/k");
}

TEST_CASE("Files that cannot be read")
{
    CHECK(load("/nonexistent/x.cfg", {}).error().to_string() ==
          "/nonexistent/x.cfg: cannot be read: No such file or directory");
    CHECK(load("/tmp", {}).error().to_string() == "/tmp: cannot be read: Is a directory");
    CHECK(load("/dev/zero", {}).error().to_string() ==
          "/dev/zero: is larger than 1 MiB, which no domain config is");
}
