// SPDX-License-Identifier: Apache-2.0
//
// What the test guest can do, by subject. Each function is a command of the shell.
#pragma once

#include "lib/shell.hpp"

namespace vmm::domu
{

Outcome store_write(Words words);  // write PATH VALUE
Outcome store_read(Words words);   // read PATH: prints the value
Outcome store_basics(Words words); // store: everything one guest can see for itself
Outcome store_watch(Words words);  // watch PATH VALUE: waits until the node has the value
Outcome store_count(Words words);  // count COUNTER CLASH TIMES: adds one that often while others write CLASH

inline constexpr std::array kStoreCommands{
    Command{"write", 2, store_write}, Command{"read", 1, store_read},   Command{"store", 0, store_basics},
    Command{"watch", 2, store_watch}, Command{"count", 3, store_count},
};

Outcome net_open(Words words);   // net-open NUMBER IP [blank]: connects; takes frames with blank checksums
Outcome net_close(Words words);  // net-close
Outcome net_reopen(Words words); // net-reopen
Outcome net_gone(Words words);   // net-gone: waits until the device was taken away
Outcome net_ping(Words words);   // ping IP COUNT SIZE
Outcome net_dns(Words words);  // dns IP NAME [blank]: prints the address; the query's checksum is left blank
Outcome net_junk(Words words); // junk IP COUNT
Outcome net_counters(Words words); // counters

inline constexpr std::array kNetCommands{
    Command{"net-open", 2, net_open},     Command{"net-close", 0, net_close},
    Command{"net-reopen", 0, net_reopen}, Command{"net-gone", 0, net_gone},
    Command{"ping", 3, net_ping},         Command{"dns", 2, net_dns},
    Command{"junk", 2, net_junk},         Command{"counters", 0, net_counters},
};

Outcome disk_open(Words words);    // disk-open NUMBER
Outcome disk_show(Words words);    // disk: what the backend says of it
Outcome disk_close(Words words);   // disk-close
Outcome disk_reopen(Words words);  // disk-reopen
Outcome disk_gone(Words words);    // disk-gone: waits until the device was taken away
Outcome disk_fill(Words words);    // fill SEED SECTOR COUNT: writes what belongs there, many requests at once
Outcome disk_verify(Words words);  // verify SEED SECTOR COUNT: reads and compares
Outcome disk_flush(Words words);   // flush
Outcome disk_discard(Words words); // discard SECTOR COUNT
Outcome disk_try_write(Words words); // try-write SECTOR COUNT: one request
Outcome disk_try_read(Words words);  // try-read SECTOR COUNT

inline constexpr std::array kDiskCommands{
    Command{"disk-open", 1, disk_open},    Command{"disk", 0, disk_show},
    Command{"disk-close", 0, disk_close},  Command{"disk-reopen", 0, disk_reopen},
    Command{"disk-gone", 0, disk_gone},    Command{"fill", 3, disk_fill},
    Command{"verify", 3, disk_verify},     Command{"flush", 0, disk_flush},
    Command{"discard", 2, disk_discard},   Command{"try-write", 2, disk_try_write},
    Command{"try-read", 2, disk_try_read},
};

// Follow the backends' states: called when something in the store has changed.
void follow_network();
void follow_disk();
// Answers ARP and ICMP echo. True when there may be more to do.
bool answer_network();

} // namespace vmm::domu
