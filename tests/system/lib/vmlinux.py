# SPDX-License-Identifier: Apache-2.0
"""Linux out of its bzImage. Decompressing it is most of what an emulated machine does before Linux runs, so scenarios
that are not about it boot what came out, which is the same kernel."""

import lzma
import os

from kernels import payload


def vmlinux(vmlinuz):
    """The file's name: beside `vmlinuz`'s tree, made if it is not there or older. Debian's kernels are packed by XZ; of
    another kind the bzImage itself is given back."""
    made = os.path.join(os.path.dirname(vmlinuz), "..", "..", "vmlinux")
    if os.path.exists(made) and os.path.getmtime(made) >= os.path.getmtime(vmlinuz):
        return made
    with open(vmlinuz, "rb") as file:
        image = file.read()
    offset, length = payload(image)
    packed = image[offset:offset + length]
    if not packed.startswith(b"\xfd7zXZ"):
        return vmlinuz
    mine = f"{made}.{os.getpid()}"
    with open(mine, "wb") as file:
        file.write(lzma.LZMADecompressor().decompress(packed))  # behind it stands its size
    os.replace(mine, made)
    return made
