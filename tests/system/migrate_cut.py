#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A busy guest (lib/moving_guest.py) is on its way from one machine to another when the connection is cut, the
target's power is or vmmd of the source dies, in a phase that gate.cpp holds still: the guest runs on at one of them, with
all that it wrote, and of what was begun at the other nothing stays. `--all 1` cuts more often."""

import os
import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import Failed, domains, options, play, wait_for, wait_in
from moving_guest import Moving_guest
from small_guest import disk_with
from two_hosts import ADDRESS_THERE, Two_hosts, ends, in_background, takes_once

chosen = options(__doc__, all=0)
GATE = "/tmp/gate"
UNDECIDED = "--take-back"     # what xm says if nobody can know who has it
# Negotiation, pre-copy, stop-and-copy, commit. [toolstack/save/FORMAT.md]
PHASES = ["description", "frames", "processors", "commit"]
POINTS = PHASES if chosen.all else ["frames", "commit"]


def boot(_):
    hosts.boot()
    wait_in(hosts.here, "test -b /dev/vda")
    hosts.here.shell(f"cat /dev/vda > {GATE}; chmod 755 {GATE}", 60)


def held_at(point):
    """It is on its way, and this is what does not come."""
    takes_once(hosts.there)
    hosts.here.shell("rm -f /tmp/held")
    command = f"'{GATE} {point} {ADDRESS_THERE} 7000 2>/tmp/held'"
    begun = in_background(hosts.here, f"xm migrate --max-downtime 5000 --compress zstd -s '' a {command}", "migrate")
    wait_for(hosts.here, f"held at {point}", 480, lambda m: is_held(m, begun))
    return begun


def is_held(machine, begun):
    if machine.shell("test -s /tmp/held", check=False)[0] == 0:
        return True
    if machine.shell(f"test -s {begun}.status", check=False)[0] == 0:
        status, said = ends(machine, begun)
        raise Failed(f"before it could be held, `xm migrate` says (status {status}):\n{said}\n"
                     f"and the target:\n{hosts.there.shell('cat /tmp/receive.log')[1]}")
    return False


def stays(begun, what, point):
    """The source runs it on; in the commit phase when it is told that the target has not got it."""
    status, said = ends(hosts.here, begun)
    undecided = UNDECIDED in said
    if status != 1 or undecided != (point == "commit") or not undecided and "was not moved" not in said:
        raise Failed(f"{what} at {point}, `xm migrate` says (status {status}):\n{said}")
    if undecided:
        take_back(what)
    guest.goes_on(hosts.here)


def take_back(what):
    """Nobody ran it in between."""
    state = domains(hosts.here)["a"]["state"]
    if "r" in state or "b" in state:
        raise Failed(f"{what} when it was handed over, it runs at the source ({state})")
    hosts.here.shell("xm migrate --take-back a", 60)


def nothing_is_there():
    wait_for(hosts.there, "nothing left at the target", 60, lambda m: not domains(m))
    hosts.nothing_left(hosts.there)


def nobody(machine):
    status, said = machine.shell(f"xm migrate -s '' a 'nc {ADDRESS_THERE} 7999'", 120, check=False)
    if status != 1 or "was not moved" not in said:
        raise Failed(f"with nobody there, `xm migrate` says (status {status}):\n{said}")
    guest.goes_on(machine)


def cut(point):
    def step(machine):
        begun = held_at(point)
        machine.shell("kill -9 $(cat /tmp/held)")
        if point == "commit":
            nothing_is_there()
        stays(begun, "cut", point)
        nothing_is_there()
    return f"the connection is cut at {point}: it runs on", step


def vmmd_killed(host):
    first = host.shell("pidof vmmd")[1].split()[0]
    host.shell(f"kill -9 {first}")
    wait_for(host, "another vmmd", 60, lambda m: m.shell(f'test "$(pidof vmmd)" != {first} && xm list', check=False)[0] == 0)


def target_killed(point):
    def step(machine):
        begun = held_at(point)
        vmmd_killed(hosts.there)
        stays(begun, "the target's vmmd killed", point)
        nothing_is_there()
    return f"the target's vmmd is killed at {point}: it runs on", step


def source_killed(machine):
    begun = held_at("processors")
    vmmd_killed(machine)
    machine.shell("kill -9 $(cat /tmp/held)", check=False)
    nothing_is_there()
    status, said = ends(machine, begun)
    if status == 0:
        raise Failed(f"`xm migrate`, whose vmmd was killed, says:\n{said}")
    guest.goes_on(machine)


def answer_lost(machine):
    """It runs at the target, and the source does not know: it is told by a person."""
    begun = held_at("runs")
    machine.shell("kill -9 $(cat /tmp/held)")
    status, said = ends(machine, begun)
    if status != 1 or UNDECIDED not in said:
        raise Failed(f"with its last answer lost, `xm migrate` says (status {status}):\n{said}")
    guest.moves += 1
    machine.shell("xm destroy a", 60)
    guest.goes_on(hosts.there)
    status, said = hosts.move(hosts.there, "tls")
    if status != 0:
        raise Failed(f"on the way back, `xm migrate` says (status {status}):\n{said}")
    guest.moves += 1
    guest.goes_on(machine)


def power_cut_there(machine):
    begun = held_at("processors")
    hosts.power_cut_there()
    stays(begun, "the target's power cut", "processors")


STEPS = [
    ("boot two hosts to dom0's shells", boot),
    ("a guest that writes to memory and disk", lambda _: guest.create()),
    *([("nobody is there: it runs on", nobody)] if chosen.all else []),
    *[cut(point) for point in POINTS],
    *[target_killed(point) for point in PHASES if chosen.all],
    ("the source's vmmd is killed at processors: it runs on", source_killed),
    *([("the last answer is lost: it runs there", answer_lost)] if chosen.all else []),
    ("the target's power is cut: it runs on", power_cut_there),
]

with Two_hosts(chosen, "migrate_cut", disk_with(os.path.join(chosen.build, "tests", "system", "system_gate"))) as hosts:
    guest = Moving_guest(hosts.here)
    seen = play(hosts.here, STEPS)
sys.exit(0 if seen else 1)
