#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Time and the CPU are shared rightly: a guest that spins leaves the other its half, dom0 keeps answering, an idle
guest uses next to nothing, and one second of sleep is one second."""

import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import Failed, config, domains, guest_shell, number, scenario

WORK = "i=0; while [ $i -lt 40000 ]; do i=$((i+1)); done"
SPIN = "(while :; do :; done) &"
alone = {}


def create(machine):
    for name in ("left", "right"):
        machine.shell(f"xm create {config(machine, name)}", 60)
        with guest_shell(machine, name):
            machine.shell("true")


def seconds_of(machine, command):
    """How long a command takes by the clock of the shell it runs in."""
    text = machine.shell("cut -d' ' -f1 /proc/uptime; " + command + "; cut -d' ' -f1 /proc/uptime", 120)[1]
    begin, end = [float(line) for line in text.split()]
    return end - begin


def clock(machine):
    with guest_shell(machine, "left"):
        slept = seconds_of(machine, "sleep 2")
    if not 1.9 <= slept <= 2.6:
        raise Failed(f"`sleep 2` took {slept:.2f} s in the guest")
    at_home = seconds_of(machine, "sleep 2")
    if not 1.9 <= at_home <= 2.6:
        raise Failed(f"`sleep 2` took {at_home:.2f} s in dom0")
    return f"{slept:.2f} s in the guest, {at_home:.2f} s in dom0"


def cpu_seconds(machine):
    return {name: row["cpu_time_ns"] / 1e9 for name, row in domains(machine).items()}


def idle(machine):
    begin = cpu_seconds(machine)
    machine.shell("sleep 10", 60)
    end = cpu_seconds(machine)
    used = {name: end[name] - begin[name] for name in begin}
    if max(used.values()) > 2:
        raise Failed(f"idle guests used {used} s of CPU in 10 s: HLT does not idle the CPU")
    return ", ".join(f"{name} {seconds:.2f} s of 10" for name, seconds in used.items())


def work_alone(machine):
    with guest_shell(machine, "right"):
        alone["seconds"] = seconds_of(machine, WORK)
    return f"{alone['seconds']:.2f} s"


def work_beside_a_spinner(machine):
    with guest_shell(machine, "left"):
        machine.line(SPIN)
        machine.shell("true")
    with guest_shell(machine, "right"):
        beside = seconds_of(machine, WORK)
    ratio = beside / alone["seconds"]
    if ratio > 3:
        raise Failed(f"the same work took {ratio:.1f} times as long beside a guest that spins")
    return f"{beside:.2f} s, {ratio:.2f} times as long"


def both_spin(machine):
    with guest_shell(machine, "right"):
        machine.line(SPIN)
        machine.shell("true")
    begin = cpu_seconds(machine)
    elapsed = seconds_of(machine, "sleep 10")
    end = cpu_seconds(machine)
    left, right = end["left"] - begin["left"], end["right"] - begin["right"]
    if not 0.7 <= left / right <= 1.4:
        raise Failed(f"of two guests that spin one got {left:.1f} s, the other {right:.1f} s")
    if elapsed > 14:
        raise Failed(f"`sleep 10` in dom0 took {elapsed:.1f} s beside two guests that spin")
    return f"{left:.1f} s and {right:.1f} s of 10"


def dom0_answers(machine):
    begin = number(r"([0-9.]+)", machine.shell("cut -d' ' -f1 /proc/uptime")[1])
    machine.shell("xm pause left; xm pause right; xm destroy left; xm destroy right", 60)
    took = number(r"([0-9.]+)", machine.shell("cut -d' ' -f1 /proc/uptime")[1]) - begin
    if domains(machine):
        raise Failed("they are still listed")
    return f"pausing and destroying both took {took:.1f} s"


scenario("fairness", __doc__, [
    ("two guests", create),
    ("sleep takes as long as it says", clock),
    ("idle guests use next to no CPU", idle),
    ("work, alone", work_alone),
    ("the same work beside a guest that spins", work_beside_a_spinner),
    ("two guests that spin share alike", both_spin),
    ("dom0 rules them still", dom0_answers),
])
