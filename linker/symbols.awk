# SPDX-License-Identifier: Apache-2.0
#
# From `nm --numeric-sort --demangle --defined-only IMAGE` to assembly for the section .symbol_table, which
# debug/symbols.cpp searches: the number of functions, {offset from text_start, offset of the name} for each
# in ascending order, and the names without their parameters. Code starts with `start`; what is before it
# are the loaders' headers.

BEGIN {
    count = 0
}

function plain(name)
{
    gsub(/\(anonymous namespace\)::/, "", name)
    gsub(/ \[clone [^]]*\]/, "", name)
    sub(/\(.*/, "", name)
    sub(/^vmm::/, "", name)
    gsub(/["\\]/, "", name)
    return substr(name, 1, 96)
}

$3 == "text_start" { first = substr($1, 9) }
$3 == "start" { in_code = 1 }
$3 == "text_used_end" { exit }

in_code && $2 ~ /^[tTwWV]$/ && $1 != last {
    last = $1
    address = substr($1, 9)
    $1 = $2 = ""
    sub(/^ +/, "")
    addresses[count] = address
    names[count++] = plain($0)
}

END {
    print "    .section .symbol_table, \"a\""
    print "    .globl symbol_count, symbol_entries, symbol_names"
    print "    .balign 4"
    print "symbol_count: .long " count
    print "symbol_entries:"
    offset = 0
    for (i = 0; i < count; ++i) {
        print "    .long 0x" addresses[i] " - 0x" first ", " offset
        offset += length(names[i]) + 1
    }
    print "symbol_names:"
    for (i = 0; i < count; ++i)
        print "    .asciz \"" names[i] "\""
    print "    .byte 0"
    print "    .section .note.GNU-stack, \"\", @progbits"
}
