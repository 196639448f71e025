#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two machines on one wire. A guest that keeps writing to its memory, to its disk (which the first machine exports by
NBD) moves to the second machine and back while it does, by TLS and without; what it wrote is there, both bridges hear
where it is, and it runs in one place. A connection that is cut and a target whose power is cut in the middle leave it
where it is. `--trips 5` goes there and back five times; `--connection 1` also looks at what the guest says over TCP."""

import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import (Failed, config, domains, free_mib, guest_shell, number, options, play, shell_of_dom0, start, wait_for, wait_in)

FILES = 16              # of 20,000 lines, which the guest writes over and over
TALKS, IS_SILENT = "00:16:3e:09:00:07", "00:16:3e:09:00:08"     # the guest's interfaces
PORT_OF_WIRE = 1        # of the bridges: their first one
chosen = options(__doc__, trips=1, connection=0)
wire = os.path.join(tempfile.mkdtemp(prefix="plinth-migrate-"), "wire")
known = {}


def card(role):
    return ["-no-reboot", "-netdev", f"stream,id=wire,{role},addr.type=unix,addr.path={wire}",
            "-device", f"virtio-net-pci,netdev=wire,mac=52:54:00:00:00:0{1 if 'server=on' in role else 2}"]


def address(machine, last):
    machine.shell("for i in $(seq 30); do test -e /sys/bus/virtio/drivers/virtio_net/*/net && break; sleep 1; done; "
                  "n=$(ls /sys/bus/virtio/drivers/virtio_net/*/net); ip link add br0 type bridge; ip link set $n master br0; "
                  f"ip link set $n up; ip link set br0 up; ip addr add 10.9.0.{last}/24 dev br0", 60)


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


def hosts(machine):
    shell_of_dom0(other)
    address(machine, 1)
    address(other, 2)
    wait_for(machine, "the other host on the wire", 60, lambda m: m.shell("ping -c 1 -w 2 10.9.0.2", 30, check=False)[0] == 0)
    for host, files in zip((machine, other), certificates("10.9.0.1", "10.9.0.2")):
        takes_by_tls(host, files)
    known["free"] = {host: free_mib(host) for host in (machine, other)}


def busy_guest(machine):
    machine.shell("truncate -s 16M /tmp/disk.img; qemu-nbd --fork --persistent -e 8 -f raw -x disk -p 10809 /tmp/disk.img", 60)
    file = config(machine, "a", memory=128)
    machine.shell(f"echo \"disk = [ 'vdev=xvda, target=nbd://10.9.0.1/disk' ]\" >> {file}; "
                  f"echo \"vif = [ 'bridge=br0, mac={TALKS}', 'bridge=br0, mac={IS_SILENT}' ]\" >> {file}; xm create {file}", 120)
    machine.shell("(tail -f /dev/null | nc -l -p 7100 > /tmp/from-guest &)")
    with guest_shell(machine, "a") as guest:
        guest.shell("for i in $(seq 60); do test -b /dev/xvda && break; sleep 1; done; mkdir /tmp/p; echo '"
                    f"while :; do i=$((i+1)); yes $i | head -n 20000 > /tmp/new; mv /tmp/new /tmp/p/$((i % {FILES})); "
                    "echo $i | dd of=/dev/xvda bs=4096 seek=$((i % 1000)) conv=sync,fsync 2>/dev/null && echo $i > /tmp/done; sleep 0.2; "
                    "done' > /tmp/writes; (sh /tmp/writes >/dev/null 2>&1 &)", 120)
        wait_in(guest, "test -e /sys/class/net/eth1")
        guest.shell("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; ip addr add 10.9.0.7/24 dev eth0; ip link set eth0 up; "
                    "ip addr add 10.9.8.8/24 dev eth1; ip link set eth1 up; "
                    "(while :; do n=$((n+1)); echo $n; sleep 0.5; done | nc 10.9.0.1 7100 >/dev/null 2>&1 &)", 60)
        guest.shell(f"for i in $(seq 120); do test $(ls /tmp/p | wc -l) = {FILES} && break; sleep 1; done", 240)
        known["done"] = int(guest.shell("cat /tmp/done")[1])


def says_on():
    """Its connection, which ends at the first machine, has lost nothing and goes on."""
    said = int(booted.shell("wc -l < /tmp/from-guest")[1])
    wait_in(booted, f"test $(wc -l < /tmp/from-guest) -gt {said + 1}", 120)
    booted.shell("awk 'NR != $1 { wrong = 1 } END { exit wrong }' /tmp/from-guest")


def hears_of_it(machine):
    """The bridge here knows without being told by traffic that the guest is behind the wire: it has announced itself."""
    wait_in(machine, "hexdump -v -e '16/1 \"%02x\" \"\\n\"' /sys/class/net/br0/brforward | "
                     f"grep -q '^{IS_SILENT.replace(':', '')}{PORT_OF_WIRE:02x}00'")


def goes_on(machine):
    """It writes on, and all that it has ever written is there."""
    with guest_shell(machine, "a") as guest:
        guest.shell(f"for i in $(seq 120); do test $(cat /tmp/done) -gt {known['done'] + 1} && break; sleep 1; done; "
                    f"test $(cat /tmp/done) -gt {known['done'] + 1}", 240)
        held = guest.shell(f"for f in $(seq 0 {FILES - 1}); do echo $f $(uniq /tmp/p/$f); done", 120)[1]
        numbers = [[int(word) for word in line.split()] for line in held.strip().splitlines()]
        if len(numbers) != FILES or any(len(one) != 2 or one[1] % FILES != one[0] for one in numbers):
            raise Failed(f"the files in the guest's memory are not what it wrote:\n{held}")
        last = int(guest.shell("cat /tmp/done")[1])
        for back in (1, 7, 20):
            i = last - back
            there = guest.shell(f"dd if=/dev/xvda bs=4096 skip={i % 1000} count=1 iflag=direct 2>/dev/null | head -n 1")[1].strip()
            if i > 0 and there != str(i):
                raise Failed(f"the guest wrote {i} to its disk, where {there} is")
        known["done"] = last
        trouble = guest.shell("dmesg | grep -E 'BUG:|WARNING: CPU|Call Trace|blocked for more|I/O error'", check=False)[1]
        if trouble.strip():
            raise Failed(f"the guest's kernel complains:\n{trouble}")
    if chosen.connection:
        says_on()


def move(source, target, target_address, by_tls=False):
    """By TLS, or by a command in place of ssh: the two dom0s have none."""
    if by_tls:
        return source.shell(f"xm migrate --max-downtime 500 --compress zstd --to tcp:{target_address}:8003 a", 400, check=False)
    target.shell("(nc -l -p 7000 -e xm migrate-receive >/tmp/receive.log 2>&1 &); for i in $(seq 30); do "
                 "netstat -ltn | grep -q :7000 && break; sleep 1; done", 60)
    return source.shell(f"xm migrate -s '' --max-downtime 500 a 'nc {target_address} 7000'", 400, check=False)


def moved(source, target, target_address, by_tls=False):
    begin = time.monotonic()
    status, said = move(source, target, target_address, by_tls)
    took = time.monotonic() - begin
    if status != 0 or "a runs on" not in said:
        raise Failed(f"`xm migrate` says (status {status}):\n{said}\n{target.shell('cat /tmp/receive.log /tmp/tls.log', check=False)[1]}")
    hears_of_it(source)
    if domains(source) or "a" not in domains(target):
        raise Failed(f"here: {domains(source)}, there: {domains(target)}")
    wait_for(source, "its memory free", 30, lambda m: free_mib(m) >= known["free"][m])
    goes_on(target)
    return (f"{number(r'([0-9]+) MiB in', said):.0f} MiB for 128 MiB of memory in {took:.0f} s, "
            f"still for {number(r'still for ([0-9]+) ms', said):.0f} ms")


def there(machine):
    return moved(machine, other, "10.9.0.2", by_tls=True)


def back(machine):
    return moved(other, machine, "10.9.0.1")


def again(machine):
    return "; ".join(trip(machine) for _ in range(1, chosen.trips) for trip in (there, back))


def refused(machine):
    file = config(other, "a", memory=64)
    other.shell(f"xm create -p {file}", 120)
    status, said = move(machine, other, "10.9.0.2")
    if status == 0 or 'already called "a"' not in said:
        raise Failed(f"with the name taken there, `xm migrate` says (status {status}):\n{said}")
    other.shell("xm destroy a", 60)
    goes_on(machine)


def in_the_middle(machine, what, do):
    """`do` happens while memory is copied, slowly."""
    other.shell("(nc -l -p 7000 -e xm migrate-receive >/tmp/receive.log 2>&1 &); for i in $(seq 30); do "
                "netstat -ltn | grep -q :7000 && break; sleep 1; done", 60)
    machine.shell("(xm migrate -s '' --bandwidth 1 a 'nc 10.9.0.2 7000' >/tmp/migrate.log 2>&1; echo $? >>/tmp/migrate.log) & true", 30)
    wait_for(other, "the guest on its way", 120, lambda m: "a" in m.shell("xenstore-ls /local/domain | grep 'name = \"a\"'", check=False)[1])
    do(machine)
    wait_for(machine, f"the end of it after {what}", 240, lambda m: m.shell("tail -n 1 /tmp/migrate.log")[1].strip() == "1")
    said = machine.shell("cat /tmp/migrate.log")[1]
    if "was not moved" not in said:
        raise Failed(f"after {what}, `xm migrate` says:\n{said}")
    goes_on(machine)


def cut(machine):
    in_the_middle(machine, "the connection was cut", lambda m: m.shell("kill -9 $(ps -o pid,args | awk '$2 == \"nc\" && $3 == \"10.9.0.2\" { print $1 }')", 30))
    if domains(other):
        raise Failed(f"left at the target: {domains(other)}")
    wait_for(other, "its memory free", 30, lambda m: free_mib(m) >= known["free"][m])


def power_cut(machine):
    in_the_middle(machine, "the target's power was cut", lambda m: other.close())


STEPS = [
    ("boot two hosts to dom0's shells", lambda machine: (shell_of_dom0(machine), hosts(machine)) and None),
    ("a guest that writes to memory and disk", busy_guest),
    ("it moves there by TLS", there),
    ("and back", back),
    *([(f"{chosen.trips - 1} times more", again)] if chosen.trips > 1 else []),
    ("refused by name: it runs on", refused),
    ("the connection is cut: it runs on", cut),
    ("the target's power is cut: it runs on", power_cut),
]

with start(chosen, "migrate", memory=1536, extra=card("server=on")) as booted:
    while booted.running() and not os.path.exists(wire):
        time.sleep(0.1)
    with start(chosen, "migrate.other", memory=1536, extra=card("server=off")) as other:
        seen = play(booted, STEPS)
os.remove(wire)
os.rmdir(os.path.dirname(wire))
sys.exit(0 if seen else 1)
