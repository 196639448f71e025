#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A stock guest on disks that vmm-blkback serves: a raw image on a file system (io_uring), one in memory, a block
device, qcow2 through qemu-nbd. What is written is what lies there; read-only, discard, flush and a full file system
do as they should; backends killed in the middle lose nothing; devices and domains go in the middle, and nothing is left
behind."""

import os
import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import (Failed, config, guest_shell, log_file, options, play, shell_of_dom0, start, wait_for, wait_in,
                  xm_json)
from pattern import digest, lines, pattern, write_lines

MIB = 1 << 20
DATA = 4 * MIB
chosen = options(__doc__)
files = {disk: log_file(chosen, f"blkback.{disk}") + ".img" for disk in ("vda", "vdb")}
DISKS = {"xvda": "format=raw, target=/images/raw.img", "xvdb": "format=raw, target=/mem/raw.img",
         "xvdc": "format=raw, target=/dev/vdb", "xvdd": "format=qcow2, target=/images/disk.qcow2",
         "xvde": "format=raw, access=ro, target=/images/ro.img"}


def make_disks():
    os.makedirs(os.path.dirname(files["vda"]), exist_ok=True)
    for disk, size in (("vda", 256 * MIB), ("vdb", 64 * MIB)):
        with open(files[disk], "wb") as image:
            image.write(pattern(disk, DATA))
            image.truncate(size)


def qemu_arguments():
    words = ["-no-reboot"]
    for disk, file in files.items():
        words += ["-drive", f"id={disk},file={file},format=raw,if=none", "-device", f"virtio-blk-pci,drive={disk}"]
    return words


def expect_equal(what, got, expected):
    if got != expected:
        raise Failed(f"{what}: {got!r}, expected {expected!r}")


def sum_of(shell, command):
    return shell(command + " | sha256sum", 120)[1].split()[0]


def expected(seed):
    return digest(lines(seed, DATA))


def put(guest, device, seed, seek=0):
    guest.shell(f"{write_lines(seed, DATA, '/tmp/data')}; "
                f"dd if=/tmp/data of=/dev/{device} bs=1M seek={seek} conv=fsync 2>/dev/null", 120)


def take(guest, device, skip=0):
    guest.shell("echo 3 > /proc/sys/vm/drop_caches")
    return sum_of(guest.shell, f"dd if=/dev/{device} bs=1M skip={skip} count=4 2>/dev/null")


def backends(machine):
    """The process that serves each disk of the guest, by the disk's number."""
    rows = machine.shell("for p in $(pidof vmm-blkback); do echo $p $(tr '\\0' ' ' < /proc/$p/cmdline); done; true")[1]
    found = {}
    for row in rows.splitlines():
        words = row.split()
        # One that is just ending has no command line any more.
        for path in (word for word in words if word.startswith("/local/domain/0/backend/")):
            found[int(path.split("/")[-1])] = int(words[0])
    return found


XVDA = 202 * 256


def number_of(vdev):
    return XVDA + 16 * "abcdefgh".index(vdev[-1])


def file_systems(machine):
    wait_in(machine, "test -b /dev/vdb")
    machine.shell("modprobe ext4; mke2fs -q /dev/vda > /dev/null; mkdir /images /mem; mount -t ext4 /dev/vda /images; "
                  "mount -t tmpfs -o size=48M tmpfs /mem", 60)
    machine.shell("truncate -s 64M /images/raw.img /mem/raw.img; qemu-img create -q -f qcow2 /images/disk.qcow2 64M; "
                  + write_lines("read me", DATA, "/images/ro.img"), 60)


def create(machine):
    file = config(machine, "a", memory=128)
    disks = ", ".join(f"'vdev={vdev}, backendtype=qdisk, {rest}'" for vdev, rest in DISKS.items())
    machine.shell(f"echo \"disk = [ {disks} ]\" >> {file}; xm create {file}", 120)
    expect_equal("the disks that have a backend process", sorted(backends(machine)),
                 [number_of(vdev) for vdev in DISKS])


