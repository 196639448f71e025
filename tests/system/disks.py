#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A guest with disks of every kind that dom0 serves: what it writes is what lies there and the other way round, what
is read-only stays as it is, no two write to one, disks and media come and go at run time and with vmmd restarted, a
full file system gives errors and no damage, and nothing is left behind."""

import os
import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import (Failed, config, domains, guest_shell, log_file, options, play, refused, shell_of_dom0, start, wait_for,
                  wait_in, xm_json)
from pattern import digest, lines, pattern, write_lines

MIB = 1 << 20
DATA = 4 * MIB
chosen = options(__doc__)
# What dom0 has its images on, and what it gives to the guest as it is.
files = {disk: log_file(chosen, f"disks.{disk}") + ".img" for disk in ("vda", "vdb")}


def make_disks():
    os.makedirs(os.path.dirname(files["vda"]), exist_ok=True)
    for disk, size in (("vda", 512 * MIB), ("vdb", 64 * MIB)):
        with open(files[disk], "wb") as image:
            image.write(pattern(disk, DATA))
            image.truncate(size)


def qemu_arguments():
    words = ["-no-reboot"]
    for disk, file in files.items():
        words += ["-drive", f"id={disk},file={file},format=raw,if=none,discard=unmap",
                  "-device", f"virtio-blk-pci,drive={disk}"]
    return words


def expect_equal(what, got, expected):
    if got != expected:
        raise Failed(f"{what}: {got!r}, expected {expected!r}")


def sum_of(shell, command):
    return shell(command + " | sha256sum", 120)[1].split()[0]


def disks_of(machine, name):
    return {disk["vdev"]: disk for disk in xm_json(machine, f"block-list {name}")["disks"]}


def write_pattern(guest, device, seed, mib=4, seek=0):
    """Bytes that both sides can tell again; returns their digest."""
    guest.shell(f"{write_lines(seed, mib * MIB, '/tmp/data')}; "
                f"dd if=/tmp/data of=/dev/{device} bs=1M seek={seek} conv=fsync 2>/dev/null; rm /tmp/data", 120)
    return digest(lines(seed, mib * MIB))


def wait_in_guest(guest, condition, seconds=30):
    guest.shell(f"for i in $(seq {10 * seconds}); do {condition} && break; sleep 0.1; done; {condition}", 2 * seconds)


def detach(machine, *vdevs):
    """A guest on a busy host may need longer than vmmd waits: the disk goes then all the same."""
    for vdev in vdevs:
        status, said = machine.shell(f"xm block-detach a {vdev}", 60, check=False)
        if status and "it goes when the guest does" not in said:
            raise Failed(f"`xm block-detach a {vdev}` says (status {status}):\n{said}")
        wait_for(machine, f"{vdev} goes", 60, lambda m: vdev not in disks_of(m, "a"))


def file_systems(machine):
    wait_in(machine, "test -b /dev/vdb")
    machine.shell("modprobe ext4; mke2fs -q /dev/vda >/dev/null; mkdir /images; mount -t ext4 /dev/vda /images", 60)
    machine.shell("cd /images; truncate -s 64M raw.img; ln -s raw.img soft.img; ln raw.img hard.img; "
                  f"{write_lines('read me', DATA, 'ro.img')}; truncate -s 100 small.img; truncate -s 16M second.img; cd", 60)


def create(machine):
    file = config(machine, "a", memory=128)
    disks = ("file:/images/raw.img,xvda,w,backendtype=phy", "phy:/dev/vdb,xvdb,w", "/images/ro.img,raw,xvdc,r", "vdev=xvdd,cdrom")
    machine.shell(f"echo \"disk = [ {', '.join(repr(disk) for disk in disks)} ]\" >> {file}; xm create {file}", 120)
    found = disks_of(machine, "a")
    expect_equal("the disks of block-list", {name: (disk["target"], disk["access"]) for name, disk in found.items()},
                 {"xvda": ("/images/raw.img", "rw"), "xvdb": ("/dev/vdb", "rw"), "xvdc": ("/images/ro.img", "ro"),
                  "xvdd": ("", "ro")})
    direct = machine.shell(f"cat /sys/block/{found['xvda']['device'].split('/')[-1]}/loop/dio")[1].strip()
    has_iommu = "directio" in xm_json(machine, "info")["virt_caps"]
    expect_equal("direct I/O of the loop device", direct, "1" if has_iommu else "0")


def data(machine):
    """Both directions through each kind of disk, judged by checksum at the other end."""
    with guest_shell(machine, "a") as guest:
        wait_in_guest(guest, "test -b /dev/xvdc")
        sizes = guest.shell("cat /sys/block/xvd[abcd]/size; ls /dev/xvd*")[1].split()
        expect_equal("sizes and names in the guest", sizes,
                     ["131072", "131072", "8192", "/dev/xvda", "/dev/xvdb", "/dev/xvdc"])
        expect_equal("what the guest reads of /dev/vdb", sum_of(guest.shell, "dd if=/dev/xvdb bs=1M count=4 2>/dev/null"),
                     digest(pattern("vdb", DATA)))
        expect_equal("what the guest reads of ro.img", sum_of(guest.shell, "cat /dev/xvdc"),
                     digest(lines("read me", DATA)))
        if guest.shell("dd if=/dev/zero of=/dev/xvdc bs=4k count=1 conv=fsync", 60, check=False)[0] == 0:
            raise Failed("the guest can write to a read-only disk")
        written = {"raw.img": write_pattern(guest, "xvda", "to the file"),
                   "/dev/vdb": write_pattern(guest, "xvdb", "to the device", seek=8)}
    expect_equal("what lies in raw.img", sum_of(machine.shell, "dd if=/images/raw.img bs=1M count=4 2>/dev/null"), written["raw.img"])
    expect_equal("what lies on /dev/vdb",
                 sum_of(machine.shell, "dd if=/dev/vdb bs=1M skip=8 count=4 iflag=direct 2>/dev/null"),
                 written["/dev/vdb"])
    expect_equal("ro.img after the attempt to write", sum_of(machine.shell, "cat /images/ro.img"),
                 digest(lines("read me", DATA)))


def stable_storage(machine):
    """What a guest has synced has left the machine's own caches: this side reads it below dom0."""
    with guest_shell(machine, "a") as guest:
        wanted = write_pattern(guest, "xvdb", "must be stable", seek=16)
    with open(files["vdb"], "rb") as image:
        image.seek(16 * MIB)
        expect_equal("what is below dom0 after the guest's fsync", digest(image.read(4 * MIB)), wanted)


