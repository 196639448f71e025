// SPDX-License-Identifier: Apache-2.0
#include "domu_frontends/commands.hpp"

namespace vmm::domu
{

using guest::Watch_event;
using Answer = guest::Store::Answer;

namespace
{

constexpr u64 kPatience = 30; // seconds
constexpr u32 kLarge    = 1900;

// More than the ring holds, and no two pieces of it alike.
std::string_view large_value()
{
    static char text[kLarge];
    for (u32 i = 0; i < kLarge; ++i)
        text[i] = static_cast<char>('!' + (i * 7 + i / 90) % 90);
    return {text, kLarge};
}

Outcome refusals()
{
    if (const Answer a = store.read("data/none"); a.error != "ENOENT")
        return failure("reading what is not there says '", a.error, "'");
    if (const Answer a = store.write("/local/domain/0/intruder", "x"); a.error != "EACCES")
        return failure("writing into dom0's directory says '", a.error, "'");
    if (const Answer a = store.read("data/../x"); a.ok())
        return failure("a path that is none is read");
    return good();
}

Outcome nodes()
{
    if (!store.write("data/a/b", "first").ok() || !store.write("data/a/c", large_value()).ok())
        return failure("a guest cannot write below data");
    if (const Answer a = store.read("data/a/b"); a.text != "first")
        return failure("read back '", a.text, "'");
    if (const Answer a = store.read("data/a/c"); a.text != large_value())
        return failure("a value of ", kLarge, " bytes came back with ", a.text.size(), ", or others");
    if (const Answer a = store.list("data/a"); a.text != std::string_view("b\0c\0", 4))
        return failure("the directory has ", a.text.size(), " bytes of names");
    if (!store.make("data/a/d").ok() || store.read("data/a/d").text != "")
        return failure("a node without value cannot be made");
    if (!store.remove("data/a").ok() || store.read("data/a/b").error != "ENOENT")
        return failure("a directory cannot be removed");
    return good();
}

Outcome transactions()
{
    if (!store.write("data/t", "before").ok())
        return failure("cannot write data/t");
    if (store.transact([] { return store.write("data/t", "never").ok() && false; }))
        return failure("a transaction given up was done");
    if (store.read("data/t").text != "before")
        return failure("a transaction given up left something");
    u32 inside = 0;
    if (!store.transact([&] {
            inside += store.write("data/t", "after").ok() && store.read("data/t").text == "after";
            return true;
        }) ||
        inside == 0)
        return failure("a transaction does not see what it did, or did not end");
    return store.read("data/t").text == "after" ? good() : failure("a transaction was lost");
}

// The first event comes by itself; then one for each change, with the name of what changed.
Outcome watches()
{
    if (!store.watch("data/w", "my token").ok() || store.watch("data/w", "my token").error != "EEXIST")
        return failure("watching, or watching twice, is answered wrongly");
    Watch_event event;
    if (!store.wait_event(event, guest::in_seconds(kPatience)) || event.path != "data/w" ||
        event.token != "my token")
        return failure("the first event is '", event.path, "' '", event.token, "'");
    store.write("data/w/below", "x");
    if (!store.wait_event(event, guest::in_seconds(kPatience)) || event.path != "data/w/below")
        return failure("the event of a change below is '", event.path, "'");
    if (!store.unwatch("data/w", "my token").ok())
        return failure("a watch cannot be taken back");
    store.write("data/w", "y");
    store.read("data/w");
    return store.take_event(event) ? failure("an event of a watch taken back: '", event.path, "'") : good();
}

} // namespace

Outcome store_write(Words words)
{
    const Answer answer = store.write(words[0], words[1]);
    return answer.ok() ? good() : failure(answer.error);
}

Outcome store_read(Words words)
{
    const Answer answer = store.read(words[0]);
    if (!answer.ok())
        return failure(answer.error);
    guest::print("value: ", answer.text);
    return good();
}

Outcome store_basics(Words)
{
    for (Outcome (*part)() : {nodes, refusals, transactions, watches}) {
        if (const Outcome outcome = part(); !outcome.good())
            return outcome;
    }
    return good();
}

Outcome store_watch(Words words)
{
    if (const Answer answer = store.watch(words[0], "w"); !answer.ok())
        return failure(answer.error);
    const u64 deadline = guest::in_seconds(kPatience);
    u32 events         = 0;
    Watch_event event;
    while (store.read(words[0]).text != words[1]) {
        if (!store.wait_event(event, deadline))
            return failure("no event came after ", events);
        ++events;
    }
    store.unwatch(words[0], "w");
    while (store.take_event(event)) {
    }
    guest::print("events: ", events);
    return good();
}

Outcome store_count(Words words)
{
    u32 tries       = 0;
    const u64 times = number(words[2], 0);
    for (u64 i = 0; i < times; ++i) {
        if (!store.transact([&] {
                ++tries;
                guest::Line next;
                next.put(number(store.read(words[0]).text, 0) + 1);
                store.read(words[1]);
                return store.write(words[0], next.text()).ok();
            }))
            return failure("transaction ", i, " was not done");
    }
    guest::print("tries: ", tries);
    return good();
}

} // namespace vmm::domu
