#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""dom0 drives the machine's real devices: a SATA disk on AHCI, an NVMe disk, a virtio disk, an e1000e and a
virtio NIC are found, they interrupt, and the data they move is right: judged by this side, byte for byte. There are
more NICs than one CPU has interrupt vectors for."""

import os
import re
import sys
import time

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import Failed, log_file, number, options, play, shell_of_dom0, start, wait_in
from pattern import Peer, digest, pattern

MIB = 1 << 20
HALF = 8 * MIB      # the first half of a disk is known to both sides, the second is for dom0 to write
UPLOAD = 2 * MIB
DISKS = {"sda": "ahci", "nvme0n1": "nvme", "vda": "virtio[0-9]+-req"}
CPUS = 2
VECTORS = 192       # of each CPU, for devices
CROWD = 64          # NICs that nobody uses, with three vectors each
NICS = {            # model, and where in the machine; found by their addresses
    "10.0.2": ("e1000e", "0a.0"),
    "10.0.3": ("virtio-net-pci", "0b.0"),
    "10.0.4": ("virtio-net-pci", "18.0"),
}
chosen = options(__doc__)
files = {disk: log_file(chosen, f"devices.{disk}") + ".img" for disk in DISKS}
peer = Peer("peer", UPLOAD)


def make_disks():
    os.makedirs(os.path.dirname(files["sda"]), exist_ok=True)
    for disk, file in files.items():
        with open(file, "wb") as image:
            image.write(pattern(disk, HALF))
            image.truncate(2 * HALF)


def qemu_arguments():
    words = ["-no-reboot"]
    for disk, device in (("sda", "ide-hd,bus=ide.0"), ("nvme0n1", "nvme,serial=plinth"), ("vda", "virtio-blk-pci")):
        words += ["-drive", f"id={disk},file={files[disk]},format=raw,if=none", "-device", f"{device},drive={disk}"]
    for net, (model, place) in NICS.items():
        words += ["-netdev", f"user,id=net{net},net={net}.0/24",
                  "-device", f"{model},netdev=net{net},addr={place},mac={address_of(net)}"]
    for index in range(CROWD):
        place = f"{0x10 + index // 8:x}.{index % 8}"
        words += ["-device", f"virtio-net-pci,addr={place},multifunction=on,romfile="]
    return words


def address_of(net):
    return f"52:54:00:00:00:{int(net.split('.')[-1]):02x}"


def interrupts(machine, name):
    """How many interrupts the rows of /proc/interrupts whose last column matches `name` have counted."""
    total = 0
    for line in machine.shell("grep -E 'MSI|APIC' /proc/interrupts")[1].splitlines():
        match = re.match(rf"\s*\S+:((?:\s+\d+)+) .*\b{name}", line)
        total += sum(map(int, match.group(1).split())) if match else 0
    return total


def sum_of(machine, command):
    return machine.shell(command + " | sha256sum", 120)[1].split()[0]


def find(machine):
    for disk in DISKS:
        wait_in(machine, f"test -b /dev/{disk}")


def read(machine, disk):
    before = interrupts(machine, DISKS[disk])
    if sum_of(machine, f"dd if=/dev/{disk} bs=1M count=8 iflag=direct status=none") != digest(pattern(disk, HALF)):
        raise Failed(f"what dom0 reads from {disk} is not what is on it")
    count = interrupts(machine, DISKS[disk]) - before
    if count < 4:
        raise Failed(f"{disk} was read with {count} interrupts:\n{machine.shell('cat /proc/interrupts')[1]}")
    return f"{count} interrupts"


def copy_around(machine):
    """Each disk's first half goes to the next disk's second half; the files are judged when the machine is off."""
    names = list(DISKS)
    for index, source in enumerate(names):
        target = names[(index + 1) % len(names)]
        machine.shell(f"dd if=/dev/{source} of=/dev/{target} bs=1M count=8 seek=8 conv=fsync,notrunc status=none", 120)


def network(machine, net):
    nic = machine.shell(f"grep -l {address_of(net)} /sys/class/net/*/address | cut -d / -f 5", check=False)[1].strip()
    if not nic:
        raise Failed(f"no network interface with the address {address_of(net)}")
    machine.shell(f"ip link set {nic} up; ip addr add {net}.15/24 dev {nic}; "
                  f"for i in $(seq 30); do ping -c 1 -W 1 {net}.2 > /dev/null && break; done", 60)
    device = machine.shell(f"basename $(readlink /sys/class/net/{nic}/device)")[1].strip()
    own = rf"({nic}|{device}-(input|output))"
    before = interrupts(machine, own)
    machine.shell("dd if=/dev/sda of=/tmp/up bs=1M count=2 status=none")
    peer.received.clear()
    machine.shell(f"nc {net}.2 {peer.port} < /tmp/up > /tmp/down", 120)
    if [digest(data) for data in peer.received] != [digest(pattern("sda", HALF)[:UPLOAD])]:
        raise Failed(f"what {nic} sent arrived wrong: {[len(data) for data in peer.received]} bytes")
    if sum_of(machine, "cat /tmp/down") != digest(pattern("peer", UPLOAD)):
        raise Failed(f"what {nic} received is wrong")
    count = interrupts(machine, own) - before
    if count < 4:
        raise Failed(f"4 MiB went over {nic} with {count} interrupts:\n{machine.shell('cat /proc/interrupts')[1]}")
    lost = number(r"([0-9]+)", machine.shell(f"cat /sys/class/net/{nic}/statistics/rx_errors")[1])
    return f"{nic}: {count} interrupts, {lost:.0f} errors"


def crowd(machine):
    """All have their vectors: more than one CPU has, and none that one found no place for."""
    rows = machine.shell("grep -cE 'MSI' /proc/interrupts")[1]
    if int(rows) <= VECTORS:
        raise Failed(f"the devices have no more than {rows.strip()} interrupts")
    if "no host vector" in (log := machine.shell("xm dmesg")[1]):
        raise Failed(f"vectors ran out:\n{log}")
    return f"{rows.strip()} message interrupts"


def rtc(machine):
    """The battery clock tells this host's time, and goes on."""
    first = number(r"(\d+)", machine.shell("cat /sys/class/rtc/rtc0/since_epoch")[1])
    if abs(first - time.time()) > 120:
        raise Failed(f"the real-time clock is {first - time.time():.0f} s off")
    second = number(r"(\d+)", machine.shell("sleep 3; cat /sys/class/rtc/rtc0/since_epoch")[1])
    if not 2 <= second - first <= 20:
        raise Failed(f"in 3 s the real-time clock went {second - first:.0f} s")


