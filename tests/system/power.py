#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""dom0 has the power switch: `reboot` starts the machine again, `poweroff` turns it off."""

import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import Failed, scenario, shell_of_dom0


def reboot(machine):
    machine.shell("touch /tmp/before")
    machine.line("reboot")
    machine.expect(r"(?i)command line: .*com1=", 120, "the hypervisor, a second time")
    shell_of_dom0(machine)
    if machine.shell("test -e /tmp/before", check=False)[0] == 0:
        raise Failed("the machine did not start again: dom0 still has its files")


def poweroff(machine):
    machine.line("poweroff")
    status = machine.ended(60, "the machine after `poweroff`")
    if status != 0:
        raise Failed(f"QEMU ended with status {status}")


scenario("power", __doc__, [("reboot", reboot), ("poweroff", poweroff)], extra=())
