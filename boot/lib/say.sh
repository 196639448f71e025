# SPDX-License-Identifier: Apache-2.0
# What every piece of boot/run says to its user: progress on stderr, so that stdout stays the machine's console.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# die MESSAGE [WHAT TO DO]: one line with what happened and why, one with what to do about it.
die() {
    printf '%s: error: %s\n' "${0##*/}" "$1" >&2
    [ $# -lt 2 ] || printf '%s: to do: %s\n' "${0##*/}" "$2" >&2
    exit 1
}

# quietly LOGFILE COMMAND...: runs COMMAND into LOGFILE and shows the end of it only when it fails.
quietly() {
    local log=$1
    shift
    mkdir -p "$(dirname "$log")"
    "$@" >"$log" 2>&1 </dev/null && return 0
    tail -n 40 "$log" >&2
    die "'$*' failed; the whole output is in $log"
}
