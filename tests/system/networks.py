#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two guests on the NAT network, on a bridge with a real card, and behind a route: each gets its address, data goes
between every two ends and arrives as it was sent, a guest cannot speak for another, interfaces come and go at run
time and with vmmd restarted, and nothing is left behind."""

import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import (Failed, config, domains, guest_shell, options, play, shell_of_dom0, start, wait_for, wait_in,
                  xm_json)
from pattern import Peer, digest, lines, pattern, write_lines

MIB = 1 << 20
DATA = 16 * MIB
UPLOAD = 4 * MIB
OUTSIDE = {"nat": "10.0.2", "bridged": "10.0.3"}    # QEMU's user networks
chosen = options(__doc__)
peer = Peer("outside", UPLOAD)
lease = {}


def qemu_arguments():
    words = ["-no-reboot"]
    for number, (net, model) in enumerate(zip(OUTSIDE.values(), ("virtio-net-pci", "e1000e"))):
        words += ["-netdev", f"user,id=net{number},net={net}.0/24", "-device", f"{model},netdev=net{number}"]
    return words


def card(machine, driver):
    return machine.shell(f"ls -d /sys/bus/*/drivers/{driver}/*/net/* | sed 's|.*/||'")[1].strip()


def outer_networks(machine):
    """dom0 takes an address on one card; the other becomes a port of a bridge of its administrator's."""
    machine.shell(f"udhcpc -n -q -i {card(machine, 'virtio_net')} >/dev/null 2>&1; ip route | grep -q default", 60)
    bridged = card(machine, "e1000e")
    machine.shell(f"ip link add br0 type bridge; ip link set {bridged} master br0; ip link set {bridged} up; "
                  "ip link set br0 up", 60)


def rows(machine, name):
    return xm_json(machine, f"network-list {name}")["interfaces"]


def create(machine):
    for name in ("a", "b"):
        file = config(machine, name, memory=128)
        machine.shell(f"echo \"vif = [ 'nat' ]\" >> {file}; xm create {file}", 120)
        row = rows(machine, name)[0]
        lease[name] = row["ip"]
        if not row["mac"].startswith("00:16:3e:"):
            raise Failed(f"{name} has a strange address: {row}")


def in_guest(machine, name, command, seconds=60, check=True):
    with guest_shell(machine, name) as guest:
        return guest.shell(command, seconds, check)[1]


def leases(machine):
    """DHCP tells each guest what vmmd chose, and DNS knows them by name."""
    for name in ("a", "b"):
        with guest_shell(machine, name) as guest:
            wait_in(guest, f"ip -4 addr show eth0 | grep -q '{lease[name]}/24'")
            guest.shell("ip route | grep 'default via 10.76.0.1'")
    in_guest(machine, "a", "ping -c 3 -W 5 b && ping -c 3 -W 5 10.76.0.1")


def serve(shell, seed):
    """An HTTP server in dom0 or a guest, on a file whose content both sides can tell."""
    shell(f"mkdir -p /tmp/www; {write_lines(seed, DATA, '/tmp/www/data')}; httpd -p 8080 -h /tmp/www", 120)


def expected(seed):
    return digest(lines(seed, DATA))


def fetch(guest, url, seed):
    got = guest.shell(f"wget -q -O - {url} | sha256sum", 300)[1].split()[0]
    if got != expected(seed):
        raise Failed(f"what came from {url} is not what is there")


def transfers(machine):
    serve(machine.shell, "dom0 says this")
    with guest_shell(machine, "b") as guest:
        serve(guest.shell, "and b says that")
        fetch(guest, "http://10.76.0.1:8080/data", "dom0 says this")
    with guest_shell(machine, "a") as guest:
        fetch(guest, f"http://{lease['b']}:8080/data", "and b says that")
    got = machine.shell(f"wget -q -O - http://{lease['b']}:8080/data | sha256sum", 300)[1].split()[0]
    if got != expected("and b says that"):
        raise Failed("what dom0 got from b is not what is there")


def mean_frame(machine, interface, direction, action):
    """The mean length of what passes the interface while `action` is done."""
    def counters():
        path = f"/sys/class/net/{interface}/statistics/{direction}"
        return [int(word) for word in machine.shell(f"cat {path}_bytes {path}_packets")[1].split()]
    before = counters()
    action()
    size, count = (after - earlier for after, earlier in zip(counters(), before))
    return size / count


