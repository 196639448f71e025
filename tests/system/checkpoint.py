#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A guest that writes files to an ext4 on a qcow2 disk all the time is checkpointed, memory and disk at one
instant, and goes on. It comes back from that file any number of times, with files that are what its memory says of them; it is
forked, and parent and fork write without seeing each other. What fails leaves it running, and the file system is sound."""

import os
import subprocess
import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from busy_guest import COUNT_STAYS, VCPUS, begin_calls, calls_go_on
from dom0 import (Failed, config, domains, guest_shell, log_file, options, play, refused, shell_of_dom0, start,
                  wait_for, wait_in, xm_json)
from generation import begin_watching, generation, guest_has_heard

POINT = "/images/a.point"
IMAGE = "/images/a.qcow2"
before = {}
chosen = options(__doc__)
disk, guests = (log_file(chosen, "checkpoint") + name for name in (".img", ".guest.img"))    # dom0's images; the guest's file system

# Writes a file, notes in memory what is in it, and begins again, until it is told to stop.
WRITER = f"""#!/bin/sh
i=$(cat /tmp/count 2>/dev/null || echo 0)
mkdir -p /tmp/sums
while ! test -e /tmp/stop; do
    i=$((i+1)); k=$((i%40))
    dd if=/dev/urandom of=/tmp/new bs=70000 count=1 2>/dev/null
    cp /tmp/new /m/f$k
    (cd /m; sha256sum f$k) > /tmp/sums/$k
    test $((i%4)) != 0 || sync
    {COUNT_STAYS}
    sleep 0.1
