#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Time and the CPU are shared rightly: a guest that spins leaves the other its half, or what weights and caps say,
dom0 keeps answering, an idle guest uses next to nothing, and one second of sleep is one second."""

import json
import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import Failed, config, domains, guest_shell, number, scenario
from seconds import seconds_of, sleeps, undisturbed

WORK = "i=0; while [ $i -lt 40000 ]; do i=$((i+1)); done"
SPIN = "(while :; do :; done) &"
alone = {}


def create(machine):
    for name in ("left", "right"):
        machine.shell(f"xm create {config(machine, name, cpus='0')}", 60)
        with guest_shell(machine, name):
            machine.shell("true")


def clock(machine):
    with guest_shell(machine, "left"):
        slept = undisturbed(lambda: sleeps(machine, 2.6))
    at_home = undisturbed(lambda: sleeps(machine, 2.6))
    return f"{slept:.2f} s in the guest, {at_home:.2f} s in dom0"


def cpu_seconds(machine):
    return {name: row["cpu_time_ns"] / 1e9 for name, row in domains(machine).items()}


def used_during(machine, work):
    """What `work` gives, and by each domain the seconds of the CPU that it had meanwhile."""
    begin = cpu_seconds(machine)
    result = work()
    end = cpu_seconds(machine)
    return result, {name: end[name] - begin[name] for name in begin}


def used_idle(machine):
    """By each guest, seconds of the CPU of the ten that dom0 sleeps."""
    _, used = used_during(machine, lambda: machine.shell("sleep 10", 60))
    if max(used.values()) > 2:
        raise Failed(f"idle guests used {used} s of CPU in 10 s: HLT does not idle the CPU")
    return used


def idle(machine):
    used = undisturbed(lambda: used_idle(machine))
    return ", ".join(f"{name} {seconds:.2f} s of 10" for name, seconds in used.items())


def right_works(machine):
    with guest_shell(machine, "right"):
        return seconds_of(machine, WORK)


def work_alone(machine):
    alone["seconds"] = right_works(machine)
    return f"{alone['seconds']:.2f} s"


def part_of_who_works(machine):
    """How long the right guest's work takes, and what part of the CPU it has meanwhile."""
    beside, used = used_during(machine, lambda: right_works(machine))
    # How long that is depends on what else this computer does; what part of it the guest had does not.
    part = used["right"] / beside
    if part < 1 / 3:
        raise Failed(f"a guest that works had {part:.2f} of the CPU beside a guest that spins")
    return beside, part


def work_beside_a_spinner(machine):
    with guest_shell(machine, "left"):
        machine.line(SPIN)
        machine.shell("true")
    beside, part = undisturbed(lambda: part_of_who_works(machine))
    return f"{beside:.2f} s, {beside / alone['seconds']:.2f} times as long, with {part:.2f} of the CPU"


def shares(machine):
    """Of ten seconds, what each of the guests gets that spin."""
    elapsed, used = used_during(machine, lambda: seconds_of(machine, "sleep 10"))
    left, right = used["left"], used["right"]
    if not 0.7 <= left / right <= 1.4:
        raise Failed(f"of two guests that spin one got {left:.1f} s, the other {right:.1f} s")
    if elapsed > 14:
        raise Failed(f"`sleep 10` in dom0 took {elapsed:.1f} s beside two guests that spin")
    return left, right


def both_spin(machine):
    with guest_shell(machine, "right"):
        machine.line(SPIN)
        machine.shell("true")
    left, right = undisturbed(lambda: shares(machine))
    return f"{left:.1f} s and {right:.1f} s of 10"


def parts(machine, seconds=10):
    """Of the CPU, what each guest gets while dom0 sleeps: {name: part}."""
    look = "cut -d' ' -f1 /proc/uptime; xm list --json | tr -d '\\n'; echo; cut -d' ' -f1 /proc/uptime"
    text = machine.shell(f"{look}; sleep {seconds}; {look}", 120)[1]
    before, rows, after, end_before, end_rows, end_after = text.split("\n")[:6]
    elapsed = (float(end_before) + float(end_after) - float(before) - float(after)) / 2
    begin, end = [{row["name"]: row["cpu_time_ns"] / 1e9 for row in json.loads(json_text)["domains"]}
                  for json_text in (rows, end_rows)]
    return {name: (end[name] - begin[name]) / elapsed for name in ("left", "right")}


def parts_by_weight(machine):
    part = parts(machine)
    ratio = part["left"] / part["right"]
    if not 1.5 <= ratio <= 2.6:
        raise Failed(f"with weights 512 and 256 the guests got {part}, that is {ratio:.2f} to 1")
    return part, ratio


def weights(machine):
    """Both spin; the ratio, not the sum, is what weights promise: dom0 takes its part before."""
    machine.shell("xm sched-credit -d left -w 512")
    part, ratio = undisturbed(lambda: parts_by_weight(machine))
    machine.shell("xm sched-credit -d left -w 256")
    return f"{part['left']:.2f} and {part['right']:.2f} of the CPU, {ratio:.2f} to 1"


def parts_by_cap(machine):
    part = parts(machine)
    if not 0.15 <= part["left"] <= 0.25 or part["right"] < 0.5:
        raise Failed(f"with a cap of 20 % for the left one the guests got {part}")
    return part


def capped_alone(machine):
    alone_part = parts(machine)["left"]
    if not 0.15 <= alone_part <= 0.25:
        raise Failed(f"with a cap of 20 % a guest got {alone_part:.2f} of a CPU that nobody else wants")
    return alone_part


def caps(machine):
    machine.shell("xm sched-credit -d left -c 20")
    part = undisturbed(lambda: parts_by_cap(machine))
    machine.shell("xm pause right")
    alone_part = undisturbed(lambda: capped_alone(machine))
    machine.shell("xm unpause right; xm sched-credit -d left -c 0")
    return f"{part['left']:.3f} beside {part['right']:.2f}, {alone_part:.3f} alone"


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
    ("with twice the weight one gets twice the time", weights),
    ("a cap holds, beside others and alone", caps),
    ("dom0 rules them still", dom0_answers),
])