def refusals(machine):
    def attach(disk):
        return f"xm block-attach a {disk}"

    refused(machine, attach("/images/none.img,raw,xvde,w"), "/images/none.img does not exist")
    refused(machine, attach("/images/small.img,raw,xvde,w"), "100 bytes", "at least one sector")
    refused(machine, attach("/images,raw,xvde,r"), "neither a file nor a block device")
    refused(machine, attach("phy:/dev/vda,xvde,w"), "/dev/vda is in use in Domain-0", "mounted")
    refused(machine, attach("phy:/dev/vda,xvde,r"), "/dev/vda is in use in Domain-0", "mounted")
    for name in ("raw.img", "soft.img", "hard.img"):
        for access in ("w", "r", "w!"):
            refused(machine, attach(f"/images/{name},raw,xvde,{access}"), "is in use: it is disk xvda of domain")
    refused(machine, attach("phy:/dev/vdb,xvde,r"), "is in use: it is disk xvdb of domain")
    refused(machine, attach("/images/second.img,raw,xvda,w"), "has such a device already")
    refused(machine, attach("/images/second.img,raw,sdx9y,w"), "vdev")
    refused(machine, "xm block-detach a xvdz", "has no such device")
    machine.shell("losetup /dev/loop7 /images/second.img")
    refused(machine, attach("/images/second.img,raw,xvde,w"), "/dev/loop7 shows it")
    machine.shell("losetup -d /dev/loop7")
    # A domain with one wrong disk among right ones does not come to be, and gives the right ones back.
    file = config(machine, "b", memory=128)
    machine.shell(f"echo \"disk = [ '/images/second.img,raw,xvda,w', '/images/none.img,raw,xvdb,w' ]\" >> {file}")
    refused(machine, f"xm create -q {file}", "/images/none.img does not exist")
    expect_equal("the domains there are", list(domains(machine)), ["a"])
    machine.shell("! losetup -a | grep second.img")


