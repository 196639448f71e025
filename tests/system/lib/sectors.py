# SPDX-License-Identifier: Apache-2.0
"""What tests/guests/domu_frontends writes into sectors: each of a seed has a content of its own, made of 64 words."""

import array
import sys

SECTOR = 512
_WORDS = SECTOR // 8
_FACTOR = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def sectors(seed, first, count):
    """The bytes of `count` sectors from number `first` on."""
    start = seed << 40 | first << 6
    words = array.array("Q", (word * _FACTOR & _MASK for word in range(start, start + count * _WORDS)))
    if sys.byteorder == "big":
        words.byteswap()
    return words.tobytes()