def data(machine):
    with guest_shell(machine, "a") as guest:
        wait_in(guest, "test -b /dev/xvde")
        expect_equal("what the guest reads of /dev/vdb", take(guest, "xvdc"), digest(pattern("vdb", DATA)))
        expect_equal("what the guest reads of ro.img", take(guest, "xvde"), expected("read me"))
        if guest.shell("dd if=/dev/zero of=/dev/xvde bs=4k count=1 conv=fsync", 60, check=False)[0] == 0:
            raise Failed("the guest can write to a read-only disk")
        for vdev in ("xvda", "xvdb", "xvdc", "xvdd"):
            put(guest, vdev, f"to {vdev}", seek=8)
            expect_equal(f"what the guest reads back of {vdev}", take(guest, vdev, skip=8), expected(f"to {vdev}"))
    for name, vdev in (("/images/raw.img", "xvda"), ("/mem/raw.img", "xvdb")):
        expect_equal(f"what lies in {name}", sum_of(machine.shell, f"dd if={name} bs=1M skip=8 count=4 2>/dev/null"),
                     expected(f"to {vdev}"))
    with open(files["vdb"], "rb") as image:
        image.seek(8 * MIB)
        expect_equal("what is below dom0 after the guest's fsync", digest(image.read(DATA)), expected("to xvdc"))
    expect_equal("ro.img after the attempt to write", sum_of(machine.shell, "cat /images/ro.img"), expected("read me"))


def discard(machine):
    before = machine.shell("du -k /mem/raw.img")[1].split()[0]
    with guest_shell(machine, "a") as guest:
        guest.shell("blkdiscard -o 8388608 -l 4194304 /dev/xvdb", 60)
        expect_equal("what was discarded", take(guest, "xvdb", skip=8), digest(bytes(DATA)))
    after = machine.shell("du -k /mem/raw.img")[1].split()[0]
    if int(before) - int(after) < 4096:
        raise Failed(f"the image has {after} KiB after the discard, {before} before")


def full(machine):
    """More than the file system has room for: an error in the guest, a line in the log, nothing lost."""
    with guest_shell(machine, "a") as guest:
        put(guest, "xvdb", "before")
        status = guest.shell("dd if=/dev/zero of=/dev/xvdb bs=1M seek=4 count=56 conv=fsync", 120, check=False)[0]
        if status == 0:
            raise Failed("writing more than there is room for is no error in the guest")
        expect_equal("what was written before the disk was full", take(guest, "xvdb"), expected("before"))
        guest.shell("blkdiscard -o 8388608 /dev/xvdb", 60)
        put(guest, "xvdb", "room again", seek=8)
        expect_equal("what was written after", take(guest, "xvdb", skip=8), expected("room again"))


WRITER = "until test -e /tmp/enough; do dd if=/tmp/long of=/dev/{0} bs=64k conv=fsync || echo lost; echo >> /tmp/rounds; done"


def writes_another_round(guest):
    rounds = int(guest.shell("wc -l < /tmp/rounds")[1])
    wait_in(guest, f"test $(wc -l < /tmp/rounds) -gt {rounds}", 120)


def ended(machine, how, vdevs):
    """While the guest writes, which it does until it is told: it is started again, and the guest notices nothing."""
    for vdev in vdevs:
        with guest_shell(machine, "a") as guest:
            guest.shell(f"{write_lines(f'{how} {vdev}', DATA, '/tmp/long')}; rm -f /tmp/enough; : > /tmp/rounds; "
                        f"({WRITER.format(vdev)}; echo all) > /tmp/said 2>&1 & true")
            writes_another_round(guest)
        old = backends(machine)[number_of(vdev)]
        machine.shell(f"kill -{how} {old}")
        wait_for(machine, "another backend process", 30,
                 lambda m, o=old, n=number_of(vdev): backends(m).get(n, o) != o)
        with guest_shell(machine, "a") as guest:
            writes_another_round(guest)
            guest.shell("touch /tmp/enough")
            wait_in(guest, "grep -q all /tmp/said", 120)
            guest.shell("! grep -i -e lost -e error /tmp/said")
            expect_equal(f"what was written to {vdev} meanwhile", take(guest, vdev), expected(f"{how} {vdev}"))


def killed(machine):
    ended(machine, "KILL", ("xvda", "xvdb", "xvdd"))


def asked_to_end(machine):
    ended(machine, "TERM", ("xvdb", "xvdd"))


def restart_of_vmmd(machine):
    """The disks are served while vmmd is dead; its successor knows them, and starts again what is killed then."""
    before = backends(machine)
    machine.shell("kill -9 $(cat /run/vmm/vmmd.pid); sleep 1")
    wait_for(machine, "vmmd is back", 60, lambda m: m.shell("xm list", check=False)[0] == 0)
    expect_equal("the backends after a restart of vmmd", backends(machine), before)
    machine.shell(f"kill -9 {before[number_of('xvda')]}")
    wait_for(machine, "another backend process", 30,
             lambda m: backends(m).get(number_of("xvda"), before[number_of("xvda")]) != before[number_of("xvda")])
    with guest_shell(machine, "a") as guest:
        put(guest, "xvda", "after all", seek=16)
        expect_equal("what is read back", take(guest, "xvda", skip=16), expected("after all"))