def attach_detach(machine):
    machine.shell("xm block-attach a /images/second.img,raw,xvde,w", 60)
    machine.shell("xm block-attach a vdev=xvdf access=ro target=/images/ro.img", 60)  # a second reader
    with guest_shell(machine, "a") as guest:
        wait_in_guest(guest, "test -b /dev/xvde -a -b /dev/xvdf")
        wanted = write_pattern(guest, "xvde", "attached")
        expect_equal("ro.img by its second name", sum_of(guest.shell, "cat /dev/xvdf"),
                     digest(lines("read me", DATA)))
    detach(machine, "xvde", "xvdf")
    with guest_shell(machine, "a") as guest:
        wait_in_guest(guest, "! test -e /dev/xvde -o -e /dev/xvdf")
    expect_equal("the disks after block-detach", sorted(disks_of(machine, "a")), ["xvda", "xvdb", "xvdc", "xvdd"])
    expect_equal("what lies in second.img", sum_of(machine.shell, "dd if=/images/second.img bs=1M count=4 2>/dev/null"), wanted)
    machine.shell("! losetup -a | grep second.img")


def media(machine):
    """An empty drive gets a medium, another one, and is emptied."""
    refused(machine, "xm cd-eject a xvdd", "drive xvdd is empty")
    refused(machine, "xm cd-insert a xvda /images/ro.img", "has no CD-ROM drive xvda")
    for text in ("one medium", "another medium"):
        machine.shell(f"{write_lines(text, MIB, f'/images/{text[:3]}.iso')}; "
                      f"xm cd-insert a xvdd /images/{text[:3]}.iso", 60)
        expect_equal("the medium", disks_of(machine, "a")["xvdd"]["target"], f"/images/{text[:3]}.iso")
        with guest_shell(machine, "a") as guest:
            wait_in_guest(guest, "test -b /dev/xvdd")
            expect_equal("what the guest reads", guest.shell("head -n 1 /dev/xvdd")[1].strip(), text)
    machine.shell("xm cd-eject a xvdd", 60)
    expect_equal("the medium", disks_of(machine, "a")["xvdd"]["target"], "")
    with guest_shell(machine, "a") as guest:
        wait_in_guest(guest, "! test -e /dev/xvdd")
    machine.shell("! losetup -a | grep iso")


FORMATS = {"xvdg": ("qcow2", "qcow2"), "xvdh": ("vmdk", "vmdk"), "xvdi": ("vdi", "vdi"), "xvdj": ("vhdx", "vhdx"),
           "xvdk": ("vhd", "vpc")}    # as xm and as qemu-img call them


def attach_formats(machine):
    """Images of every format, and an export of an NBD server."""
    for vdev, (ours, qemus) in FORMATS.items():
        machine.shell(f"qemu-img create -q -f {qemus} /images/{ours} 16M && "
                      f"xm block-attach a format={ours},vdev={vdev},target=/images/{ours}", 120)
    machine.shell("truncate -s 8M /images/exported; qemu-nbd --fork -t -f raw -x disk -k /run/export /images/exported; "
                  "xm block-attach a 'vdev=xvdl, target=nbd+unix:///disk?socket=/run/export'", 120)
    machine.shell("printf 'the passphrase' > /key; printf 'another' > /wrong; qemu-img create -q -f luks "
                  "--object secret,id=s,file=/key -o key-secret=s,iter-time=10 /images/luks 16M", 120)
    luks = "xm block-attach a format=luks,vdev=xvdm,target=/images/luks"
    refused(machine, luks, "key-file: is missing")
    refused(machine, luks.replace("target", "key-file=/none,target"), "disk xvdm", "/none does not exist")
    refused(machine, luks.replace("target", "key-file=/wrong,target"), "disk xvdm: /images/luks", "Invalid password")
    machine.shell(luks.replace("target", "key-file=/key,target"), 120)
    machine.shell("! cat /proc/[0-9]*/cmdline | grep -q '[t]he passphrase'")
    machine.shell(write_lines("no image", 65536, "/images/bad.qcow2"))
    refused(machine, "xm block-attach a format=qcow2,vdev=xvdn,target=/images/bad.qcow2", "disk xvdn: /images/bad.qcow2",
            "qemu-nbd says", "not in qcow2 format")
    refused(machine, "xm block-attach a format=qcow2,vdev=xvdn,target=/images/qcow2", "it is disk xvdg of domain")
    refused(machine, "xm block-attach a vdev=xvdn,target=nbd+unix:///disk?socket=/run/none", "No such file")


