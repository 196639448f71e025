// SPDX-License-Identifier: Apache-2.0
#pragma once
// A daemon that is killed just when it asks the hypervisor for something: the next one finds the state file
// as it was then, and all else as it has become.

#include "daemon_fixture.hpp"

#include <filesystem>
#include <string>

namespace vmm::test
{

class Killed_daemon
{
  public:
    Killed_daemon(Daemon_fixture& daemon, const std::string& operation)
        : daemon_(daemon), file_(daemon.directory + "/domains.json"), kept_(file_ + ".killed")
    {
        daemon.hypervisor.before = [operation, file = file_, kept = kept_](const std::string& called) {
            if (called == operation) {
                std::filesystem::copy_file(file, kept, std::filesystem::copy_options::skip_existing);
            }
        };
    }

    [[nodiscard]] bool has_asked() const { return std::filesystem::exists(kept_); }
    void restart()
    {
        daemon_.restart([&] { std::filesystem::rename(kept_, file_); });
    }

  private:
    Daemon_fixture& daemon_;
    std::string file_, kept_;
};

} // namespace vmm::test
