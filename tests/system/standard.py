#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's standard kernel as a guest, as its owner sees it: clock source, memory that shrinks and grows on request,
magic SysRq, pause, reboot. And sizes at the edges: too little for the kernel, and more than there is, are refused with
the numbers; nothing is left of such a domain."""

import re
import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import Failed, config, domains, free_mib, guest_shell, number, scenario, wait_for

NAME = "standard"
seen = {}


def create(machine):
    seen["free"] = free_mib(machine)
    machine.shell("xm create /etc/vmm/standard.cfg", 60)
    with guest_shell(machine, NAME):
        release = machine.shell("uname -r")[1].strip()
    if not release.endswith("-amd64") or "cloud" in release:
        raise Failed(f"the guest runs {release!r}, not the standard kernel")
    return release


def clock(machine):
    with guest_shell(machine, NAME):
        source = machine.shell("cat /sys/devices/system/clocksource/clocksource0/current_clocksource")[1].strip()
        complaints = machine.shell("dmesg | grep -iE 'clocksource.*(unstable|skew|watchdog)|TSC.*(unstable|warp)'",
                                   check=False)[1].strip()
    if source not in ("tsc", "xen"):
        raise Failed(f"the guest's clock source is {source!r}")
    if complaints:
        raise Failed(f"the guest complains about its clock:\n{complaints}")
    return source


def total_mib(machine):
    with guest_shell(machine, NAME):
        return number(r"MemTotal:\s+([0-9]+) kB", machine.shell("cat /proc/meminfo")[1]) / 1024


def balloon(machine):
    before = total_mib(machine)
    free = free_mib(machine)
    machine.shell(f"xm mem-set {NAME} 192", 60)
    wait_for(machine, "64 MiB given back", 20, lambda m: free_mib(m) >= free + 63)
    shrunk = total_mib(machine)
    machine.shell(f"xm mem-set {NAME} 256", 60)
    wait_for(machine, "64 MiB taken again", 20, lambda m: free_mib(m) <= free + 1)
    grown = total_mib(machine)
    if not before - 72 <= shrunk <= before - 56 or abs(grown - before) > 4:
        raise Failed(f"MemTotal went {before:.0f}, {shrunk:.0f}, {grown:.0f} MiB; asked for -64 and +64")
    status, text = machine.shell(f"xm mem-set {NAME} 4096", 60, check=False)
    if status == 0:
        raise Failed(f"mem-set beyond maxmem was accepted:\n{text}")
    return f"MemTotal {before:.0f}, {shrunk:.0f}, {grown:.0f} MiB"


def sysrq(machine):
    machine.shell(f"xm sysrq {NAME} h")
    machine.shell("sleep 1")
    with guest_shell(machine, NAME):
        machine.shell("dmesg | grep -i 'sysrq: HELP'")


def pause(machine):
    machine.shell(f"xm pause {NAME}")
    machine.shell("sleep 1")
    begin = domains(machine)[NAME]["cpu_time_ns"]
    machine.shell("sleep 2")
    if domains(machine)[NAME]["cpu_time_ns"] != begin:
        raise Failed("a paused guest used the CPU")
    machine.shell(f"xm unpause {NAME}")
    with guest_shell(machine, NAME):
        machine.shell("true")


def reboot(machine):
    before = domains(machine)[NAME]["domid"]
    machine.shell(f"xm reboot -w {NAME}", 120)
    wait_for(machine, "the guest again, with a new domain id", 60,
             lambda m: domains(m).get(NAME, {"domid": before})["domid"] > before)
    with guest_shell(machine, NAME):
        machine.shell("uname -r")


def shutdown(machine):
    machine.shell(f"xm shutdown -w {NAME}", 120)
    wait_for(machine, "its memory free again", 20, lambda m: free_mib(m) == seen["free"])


def refused(machine, memory, words):
    file = config(machine, "odd", memory=memory, kernel="/boot/vmlinuz")
    status, text = machine.shell(f"xm create {file}", 60, check=False)
    if status == 0 or not re.search(words, text):
        raise Failed(f"{memory} MiB: status {status}, and not /{words}/ in:\n{text}")
    if domains(machine) or free_mib(machine) != seen["free"]:
        raise Failed(f"something is left of a domain that was refused: {domains(machine)}")
    return text.strip()


def too_small(machine):
    return refused(machine, 16, r"MiB")


def too_large(machine):
    return refused(machine, 100_000, r"needs 10[0-9]{4} MiB, [0-9]+ MiB are free")


scenario("standard", __doc__, [
    ("it boots", create),
    ("a clock source without complaint", clock),
    ("memory on request", balloon),
    ("magic SysRq", sysrq),
    ("pause", pause),
    ("reboot", reboot),
    ("shutdown", shutdown),
    ("too little memory for the kernel", too_small),
    ("more memory than there is", too_large),
])
