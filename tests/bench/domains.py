# SPDX-License-Identifier: Apache-2.0
"""A dom0 with guests to move data between, on the machine of icount.py: the images of boot/run with the probe
added to dom0 and to its guests, each of which keeps a server of it running. Whatever is typed is short, and typed
while nobody is busy, on stock Xen slowly: it loses characters otherwise."""

import os
import re
import shutil
import subprocess
from contextlib import contextmanager

import machine as console
from exits import Exits
from icount import command
from machine import Failed, Machine

PORT = 5001
PROBE = "/bench/probe"
RAMDISK = "/bench/domu.cpio.gz"
DOM0 = r"^dom0:\S*# "
INITTAB = f"""::sysinit:/etc/rc
::respawn:{PROBE} serve {PORT}
hvc0::respawn:-/bin/sh
"""
GUEST = f"""kernel = "/boot/vmlinuz-cloud"
ramdisk = "{RAMDISK}"
extra = "console=hvc0"
memory = 160
vif = [ 'nat' ]
"""
# Starts the guests named and waits until the server of each answers.
UP = f"""#!/bin/sh
for name; do xm create /bench/$name.cfg || exit 1; done
for name; do
    address=$(xm network-list $name --json | sed -n 's/.*"ip": "\\(.*\\)",.*/\\1/p')
    for i in $(seq 60); do
        ping -c 1 -W 1 $address >/dev/null && {PROBE} get $address {PORT} 1 >/dev/null 2>&1 && break
    done
    [ $i -lt 60 ] || exit 1
    echo "address $name $address"
done
"""
# Counts the grant operations of dom0's kernel, which is all that the backends do: the batches that go through these
# functions, and how many operations are in each.
TRACING = "/sys/kernel/tracing"
GRANTS = f"""#!/bin/sh
[ -e {TRACING}/kprobe_events ] || mount -t tracefs tracefs {TRACING}
cd {TRACING}
if [ $1 = begin ]; then
    echo 'p:bench/copy gnttab_batch_copy n=%si:u32' >kprobe_events
    echo 'p:bench/map gnttab_map_refs n=%cx:u32' >>kprobe_events
    echo 'p:bench/unmap gnttab_unmap_refs n=%cx:u32' >>kprobe_events
    for event in copy map unmap; do
        echo 'hist:keys=common_pid:vals=n' >events/bench/$event/trigger
    done
else
    cat events/bench/*/hist | sed -n 's/.* n: *//p' | awk '{{ sum += $1 }} END {{ print "grants", sum + 0 }}'
    for event in copy map unmap; do
        echo '!hist:keys=common_pid:vals=n' >events/bench/$event/trigger
    done
    echo >kprobe_events
fi
"""
ADDRESS = re.compile(r"^address (\S+) (\S+)$", re.MULTILINE)
NANOSECONDS = re.compile(r"^probe-ns ([0-9]+)$", re.MULTILINE)


def write(file, text):
    os.makedirs(os.path.dirname(file), exist_ok=True)
    with open(file, "w", encoding="ascii") as output:
        output.write(text)


def pack(tree, file):
    """Appends a newc archive of `tree` to `file`: the kernel unpacks one after the other, each from a multiple of
    four bytes on."""
    names = subprocess.run(["find", ".", "-mindepth", "1", "-printf", "%P\\n"], cwd=tree, check=True,
                           capture_output=True)
    packed = subprocess.run(["cpio", "-o", "-H", "newc", "-R", "0:0", "--quiet"], cwd=tree, check=True,
                            input=names.stdout, capture_output=True)
    with open(file, "ab") as output:
        output.write(b"\0" * (-output.tell() % 4) + packed.stdout)


def make_images(images, probe, guests):
    """The modules for QEMU's -initrd: dom0's kernel, and its initramfs with what the measurements need. `guests`
    has further lines of each guest's file by its name."""
    folder = os.path.join(images, "bench")
    shutil.rmtree(folder, ignore_errors=True)
    write(f"{folder}/domu/etc/inittab", INITTAB)
    write(f"{folder}/dom0/bench/up", UP)
    write(f"{folder}/dom0/bench/grants", GRANTS)
    for name, lines in guests.items():
        write(f"{folder}/dom0/bench/{name}.cfg", f'name = "{name}"\n{GUEST}{lines}\n')
    for domain in ("dom0", "domu"):
        os.makedirs(f"{folder}/{domain}/bench", exist_ok=True)
        shutil.copy(probe, f"{folder}/{domain}{PROBE}")
    shutil.copy(f"{images}/domu.cpio.gz", f"{folder}/dom0{RAMDISK}")
    pack(f"{folder}/domu", f"{folder}/dom0{RAMDISK}")
    shutil.copy(f"{images}/dom0.cpio", f"{folder}/dom0.cpio")
    pack(f"{folder}/dom0", f"{folder}/dom0.cpio")
    return f"{images}/dom0/boot/vmlinuz console=hvc0,{folder}/dom0.cpio"


def insisted(kind, job):
    """What job() gives. On stock Xen it is tried up to four times: under TCG that now and then interrupts dom0 while
    its interrupts are off, and dom0's kernel waits for ever on a lock of its own (seen: the clock's)."""
    for left in reversed(range(4 if kind == "xen" else 1)):
        try:
            return job()
        except Failed:
            if left == 0:
                raise


@contextmanager
def dom0(kind, image, modules, log):
    """The machine with vmmd answering on dom0's shell; its `exits` count."""
    exits = Exits()
    console.TYPING_PAUSE = 0.1 if kind == "xen" else 0.02
    with Machine(command(kind, image, modules, 2048) + exits.arguments, log) as machine:
        machine.exits = exits
        machine.expect(DOM0, 600, "dom0's shell")
        machine.line("stty cols 1000; dmesg -n 1")
        machine.expect(DOM0, 60)
        machine.shell("for i in $(seq 30); do xm list > /dev/null && break; sleep 1; done; xm list", 120)
        yield machine


def start(machine, *names):
    """Starts these guests; {name: address}."""
    return dict(ADDRESS.findall(machine.shell(f"sh /bench/up {' '.join(names)}", 600)[1]))


def probe_ns(machine, arguments, at=None):
    """Virtual nanoseconds that one run of the probe takes, in dom0 or at a guest's address."""
    where = f"at {at} {PORT} " if at else ""
    output = machine.shell(f"{PROBE} {where}{arguments}", 600)[1]
    match = NANOSECONDS.search(output)
    if not match:
        raise Failed(f"the probe printed no figure for `{arguments}`:\n{output}")
    return int(match.group(1))


def counted(machine, arguments, mib, at=None):
    """The same with what each MiB of `mib` takes: microseconds, exits, hypercalls, and, in a second run because
    counting them takes time, grant operations."""
    ns, exits, hypercalls = machine.exits.counted(lambda: probe_ns(machine, arguments, at))
    machine.shell("sh /bench/grants begin", 60)
    probe_ns(machine, arguments, at)
    grants = int(re.search(r"^grants ([0-9]+)", machine.shell("sh /bench/grants end", 60)[1], re.MULTILINE).group(1))
    return {"us": ns / 1000 / mib, "exits": exits / mib, "hypercalls": hypercalls / mib, "grants": grants / mib}
