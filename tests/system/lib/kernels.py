# SPDX-License-Identifier: Apache-2.0
"""Images of kernels that must be refused, made out of a good one."""

import gzip
import struct

from vmlinux import payload


def with_corrupt_payload(image):
    """One bit differs in the middle of the compressed kernel: the magic is right, the checksum is not."""
    offset, length = payload(image)
    result = bytearray(image)
    result[offset + length // 2] ^= 0x10
    return bytes(result)


def cut_short(image):
    """As after a download that ended early."""
    offset, length = payload(image)
    return image[:offset + length // 2]


def without_pvh_entry(image):
    """A sound bzImage whose kernel is a 64-bit ELF without notes, as kernels configured without Xen are."""
    code = b"\xfa\xf4\xeb\xfd"      # cli; hlt; jmp back
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, 0x1000000, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0x1000, 0x1000000, 0x1000000, len(code), len(code), 0x1000)
    elf = (header + segment).ljust(0x1000, b"\0") + code
    packed = gzip.compress(elf, mtime=0)
    offset, _ = payload(image)
    result = bytearray(image[:offset]) + packed
    struct.pack_into("<I", result, 0x24c, len(packed))
    return bytes(result)
