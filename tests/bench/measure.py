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
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "boot", "lib"))
sys.path.insert(0, os.path.join(HERE, "..", "guests"))
import bochs  # noqa: E402
import disks  # noqa: E402
import grub_medium  # noqa: E402
import moving  # noqa: E402
import saving  # noqa: E402
import times  # noqa: E402
import traffic  # noqa: E402
from icount import COMMAND_LINE, command  # noqa: E402
from machine import Failed, Machine  # noqa: E402

# What CPUs do to each other is measured on so many; that guest has one vCPU more.
PROCESSORS_GUEST = "bench_processors.elf"
PROCESSORS = (1, 2, 4, 8)
# It forks large domains.
FORK_GUEST = "bench_fork.elf"
FORK_MEMORY = 3584
PARTS_WITH_PROBE = {"traffic": traffic, "disks": disks}
FIGURE = re.compile(r"BENCH (\S+) (-?\d+)")
END = r"BENCH-END"


def figures_of(machine, kind, guest):
    """{name: value}; several values of one name give their median."""
    machine.expect(END, 300, f"{os.path.basename(guest)} on {kind}")
    values = {}
    for name, value in FIGURE.findall(machine.text):
        values.setdefault(name, []).append(int(value))
    if not values:
        raise Failed(f"{os.path.basename(guest)} on {kind} ended without a figure")
    return {name: statistics.median(taken) for name, taken in values.items()}


def measure(kind, image, guest, log):
    with Machine(command(kind, image, guest), log) as machine:
        return figures_of(machine, kind, guest)


def measure_on_vmx(cpu):
    """As measure(), in Bochs, where the time-stamp counter counts instructions as well."""
    def on_cpu(kind, image, guest, log):
        with tempfile.TemporaryDirectory(prefix="plinth-bench-") as folder:
            medium = grub_medium.made(folder, image, guest, COMMAND_LINE[kind])
            with bochs.Bochs(medium, log, memory=1024, cpu=cpu) as machine:
                return figures_of(machine, kind, guest)
    return on_cpu


def limit(bar, xen):
    """The most that a figure may be. {"xen-by": 1.5} means: 1.5 times better than Xen's in the same run."""
    if isinstance(bar, dict):
        return xen / bar["xen-by"] if xen else None
    return bar


def table(title, figures, bars):
    kinds = list(figures)
    names = list(dict.fromkeys(name for kind in kinds for name in figures[kind]))
    print(f"\n{title:40}" + "".join(f"{kind:>12}" for kind in kinds) +
          ("       ratio" if len(kinds) > 1 else "") + f"{'at most':>12}")
    for name in names:
        row = [figures[kind].get(name) for kind in kinds]
        line = f"{name:40}" + "".join(f"{value:>12,.0f}" if value is not None else f"{'-':>12}" for value in row)
        if len(kinds) > 1:
            line += f"{row[-1] / row[0]:>11.1f}x" if row[0] and row[-1] else f"{'-':>12}"
        bar = limit(bars.get(name), dict(zip(kinds, row)).get("xen"))
        if bar is not None:
            missed = row[0] is not None and kinds[0] == "plinth" and row[0] > bar
            line += f"{bar:>12,.0f}" + ("  MISSED" if missed else "")
        print(line)


def instruction_counts(folder, options, subjects, failed, taken_by=measure, where=""):
    """{kind: {operation: instructions}} of every micro-guest of a folder on every subject."""
    guests = sorted(name for name in os.listdir(folder)
                    if re.fullmatch(r"bench.*\.elf", name) and name not in (PROCESSORS_GUEST, FORK_GUEST) and re.search(options.match, name))
    if not guests:
        failed.append(f"no bench*.elf in {folder} matches /{options.match}/")
    figures = {}
    for kind, image in subjects:
        figures.setdefault(kind, {})
        for guest in guests:
            log = os.path.join(options.log, f"bench.{guest}.{kind}{where}.log")
            try:
                figures[kind] |= taken_by(kind, image, os.path.join(folder, guest), log)
            except Failed as trouble:
                failed.append(str(trouble))
    return figures


def on_processors(folder, options, subjects, failed):
    """{kind: {"figure CPUS": instructions}}: how each grows with the number of CPUs."""
    figures = {}
    for kind, image in subjects:
        taken = {}
        for cpus in PROCESSORS:
            log = os.path.join(options.log, f"bench.processors.{cpus}.{kind}.log")
            line = command(kind, image, os.path.join(folder, PROCESSORS_GUEST), cpus=cpus,
                           more=f" dom0_max_vcpus={cpus + 1}")
            try:
                with Machine(line, log) as machine:
                    for name, value in figures_of(machine, kind, PROCESSORS_GUEST).items():
                        taken.setdefault(name, {})[cpus] = value
            except Failed as trouble:
                failed.append(str(trouble))
        figures[kind] = {f"{name} {cpus}": value for name, of in taken.items() for cpus, value in of.items()}
    return figures


