#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A busy guest moves from one machine to another and back while it works (lib/moving_guest.py), by TLS and by ssh:
what it wrote is there, its connection goes on, both bridges hear where it is, it runs in one place, and no memory is lost
on the way, by it or by the machines. `--trips 10` goes there and back ten times, then without TLS and ssh as well."""

import sys
import time

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import Failed, config, domains, number, options, play
from moving_guest import MEMORY, Moving_guest, is_heard_of
from ssh import disk_with_ssh, know_each_other
from two_hosts import Two_hosts

chosen = options(__doc__, trips=1)


def moved(source, way):
    target, _ = hosts.other(source)
    begin = time.monotonic()
    status, said = hosts.move(source, way)
    took = time.monotonic() - begin
    if status != 0 or "a runs on" not in said:
        log = target.shell("cat /tmp/receive.log /tmp/tls.log", check=False)[1]
        raise Failed(f"`xm migrate` says (status {status}):\n{said}\n{log}")
    is_heard_of(source)
    if domains(source) or "a" not in domains(target):
        raise Failed(f"at the source: {domains(source)}, at the target: {domains(target)}")
    hosts.nothing_left(source)
    guest.moves += 1
    guest.goes_on(target)
    return (f"{number(r'([0-9]+) MiB in', said):.0f} MiB for {MEMORY} MiB of memory in {took:.0f} s, "
            f"still for {number(r'still for ([0-9]+) ms', said):.0f} ms")


def there(_):
    return moved(hosts.here, "tls")


def back(_):
    know_each_other(hosts, "/dev/vda")
    return moved(hosts.there, "ssh")


def again(_):
    return "; ".join(said for _ in range(1, chosen.trips) for said in (moved(hosts.here, "tls"), moved(hosts.there, "pipe")))


def refused(machine):
    file = config(hosts.there, "a", memory=64)
    hosts.there.shell(f"xm create -p {file}", 120)
    status, said = hosts.move(machine, "pipe")
    if status == 0 or 'already called "a"' not in said:
        raise Failed(f"with the name taken there, `xm migrate` says (status {status}):\n{said}")
    hosts.there.shell("xm destroy a", 60)
    guest.goes_on(machine)


STEPS = [
    ("boot two hosts to dom0's shells", lambda _: hosts.boot()),
    ("a guest that writes to memory and disk", lambda _: guest.create()),
    ("it moves there by TLS", there),
    ("and back by ssh", back),
    *([(f"there and back {chosen.trips - 1} times more", again)] if chosen.trips > 1 else []),
    ("refused by name: it runs on", refused),
]

with Two_hosts(chosen, "migrate", disk_with_ssh(chosen)) as hosts:
    guest = Moving_guest(hosts.here)
    seen = play(hosts.here, STEPS)
sys.exit(0 if seen else 1)