def write_formats(machine):
    with guest_shell(machine, "a") as guest:
        wait_in_guest(guest, "test -b /dev/xvdl -a -b /dev/xvdm")
        for vdev in [*FORMATS, "xvdl", "xvdm"]:
            formats_hold[vdev] = write_pattern(guest, vdev, f"this is {vdev}", mib=1, seek=3)
            expect_equal(f"what the guest reads of {vdev}", sum_of(
                guest.shell, f"echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/{vdev} bs=1M skip=3 count=1 2>/dev/null"),
                         formats_hold[vdev])


def detach_formats(machine):
    detach(machine, *FORMATS, "xvdl", "xvdm")
    machine.shell("kill $(pidof qemu-nbd); for i in $(seq 50); do pidof qemu-nbd || break; sleep 0.1; done", 30)
    for vdev, (ours, qemus) in FORMATS.items():
        machine.shell(f"qemu-img convert -f {qemus} -O raw /images/{ours} /images/converted", 60)
        expect_equal(f"what lies in the {ours} image", sum_of(
            machine.shell, "dd if=/images/converted bs=1M skip=3 count=1 2>/dev/null"), formats_hold[vdev])
    machine.shell("qemu-img convert --object secret,id=s,file=/key --image-opts "
                  "driver=luks,key-secret=s,file.filename=/images/luks -O raw /images/converted", 60)
    expect_equal("what lies in the luks image", sum_of(
        machine.shell, "dd if=/images/converted bs=1M skip=3 count=1 2>/dev/null"), formats_hold["xvdm"])
    machine.shell("! tr -d '\\0' < /images/luks | grep -q 'this is xvdm'")
    expect_equal("what the NBD server got", sum_of(
        machine.shell, "dd if=/images/exported bs=1M skip=3 count=1 2>/dev/null"), formats_hold["xvdl"])


def restart_of_vmmd(machine):
    """The guest goes on writing, and the new vmmd knows what the old one knew."""
    before = disks_of(machine, "a")
    with guest_shell(machine, "a") as guest:
        guest.shell("dd if=/dev/urandom of=/tmp/random bs=1M count=2 2>/dev/null; "
                    "(for i in $(seq 60); do dd if=/tmp/random of=/dev/xvda bs=1M count=1 seek=$((30 + i % 20)) "
                    "conv=fsync 2>/dev/null || echo bad > /tmp/bad; done; echo done > /tmp/done) & true")
    machine.shell("kill -9 $(cat /run/vmm/vmmd.pid); sleep 1")
    wait_for(machine, "vmmd is back", 60, lambda m: m.shell("xm list", check=False)[0] == 0)
    expect_equal("block-list after a restart of vmmd", disks_of(machine, "a"), before)
    with guest_shell(machine, "a") as guest:
        wait_in_guest(guest, "test -e /tmp/done", 60)
        guest.shell("! test -e /tmp/bad")
    refused(machine, "xm block-attach a /images/hard.img,raw,xvde,w", "is in use: it is disk xvda of domain")
    refused(machine, "mkdir -p /m; mount -t ext4 /dev/vdb /m", "usy")