def offloads(machine):
    """Stock ends hand each other frames longer than the wire's, with checksums left blank, in both directions."""
    domid = domains(machine)["b"]["domid"]
    offer = f"/local/domain/{domid}/device/vif/0"
    machine.shell(f"test $(xenstore-read {offer}/feature-sg {offer}/feature-gso-tcpv4 | tr -d '\\n') = 11 && "
                  f"! xenstore-exists {offer}/feature-no-csum-offload")

    def fetch_from_guest():
        machine.shell(f"wget -q -O /dev/null http://{lease['b']}:8080/data", 300)

    def fetch_by_guest():
        with guest_shell(machine, "b") as guest:
            fetch(guest, "http://10.76.0.1:8080/data", "dom0 says this")

    told = []
    for direction, action in (("rx", fetch_from_guest), ("tx", fetch_by_guest)):
        mean = mean_frame(machine, f"vif{domid}.0", direction, action)
        if mean < 2 * 1514:
            raise Failed(f"frames are {mean:.0f} bytes long in the mean: they are segmented before they pass")
        told.append(f"{mean:.0f}")
    return "frames of " + " and ".join(told) + " bytes"


def queues(machine):
    """A guest with two CPUs has two queues where dom0 offers them, and data passes."""
    setting = "/sys/module/xen_netback/parameters/max_queues"
    usual = machine.shell(f"cat {setting}; echo 2 > {setting}")[1].strip()
    file = config(machine, "c", memory=128, vcpus=2)
    machine.shell(f"echo \"vif = [ 'nat' ]\" >> {file}; xm create {file}", 120)
    with guest_shell(machine, "c") as guest:
        wait_in(guest, "ip route | grep -q default")
        guest.shell("test -d /sys/class/net/eth0/queues/tx-1 && test -d /sys/class/net/eth0/queues/rx-1")
        fetch(guest, "http://10.76.0.1:8080/data", "dom0 says this")
    machine.shell(f"xm destroy c; echo {usual} > {setting}", 60)


def exchange(guest, gateway):
    """Data to the test host and back, through a network of QEMU's; judged at both ends."""
    peer.received.clear()
    guest.shell(f"{write_lines('from the guest', UPLOAD, '/tmp/up')}; nc {gateway} {peer.port} < /tmp/up > /tmp/down", 300)
    if [digest(data) for data in peer.received] != [digest(lines("from the guest", UPLOAD))]:
        raise Failed(f"what the guest sent to {gateway} arrived wrong: {[len(data) for data in peer.received]} bytes")
    if guest.shell("sha256sum < /tmp/down")[1].split()[0] != digest(pattern("outside", UPLOAD)):
        raise Failed(f"what the guest received from {gateway} is wrong")


def outside(machine):
    with guest_shell(machine, "a") as guest:
        exchange(guest, f"{OUTSIDE['nat']}.2")


def spoofing(machine):
    """With another's address nothing comes through; with its own everything again."""
    with guest_shell(machine, "a") as guest:
        guest.shell("ip addr add 10.76.0.250/24 dev eth0")
        if guest.shell(f"ping -c 3 -W 2 -I 10.76.0.250 {lease['b']}", 60, check=False)[0] == 0:
            raise Failed("a guest can speak from an address that is not its own")
        guest.shell(f"ip addr del 10.76.0.250/24 dev eth0; ping -c 3 -W 5 {lease['b']}", 60)


def bridged(machine):
    """A second interface, at run time, on the bridge of the real card: QEMU's own DHCP answers through it."""
    machine.shell("xm network-attach a bridge=br0", 60)
    if [row["bridge"] for row in rows(machine, "a")] != ["vmm0", "br0"]:
        raise Failed(f"xm network-list does not show both interfaces: {rows(machine, 'a')}")
    with guest_shell(machine, "a") as guest:
        wait_in(guest, "test -e /sys/class/net/eth1")
        guest.shell("udhcpc -n -q -t 20 -T 1 -i eth1", 90)
        guest.shell(f"ip -4 addr show eth1 | grep '{OUTSIDE['bridged']}.'")
        exchange(guest, f"{OUTSIDE['bridged']}.2")
    machine.shell("xm network-detach a 1", 60)
    if len(rows(machine, "a")) != 1:
        raise Failed("the interface is still listed after network-detach")
    with guest_shell(machine, "a") as guest:
        wait_in(guest, "! test -e /sys/class/net/eth1")


