#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The freestanding frontends of guest-drivers against dom0's real backends: a small guest (tests/guests/domu_frontends)
speaks to the store, its console, its network interface and its disks, and dom0 checks what arrived."""

import os
import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import Failed, log_file, number, options, play, shell_of_dom0, start, wait_for, xm_json
from pattern import digest
from sectors import SECTOR, sectors
from small_guest import Small_guest, disk_with

GATEWAY = "10.76.0.1"
ECHOES = 5000
SECTORS = 16384     # of each disk
XVDA, XVDB, XVDC = 51712, 51728, 51744
WRITABLE = "file:/tmp/w.img,xvda,w,backendtype=phy"
chosen = options(__doc__)
guest = Small_guest("frontends", "/root/guest.elf")


def create(machine):
    machine.shell(f"cp /dev/vda /root/guest.elf; truncate -s {SECTORS * SECTOR} /tmp/w.img")
    guest.create(machine, vif="[ 'nat' ]", disk=f"[ '{WRITABLE}', 'phy:/dev/vdb,xvdb,r' ]")
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


def content(machine, name="w"):
    return machine.shell(f"sync; sha256sum < /tmp/{name}.img", 60)[1].split()[0]


def disk(machine):
    """Every sector is written, flushed, read again by the guest, and read by dom0."""
    with guest.console(machine) as typed:
        typed(f"disk-open {XVDA}", 60)
        said = typed("disk")
        if f"sectors: {SECTORS} of 512, writable, flush, discard" not in said:
            raise Failed(f"the backend describes the disk so: {said}")
        typed(f"fill 5 0 {SECTORS}", 120)
        typed("flush", 60)
        typed(f"verify 5 0 {SECTORS}", 120)
    if content(machine) != digest(sectors(5, 0, SECTORS)):
        raise Failed("what the guest wrote is not in the image")
    with guest.console(machine) as typed:
        typed(f"fill 6 1001 {SECTORS // 2}", 120)
        typed("verify 5 0 1001", 60)
        typed(f"verify 6 1001 {SECTORS // 2}", 60)
    end = 1001 + SECTORS // 2
    if content(machine) != digest(sectors(5, 0, 1001) + sectors(6, 1001, SECTORS // 2) + sectors(5, end, SECTORS - end)):
        raise Failed("a write beside others has changed them")


def disk_refusals(machine):
    """At the end of the disk, beyond it, and not a byte of what was discarded is another's."""
    with guest.console(machine) as typed:
        typed(f"try-read {SECTORS - 1} 1")
        for sector, count in ((SECTORS, 1), (SECTORS - 1, 2), (1 << 63, 1), ((1 << 64) - 1, 1)):
            for command in ("try-read", "try-write"):
                typed(f"{command} {sector} {count}", verdict="failed: out of range")
        typed("try-read 0 0", verdict="failed: bad length")
        typed("try-read 0 100000", verdict="failed: bad length")
        typed("discard 512 1024", 60)
        typed("verify 5 0 512")
        typed("fill 5 512 1024", 60)
        typed("verify 5 0 1001", 60)


def disk_reconnect(machine):
    with guest.console(machine) as typed:
        for seed in range(7, 10):
            typed("disk-close", 60)
            typed("disk-reopen", 60)
            typed(f"fill {seed} 0 2048", 60)
            typed(f"verify {seed} 0 2048", 60)


def disk_detach(machine):
    """Taken from the guest while it runs, changed by dom0, and given back."""
    machine.shell(f"xm block-detach {guest.name} xvda", 60)
    with guest.console(machine) as typed:
        typed("disk-gone", 60)
        typed("try-read 0 1", verdict="failed: not running")
    machine.shell(f"dd if=/dev/vdb of=/tmp/w.img bs=512 count={SECTORS} conv=notrunc status=none; "
                  f"xm block-attach {guest.name} {WRITABLE}", 60)
    with guest.console(machine) as typed:
        typed(f"disk-open {XVDA}", 60)
        typed(f"verify 4 0 {SECTORS}", 60)
        typed("disk-close", 60)


def our_backend(machine):
    """The same frontend on vmm-blkback, attached and detached while the guest runs."""
    machine.shell(f"truncate -s {SECTORS * SECTOR} /tmp/q.img; xm block-attach {guest.name} "
                  "format=raw,vdev=xvdc,access=w,backendtype=qdisk,target=/tmp/q.img", 60)
    with guest.console(machine) as typed:
        typed(f"disk-open {XVDC}", 60)
        typed(f"fill 11 0 {SECTORS}", 120)
        typed("flush", 60)
        typed(f"verify 11 0 {SECTORS}", 120)
        typed("disk-close", 60)
        typed("disk-reopen", 60)
        typed(f"verify 11 0 {SECTORS}", 120)
    if content(machine, "q") != digest(sectors(11, 0, SECTORS)):
        raise Failed("what the guest wrote is not in the image")
    machine.shell(f"xm block-detach {guest.name} xvdc", 60)
    with guest.console(machine) as typed:
        typed("disk-gone", 60)


def read_only(machine):
    """A device of dom0's that the guest may only read."""
    with guest.console(machine) as typed:
        typed(f"disk-open {XVDB}", 60)
        if f"sectors: {SECTORS} of 512, read-only" not in typed("disk"):
            raise Failed("the guest does not see that the disk is read-only")
        typed(f"verify 4 0 {SECTORS}", 60)
        typed("try-write 0 1", verdict="failed: read-only")
        typed("discard 0 8", verdict="failed: (read-only|unsupported)")
        typed("disk-close", 60)


def destroy(machine):
    machine.shell(f"xm destroy {guest.name}", 60)
    wait_for(machine, "the interface goes", 30, lambda m: "vif" not in m.shell("ls /sys/class/net")[1])
    wait_for(machine, "the loop device goes", 30, lambda m: not m.shell("losetup -a")[1].strip())


elf = os.path.join(chosen.build, "tests", "guests", "domu_frontends.elf")
image = log_file(chosen, "frontends.disk") + ".img"
os.makedirs(os.path.dirname(image), exist_ok=True)
with open(image, "wb") as file:
    file.write(sectors(4, 0, SECTORS))
with start(chosen, "frontends", extra=["-no-reboot"] + disk_with(elf) + disk_with(image)) as booted:
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
        ("disk: every sector", disk),
        ("disk: refusals, discard", disk_refusals),
        ("disk: reconnect", disk_reconnect),
        ("disk: detach and attach", disk_detach),
        ("disk: read-only", read_only),
        ("disk: vmm-blkback", our_backend),
        ("destroy leaves nothing", destroy),
    ])
if seen:
    os.remove(image)
sys.exit(0 if seen else 1)
