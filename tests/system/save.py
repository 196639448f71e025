#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A running guest goes to a file and comes back: its processes, what is in its memory, an open TCP connection, its
disk and the time of day are as if nothing had happened. A save that fails leaves it running, a file that is damaged
is refused and leaves nothing."""

import os
import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from busy_guest import VCPUS, begin_calls, begin_count, calls_go_on
from dom0 import (Failed, config, domains, free_mib, guest_shell, log_file, number, options, play, refused, shell_of_dom0,
                  start, wait_for, wait_in)

FILE = "/images/a.save"
AHEAD = 86_400                                # seconds, the guest's clock
before = {}
chosen = options(__doc__)
disk = log_file(chosen, "save") + ".img"      # where dom0 has the images


def make_disk():
    os.makedirs(os.path.dirname(disk), exist_ok=True)
    with open(disk, "wb") as image:
        image.truncate(1 << 30)


def file_system(machine):
    wait_in(machine, "test -b /dev/vda")
    machine.shell("modprobe ext4; mke2fs -q /dev/vda >/dev/null; mkdir /images; mount -t ext4 /dev/vda /images", 120)


def nothing_left(machine, free):
    if domains(machine):
        raise Failed(f"domains are left: {domains(machine)}")
    wait_for(machine, f"{free} MiB free again", 30, lambda m: free_mib(m) >= free)


def busy_guest(machine):
    """Something of everything: CPUs that interrupt each other, a process that counts, a pattern in memory, a disk, a connection to dom0."""
    before["free"] = free_mib(machine)
    file = config(machine, "a", memory=160, vcpus=VCPUS, rtc_timeoffset=AHEAD, max_grant_frames=8, max_event_channels=256)
    machine.shell("truncate -s 32M /images/a.img; "
                  f"echo \"disk = [ '/images/a.img,raw,xvda,w' ]\" >> {file}; echo \"vif = [ 'nat' ]\" >> {file}; "
                  f"xm create {file}", 120)
    gateway = machine.shell("ip -4 -o addr show dev vmm0 | sed 's/.*inet //;s,/.*,,'")[1].strip()
    machine.shell("(while :; do sleep 1; echo line; done | nc -l -p 7007 >/tmp/from-guest 2>/dev/null &) ; sleep 1")
    with guest_shell(machine, "a") as guest:
        wait_in(guest, "ip route | grep -q default")
        begin_calls(guest)
        begin_count(guest)
        guest.shell(f"(while :; do echo ping; sleep 1; done | nc {gateway} 7007 >/tmp/from-dom0 2>/dev/null &)")
        before["pattern"] = guest.shell("dd if=/dev/urandom of=/tmp/pattern bs=1M count=8 2>/dev/null; sha256sum < /tmp/pattern", 60)[1]
        before["disk"] = guest.shell("dd if=/tmp/pattern of=/dev/xvda bs=1M count=4 conv=fsync 2>/dev/null; "
                                     "dd if=/dev/xvda bs=1M count=4 2>/dev/null | sha256sum", 60)[1]
        wait_in(guest, "test $(wc -l < /tmp/from-dom0) -ge 1")
        before["count"] = int(guest.shell("cat /tmp/count")[1])


def save(machine):
    machine.shell(f"xm save a {FILE}", 300)
    nothing_left(machine, before["free"])
    mode, size = machine.shell(f"stat -c '%a %s' {FILE}")[1].split()
    if mode != "600":
        raise Failed(f"the file of a guest's memory has mode {mode}")
    return f"{int(size) >> 20} MiB for 160 MiB of memory"


def restore(machine):
    said = machine.shell(f"sleep 3; xm restore {FILE}", 300)[1]
    if "a has been restored with id" not in said:
        raise Failed(f"`xm restore` says:\n{said}")
    goes_on(machine)


def clock_of(shell):
    return number(r"^(\d+)$", shell.shell("date +%s")[1])


def goes_on(machine):
    """The guest is what it was, and works."""
    with guest_shell(machine, "a") as guest:
        if guest.shell("sha256sum < /tmp/pattern", 60)[1] != before["pattern"]:
            raise Failed("the guest's memory has changed")
        wait_in(guest, f"test $(cat /tmp/count) -gt {before['count'] + 2}")
        if guest.shell("echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/xvda bs=1M count=4 2>/dev/null | sha256sum", 60)[1] != before["disk"]:
            raise Failed("the guest's disk has changed")
        calls_go_on(guest)
        lines = int(guest.shell("wc -l < /tmp/from-dom0")[1])
        wait_in(guest, f"test $(wc -l < /tmp/from-dom0) -gt {lines + 1}")
        before["count"] = int(guest.shell("cat /tmp/count")[1])
        trouble = guest.shell("dmesg | grep -E 'BUG:|WARNING: CPU|Call Trace|blocked for more|clocksource.*unstable'", check=False)[1]
        if trouble.strip():
            raise Failed(f"the guest's kernel complains:\n{trouble}")
    # What lies between the questions may take any time on a busy host.
    first = clock_of(machine)
    with guest_shell(machine, "a") as guest:
        there = clock_of(guest)
    last = clock_of(machine)
    if not first - 2 <= there - AHEAD <= last + 2:
        raise Failed(f"it was {there} in the guest, which should be {AHEAD} s ahead, between {first} and {last} in dom0")


def restore_again(machine):
    refused(machine, f"xm restore {FILE}", 'is already called "a"')


def checkpoint(machine):
    machine.shell("xm save -c --compress none a /images/b.save", 300)
    if "a" not in domains(machine):
        raise Failed("the guest is gone after a checkpoint")
    goes_on(machine)
    machine.shell("xm save -p a /images/b.save", 300)
    if "p" not in domains(machine)["a"]["state"]:
        raise Failed("the guest is not paused")
    refused(machine, "xm save a /images/b.save", "is paused")
    machine.shell("xm unpause a; rm /images/b.save")
    goes_on(machine)


def no_room(machine):
    """A full file system is told, and the guest goes on."""
    machine.shell("mkdir -p /small; mount -t tmpfs -o size=1m none /small")
    refused(machine, "xm save a /small/a.save", "/small/a.save", "No space left")
    machine.shell("test -z \"$(ls /small)\"; umount /small")
    refused(machine, "xm save a /no/such/place", "/no/such/place", "No such file")
    goes_on(machine)


def killed(machine):
    """A vmmd that dies in the middle of a save: the next one lets the guest run on."""
    first = machine.shell("pidof vmmd")[1].split()[0]
    machine.shell(f"(xm save a /images/c.save >/dev/null 2>&1 &); "
                  f"for i in $(seq 300); do test -e /images/c.save.partial && break; sleep 0.1; done; kill -9 {first}", 60)
    wait_for(machine, "another vmmd that answers", 60,
             lambda m: m.shell(f'test "$(pidof vmmd)" != {first} && xm list', check=False)[0] == 0)
    machine.shell("rm -f /images/c.save*")
    goes_on(machine)


def damaged(machine):
    machine.shell("xm destroy a", 60)
    free = before["free"]
    size = int(machine.shell(f"stat -c %s {FILE}")[1])
    for name, change, reason in (
            ("cut", f"truncate -s {size // 2} /images/bad.save", "truncated"),
            ("changed", f"printf x | dd of=/images/bad.save bs=1 seek={size // 2} conv=notrunc 2>/dev/null", "corrupted"),
            ("foreign", "head -c 1000 /bin/busybox > /images/bad.save", "not written by xm save")):
        machine.shell(f"cp {FILE} /images/bad.save; {change}", 60)
        refused(machine, "xm restore /images/bad.save", "/images/bad.save", reason)
        nothing_left(machine, free)
    refused(machine, "xm restore /tmp/none.save", "/tmp/none.save", "No such file")


STEPS = [
    ("boot to dom0's shell", shell_of_dom0),
    ("a file system for the images", file_system),
    ("a guest with something of everything", busy_guest),
    ("xm save", save),
    ("xm restore: it goes on", restore),
    ("restored twice, it is refused", restore_again),
    ("xm save -c and -p: it goes on", checkpoint),
    ("no room: it goes on", no_room),
    ("kill -9 of vmmd while it saves: it goes on", killed),
    ("damaged files are refused and leave nothing", damaged),
]

make_disk()
with start(chosen, "save", extra=["-no-reboot", "-drive", f"file={disk},format=raw,if=virtio"]) as booted:
    seen = play(booted, STEPS)
os.remove(disk)
sys.exit(0 if seen else 1)
