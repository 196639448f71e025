#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Boots one micro-guest as dom0 and judges it by its VERDICT line.

    run_guest.py [--hypervisor IMAGE] [--timeout SECONDS] [--icount] GUEST.elf
    run_guest.py --iso FILE ...     boots from a GRUB image instead (stock Xen as the oracle)
    run_guest.py --vt-x ...         on VT-x: by nested KVM on Intel where this computer has it, else in Bochs, from a
                                    GRUB image made for it (multiboot2); --oldest: on the least that will do

The hypervisor is loaded by QEMU (multiboot1) with the guest as its first module. Everything the machine
says is copied to standard output. Exit status: 0 success, 77 skip, 1 failure or error, 2 no verdict.
"""
import argparse
import os
import re
import selectors
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "boot", "lib"))
import bochs  # noqa: E402
import grub_medium  # noqa: E402
import on_one_cpu  # noqa: E402
import qemu  # noqa: E402
from machine import Failed  # noqa: E402

VERDICT = re.compile(rb"VERDICT (\S+) (success|skip|error|failure)")
PANIC = re.compile(rb"PANIC|panic:")
IPS = 50_000_000    # of Bochs: with more, more instructions wait for the same character to leave the UART
STATUS = {b"success": 0, b"skip": 77, b"error": 1, b"failure": 1}


def machine(args):
    held = []
    if args.vt_x:
        accelerator = ["-accel", "kvm", "-cpu", qemu.OLDEST_VT_X if args.oldest else "host"]
    elif qemu.nested_kvm() and not args.icount:
        accelerator = ["-accel", "kvm", "-cpu", "host"]
    else:
        model = args.cpu or (qemu.HARDENED if args.hardened else qemu.CPU["plinth", "tcg"])
        accelerator = ["-accel", qemu.TCG, "-cpu", model]
        held = on_one_cpu.COMMAND
    command = [*held, "qemu-system-x86_64", *accelerator, "-machine", "q35", "-m", str(args.memory), "-smp",
               f"{args.cpus},threads={args.threads}", "-nographic", "-no-reboot", "-net", "none"]
    if args.icount:
        command += ["-icount", "shift=0,sleep=off", "-rtc", "base=2024-01-01T00:00:00,clock=vm"]
    if args.iso:
        return command + ["-cdrom", args.iso, *args.qemu]
    return command + ["-kernel", args.hypervisor, "-append", args.append, "-initrd", args.guest, *args.qemu]


def watch(command, timeout):
    """The verdict word, or None; the machine is ended as soon as it is known."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + timeout
    seen = b""
    selector = selectors.DefaultSelector()
    selector.register(process.stdout, selectors.EVENT_READ)
    try:
        while time.monotonic() < deadline:
            if not selector.select(1):
                continue
            piece = os.read(process.stdout.fileno(), 65536)
            if not piece:
                return VERDICT.search(seen)
            sys.stdout.buffer.write(piece)
            sys.stdout.flush()
            seen += piece
            line_ends = seen.rfind(b"\n")
            if found := VERDICT.search(seen[:line_ends + 1]):
                return found
            if PANIC.search(seen[:line_ends + 1]):
                deadline = min(deadline, time.monotonic() + 2)  # let the rest of it be read
        return None
    finally:
        process.kill()
        process.wait()


def bochs_cpu(args):
    if args.hardened:
        return bochs.NEWEST_CPU
    return bochs.OLDEST_CPU if args.oldest else bochs.CPU


def watch_bochs(args):
    """As watch(), on VT-x."""
    def show(text):
        sys.stdout.write(text)
        sys.stdout.flush()

    with tempfile.TemporaryDirectory(prefix="plinth-guest-") as folder:
        medium = grub_medium.made(folder, args.hypervisor, args.guest, args.append)
        with bochs.Bochs(medium, os.path.join(folder, "console"), show, args.memory,
                         cpus=f"{args.cpus // args.threads}:1:{args.threads}", ips=IPS, cpu=bochs_cpu(args)) as booted:
            try:
                seen = booted.expect(VERDICT.pattern.decode() + r"\n|" + PANIC.pattern.decode(),
                                     2 * args.timeout / booted.slowness)
            except Failed:
                return None
            return VERDICT.search(seen.group(0).encode())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--hypervisor", help="the hypervisor image")
    parser.add_argument("--iso", help="a bootable image with everything in it")
    parser.add_argument("--vt-x", action="store_true", help="on VT-x: by nested KVM on Intel, or in Bochs")
    parser.add_argument("--oldest", action="store_true", help="with --vt-x: the least of it that will do")
    parser.add_argument("--hardened", action="store_true", help="a CPU that says it can be kept from leaking")
    parser.add_argument("--append", default="console=com1 loglvl=debug guest_loglvl=debug noreboot")
    parser.add_argument("--cpu", help="QEMU's, where KVM is not used")
    parser.add_argument("--memory", type=int, default=256)
    parser.add_argument("--cpus", type=int, default=1, help="physical CPUs")
    parser.add_argument("--threads", type=int, default=1, help="of them to a core")
    parser.add_argument("--timeout", type=float, default=60)
    parser.add_argument("--icount", action="store_true", help="count instructions; the TSC is exact")
    parser.add_argument("--qemu", action="append", default=[], help="one more argument for QEMU")
    parser.add_argument("guest", nargs="?", help="the micro-guest")
    args = parser.parse_args()
    if not args.iso and not (args.hypervisor and args.guest):
        parser.error("needs --hypervisor and a guest, or --iso")
    emulated = args.vt_x and not qemu.nested_kvm("intel")
    if args.vt_x:
        print("on VT-x,", "in Bochs" if emulated else "by nested KVM", flush=True)
    found = watch_bochs(args) if emulated else watch(machine(args), args.timeout)
    if not found:
        print(f"\nno verdict within {args.timeout:g} s")
        return 2
    return STATUS[found[2]]


if __name__ == "__main__":
    sys.exit(main())