def detach(machine):
    """A disk that is not used goes and comes by another name; one that the guest writes to goes by force: its writers
    get errors, the disk can be given again, and the other disks are served on."""
    machine.shell("xm block-detach a xvde", 60)
    expect_equal("the disks left", sorted(disk["vdev"] for disk in xm_json(machine, "block-list a")["disks"]),
                 ["xvda", "xvdb", "xvdc", "xvdd"])
    machine.shell("xm block-attach a vdev=xvdf,backendtype=qdisk,format=raw,access=ro,target=/images/ro.img", 60)
    with guest_shell(machine, "a") as guest:
        wait_in(guest, "test -b /dev/xvdf")
        expect_equal("what is read by the other name", take(guest, "xvdf"), expected("read me"))
        # By the open file, since a name that has just gone would become one of a plain file.
        guest.shell("for i in 1 2 3; do (exec 3<>/dev/xvdc; while dd if=/tmp/long of=/proc/self/fd/3 bs=64k conv=fsync; "
                    "do :; done; echo over) > /tmp/writer$i 2>&1 & done; true")
    machine.shell("xm block-detach --force a xvdc", 60)
    if number_of("xvdc") in backends(machine):
        raise Failed("the backend of a disk that was taken away by force still runs")
    machine.shell("dd if=/dev/vdb of=/dev/null bs=1M count=1 2>/dev/null")
    with guest_shell(machine, "a") as guest:
        wait_in(guest, "[ $(cat /tmp/writer? | grep -c over) = 3 ]")
    machine.shell("xm block-attach a vdev=xvdc,backendtype=qdisk,format=raw,target=/dev/vdb", 60)
    with guest_shell(machine, "a") as guest:
        wait_in(guest, "test -b /dev/xvdc")
        put(guest, "xvdc", "back again", seek=4)
        expect_equal("what is read back of a disk that was taken and given again", take(guest, "xvdc", skip=4),
                     expected("back again"))
        put(guest, "xvda", "life goes on", seek=32)
        guest.shell("dd if=/dev/xvda of=/tmp/back bs=1M skip=32 count=4 iflag=direct 2>/dev/null", 60)
        expect_equal("what is read back", sum_of(guest.shell, "cat /tmp/back"), expected("life goes on"))


def left_behind(machine):
    """Processes, records and nodes of disks that vmm-blkback served."""
    told = machine.shell("pidof vmm-blkback qemu-nbd; ls /run/vmm/disk; xenstore-ls /local/domain/0/backend/vmmblk; "
                         "xenstore-ls /local/domain/0/error", check=False)[1]
    return [line for line in told.splitlines() if line.strip() and "xenstore" not in line]


def destroy(machine):
    """In the middle of writing; then nothing of it is left, and the images are free and whole."""
    with guest_shell(machine, "a") as guest:
        for vdev in ("xvda", "xvdb", "xvdd"):
            guest.shell(f"(while :; do dd if=/tmp/long of=/dev/{vdev} bs=64k conv=fsync; done) > /dev/null 2>&1 & true")
    machine.shell("xm destroy a", 60)
    wait_for(machine, "the backends and what they left are gone", 30, lambda m: not left_behind(m))
    machine.shell("qemu-img check -q /images/disk.qcow2; umount /images; umount /mem", 60)


make_disks()
with start(chosen, "blkback", extra=qemu_arguments()) as booted:
    seen = play(booted, [
        ("boot to dom0's shell", shell_of_dom0),
        ("images", file_systems),
        ("a guest with five disks", create),
        ("data both ways; read-only; flush", data),
        ("discard", discard),
        ("a full file system", full),
        ("kill -9 of a backend in the middle of writing", killed),
        ("SIGTERM: it ends when all is written", asked_to_end),
        ("kill -9 of vmmd", restart_of_vmmd),
        ("detach, also by force in the middle of writing", detach),
        ("destroy in the middle of writing; nothing is left", destroy),
    ])
if seen:
    for name in files.values():
        os.remove(name)
sys.exit(0 if seen else 1)
