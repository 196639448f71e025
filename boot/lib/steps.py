# SPDX-License-Identifier: Apache-2.0
"""Steps done one after the other on one machine, with a line of progress each."""

import sys
import time

from machine import Failed


def show(text):
    sys.stdout.write(text)
    sys.stdout.flush()


def play(machine, steps):
    """`steps` are (name, function of the machine). True if all were seen; the first that fails ends it and says
    why. What a step returns is printed behind its name."""
    for number, (name, step) in enumerate(steps, 1):
        begin = time.monotonic()
        try:
            told = step(machine)
        except (Failed, BrokenPipeError) as trouble:
            show(f"\n== step {number}/{len(steps)}: {name}: FAILED\n{trouble}\n")
            return False
        told = f" ({told})" if told else ""
        show(f"\n== step {number}/{len(steps)}: {name}: ok, {time.monotonic() - begin:.1f} s{told}\n")
    return True
