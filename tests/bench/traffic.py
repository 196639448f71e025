# SPDX-License-Identifier: Apache-2.0
"""TCP between two guests and dom0 on vmmd's NAT network, with the kernel's own netback and netfront: virtual
microseconds for each MiB, from connect() until the receiver says that it has everything."""

from domains import PORT, dom0, make_images, probe_ns, start

MIB = 64
WARM_UP_MIB = 8


def us_per_mib(machine, direction, address, at=None):
    probe_ns(machine, f"{direction} {address} {PORT} {WARM_UP_MIB}", at)
    return probe_ns(machine, f"{direction} {address} {PORT} {MIB}", at) / 1000 / MIB


def measure(kind, image, images, probe, log):
    with dom0(kind, image, make_images(images, probe, {"a": "", "b": ""}), log) as machine:
        address = start(machine, "a", "b")
        return {
            "tcp-dom0-to-guest": us_per_mib(machine, "put", address["a"]),
            "tcp-guest-to-dom0": us_per_mib(machine, "get", address["a"]),
            "tcp-guest-to-guest": us_per_mib(machine, "put", address["b"], at=address["a"]),
        }
