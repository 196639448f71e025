#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The freestanding frontends of guest-drivers against dom0's real backends: a small guest (tests/guests/domu_frontends)
speaks to the store, its console and its network interface, and dom0 checks what arrived."""

import os
import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import Failed, number, options, play, shell_of_dom0, start, wait_for, xm_json
from small_guest import Small_guest, disk_with

GATEWAY = "10.76.0.1"
ECHOES = 5000
chosen = options(__doc__)
guest = Small_guest("frontends", "/root/guest.elf")


def create(machine):
    machine.shell("cp /dev/vda /root/guest.elf")
    guest.create(machine, vif="[ 'nat' ]")
    return f"{guest.row(machine)['domid']}"


def console(machine):
    """Text goes both ways, with pieces that are longer than the ring of what is typed."""
    with guest.console(machine) as typed:
        for words in ("hello", "a b c d e f", "x" * 200):
            if f"said: {words} \n" not in typed(f"echo {words}"):
                raise Failed(f"the guest did not say {words}")


def in_background(machine, command):
    machine.shell(f"{{ ({command}) > /dev/null 2>&1 & }}")


def store(machine):
    with guest.console(machine) as typed:
        typed("store", 60)
        typed("write data/said by-the-guest")
    path = f"/local/domain/{guest.row(machine)['domid']}/data"
    if machine.shell(f"xenstore-read {path}/said")[1].strip() != "by-the-guest":
        raise Failed("dom0 does not see what the guest wrote")
    in_background(machine, f"sleep 2; for i in 1 2 3; do xenstore-write {path}/told $i; done")
    with guest.console(machine) as typed:
        if number(r"events: (\d+)", typed("watch data/told 3", 60)) < 1:
            raise Failed("the guest saw the change without an event")
    in_background(machine, f"for i in $(seq 400); do xenstore-write {path}/clash $i; done")
    with guest.console(machine) as typed:
        tries = number(r"tries: (\d+)", typed("count data/counter data/clash 200", 120))
    if machine.shell(f"xenstore-read {path}/counter")[1].strip() != "200":
        raise Failed("200 transactions that each add one gave another sum")
    return f"200 transactions in {tries:.0f} tries"


def interface(machine):
    return xm_json(machine, f"network-list {guest.name}")["interfaces"][0]


def network(machine):
    row = interface(machine)
    with guest.console(machine) as typed:
        typed(f"net-open 0 {row['ip']}", 60)
        again = number(r"sent again: (\d+)", typed(f"ping {GATEWAY} {ECHOES} 1400", 300))
        typed(f"ping {GATEWAY} 1000 1", 120)
        said = typed("counters")
    if number(r"dropped (\d+)", said) != 0 or number(r"refused (\d+)", said) != 0:
        raise Failed(f"frames were lost: {said}")
    machine.shell(f"ping -c 5 -s 1400 {row['ip']}", 60)
    return f"{ECHOES + 1000} echoes, {again:.0f} sent again"


def checksums(machine):
    """The guest that does not offer to take blank checksums gets none; the other is given them blank."""
    row = interface(machine)
    for mode, seen in (("", "right"), ("blank", "blank")):
        with guest.console(machine) as typed:
            typed("net-close", 60)
            typed(f"net-open 0 {row['ip']} {mode}", 60)
            said = typed(f"dns {GATEWAY} {guest.name} {mode}", 60)
        if f"address: {row['ip']}\n" not in said or f"checksum: {seen}" not in said:
            raise Failed(f"with checksum mode '{mode}' the answer was: {said}")


def junk(machine):
    with guest.console(machine) as typed:
        typed(f"junk {GATEWAY} 2000", 120)
        typed(f"ping {GATEWAY} 500 700", 60)


def reconnect(machine):
    """Closed and opened again by the guest, five times; nothing is held, nothing is lost."""
    with guest.console(machine) as typed:
        for _ in range(5):
            typed("net-close", 60)
            typed("net-reopen", 60)
            typed(f"ping {GATEWAY} 200 1400", 60)


def detach(machine):
    """Taken away and given back by dom0."""
    machine.shell(f"xm network-detach {guest.name} 0", 60)
    with guest.console(machine) as typed:
        typed("net-gone", 60)
    machine.shell(f"xm network-attach {guest.name}", 60)
    row = interface(machine)
    with guest.console(machine) as typed:
        typed(f"net-open 0 {row['ip']}", 60)
        typed(f"ping {GATEWAY} 500 1400", 60)


def destroy(machine):
    machine.shell(f"xm destroy {guest.name}", 60)
    wait_for(machine, "the interface goes", 30, lambda m: "vif" not in m.shell("ls /sys/class/net")[1])


elf = os.path.join(chosen.build, "tests", "guests", "domu_frontends.elf")
with start(chosen, "frontends", extra=["-no-reboot"] + disk_with(elf)) as booted:
    seen = play(booted, [
        ("boot to dom0's shell", shell_of_dom0),
        ("create the guest", create),
        ("console", console),
        ("store", store),
        ("thousands of packets", network),
        ("checksums", checksums),
        ("junk", junk),
        ("reconnect", reconnect),
        ("detach and attach", detach),
        ("destroy leaves nothing", destroy),
    ])
sys.exit(0 if seen else 1)
