#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Linux out of its bzImage: `vmlinux.py VMLINUZ FILE`. Decompressing it is most of what an emulated machine does before
Linux runs, so what is not about it boots what came out, which is the same kernel."""

import lzma
import os
import shutil
import struct
import sys


def payload(image):
    """(offset, length) of the compressed kernel in a bzImage. [Linux Documentation/x86/boot.rst, the setup header:
    setup_sects at 0x1f1, payload_offset at 0x248, payload_length at 0x24c]"""
    sectors = image[0x1f1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    return (sectors + 1) * 512 + offset, length


def unpack(vmlinuz, made):
    """Makes the file `made` if it is not there or older. Debian's kernels are packed by XZ; one of another kind is copied
    as it is."""
    if os.path.exists(made) and os.path.getmtime(made) >= os.path.getmtime(vmlinuz):
        return
    mine = f"{made}.{os.getpid()}"
    with open(vmlinuz, "rb") as file:
        image = file.read()
    offset, length = payload(image)
    packed = image[offset:offset + length]
    if packed.startswith(b"\xfd7zXZ"):
        with open(mine, "wb") as file:
            file.write(lzma.LZMADecompressor().decompress(packed))  # behind it stands its size
    else:
        shutil.copyfile(vmlinuz, mine)
    os.replace(mine, made)


if __name__ == "__main__":
    unpack(*sys.argv[1:])