def written(machine):
    machine.line("poweroff")
    machine.ended(60, "the machine after `poweroff`")
    names = list(DISKS)
    for index, source in enumerate(names):
        target = names[(index + 1) % len(names)]
        with open(files[target], "rb") as image:
            image.seek(HALF)
            if image.read() != pattern(source, HALF):
                raise Failed(f"what dom0 wrote from {source} to {target} is not on its file")


make_disks()
with start(chosen, "devices", extra=qemu_arguments(), cpus=CPUS) as booted:
    seen = play(booted, [
        ("boot to dom0's shell", shell_of_dom0),
        ("all disks are found", find),
        ("AHCI disk", lambda machine: read(machine, "sda")),
        ("NVMe disk", lambda machine: read(machine, "nvme0n1")),
        ("virtio disk", lambda machine: read(machine, "vda")),
        ("copies between them", copy_around),
        ("e1000e", lambda machine: network(machine, "10.0.2")),
        ("virtio network", lambda machine: network(machine, "10.0.3")),
        ("more interrupts than one CPU has vectors", crowd),
        ("the last NIC", lambda machine: network(machine, "10.0.4")),
        ("real-time clock", rtc),
        ("off; what was written is on the disks", written),
    ])
if seen:
    for name in files.values():
        os.remove(name)
sys.exit(0 if seen else 1)
