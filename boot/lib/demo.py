#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The main job without a person: boots the image, creates a domU with `xm create -c`, types on its console, leaves
it, lists, shuts down, creates again, destroys. Prints the console as it goes and one line per step; the exit
status is 0 only if every step was seen."""

import argparse
import random
import re
import sys

import bochs
import qemu
from machine import Failed, Machine
from steps import play, show

CONFIG = "/etc/vmm/demo.cfg"
DOM0 = r"^dom0:\S*# "
DOMU = r"^domU:\S*# "


def boot(machine):
    """From power-on to dom0's shell."""
    machine.expect(DOM0, 240, "dom0's shell")
    machine.line("stty cols 1000; dmesg -n 1")
    machine.expect(DOM0, 20, "dom0's shell")


def daemon(machine):
    """xm info answers: hypervisor, dom0 kernel and vmmd work together."""
    for _ in range(20):
        status, _ = machine.shell("xm info", check=False)
        if status == 0:
            return
        machine.shell("sleep 1")
    raise Failed("`xm info` still fails 20 s after boot:\n" + machine.shell("xm info", check=False)[1])


def create_with_console(machine):
    """xm create -c: the guest's kernel and init appear on this terminal."""
    machine.line(f"xm create -c {CONFIG}; echo x''m-left=$?")
    if machine.expect(r"^domU: Linux |xm-left=[0-9]+", 180, "the domU's banner").group(0).startswith("xm"):
        raise Failed("`xm create -c` ended before the domU's banner:\n" + machine.tail(8))
    machine.line()
    machine.expect(DOMU, 30, "the domU's shell")


def compute(machine):
    """a command typed on the domU's console is computed there."""
    left, right = random.randrange(1000, 9999), random.randrange(1000, 9999)
    machine.line(f"echo $(hostname) says $(({left} * {right}))")
    machine.expect(rf"^domU says {left * right}\n", 30, "the domU's answer")
    machine.expect(DOMU, 30, "the domU's shell")


def leave_console(machine):
    """Ctrl-] gives dom0's shell back."""
    machine.send("\x1d")
    machine.expect(r"xm-left=[0-9]+\n", 30, "dom0's shell")
    machine.expect(DOM0, 30, "dom0's shell")


def listed(machine, wanted):
    """xm list names demo exactly when it should."""
    output = machine.shell("xm list")[1]
    if not re.search(r"^Domain-0\s+0\s", output, re.MULTILINE):
        raise Failed("`xm list` does not name Domain-0:\n" + output)
    if bool(re.search(r"^demo\s+[1-9]", output, re.MULTILINE)) != wanted:
        raise Failed(f"`xm list` should {'' if wanted else 'not '}name demo:\n{output}")


def create_again(machine):
    """xm create without a console."""
    machine.shell(f"xm create {CONFIG}", 120)
    listed(machine, True)


def done(machine, command, seconds):
    """A command that must end with status 0."""
    machine.shell(command, seconds)


STEPS = [
    ("boot to dom0's shell", boot),
    ("xm info", daemon),
    ("xm create -c demo.cfg", create_with_console),
    ("type on the domU's console, see its answer", compute),
    ("leave the console with Ctrl-]", leave_console),
    ("xm list shows it", lambda machine: listed(machine, True)),
    ("xm shutdown -w", lambda machine: done(machine, "xm shutdown -w demo", 90)),
    ("xm list does not show it", lambda machine: listed(machine, False)),
    ("xm create again", create_again),
    ("xm destroy", lambda machine: done(machine, "xm destroy demo", 60)),
    ("xm list does not show it", lambda machine: listed(machine, False)),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    qemu.add_options(parser)
    parser.add_argument("--log", required=True, help="where the whole console is kept")
    options = parser.parse_args()
    if options.machine == "bochs":
        print("== on VT-x, in Bochs")
        booted = bochs.Bochs(options.iso, options.log, show, options.memory)
    else:
        if options.machine == "vt-x":
            print("== on VT-x, by nested KVM")
        booted = Machine(qemu.command_from(options) + ["-no-reboot"], options.log, show)
    with booted as machine:
        seen = play(machine, STEPS)
    print("== demo: all steps were seen" if seen else f"== demo: FAILED; the whole console is in {options.log}")
    return 0 if seen else 1


if __name__ == "__main__":
    sys.exit(main())
