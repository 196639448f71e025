#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Boots micro-guests as dom0 under -icount, where the time-stamp counter counts emulated instructions, and reads
the lines `BENCH name value` they print: the cost of each operation in instructions, the hypervisor's included. The
same guests run on every hypervisor named, so the columns compare like with like."""

import argparse
import json
import os
import re
import statistics
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "boot", "lib"))
from machine import Failed, Machine  # noqa: E402

# Features that TCG lacks are named away so that invtsc can be forced: without it Xen traps RDTSC.
CPU = ("EPYC,+svm,+npt,-rdtscp,-monitor,-rdseed,-sha-ni,-fxsr-opt,-misalignsse,-3dnowprefetch,-osvw,-topoext,"
       "-nrip-save,-xsavec,+invtsc,x-force-features=on")
ICOUNT = ["-icount", "shift=0,sleep=off", "-rtc", "base=2024-01-01T00:00:00,clock=vm"]
COMMAND_LINE = {
    "plinth": "console=com1 com1=115200,8n1 loglvl=warning dom0_mem=768M noreboot",
    "xen": "console=com1 com1=115200,8n1 loglvl=warning dom0=pvh dom0_mem=768M,max:768M noreboot",
}
FIGURE = re.compile(r"BENCH (\S+) (-?\d+)")
END = r"BENCH-END"


def command(kind, image, guest, memory=1024):
    """The same machine for all: what stock Xen needs for a PVH dom0 does not hurt Plinth."""
    return ["qemu-system-x86_64", "-accel", "tcg", "-machine", "q35,kernel-irqchip=split", "-cpu", CPU,
            "-device", "intel-iommu,intremap=on", "-m", str(memory), "-smp", "1", "-display", "none", "-nic", "none",
            "-no-reboot", *ICOUNT, "-kernel", image, "-append", COMMAND_LINE[kind], "-initrd", guest]


def measure(kind, image, guest, log):
    """{name: value}; several values of one name give their median."""
    with Machine(command(kind, image, guest), log) as machine:
        machine.expect(END, 300, f"{os.path.basename(guest)} on {kind}")
        values = {}
        for name, value in FIGURE.findall(machine.text):
            values.setdefault(name, []).append(int(value))
    if not values:
        raise Failed(f"{os.path.basename(guest)} on {kind} ended without a figure; its console: {log}")
    return {name: statistics.median(taken) for name, taken in values.items()}


def table(figures, kinds, bars):
    names = list(dict.fromkeys(name for kind in kinds for name in figures[kind]))
    print(f"\n{'operation (instructions, median)':40}" + "".join(f"{kind:>12}" for kind in kinds) +
          ("       ratio" if len(kinds) > 1 else "") + f"{'at most':>12}")
    for name in names:
        row = [figures[kind].get(name) for kind in kinds]
        line = f"{name:40}" + "".join(f"{value:>12,.0f}" if value is not None else f"{'-':>12}" for value in row)
        if len(kinds) > 1:
            line += f"{row[-1] / row[0]:>11.1f}x" if row[0] and row[-1] else f"{'-':>12}"
        bar = bars.get(name)
        if bar is not None:
            missed = row[0] is not None and kinds[0] == "plinth" and row[0] > bar
            line += f"{bar:>12,}" + ("  MISSED" if missed else "")
        print(line)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subject", action="append", required=True, metavar="KIND=IMAGE")
    parser.add_argument("--guests", required=True, help="folder with the micro-guests, bench*.elf")
    parser.add_argument("--log", required=True)
    parser.add_argument("--json", default="")
    parser.add_argument("--match", default="")
    options = parser.parse_args()
    guests = sorted(name for name in os.listdir(options.guests)
                    if re.fullmatch(r"bench.*\.elf", name) and re.search(options.match, name))
    if not guests:
        sys.exit(f"measure.py: error: no bench*.elf in {options.guests} matches /{options.match}/")
    figures, failed = {}, False
    for subject in options.subject:
        kind, _, image = subject.partition("=")
        figures.setdefault(kind, {})
        for guest in guests:
            try:
                figures[kind] |= measure(kind, image, os.path.join(options.guests, guest),
                                         os.path.join(options.log, f"bench.{guest}.{kind}.log"))
            except Failed as trouble:
                failed = True
                print(trouble, file=sys.stderr)
    with open(os.path.join(HERE, "bars.json"), encoding="utf-8") as file:
        table(figures, list(figures), json.load(file))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"unit": "instructions", "figures": figures}, file, indent=2)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
