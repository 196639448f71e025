#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Becomes the emulator that the rest of the command line names, with all its threads on one CPU of the host: that
with the fewest emulators of ours."""

import itertools
import os
import socket
import sys

# What a command line begins with to be held.
COMMAND = [sys.executable, os.path.abspath(__file__)]


def taken(cpu, place):
    """The place of that CPU, held until its last holder ends: a name in the abstract namespace, so that two that
    start at the same instant differ and nothing is left behind. None if another has it."""
    held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        held.bind(f"\0plinth.emulator.{cpu}.{place}")
    except OSError:
        held.close()
        return None
    held.set_inheritable(True)
    return held


def main():
    cpus = sorted(os.sched_getaffinity(0))
    for place in itertools.count():
        for cpu in cpus:
            if held := taken(cpu, place):
                held.detach()
                os.sched_setaffinity(0, {cpu})
                os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
