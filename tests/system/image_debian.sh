#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs its arguments (boot/run --debian ...) where the Debian guest's disk is there or can be made: that takes root.
# Exits 77, which ctest reports as skipped, where neither is so.
[ "$(id -u)" = 0 ] || [ -s "$PLINTH_BUILD/cache/debian/root.img" ] || exit 77
exec "$@"
