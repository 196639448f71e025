# SPDX-License-Identifier: Apache-2.0
"""Two machines on one wire, each with a bridge on it: HERE has the address 10.9.0.1, THERE 10.9.0.2. THERE may lose
its power. Guests move between them by vmm-tls with certificates, by a command that stands in for ssh,
or by ssh itself, which the image has not (ssh.py)."""

import os
import shutil
import subprocess
import tempfile
import time

from dom0 import SCALE, Failed, free_mib, shell_of_dom0, start, wait_for

MEMORY = 1536                           # MiB of each machine
ADDRESS_HERE, ADDRESS_THERE = "10.9.0.1", "10.9.0.2"
LIMIT = 900     # seconds of a migration: by ssh, with both machines on a fifth of their CPUs, it takes 440
TAKES = "nc -l -p 7000 -e xm migrate-receive"


def certificates(*addresses):
    """As toolstack/tls/README.md tells it: for each host the files of /etc/vmm/tls."""
    with tempfile.TemporaryDirectory() as place:
        def openssl(*words):
            subprocess.run(["openssl", *words], cwd=place, check=True, capture_output=True)

        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout"]
        openssl("req", "-x509", *key, "authority.key", "-out", "authority.pem", "-subj", "/CN=test")
        for address in addresses:
            openssl("req", *key, "host.key", "-out", "host.csr", "-subj", "/CN=host", "-addext", f"subjectAltName=IP:{address}")
            openssl("x509", "-req", "-in", "host.csr", "-copy_extensions", "copy", "-CA", "authority.pem", "-CAkey",
                    "authority.key", "-out", "host.pem")
            files = {}
            for name in ("authority.pem", "host.pem", "host.key"):
                with open(os.path.join(place, name), encoding="ascii") as file:
                    files[name] = file.read()
            yield files


def takes_by_tls(machine, files):
    machine.shell("umask 077; mkdir -p /etc/vmm/tls")
    for name, text in files.items():
        machine.shell("printf '%s\\n' " + " ".join(f"'{line}'" for line in text.splitlines()) + f" > /etc/vmm/tls/{name}", 60)
    machine.shell("(vmm-tls listen tcp::8003 >/tmp/tls.log 2>&1 &)")


def takes_once(machine):
    """The next connection to port 7000 is a migration to this machine."""
    machine.shell(f"({TAKES} >/tmp/receive.log 2>&1 &); for i in $(seq 30); do netstat -ltn | grep -q :7000 && break; sleep 1; done", 60)


class Two_hosts:
    def __init__(self, chosen, name, disk=()):
        """`disk`: QEMU's arguments for a disk of each."""
        self._chosen = chosen
        self._name = name
        self._disk = list(disk)
        self._wire = os.path.join(tempfile.mkdtemp(prefix="plinth-migrate-"), "wire")
        self._files = list(certificates(ADDRESS_HERE, ADDRESS_THERE))
        self.here = self.there = None
        self.free = {}  # MiB of each, without guests

    def __enter__(self):
        self.here = self._start(self._name, "server=on")
        while self.here.running() and not os.path.exists(self._wire):
            time.sleep(0.1)
        self.there = self._start(self._name + ".other", "server=off")
        return self

    def __exit__(self, *_):
        self.there.close()
        self.here.close()
        shutil.rmtree(os.path.dirname(self._wire))

    def _start(self, name, role):
        mac = "52:54:00:00:00:0" + ("1" if role == "server=on" else "2")
        return start(self._chosen, name, memory=MEMORY, extra=[
            "-no-reboot", "-netdev", f"stream,id=wire,{role},addr.type=unix,addr.path={self._wire}",
            "-device", f"virtio-net-pci,netdev=wire,mac={mac}", *self._disk])

    def boot(self):
        shell_of_dom0(self.here)
        shell_of_dom0(self.there)
        self._prepare(self.here, ADDRESS_HERE, 0)
        self._prepare(self.there, ADDRESS_THERE, 1)
        self._see_each_other()

    def power_cut_there(self):
        self.there.close()

    def _prepare(self, machine, address, which):
        machine.shell("for i in $(seq 30); do test -e /sys/bus/virtio/drivers/virtio_net/*/net && break; sleep 1; done; "
                      "n=$(ls /sys/bus/virtio/drivers/virtio_net/*/net); ip link add br0 type bridge; ip link set $n master br0; "
                      f"ip link set $n up; ip link set br0 up; ip addr add {address}/24 dev br0", 60)
        takes_by_tls(machine, self._files[which])
        self.free[machine] = free_mib(machine)

    def _see_each_other(self):
        wait_for(self.here, "the other host on the wire", 60,
                 lambda m: m.shell(f"ping -c 1 -w 2 {ADDRESS_THERE}", 30, check=False)[0] == 0)

    def other(self, machine):
        """The other one, and its address."""
        return (self.there, ADDRESS_THERE) if machine is self.here else (self.here, ADDRESS_HERE)

    def nothing_left(self, machine):
        wait_for(machine, "its memory free", 60, lambda m: free_mib(m) >= self.free[m])

    def move(self, source, way):
        """What `xm migrate` says, and its status. `way`: ssh, as it is without options; tls; or pipe, by a command in
        place of ssh."""
        target, address = self.other(source)
        if way == "ssh":
            return source.shell(f"xm migrate a {address}", LIMIT, check=False)
        if way == "pipe":
            takes_once(target)
        host = f"-s '' a 'nc {address} 7000'" if way == "pipe" else f"--to tcp:{address}:8003 a"
        return source.shell(f"xm migrate --max-downtime 500 --compress zstd {host}", LIMIT, check=False)


def ends(machine, begun, seconds=480):
    """Waits for the end of a command that was begun by `in_background`; its status and what it said. What it said is
    read after the status: before, it may have been about to say it."""
    for _ in range(int(seconds * SCALE)):
        status = machine.shell(f"cat {begun}.status", check=False)[1].strip()
        if status.isdigit():
            return int(status), machine.shell(f"cat {begun}.log")[1]
        machine.shell("sleep 1")
    raise Failed(f"not within {seconds} s: the end of {begun}, which says so far:\n{machine.shell(f'cat {begun}.log')[1]}")


def in_background(machine, command, name):
    begun = f"/tmp/{name}"
    machine.shell(f"rm -f {begun}.status; ({command} >{begun}.log 2>&1; echo $? >{begun}.status) & true")
    return begun