def routed(machine):
    """An address of no network of dom0's, reached by a route; dom0 is there with the address of its card."""
    outer = card(machine, "virtio_net")
    machine.shell(f"xm network-attach b script=route ip=10.99.0.2 gatewaydev={outer} devid=3", 60)
    with guest_shell(machine, "b") as guest:
        wait_in(guest, "test -e /sys/class/net/eth1")
        guest.shell("ip addr add 10.99.0.2/32 dev eth1; ip link set eth1 up; "
                    f"ip route add {OUTSIDE['nat']}.15/32 dev eth1 src 10.99.0.2", 60)
        guest.shell(f"ping -c 3 -W 5 {OUTSIDE['nat']}.15", 60)
    machine.shell("ping -c 3 -W 5 10.99.0.2", 60)
    machine.shell("xm network-detach b 3; ! ip route | grep 10.99.0.2", 60)


def restart_of_vmmd(machine):
    """Guests do not notice; the rules and the list are what they were; DHCP answers again."""
    before = machine.shell("ls /sys/class/net; cat /run/vmm/net/dhcp-hosts")[1]
    machine.shell("kill -9 $(cat /run/vmm/vmmd.pid); sleep 1")
    wait_for(machine, "vmmd is back", 60, lambda m: m.shell("xm list", check=False)[0] == 0)
    if machine.shell("ls /sys/class/net; cat /run/vmm/net/dhcp-hosts")[1] != before:
        raise Failed("after a restart of vmmd the networks are not what they were")
    if len(rows(machine, "a")) != 1:
        raise Failed(f"after a restart of vmmd network-list says {rows(machine, 'a')}")
    with guest_shell(machine, "a") as guest:
        guest.shell(f"ping -c 3 -W 5 {lease['b']}", 60)
        guest.shell("udhcpc -n -q -t 20 -T 1 -i eth0 && "
                    f"ip -4 addr show eth0 | grep '{lease['a']}/24'", 90)


def refusals(machine):
    for words, reason in (("bridge=nowhere", "there is no bridge nowhere"),
                          ("mac=1", "is not a MAC address"),
                          ("ip=10.77.0.9", "is no address of the NAT network")):
        status, said = machine.shell(f"xm network-attach a {words}", 60, check=False)
        if status == 0 or reason not in said:
            raise Failed(f"`xm network-attach a {words}` says (status {status}):\n{said}")
    status, said = machine.shell("xm network-detach a 7", 60, check=False)
    if status == 0:
        raise Failed("an interface that is not there was detached")


def nothing_left(machine):
    machine.shell("xm destroy a b", 60)
    wait_for(machine, "the interfaces go", 30, lambda m: "vif" not in m.shell("ls /sys/class/net")[1])
    left = machine.shell("cat /run/vmm/net/dhcp-hosts /run/vmm/net/dns-hosts; xenstore-ls /local/domain/0/backend/vif; "
                         "ls /proc/sys/net/ipv4/conf | grep vif", check=False)[1]
    if [line for line in left.splitlines() if line.strip() and "xenstore" not in line]:
        raise Failed(f"left behind:\n{left}")


with start(chosen, "networks", extra=qemu_arguments()) as booted:
    seen = play(booted, [
        ("boot to dom0's shell", shell_of_dom0),
        ("dom0's own networks", outer_networks),
        ("two guests with vif = [ 'nat' ]", create),
        ("DHCP and DNS; ping", leases),
        ("16 MiB dom0 to guest, guest to guest, guest to dom0", transfers),
        ("segmentation and checksums are left to the other end", offloads),
        ("two queues", queues),
        ("through NAT to the outside and back", outside),
        ("a guest cannot use another's address", spoofing),
        ("attach to a bridge with a real card; detach", bridged),
        ("routed", routed),
        ("restart of vmmd", restart_of_vmmd),
        ("refusals", refusals),
        ("destroy leaves nothing", nothing_left),
    ])
sys.exit(0 if seen else 1)
