#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Domains come and go: 20 times created and destroyed, in every stage of their start, and afterwards there is
exactly as much free memory as before."""

import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import Failed, config, domains, free_mib, guest_shell, scenario, wait_for

CYCLES = 20
before = {}


def remember(machine):
    before["free"] = free_mib(machine)
    before["domid"] = 0
    return f"{before['free']} MiB free"


def whole_life(machine):
    """Booted to its shell, then asked to shut down."""
    file = config(machine, "cycle", memory=96)
    machine.shell(f"xm create {file}", 60)
    if not free_mib(machine) <= before["free"] - 96:
        raise Failed("a domain of 96 MiB took less than 96 MiB of free memory")
    with guest_shell(machine, "cycle"):
        machine.shell("uname -r")
    machine.shell("xm shutdown -w cycle", 90)
    if domains(machine):
        raise Failed("it is still listed after `xm shutdown -w`")


def cut_short(machine):
    """Destroyed paused, at once, and a little later, in turn."""
    for cycle in range(1, CYCLES):
        how = ["-p", "", ""][cycle % 3]
        machine.shell(f"xm create {how} /tmp/cycle.cfg", 60)
        row = domains(machine)["cycle"]
        if row["domid"] <= before["domid"]:
            raise Failed(f"domain id {row['domid']} again so soon after {before['domid']}")
        before["domid"] = row["domid"]
        if cycle % 3 == 2:
            machine.shell("sleep 1")
        machine.shell("xm destroy cycle", 30)
        if domains(machine):
            raise Failed("it is still listed after `xm destroy`")


def same_memory(machine):
    wait_for(machine, f"{before['free']} MiB free again", 30, lambda m: free_mib(m) == before["free"])
    return f"{before['free']} MiB free"


scenario("cycles", __doc__, [
    ("free memory before", remember),
    ("one whole life", whole_life),
    (f"{CYCLES - 1} lives cut short", cut_short),
    ("the same free memory afterwards", same_memory),
])
