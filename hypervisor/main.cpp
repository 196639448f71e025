// SPDX-License-Identifier: Apache-2.0
#include "debug/log.hpp"
#include "debug/panic.hpp"
#include "platform/uart.hpp"
#include "arch/x86/cpu/execution.hpp"

namespace vmm
{
static Uart com1;
extern "C" void start_machine(u32 magic, u32 info)
{
    com1.init({});
    add_console_sink(com1);
    log::info("Plinth " PLINTH_VERSION " {x} {x}", magic, info);
    halt_forever();
}
}
