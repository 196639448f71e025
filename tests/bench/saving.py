# SPDX-License-Identifier: Apache-2.0
"""How long it takes to save a stock guest to a file in dom0's memory and to bring it back, in virtual milliseconds under
-icount. Three eighths of the guest's memory are random data, with which neither zeros nor compression help. Each
hypervisor is driven by the tools it comes with: xm on Plinth, xl on stock Xen."""

import os
import shutil

import machine as console
from domains import DOM0, insisted, pack, write
from icount import command
from machine import Machine
from times import took_ms

SIZES = (128, 256, 512)     # MiB
MEMORY, DOM0_MEMORY = 3072, 1280  # of the machine and of dom0: the file is in there
PLACE = "/mnt"
FILE = f"{PLACE}/image"
# dom0's image, the tool, and the ways to save that it has: what is added to a line's name, and options.
KINDS = {
    "plinth": ("dom0", "xm", {"": "--compress none", "-zstd": "--compress zstd"}),
    "xen": ("dom0-xl", "xl", {"": ""}),
}
SECONDS_TO_FILL = 60        # which cost nothing once all are idle: -icount skips them
RC = """#!/bin/sh
. /etc/rc
mkdir -p /mnt
mount -t tmpfs -o size=100% tmpfs /mnt
dd if=/dev/urandom of=/mnt/filled bs=1M count=$(sed -n 's/.*fill=\\([0-9]*\\).*/\\1/p' /proc/cmdline) || poweroff -f
"""
INITTAB = "::sysinit:/bin/sh /etc/rc.fill\nhvc0::respawn:-/bin/sh\n"


def make_images(images, name):
    """The modules for QEMU's -initrd."""
    folder = os.path.join(images, "bench")
    shutil.rmtree(folder, ignore_errors=True)
    write(f"{folder}/domu/etc/inittab", INITTAB)
    write(f"{folder}/domu/etc/rc.fill", RC)
    for size in SIZES:
        write(f"{folder}/dom0/bench/{size}.cfg",
              f'name = "g{size}"\ntype = "pvh"\nkernel = "/boot/vmlinuz-cloud"\nramdisk = "/bench/domu.cpio.gz"\n'
              f'extra = "console=hvc0 fill={size * 3 // 8}"\nmemory = {size}\n')
    shutil.copy(f"{images}/domu.cpio.gz", f"{folder}/dom0/bench/domu.cpio.gz")
    pack(f"{folder}/domu", f"{folder}/dom0/bench/domu.cpio.gz")
    shutil.copy(f"{images}/{name}.cpio", f"{folder}/dom0.cpio")
    pack(f"{folder}/dom0", f"{folder}/dom0.cpio")
    return f"{images}/{name}/boot/vmlinuz console=hvc0,{folder}/dom0.cpio"


def saved_and_restored(machine, tool, size, options):
    """Milliseconds of both."""
    save = took_ms(machine, f"{tool} save {options} g{size} {FILE}")
    restore = took_ms(machine, f"{tool} restore {FILE}")
    machine.shell(f"rm {FILE}; {tool} list g{size}", 60)
    return save, restore


def taken(kind, image, modules, log):
    _, tool, ways = KINDS[kind]
    console.TYPING_PAUSE = 0.1 if kind == "xen" else 0.02
    figures = {}
    more = f" dom0_mem={DOM0_MEMORY}M,max:{DOM0_MEMORY}M"
    with Machine(command(kind, image, modules, MEMORY, more=more), log) as machine:
        machine.expect(DOM0, 600, "dom0's shell")
        machine.line("stty cols 1000; dmesg -n 1")
        machine.expect(DOM0, 60)
        machine.shell(f"mkdir -p {PLACE}; mount -t tmpfs -o size=80% tmpfs {PLACE}")
        machine.shell(f"for i in $(seq 30); do {tool} list > /dev/null && break; sleep 1; done; {tool} list", 120)
        for size in SIZES:
            machine.shell(f"{tool} create /bench/{size}.cfg", 300)
            machine.shell(f"sleep {SECONDS_TO_FILL}", 300)
            for name, options in ways.items():
                figures[f"save-{size}{name}-ms"], figures[f"restore-{size}{name}-ms"] = saved_and_restored(
                    machine, tool, size, options)
            machine.shell(f"{tool} destroy g{size}", 120)
    return figures


def measure(kind, image, images, log):
    """{"save-SIZE-ms" and "restore-SIZE-ms": virtual milliseconds}"""
    modules = make_images(images, KINDS[kind][0])
    return insisted(kind, lambda: taken(kind, image, modules, log))
