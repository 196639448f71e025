# SPDX-License-Identifier: Apache-2.0
"""What is judged by seconds. They mean nothing while this computer, a virtual machine itself, gets no CPU from its host:
what is late then is not what is tested."""

import time

from dom0 import Failed

MOST = 0.05             # of its CPUs' time, that may be taken away while something is judged
ATTEMPTS = 5
PAUSE = 10              # seconds between them


def seconds_of(shell, command, on=""):
    """How long a command that prints nothing takes by the clock of the shell it runs in; `on`: taskset and a mask."""
    look = f"{on} cat /proc/uptime"
    text = shell.shell(f"{look}; {on} {command}; {look}", 120)[1]
    begin, end = [float(line.split()[0]) for line in text.splitlines()]
    return end - begin


def sleeps(shell, most, on=""):
    """`sleep 2` takes two seconds there; `most`: with getting the CPU again."""
    slept = seconds_of(shell, "sleep 2", on)
    if not 1.9 <= slept <= most:
        raise Failed(f"`{on} sleep 2` took {slept:.2f} s")
    return slept


def _ticks():
    """What was taken away, and all there was. [proc_stat(5)]"""
    with open("/proc/stat", encoding="ascii") as stat:
        ticks = [int(word) for word in stat.readline().split()[1:9]]
    return ticks[7], sum(ticks)


def undisturbed(judge):
    """What `judge` gives. It fails when it does so once while the host left the CPUs to us, or in each of some attempts."""
    for attempt in range(1, ATTEMPTS + 1):
        stolen, all_of = _ticks()
        try:
            return judge()
        except Failed:
            stolen_after, all_after = _ticks()
            if attempt == ATTEMPTS or stolen_after - stolen <= MOST * (all_after - all_of):
                raise
        time.sleep(PAUSE)
