# SPDX-License-Identifier: Apache-2.0
"""TCP between two guests and dom0 on vmmd's NAT network, with the kernel's own netback and netfront: virtual
microseconds for each MiB, from connect() until the receiver says that it has everything, and what it takes of
exits, hypercalls and grant operations, those of all domains together."""

from domains import PORT, counted, dom0, insisted, make_images, probe_ns, start

MIB = 48
WARM_UP_MIB = 8


def move(machine, direction, address, at=None):
    probe_ns(machine, f"{direction} {address} {PORT} {WARM_UP_MIB}", at)
    return counted(machine, f"{direction} {address} {PORT} {MIB}", MIB, at)


def measure(kind, image, images, probe, log):
    """{line: {"us": ..., "exits": ..., "hypercalls": ..., "grants": ...} for each MiB}"""
    modules = make_images(images, probe, {"a": "", "b": ""})

    def job():
        with dom0(kind, image, modules, log) as machine:
            address = start(machine, "a", "b")
            return {
                "tcp-dom0-to-guest": move(machine, "put", address["a"]),
                "tcp-guest-to-dom0": move(machine, "get", address["a"]),
                "tcp-guest-to-guest": move(machine, "put", address["b"], at=address["a"]),
            }

    return insisted(kind, job)