def on_forks(folder, options, subjects, failed):
    """{kind: {operation: instructions}} of forks, on a machine with room for them. Stock Xen is built without."""
    figures = {}
    for kind, image in subjects:
        if kind == "xen":
            continue
        log = os.path.join(options.log, f"bench.fork.{kind}.log")
        try:
            with Machine(command(kind, image, os.path.join(folder, FORK_GUEST), memory=FORK_MEMORY), log) as machine:
                figures[kind] = figures_of(machine, kind, FORK_GUEST)
        except Failed as trouble:
            failed.append(str(trouble))
    return figures


def on_dom0(part, name, options, subjects, failed, *more):
    """{kind: figures} of a part that boots a whole dom0 on every subject."""
    figures = {}
    for kind, image in subjects:
        try:
            figures[kind] = part.measure(kind, image, options.images, *more,
                                         os.path.join(options.log, f"bench.{name}.{kind}.log"))
        except Failed as trouble:
            failed.append(str(trouble))
            figures[kind] = {}
    return figures


def data_moved(part, name, options, subjects, failed, results, bars):
    """The two tables of a part that moves data: how long a MiB takes, and what."""
    lines = on_dom0(part, name, options, subjects, failed, options.probe)
    times_of, counts_of = f"{name}: virtual us per MiB", f"{name}: calls per MiB"
    results[times_of], results[counts_of] = {}, {}
    for kind, figures in lines.items():
        results[times_of][kind] = {line: each["us"] for line, each in figures.items()}
        results[counts_of][kind] = {f"{line} {what}": each[what] for line, each in figures.items()
                                    for what in ("exits", "hypercalls", "grants")}
    for title in (times_of, counts_of):
        table(title, results[title], bars)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subject", action="append", required=True, metavar="KIND=IMAGE")
    parser.add_argument("--guests", help="folder with the micro-guests, bench*.elf")
    parser.add_argument("--vmx", help="the same folder, for VT-x in Bochs; the first subject only")
    parser.add_argument("--processors", help="the same folder, for what CPUs do to each other")
    parser.add_argument("--fork", help="the same folder, for forks of domains")
    parser.add_argument("--images", help="folder with dom0/ and dom0.cpio, as boot/run --iso makes them")
    parser.add_argument("--jobs", action="store_true", help="dom0's start, create, destroy; needs --images")
    parser.add_argument("--traffic", action="store_true", help="TCP; needs --images and --probe")
    parser.add_argument("--disks", action="store_true", help="a guest's disks; needs --images and --probe")
    parser.add_argument("--saving", action="store_true", help="saving and restoring guests; needs --images, for xen those with xl")
    parser.add_argument("--moving", help="migration: CMake's build folder with plinth.iso; on Plinth only")
    parser.add_argument("--probe", help="the program that moves data in dom0 and guests")
    parser.add_argument("--log", required=True)
    parser.add_argument("--json", default="")
    parser.add_argument("--match", default="")
    options = parser.parse_args()
    subjects = [subject.partition("=")[::2] for subject in options.subject]
    with open(os.path.join(HERE, "bars.json"), encoding="utf-8") as file:
        bars = json.load(file)
    results, failed = {}, []
    if options.guests:
        results["instructions"] = instruction_counts(options.guests, options, subjects, failed)
        table("instructions, median", results["instructions"], bars)
    if options.vmx:
        for where, cpu in (("VT-x", bochs.CPU), ("the oldest VT-x", bochs.OLDEST_CPU)):
            title = f"instructions on {where}, median"
            results[title] = instruction_counts(options.vmx, options, subjects[:1], failed, measure_on_vmx(cpu),
                                                "." + cpu)
            table(title, results[title], {})
    if options.processors:
        title = "instructions, median, and on how many CPUs"
        results[title] = on_processors(options.processors, options, subjects, failed)
        table(title, results[title], bars)
    if options.fork:
        title = "instructions, of forks"
        results[title] = on_forks(options.fork, options, subjects, failed)
        table(title, results[title], bars)
    if options.jobs:
        results["virtual milliseconds"] = on_dom0(times, "times", options, subjects, failed)
        table("virtual milliseconds", results["virtual milliseconds"], bars)
    if options.saving:
        title = "saving and restoring: virtual milliseconds"
        results[title] = on_dom0(saving, "saving", options, subjects, failed)
        table(title, results[title], bars)
    if options.moving:
        title = "migration, on the clock on the wall"
        try:
            results[title] = {"plinth": moving.measure(options.moving)}
            table(title, results[title], bars)
        except Failed as trouble:
            failed.append(str(trouble))
    for name, part in PARTS_WITH_PROBE.items():
        if getattr(options, name):
            data_moved(part, name, options, subjects, failed, results, bars)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=2)
    for trouble in failed:
        print(f"measure.py: error: {trouble}", file=sys.stderr)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
