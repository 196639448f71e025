#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A Debian 12 guest as people have them: systemd and its own kernel on a disk made by debootstrap, the NAT network.
It boots to a login with no unit failed, installs a package with apt from outside, checks its disk with fio, reboots,
finds everything again and shuts down; the file system on the disk is clean afterwards."""

import os
import subprocess
import sys
import tempfile

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import DOM0, Failed, domains, options, play, shell_of_dom0, start, wait_for, xm_json
from pattern import digest, pattern
from repository import Repository

SKIPPED = 77                    # ctest's SKIP_RETURN_CODE
GUEST = r"^debian:\S*# "
DATA = pattern("package", 8 << 20)
WRITTEN = 16                    # MiB, by fio
chosen = options(__doc__)
folder = tempfile.TemporaryDirectory(prefix="plinth-debian-")
disk = os.path.join(folder.name, "root.img")
repository = Repository(folder.name, "plinth-sample", DATA)


def made_by_boot_run():
    """boot/run --debian makes the disk, as root; it is copied, so that every run begins with the same."""
    made = os.path.join(os.path.dirname(chosen.build), "cache/debian/root.img")
    if not os.path.exists(made):
        print(f"there is no {made}: boot/run --debian --iso FILE makes it, as root")
        sys.exit(SKIPPED)
    subprocess.run(["cp", "--sparse=always", made, disk], check=True)


def qemu_arguments():
    return ["-no-reboot", "-drive", f"file={disk},format=raw,if=virtio", "-nic", "user,model=virtio-net-pci"]


def dom0_online(machine):
    wait_for(machine, "dom0 has an address", 60, lambda m: m.shell("ip route | grep default", check=False)[0] == 0)


def to_login(machine):
    """From dom0's shell, with `xm console` or `xm create -c` typed, to the guest's shell."""
    machine.expect("debian login: ", 300, "the guest's login")
    machine.line("root")
    machine.expect(r"root@debian:~# ", 60, "the guest's shell")
    machine.line("PS1='debian:\\w# '; stty cols 1000; dmesg -n 1")
    machine.expect(GUEST, 30, "the guest's shell")


def leave(machine):
    machine.send("\x1d")
    machine.expect(DOM0, 30, "dom0's shell after Ctrl-]")


def first_boot(machine):
    machine.line("xm create -c /etc/vmm/debian.cfg")
    to_login(machine)


def system_is_whole(machine):
    status, said = machine.shell("systemctl is-system-running --wait; systemctl --failed --no-legend", 120)
    if "running" not in said.split() or len(said.split()) != 1:
        raise Failed(f"systemd says (status {status}):\n{said}")
    return machine.shell("uname -r")[1].strip()


def apt(machine):
    machine.shell(f"echo 'deb [trusted=yes] http://10.0.2.2:{repository.port}/ ./' > /etc/apt/sources.list")
    machine.shell("apt-get -q update && apt-get -q -y install plinth-sample", 240)
    got = machine.shell("sha256sum < /usr/share/plinth-sample/data")[1].split()[0]
    if got != digest(DATA):
        raise Failed("the package's file is not what was served")


def fio(machine):
    """Every block is written at random, with its own checksum in it, and read again."""
    machine.shell("fio --name=v --filename=/root/fio.data --size=%dM --rw=randwrite --bs=4k --direct=1 --ioengine=libaio "
                  "--iodepth=16 --verify=crc32c --do_verify=1 --verify_fatal=1 --end_fsync=1" % WRITTEN, 300)


def reboot(machine):
    """From inside: another domain by the same name, the same disk, and the console goes on in it."""
    before = machine.shell("sha256sum /root/fio.data /etc/machine-id")[1]
    machine.line("reboot")
    to_login(machine)
    if machine.shell("sha256sum /root/fio.data /etc/machine-id", 60)[1] != before:
        raise Failed("after a reboot the disk holds something else")
    system_is_whole(machine)


def address_is_known(machine):
    """What DHCP gave is what dom0 says it gave."""
    inside = machine.shell("ip -4 -o addr show enX0")[1]
    leave(machine)
    row = xm_json(machine, "network-list debian")["interfaces"][0]
    if f" {row['ip']}/" not in inside:
        raise Failed(f"dom0 says {row['ip']}, the guest:\n{inside}")


def shutdown(machine):
    machine.shell("xm shutdown -w debian", 180)
    if "debian" in domains(machine):
        raise Failed("the guest is still listed")


def power_off(machine):
    machine.line("poweroff")
    machine.ended(60)
    checked = subprocess.run(["/sbin/e2fsck", "-fn", disk], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             check=False)
    if checked.returncode != 0:
        raise Failed(f"the guest's file system is not clean:\n{checked.stdout}")


made_by_boot_run()
with folder, start(chosen, "debian", extra=qemu_arguments(), image="-debian") as booted:
    seen = play(booted, [
        ("boot to dom0's shell", shell_of_dom0),
        ("dom0's own network", dom0_online),
        ("xm create -c debian.cfg, to a login", first_boot),
        ("systemd is up and no unit has failed", system_is_whole),
        ("apt through NAT", apt),
        ("fio --verify", fio),
        ("reboot from inside", reboot),
        ("its address", address_is_known),
        ("xm shutdown -w", shutdown),
        ("power off; the disk's file system is clean", power_off),
    ])
sys.exit(0 if seen else 1)
