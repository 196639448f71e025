// SPDX-License-Identifier: Apache-2.0
#include "toolstack/xm/command.hpp"

#include <csignal>
#include <iostream>

int main(int argc, char** argv)
{
    std::signal(SIGPIPE, SIG_IGN); // a closed pipe is an error to report, not a silent death
    const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
    vmm::xm::Io io{std::cout, std::cerr};
    return vmm::xm::run(arguments, io);
}
