# SPDX-License-Identifier: Apache-2.0
"""A guest whose vCPUs, if it has two (PLINTH_GUEST_VCPUS=2), interrupt each other all the time: a process on each is
woken by the one on the other."""

import os
import re

from dom0 import SCALE, Failed

VCPUS = int(os.environ.get("PLINTH_GUEST_VCPUS", "1"))
_FIFOS = "exec 3<>/tmp/to 4<>/tmp/fro"
_CALLS = f"(taskset 1 sh -c '{_FIFOS}; while :; do echo >&3; read x <&4; sleep 0.1; done' &)"
_ANSWERS = f"(taskset 2 sh -c '{_FIFOS}; while :; do read x <&3; echo >&4; done' &)"


def begin_calls(guest):
    if VCPUS > 1:
        guest.shell(f"mkfifo /tmp/to /tmp/fro; {_CALLS}; {_ANSWERS}")


def _calls(guest):
    """How often each CPU was told to look for work."""
    told = re.search(r"^ *RES:((?: +[0-9]+)+)", guest.shell("cat /proc/interrupts")[1], re.MULTILINE)
    return [int(count) for count in told.group(1).split()]


def calls_go_on(guest):
    if VCPUS == 1:
        return
    before = _calls(guest)
    for _ in range(int(60 * SCALE)):
        now = _calls(guest)
        if len(now) == VCPUS and all(count > was for was, count in zip(before, now)):
            return
        guest.shell("sleep 0.5")
    raise Failed(f"the guest's CPUs do not interrupt each other any more: {before}, then {now}")
