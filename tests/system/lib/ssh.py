# SPDX-License-Identifier: Apache-2.0
"""OpenSSH in two dom0s: ssh_tree.sh's files come as a disk, each has keys, and each lets the other's root in."""

import os

from dom0 import wait_in

SERVES = "/usr/sbin/sshd -o UsePAM=no -o PermitRootLogin=prohibit-password -f /dev/null"


def disk_with_ssh(chosen):
    """QEMU's arguments for it, which dom0 sees as the next /dev/vdX."""
    return ["-drive", f"file={os.path.join(chosen.build, 'boot', 'ssh.tar')},format=raw,if=virtio,readonly=on"]


def _has_keys(machine, disk):
    wait_in(machine, f"test -b {disk}")
    machine.shell(f"tar -x -C / -f {disk}; umask 077; mkdir -p /root/.ssh /etc/ssh /run/sshd; "
                  "echo 'sshd:x:100:65534::/run/sshd:/bin/false' >> /etc/passwd; chown 0:0 /root /root/.ssh; chmod 755 /run/sshd; "
                  "ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; "
                  f"{SERVES}", 120)


def _key(machine, file):
    return " ".join(machine.shell(f"cat {file}")[1].split()[:2])


def know_each_other(hosts, disk):
    for machine in (hosts.here, hosts.there):
        _has_keys(machine, disk)
    for machine in (hosts.here, hosts.there):
        other, address = hosts.other(machine)
        machine.shell(f"echo '{_key(other, '/root/.ssh/id_ed25519.pub')}' > /root/.ssh/authorized_keys", 60)
        machine.shell(f"echo '{address} {_key(other, '/etc/ssh/ssh_host_ed25519_key.pub')}' > /root/.ssh/known_hosts", 60)
