#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A guest that attacks its backends (tests/guests/domu_hostile) in every way it has: dom0, vmmd and a bystander go on
as before, each attack ends as it must, and `xm destroy` leaves nothing of the attacker."""

import os
import re
import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import Failed, free_mib, options, play, shell_of_dom0, start, wait_for, xm_json
from small_guest import Small_guest, disk_with

GATEWAY = "10.76.0.1"
# What dom0's kernel says when it ends the connection; None: it goes on, refusing request by request.
NET_ATTACKS = {"requests": None, "far-ahead": "Impossible number of requests", "wrapped": "Impossible number of requests",
               "beyond-page": "Cross page boundary", "endless-chain": "Malicious frontend", "odd-extra": "Invalid extra",
               "odd-segments": "GSO size", "rewritten": None, "withdrawn": None, "receive": None, "vanish": None,
               "events": None, "nodes": None}
TROUBLE = "BUG|Oops|WARNING: CPU|Call Trace|blocked for more"
chosen = options(__doc__)
bystander = Small_guest("bystander", "/root/frontends.elf")
hostile = Small_guest("hostile", "/root/hostile.elf")
before = {}


def in_background(machine, command):
    machine.shell(f"{{ ({command}) > /dev/null 2>&1 & }}")


def create_bystander(machine):
    machine.shell("cp /dev/vda /root/frontends.elf; cp /dev/vdb /root/hostile.elf")
    bystander.create(machine, vif="[ 'nat' ]")
    address = xm_json(machine, "network-list bystander")["interfaces"][0]["ip"]
    with bystander.console(machine) as typed:
        typed(f"net-open 0 {address}", 60)
    before["free"] = free_mib(machine)
    before["interfaces"] = machine.shell("ls /sys/class/net")[1]
    machine.shell("dmesg -c > /dev/null")


def bystander_lives(machine):
    with bystander.console(machine) as typed:
        typed(f"ping {GATEWAY} 50 1000", 60)


def nothing_left(machine):
    wait_for(machine, "the attacker's memory comes back", 30, lambda m: free_mib(m) == before["free"])
    left = machine.shell("ls /sys/class/net")[1]
    if left != before["interfaces"]:
        raise Failed(f"left behind: {left}")


def kernel_said(machine, words):
    """dom0's kernel is well, and has said `words` of its backend since the last look."""
    said = machine.shell("dmesg -c")[1]
    if re.search(TROUBLE, said):
        raise Failed(f"dom0's kernel is in trouble:\n{said}")
    if words and words not in said:
        raise Failed(f"dom0's kernel has not said '{words}':\n{said}")


def net_attack(name, words):
    def step(machine):
        hostile.create(machine, vif="[ 'nat' ]")
        row = xm_json(machine, "network-list hostile")["interfaces"][0]
        if name == "receive":
            in_background(machine, f"arp -s {row['ip']} {row['mac']}; ping -c 10 -s 1400 {row['ip']}")
        with hostile.console(machine) as typed:
            typed(f"net {name}", 240)
        bystander_lives(machine)
        machine.shell("xm destroy hostile", 60)
        nothing_left(machine)
        kernel_said(machine, words)
    return (f"net: {name}", step)


def elf(name):
    return os.path.join(chosen.build, "tests", "guests", f"domu_{name}.elf")


with start(chosen, "hostile", extra=["-no-reboot"] + disk_with(elf("frontends")) + disk_with(elf("hostile"))) as booted:
    seen = play(booted, [("boot to dom0's shell", shell_of_dom0), ("a bystander", create_bystander)] +
                [net_attack(*attack) for attack in NET_ATTACKS.items()])
sys.exit(0 if seen else 1)
