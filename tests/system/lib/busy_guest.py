# SPDX-License-Identifier: Apache-2.0
"""What a guest is busy with that goes to a file, another machine or a clone: its two vCPUs interrupt each other all the
time, a process on each being woken by the one on the other, and one counts the seconds."""

import re

from dom0 import SCALE, Failed

VCPUS = 2
_FIFOS = "exec 3<>/tmp/to 4<>/tmp/fro"
_CALLS = f"(taskset 1 sh -c '{_FIFOS}; while :; do echo >&3; read x <&4; sleep 0.1; done' &)"
_ANSWERS = f"(taskset 2 sh -c '{_FIFOS}; while :; do read x <&3; echo >&4; done' &)"

# A file that takes the place of another is never found empty.
COUNT_STAYS = "echo $i > /tmp/next; mv /tmp/next /tmp/count"


def begin_calls(guest):
    guest.shell(f"mkfifo /tmp/to /tmp/fro; {_CALLS}; {_ANSWERS}")


def begin_count(guest):
    """Where it has got to stands in /tmp/count."""
    guest.shell(f"(i=0; while :; do i=$((i+1)); {COUNT_STAYS}; sleep 1; done >/dev/null 2>&1 &)")


def _calls(guest):
    """How often each CPU was told to look for work."""
    told = re.search(r"^ *RES:((?: +[0-9]+)+)", guest.shell("cat /proc/interrupts")[1], re.MULTILINE)
    return [int(count) for count in told.group(1).split()]


def calls_go_on(guest):
    before = _calls(guest)
    for _ in range(int(60 * SCALE)):
        now = _calls(guest)
        if len(now) == VCPUS and all(count > was for was, count in zip(before, now)):
            return
        guest.shell("sleep 0.5")
    raise Failed(f"the guest's CPUs do not interrupt each other any more: {before}, then {now}")
