#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""dom0 has the power switch: `reboot` starts the machine again, `poweroff` turns it off. When the hardware fails,
the hypervisor says what the CPU found, and starts the machine again."""

import os
import re
import socket
import sys
import tempfile
import time

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import Failed, scenario, shell_of_dom0

ROOM = tempfile.TemporaryDirectory()
MONITOR = os.path.join(ROOM.name, "monitor")


def started_again(machine):
    machine.expect(r"(?i)command line: .*com1=", 120, "the hypervisor, a second time")
    shell_of_dom0(machine)


def asked(monitor, command, pattern):
    """What the emulator answers to `command`, as far as `pattern`."""
    monitor.sendall(command.encode() + b"\n")
    said = ""
    while not (match := re.search(pattern, said)):
        piece = monitor.recv(4096)
        if not piece:
            raise Failed(f"the emulator ended its answer to {command}:\n{said}")
        said += piece.decode(errors="replace")
    return match.group(0)


def stop_asleep(monitor):
    """Stops the machine while its CPU halts, which only the hypervisor does: to a guest that runs, QEMU would deliver
    the exception itself, whatever is intercepted."""
    for _ in range(200):
        monitor.sendall(b"stop\n")
        if asked(monitor, "info registers", r"HLT=\d") == "HLT=1":
            return
        monitor.sendall(b"cont\n")
        time.sleep(0.1)
    raise Failed("the CPU does not sleep, though nobody has anything to do")


def machine_check(machine):
    """An error that the CPU could not correct, in bank 3, with the address."""
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.settimeout(60)
        monitor.connect(MONITOR)
        stop_asleep(monitor)
        monitor.sendall(b"mce 0 3 0xb400000000000000 0x5 0x1234000 0x8c\ncont\n")
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