def resize(machine):
    """A device of dom0 grows, and files by block-resize, with a format and without: their guest sees it."""
    machine.shell("truncate -s 8M /images/grow.img; truncate -s 8M /images/lo.img; losetup /dev/loop7 /images/lo.img; "
                  "xm block-attach a phy:/dev/loop7,xvde,w && xm block-attach a /images/grow.img,raw,xvdf,w && "
                  "qemu-img create -q -f qcow2 /images/grow.qcow2 8M && "
                  "xm block-attach a /images/grow.qcow2,qcow2,xvdg,w", 120)
    with guest_shell(machine, "a") as guest:
        wait_in_guest(guest, "test -b /dev/xvde -a -b /dev/xvdf -a -b /dev/xvdg")
        expect_equal("sectors before", guest.shell("cat /sys/block/xvd[efg]/size")[1].split(), ["16384"] * 3)
        held = write_pattern(guest, "xvdg", "before it grew")
        guest.shell("(for i in $(seq 30); do dd if=/tmp/random of=/dev/xvdg bs=1M count=2 seek=5 conv=fsync 2>/dev/null || "
                    "echo bad > /tmp/bad; done; echo done > /tmp/grown) & true")
    refused(machine, "xm block-resize a xvde 24", "/dev/loop7 is a block device")
    refused(machine, "xm block-resize a xvdg 8", "does not shrink")
    refused(machine, "xm block-resize a xvdg large", "no size")
    refused(machine, "xm block-resize a xvdz 24", "has no such device")
    machine.shell("truncate -s 24M /images/lo.img; losetup -c /dev/loop7")
    machine.shell("xm block-resize a xvdf 24 && xm block-resize a xvdg 24m", 120)
    written = {}
    with guest_shell(machine, "a") as guest:
        wait_in_guest(guest, "test -e /tmp/grown", 60)
        guest.shell("! test -e /tmp/bad")
        for name in ("xvde", "xvdf", "xvdg"):
            wait_in_guest(guest, f"dd if=/dev/{name} of=/dev/null bs=4k count=1 iflag=direct 2>/dev/null; "
                                 f"grep -q 49152 /sys/block/{name}/size")
            written[name] = write_pattern(guest, name, f"behind the old end of {name}", seek=12)
    detach(machine, "xvde", "xvdf", "xvdg")
    machine.shell("losetup -d /dev/loop7; qemu-img convert -f qcow2 -O raw /images/grow.qcow2 /images/converted", 60)
    expect_equal("what the image held before", sum_of(machine.shell, "dd if=/images/converted bs=1M count=4 2>/dev/null"), held)
    for name, file in (("xvde", "lo.img"), ("xvdf", "grow.img"), ("xvdg", "converted")):
        expect_equal(f"what lies behind the old end of {file}",
                     sum_of(machine.shell, f"dd if=/images/{file} bs=1M skip=12 count=4 2>/dev/null"), written[name])


def discards(machine):
    """What the guest discards is given back, by a file and by a device."""
    before = machine.shell("du -k /images/raw.img")[1].split()[0]
    with guest_shell(machine, "a") as guest:
        guest.shell("blkdiscard /dev/xvda", 60)
    after = machine.shell("sync; du -k /images/raw.img")[1].split()[0]
    if int(after) > int(before) - 4 * 1024:
        raise Failed(f"raw.img had {before} KiB before the guest discarded all of it, and has {after} KiB")


def full_file_system(machine):
    """The guest gets errors for what has no room; what was written before and other disks are as they were."""
    machine.shell("truncate -s 8M /images/little; mke2fs -q -F /images/little >/dev/null; mkdir /little; "
                  "mount -t ext4 -o loop /images/little /little; truncate -s 64M /little/thin.img; "
                  "xm block-attach a /little/thin.img,raw,xvde,w", 60)
    with guest_shell(machine, "a") as guest:
        wait_in_guest(guest, "test -b /dev/xvde")
        wanted = write_pattern(guest, "xvde", "before it was full", 2)
        status = guest.shell("dd if=/dev/zero of=/dev/xvde bs=1M seek=8 count=16 conv=fsync 2>&1", 120, check=False)
        if status[0] == 0 or "rror" not in status[1]:
            raise Failed(f"16 MiB went into a full file system: {status}")
        expect_equal("what was written before it was full",
                     sum_of(guest.shell, "echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/xvde bs=1M count=2 2>/dev/null"),
                     wanted)
        expect_equal("the other disk", write_pattern(guest, "xvda", "still fine"),
                     sum_of(guest.shell, "echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/xvda bs=1M count=4 2>/dev/null"))
    detach(machine, "xvde")
    machine.shell("umount /little; rmdir /little")


