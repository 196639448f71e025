# SPDX-License-Identifier: Apache-2.0
"""How long whole jobs take, in virtual milliseconds under -icount (1 ns an instruction): from the hypervisor's entry
to dom0's /init, `xm create -p`, `xm destroy`. The clock is the emulated RTC, which no hypervisor changes: its
second's edge is marked in the kernel's log, whose stamps then give every other moment."""

import os
import re
import statistics
import subprocess

from icount import command
from machine import Failed, Machine

HERE = os.path.dirname(os.path.abspath(__file__))

BASE = 1704067200           # 2024-01-01T00:00:00, where -rtc base puts power-on
KERNEL_ALONE_MS = 1746      # what Debian's kernel needs from its entry to /init under these flags, on any hypervisor
ROUNDS = 5
DOM0 = r"^dom0:\S*# "
EDGE = ("s=$(cat /sys/class/rtc/rtc0/since_epoch); while read n < /sys/class/rtc/rtc0/since_epoch; [ $n = $s ]; do :; "
        "done; echo edge=$n > /dev/kmsg")


def entry_ms(kind, log, folder, modules):
    """When the loader hands over, found out with an image that only prints its time-stamp counter."""
    image = os.path.join(folder, "entry_time.elf")
    built = image + ".o"
    subprocess.run(["gcc", "-m32", "-c", os.path.join(HERE, "entry_time.S"), "-o", built], check=True)
    subprocess.run(["ld", "-m", "elf_i386", "-Ttext", "0x200000", "-e", "start", built, "-o", image], check=True)
    with Machine(command(kind, image, modules), log) as machine:
        return int(machine.expect(r"([0-9a-f]{16})\n", 60, "the time of entry").group(1), 16) / 1e6


def stamp_ms(text, words):
    match = re.search(rf"\[ *([0-9]+\.[0-9]+)\] [^\n]*{words}", text, re.MULTILINE)
    if not match:
        raise Failed(f"the kernel's log does not say /{words}/")
    return float(match.group(1)) * 1000, match


def took_ms(machine, what):
    """Virtual milliseconds that a command takes, by the stamps of the kernel's log."""
    machine.shell(f"dmesg -c > /dev/null; echo begin > /dev/kmsg; {what} > /dev/null; echo end > /dev/kmsg", 300)
    text = machine.shell("dmesg")[1]
    return stamp_ms(text, "end$")[0] - stamp_ms(text, "begin$")[0]


def measure(kind, image, folder, log):
    modules = f"{folder}/dom0/boot/vmlinuz console=hvc0,{folder}/dom0.cpio"
    figures = {}
    begin = entry_ms(kind, log + ".entry", folder, modules)
    with Machine(command(kind, image, modules, 2048), log) as machine:
        machine.expect(DOM0, 600, "dom0's shell")
        machine.line("stty cols 1000; dmesg -n 1")
        machine.expect(DOM0, 60)
        text = machine.shell(f"{EDGE}; dmesg", 120)[1]
        init = stamp_ms(text, "Run /init as init process")[0]
        edge, match = stamp_ms(text, r"edge=([0-9]+)")
        figures["entry-to-init-ms"] = (int(match.group(2)) - BASE) * 1000 - (edge - init) - begin
        figures["entry-to-init-less-kernel-ms"] = figures["entry-to-init-ms"] - KERNEL_ALONE_MS
        machine.shell("for i in $(seq 30); do xm list > /dev/null && break; sleep 1; done", 120)
        machine.shell("sed 's/^memory.*/memory = 256/' /etc/vmm/demo.cfg > /tmp/bench.cfg")
        creates, destroys = [], []
        for _ in range(ROUNDS):
            creates.append(took_ms(machine, "xm create -p /tmp/bench.cfg"))
            destroys.append(took_ms(machine, "xm destroy demo"))
        figures["create-p-first-ms"] = creates[0]
        figures["create-p-again-ms"] = statistics.median(creates[1:])
        figures["destroy-ms"] = statistics.median(destroys)
    return figures
