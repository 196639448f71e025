#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""dom0 has the power switch: `reboot` starts the machine again, `poweroff` turns it off. When the hardware fails,
the hypervisor says what the CPU found, and starts the machine again."""

import os
import socket
import sys
import tempfile

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import Failed, scenario, shell_of_dom0

ROOM = tempfile.TemporaryDirectory()
MONITOR = os.path.join(ROOM.name, "monitor")


def started_again(machine):
    machine.expect(r"(?i)command line: .*com1=", 120, "the hypervisor, a second time")
    shell_of_dom0(machine)


def machine_check(machine):
    """An error that the CPU could not correct, in bank 3, with the address."""
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.connect(MONITOR)
        monitor.sendall(b"mce 0 3 0xb400000000000000 0x5 0x1234000 0x8c\n")
        machine.expect(r"machine check, bank 3: status 0xb400000000000000, address 0x1234000", 60,
                       "what the CPU's bank says")
    started_again(machine)


def reboot(machine):
    machine.shell("touch /tmp/before")
    machine.line("reboot")
    started_again(machine)
    if machine.shell("test -e /tmp/before", check=False)[0] == 0:
        raise Failed("the machine did not start again: dom0 still has its files")


def poweroff(machine):
    machine.line("poweroff")
    status = machine.ended(60, "the machine after `poweroff`")
    if status != 0:
        raise Failed(f"QEMU ended with status {status}")


scenario("power", __doc__, [("machine check", machine_check), ("reboot", reboot), ("poweroff", poweroff)],
         extra=("-chardev", f"socket,id=monitor,path={MONITOR},server=on,wait=off", "-mon", "chardev=monitor"))