def reboot(machine):
    """The domain that comes in place of the old one has the disks of the old one, changes at run time included."""
    machine.shell("xm block-attach a /images/second.img,raw,xvde,w", 60)
    before = {name: disk["target"] for name, disk in disks_of(machine, "a").items()}
    machine.shell("xm reboot -w a", 120)
    expect_equal("the disks after a reboot", {name: disk["target"] for name, disk in disks_of(machine, "a").items()},
                 before)
    with guest_shell(machine, "a") as guest:
        wait_in_guest(guest, "test -b /dev/xvde -a -b /dev/xvdc")
        expect_equal("ro.img after a reboot", sum_of(guest.shell, "cat /dev/xvdc"),
                     digest(lines("read me", DATA)))


def file_system_in_guest(machine):
    """A file system made by the guest, read by dom0 when the guest has gone: destroyed in the middle of writing, what
    it had synced is there."""
    with guest_shell(machine, "a") as guest:
        guest.shell("mke2fs -q /dev/xvda >/dev/null; mkdir -p /m; mount -t ext4 /dev/xvda /m; "
                    f"{write_lines('kept', 2 * MIB, '/m/kept')}; sync", 120)
        guest.shell("(while true; do dd if=/dev/urandom of=/m/busy bs=1M count=8 conv=fsync 2>/dev/null; done) & true")
        guest.shell("sleep 2")
    machine.shell("xm destroy a", 60)
    machine.shell("mkdir -p /m; mount -t ext4 -o loop,ro /images/raw.img /m", 60)
    expect_equal("what the guest had synced", sum_of(machine.shell, "cat /m/kept"),
                 digest(lines("kept", 2 * MIB)))
    machine.shell("umount /m")


def nothing_left(machine):
    left = machine.shell("losetup -a; ls -d /sys/bus/xen-backend/devices/vbd-* /sys/block/nbd*/pid; ps | grep -e [q]emu -e [v]mm-blkback; "
                         "xenstore-ls /local/domain/0/backend/vbd; xenstore-ls /local/domain/0/backend/vmmblk; ls /run/vmm/disk; xenstore-ls /local/domain/0/error/backend; "
                         "grep -o vbd /run/vmm/devices.json; umount /images || echo images are in use", check=False)[1]
    left = [line for line in left.splitlines() if line.strip() and "No such file" not in line and "xenstore-ls" not in line]
    if left:
        raise Failed("left behind:\n" + "\n".join(left))


formats_hold = {}
make_disks()
with start(chosen, "disks", extra=qemu_arguments()) as booted:
    seen = play(booted, [
        ("boot to dom0's shell", shell_of_dom0),
        ("a file system for images", file_systems),
        ("a guest with a file, a device, a read-only disk and an empty drive", create),
        ("4 MiB through each, by checksum; a write to the read-only one fails", data),
        ("fsync reaches stable storage", stable_storage),
        ("refusals", refusals),
        ("block-attach, block-detach", attach_detach),
        ("cd-insert, cd-eject", media),
        ("qcow2, vmdk, vdi, vhdx, vhd and an NBD export come", attach_formats),
        ("restart of vmmd while the guest writes", restart_of_vmmd),
        ("1 MiB through each format", write_formats),
        ("they go, and hold what was written", detach_formats),
        ("a device, a file and an image grow", resize),
        ("discard", discards),
        ("full file system", full_file_system),
        ("reboot", reboot),
        ("destroyed while it writes", file_system_in_guest),
        ("nothing is left", nothing_left),
    ])
for file in files.values():
    os.unlink(file)
sys.exit(0 if seen else 1)
