#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A CPU that can be kept from leaking by speculation: what the kernels of dom0 and of a guest make of what they are
shown, in /sys/devices/system/cpu/vulnerabilities, and what the hypervisor's log says of its own measures."""

import re
import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import Failed, guest_shell, qemu, scenario  # noqa: E402

NAME = "standard"
EMULATED = not qemu.nested_kvm()


def report(machine):
    text = machine.shell("xm dmesg | grep 'leaks by speculation'")[1].strip()
    found = re.search(r"against leaks by speculation: (.*SPEC_CTRL for guests.*)", text)
    if not found:
        raise Failed(f"the log does not say that guests have SPEC_CTRL: {text!r}")
    return found[1]


def weaknesses(machine):
    """File names and what they say."""
    text = machine.shell("grep . /sys/devices/system/cpu/vulnerabilities/*")[1]
    found = dict(re.findall(r"^/sys/\S*/(\w+):(.*?)\r?$", text, re.MULTILINE))
    if len(found) < 5:
        raise Failed(f"not what the kernel knows of weaknesses:\n{text}")
    return found


def judge(found):
    """What is emulated is known; a real CPU may have weaknesses of its own, but these can be helped on all."""
    bad = {name: text for name, text in found.items() if text.startswith("Vulnerable")}
    helped = {"spectre_v2": "IBPB", "spec_store_bypass": "disabled via prctl|Not affected"}
    for name, words in helped.items():
        if name in bad or not re.search(words, found[name]):
            raise Failed(f"{name}: {found[name]}")
    if EMULATED and bad:
        raise Failed(f"vulnerable: {bad}")
    return found["spectre_v2"]


def in_guest(machine):
    machine.shell(f"xm create /etc/vmm/{NAME}.cfg", 60)
    with guest_shell(machine, NAME):
        found = weaknesses(machine)
    machine.shell(f"xm destroy {NAME}", 60)
    return judge(found)


scenario("speculation", __doc__, [
    ("the hypervisor's log", report),
    ("dom0's kernel", lambda machine: judge(weaknesses(machine))),
    ("a guest's kernel", in_guest),
], cpu=qemu.HARDENED if EMULATED else None)
