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
# The same of blkback. No attack has a request that may write; the one named read-only is for such a disk.
DISK_ATTACKS = {"requests": None, "read-only": "access denied", "far-ahead": "bogus ring requests",
                "just-ahead": "bogus ring requests", "wrapped": "bogus ring requests", "rewritten": None,
                "withdrawn": None, "rewritten-list": None, "vanish": None, "events": None,
                "nodes": "unknown fe protocol"}
TROUBLE = "BUG|Oops|WARNING: CPU|blocked for more"
# blkback warns so, and goes on, when a ring cannot be mapped: its count of requests is that of a ring that was.
BEARABLE = r"WARNING: CPU: \d+ PID: \d+ at drivers/block/xen-blkback/xenbus.c:\d+ xen_blkif_disconnect.*"
chosen = options(__doc__)
bystander = Small_guest("bystander", "/root/frontends.elf")
hostile = Small_guest("hostile", "/root/hostile.elf")
before = {}


def in_background(machine, command):
    machine.shell(f"{{ ({command}) > /dev/null 2>&1 & }}")


def content_of_disks(machine):
    return machine.shell("sync; sha256sum /tmp/w.img /tmp/r.img", 60)[1]


def create_bystander(machine):
    machine.shell("cp /dev/vda /root/frontends.elf; cp /dev/vdb /root/hostile.elf")
    bystander.create(machine, vif="[ 'nat' ]")
    address = xm_json(machine, "network-list bystander")["interfaces"][0]["ip"]
    with bystander.console(machine) as typed:
        typed(f"net-open 0 {address}", 60)
    before["free"] = free_mib(machine)
    before["interfaces"] = machine.shell("ls /sys/class/net")[1]
    machine.shell("dd if=/dev/urandom of=/tmp/w.img bs=1M count=4 status=none; cp /tmp/w.img /tmp/r.img; "
                  "dmesg -c > /dev/null", 60)
    before["disks"] = content_of_disks(machine)


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
    if re.search(TROUBLE, re.sub(BEARABLE, "", said)):
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


def create_with_disks(kind):
    """`kind` is what the configuration says of the backend."""
    def step(machine):
        hostile.create(machine, disk="[ " + ", ".join(
            f"'format=raw,vdev={vdev},access={access},{kind}target=/tmp/{access}.img'"
            for vdev, access in (("xvda", "w"), ("xvdb", "r"))) + " ]")
        if "qdisk" in kind and len(machine.shell("pidof vmm-blkback", check=False)[1].split()) != 2:
            raise Failed("vmm-blkback does not serve the disks")
    return step


def disk_attack(backend, name, words):
    """The guest, its disks and their backend are those of the attack before."""
    def step(machine):
        with hostile.console(machine) as typed:
            typed(f"disk {51728 if name == 'read-only' else 51712} {name}", 240)
        bystander_lives(machine)
        if content_of_disks(machine) != before["disks"]:
            raise Failed("a disk was written")
        kernel_said(machine, words)
    return (f"{backend}: {name}", step)


def disks_end(machine):
    machine.shell("xm destroy hostile", 60)
    nothing_left(machine)
    wait_for(machine, "the loop devices and backends go", 30,
             lambda m: not m.shell("losetup -a; pidof vmm-blkback", check=False)[1].strip())


def elf(name):
    return os.path.join(chosen.build, "tests", "guests", f"domu_{name}.elf")


with start(chosen, "hostile", extra=["-no-reboot"] + disk_with(elf("frontends")) + disk_with(elf("hostile"))) as booted:
    seen = play(booted, [("boot to dom0's shell", shell_of_dom0), ("a bystander", create_bystander)] +
                [net_attack(*attack) for attack in NET_ATTACKS.items()] +
                [("disks of blkback", create_with_disks("backendtype=phy,"))] +
                [disk_attack("blkback", *attack) for attack in DISK_ATTACKS.items()] +
                [("they go with the attacker", disks_end),
                 ("disks of vmm-blkback", create_with_disks("backendtype=qdisk,"))] +
                [disk_attack("vmm-blkback", name, None) for name in DISK_ATTACKS] +
                [("they go with the attacker", disks_end)])
sys.exit(0 if seen else 1)
