# SPDX-License-Identifier: Apache-2.0
"""Data that both ends of a transfer can make up for themselves: the same seed, the same bytes."""

import hashlib
import random
import socket
import threading


def pattern(seed, size):
    return random.Random(seed).randbytes(size)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def lines(seed, size):
    """The line `seed` again and again, up to `size` bytes."""
    line = (seed + "\n").encode()
    return (line * (size // len(line) + 1))[:size]


def write_lines(seed, size, file):
    """The shell command that makes a file of them. It doubles what there is: in an emulated machine `yes | head -c` takes
    three seconds for each MiB."""
    times = (size // (len(seed) + 1) // 256).bit_length()
    least = -(-size // ((len(seed) + 1) << times))
    return (f"printf '{seed}\\n%.0s' $(seq {least}) > {file}; for i in $(seq {times}); do cat {file} {file} > {file}.twice; "
            f"mv {file}.twice {file}; done; truncate -s {size} {file}")


class Peer:
    """A TCP server on this host, reached from QEMU's user networks at their gateway address. Each connection sends
    `size` bytes, which are kept in `received`, and gets pattern(seed, size) back."""

    def __init__(self, seed, size):
        self.received = []
        self._answer = pattern(seed, size)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            connection, _ = self._socket.accept()
            with connection:
                connection.settimeout(60)
                data = b""
                while len(data) < len(self._answer):
                    piece = connection.recv(65536)
                    if not piece:
                        break
                    data += piece
                self.received.append(data)
                connection.sendall(self._answer)
