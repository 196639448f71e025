// SPDX-License-Identifier: Apache-2.0
//
// What the test guest can do, by subject. Each function is a command of the shell.
#pragma once

#include "domu_frontends/shell.hpp"

namespace vmm::domu
{

Outcome echo(Words words);         // echo WORD...: says them again
Outcome store_write(Words words);  // write PATH VALUE
Outcome store_read(Words words);   // read PATH: prints the value
Outcome store_basics(Words words); // store: everything one guest can see for itself
Outcome store_watch(Words words);  // watch PATH VALUE: waits until the node has the value
Outcome store_count(Words words);  // count COUNTER CLASH TIMES: adds one that often while others write CLASH

inline constexpr std::array kStoreCommands{
    Command{"echo", 1, echo},          Command{"write", 2, store_write}, Command{"read", 1, store_read},
    Command{"store", 0, store_basics}, Command{"watch", 2, store_watch}, Command{"count", 3, store_count},
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

// Answers ARP and ICMP echo, and follows the backend's states. True when there was something to do.
bool look_after_network();

} // namespace vmm::domu