done
rm /tmp/stop
"""


def make_disks():
    os.makedirs(os.path.dirname(disk), exist_ok=True)
    for name, size in ((disk, 1 << 30), (guests, 48 << 20)):
        with open(name, "wb") as image:
            image.truncate(size)
    subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", guests], check=True)


def images(machine):
    machine.shell("modprobe ext4; mke2fs -q /dev/vda >/dev/null; mkdir /images; mount -t ext4 /dev/vda /images; "
                  f"qemu-img convert -f raw -O qcow2 /dev/vdb {IMAGE}; chmod 640 {IMAGE}", 120)


def busy_guest(machine):
    file = config(machine, "a", memory=128, vcpus=VCPUS, ms_vm_genid="generate")
    machine.shell(f"echo \"disk = [ 'format=qcow2, vdev=xvda, target={IMAGE}' ]\" >> {file}; xm create {file}", 120)
    with guest_shell(machine, "a") as guest:
        wait_in(guest, "test -b /dev/xvda")
        begin_calls(guest)
        begin_watching(guest)
        guest.shell("modprobe ext4; mkdir /m; mount -t ext4 /dev/xvda /m", 60)
        lines = " ".join(f"'{line}'" for line in WRITER.splitlines())
        guest.shell(f"printf '%s\\n' {lines} > /tmp/writer; chmod +x /tmp/writer; (/tmp/writer &)")
        wait_in(guest, "test $(cat /tmp/count) -gt 5")
    before["generations"] = [generation(machine, "a")]


def verified(machine, name, also="true"):
    """The guest writes; what the disk holds is what its memory says; and it writes on."""
    with guest_shell(machine, name) as guest:
        count = int(guest.shell("cat /tmp/count")[1])
        wait_in(guest, f"test $(cat /tmp/count) -gt {count + 4}")
        guest.shell("touch /tmp/stop")
        wait_in(guest, "! test -e /tmp/stop")
        said = guest.shell("sync; echo 3 > /proc/sys/vm/drop_caches; cd /m; cat /tmp/sums/* | sha256sum -c 2>&1 | grep -v OK; cd",
                           120, check=False)[1]
        if said.strip():
            raise Failed(f"what is on the disk of {name} is not what its memory says:\n{said}")
        if guest.shell(also, check=False)[0] != 0:
            raise Failed(f"not so in {name}: {also}")
        calls_go_on(guest)
        trouble = guest.shell("dmesg | grep -E 'BUG:|WARNING: CPU|Call Trace|blocked for more|EXT4-fs.*rror|I/O error'", check=False)[1]
        if trouble.strip():
            raise Failed(f"the kernel of {name} complains:\n{trouble}")
        guest.shell("(/tmp/writer &)")
    return count


def checkpoint(machine):
    before["bases"] = []
    for point in (POINT, "/images/later.point"):
        said = machine.shell(f"xm checkpoint a {point}", 300)[1]
        if f"disk xvda is frozen as {IMAGE}.frozen-" not in said:
            raise Failed(f"`xm checkpoint` says:\n{said}")
        before["bases"].append(said.split()[-1])
        before.setdefault("count", verified(machine, "a"))
    with guest_shell(machine, "a") as guest:
        guest.shell("echo later > /m/later; echo later > /tmp/later; sync")
        guest_has_heard(guest, *before["generations"])
    machine.shell(f"rm /images/later.point; test $(stat -c %a {IMAGE}) = 640")


def goes_back(machine):
    machine.shell("xm destroy a", 60)
    comes_back(machine)


def comes_back(machine):
    said = machine.shell(f"xm restore {POINT}", 300)[1]
    if "a has been restored with id" not in said or f"disk xvda: what was at {IMAGE} is {IMAGE}.left-" not in said:
        raise Failed(f"`xm restore` says:\n{said}")
    count = verified(machine, "a", "! test -e /m/later && ! test -e /tmp/later")
    if count > before["count"] + 200:
        raise Failed(f"it has counted to {count}, and had to {before['count']} soon after the checkpoint")
    before["generations"].append(generation(machine, "a"))
    if len(set(before["generations"])) < len(before["generations"]):
        raise Failed(f"it has been of the same generation twice: {before['generations']}")
    with guest_shell(machine, "a") as guest:
        guest_has_heard(guest, before["generations"][0], before["generations"][-1])


def goes_back_again(machine):
    with guest_shell(machine, "a") as guest:
        guest.shell("echo later > /m/later; sync; umount /m || true")
    goes_back(machine)
    machine.shell(f"rm {IMAGE}.left-*")


def fork(machine):
    said = machine.shell("xm fork a b", 120)[1]
    if "disk xvda of b is /images/a-b.qcow2" not in said:
        raise Failed(f"`xm fork` says:\n{said}")
    for name in ("a", "b"):
        with guest_shell(machine, name) as guest:
            guest.shell(f"echo {name} > /m/of-{name}; sync")
    verified(machine, "a", "test -e /m/of-a && ! test -e /m/of-b")
    verified(machine, "b", "test -e /m/of-b && ! test -e /m/of-a")
    refused(machine, "xm fork a c \"disk=['format=qcow2, vdev=xvda, target=/images/a-b.qcow2']\" -p", "it is disk xvda of domain")
    machine.shell("xm destroy b", 60)
    refused(machine, "xm fork a b", "/images/a-b.qcow2, which exists")
    machine.shell("xm fork --no-disks -p a b && xm destroy b; rm /images/a-b.qcow2", 120)


def refusals(machine):
    machine.shell("mkdir -p /small; mount -t tmpfs -o size=1m none /small; truncate -s 8M /images/raw.img")
    refused(machine, "xm checkpoint a /small/a.point", "No space left", "nothing is lost")
    machine.shell("test -z \"$(ls /small)\"; umount /small; xm pause a")
    refused(machine, "xm checkpoint a /images/b.point", "is paused")
    machine.shell("xm unpause a; xm block-attach a /images/raw.img,raw,xvdb,w", 60)
    refused(machine, "xm checkpoint a /images/b.point", "disk xvdb (/images/raw.img) is writable and raw", "qemu-img convert")
    machine.shell("xm block-detach a xvdb; mv /usr/bin/qemu-img /usr/bin/away", 60)
    refused(machine, "xm checkpoint a /images/b.point", "install qemu-utils")
    machine.shell("mv /usr/bin/away /usr/bin/qemu-img")
    verified(machine, "a")


def no_way_back(machine):
    """A restoration that cannot be leaves all files as they were."""
    refused(machine, f"xm restore {POINT}", "is already called")
    other = config(machine, "other")
    machine.shell(f"xm destroy a; echo \"disk = [ 'format=qcow2, vdev=xvda, target={IMAGE}' ]\" >> {other}; xm create -p {other}; "
                  "ls /images > /tmp/files", 120)
    refused(machine, f"xm restore {POINT}", "it is disk xvda of domain")
    frozen = before["bases"][0]
    machine.shell(f"xm destroy other; mv {frozen} /tmp/", 60)
    refused(machine, f"xm restore {POINT}", frozen, "is not there any more")
    machine.shell(f"mv /tmp/{frozen.rsplit('/', 1)[1]} {frozen}; ls /images | diff - /tmp/files")
    comes_back(machine)


def killed(machine):
    """A vmmd that dies while it freezes: the next one lets the guest run on, on a whole image."""
    for delay in ("0.3", "0.6", "1.0"):
        first = machine.shell("pidof vmmd")[1].split()[0]
        machine.shell(f"(xm checkpoint a /images/k.point >/dev/null 2>&1 &); sleep {delay}; kill -9 {first}", 60)
        wait_for(machine, "another vmmd that answers", 60,
                 lambda m, gone=first: m.shell(f'test "$(pidof vmmd)" != {gone} && xm list', check=False)[0] == 0)
        machine.shell(f"qemu-img info -U --backing-chain {IMAGE} > /dev/null; rm -f /images/k.point*")
        verified(machine, "a")


def sound(machine):
    """Nothing is lost in the chain of images, and the file system in it is whole."""
    with guest_shell(machine, "a") as guest:
        guest.shell("touch /tmp/stop")
        wait_in(guest, "! test -e /tmp/stop")
        guest.shell("cat /tmp/sums/* > /m/sums; umount /m", 60)
    machine.shell(f"xm destroy a; qemu-img check -q -f qcow2 {IMAGE}; "
                  f"for base in {IMAGE}.frozen-*; do qemu-img check -q -f qcow2 $base || exit 1; done; "
                  f"qemu-img convert -n -f qcow2 -O raw {IMAGE} /dev/vdb; sync; "
                  "mkdir -p /m; mount -t ext4 -o ro /dev/vdb /m; cd /m; sha256sum -c sums > /dev/null; cd /; umount /m", 120)
    if domains(machine) or xm_json(machine, "list")["domains"][1:]:
        raise Failed("a domain is left")


def check_on_the_host():
    checked = subprocess.run(["/sbin/e2fsck", "-fn", guests], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             check=False)
    if checked.returncode != 0:
        print(f"the guest's file system is not clean:\n{checked.stdout}")
    return checked.returncode == 0


STEPS = [
    ("boot to dom0's shell", shell_of_dom0),
    ("a file system for the images", images),
    ("a guest that writes all the time", busy_guest),
    ("xm checkpoint, twice: it goes on", checkpoint),
    ("xm restore: memory and disk agree", goes_back),
    ("and once more", goes_back_again),
    ("xm fork: each has a disk of its own", fork),
    ("what cannot be done leaves it running", refusals),
    ("a way back that is barred", no_way_back),
    ("kill -9 of vmmd while it freezes: it goes on", killed),
    ("images and file system are sound", sound),
]

make_disks()
drives = [word for name in (disk, guests) for word in ("-drive", f"file={name},format=raw,if=virtio")]
with start(chosen, "checkpoint", extra=["-no-reboot"] + drives) as booted:
    seen = play(booted, STEPS)
seen = seen and check_on_the_host()
for left in (disk, guests):
    os.remove(left)
sys.exit(0 if seen else 1)
