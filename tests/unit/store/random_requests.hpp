// SPDX-License-Identifier: Apache-2.0
#pragma once
// Clients that do something different for every seed, on a store that notes its changes: what the tests of
// the journal are made of. The same seed does the same.

#include "store_fixture.hpp"

#include "toolstack/store/change_record.hpp"

#include <array>
#include <random>

namespace vmm::store::test
{

struct Random {
    explicit Random(unsigned seed) : engine(seed) {}
    unsigned below(unsigned n) { return static_cast<unsigned>(engine()) % n; }
    std::mt19937 engine;
};

inline std::string any_path(Random& random)
{
    static const std::array<std::string, 5> names = {"a", "b", "a-", "c", "local"};
    std::string path;
    for (unsigned parts = 1 + random.below(4); parts > 0; --parts) {
        path += "/" + names[random.below(names.size())];
    }
    return random.below(10) == 0 ? path.substr(1) : path;
}

// Like World, but each change is noted, and it can take up what another has noted.
struct Noted_world {
    explicit Noted_world(Quotas quotas = {}) : store(quotas, &record)
    {
        for (const unsigned domid : {1U, 2U}) {
            record.session(Domid(domid), {});
        }
    }

    Change_record record;
    Store store;
    Fake_domains domains;
    Client dom0{store, domains, 0};
    Client dom1{store, domains, 1, &record};
    Client dom2{store, domains, 2, &record};

    // One request of somebody.
    void step(Random& random)
    {
        Client& client             = *std::array{&dom0, &dom1, &dom2}[random.below(3)];
        const std::string path     = any_path(random) + '\0';
        const std::string token    = std::string(1, static_cast<char>('a' + random.below(3))) + '\0';
        const std::uint32_t inside = random.below(3) == 0 ? random.below(4) : 0;
        const std::string who      = std::to_string(random.below(4)) + '\0';
        switch (random.below(12)) {
        case 0: client.send(XS_RM, path, inside); break;
        case 1: client.send(XS_MKDIR, path, inside); break;
        case 2: client.send(XS_SET_PERMS, path + "nrwb"[random.below(4)] + who, inside); break;
        case 3: dom0.send(XS_SET_PERMS, path + "b" + who, 0); break;
        case 4: client.send(XS_WATCH, path + token + (random.below(2) == 0 ? who : "")); break;
        case 5: client.send(XS_UNWATCH, path + token); break;
        case 6: client.send(XS_TRANSACTION_START, Client::z("")); break;
        case 7: client.send(XS_TRANSACTION_END, Client::z(random.below(4) == 0 ? "F" : "T"), inside); break;
        case 8: client.send(XS_READ, path, inside); break;
        default: client.send(XS_WRITE, path + std::string(random.below(30), 'v'), inside); break;
        }
        if (random.below(60) == 0) {
            client.send(XS_RESET_WATCHES, Client::z(""));
        }
        if (random.below(60) == 0) {
            store.forget_domain(Domid(1 + random.below(3)));
        }
        if (random.below(60) == 0) {
            dom0.send(XS_SET_PERMS, Client::z("@releaseDomain") + "r" + who);
        }
    }

    // The clients take all they are sent at once; this notes where their rings would be.
    void note_positions()
    {
        for (Client* client : {&dom1, &dom2}) {
            const auto taken = static_cast<std::uint32_t>(client->bytes_taken());
            record.position(client->session().caller().domid, {0, taken}, "");
        }
    }

    [[nodiscard]] Store_image image()
    {
        Store_image image;
        store.save(image);
        for (Client* client : {&dom1, &dom2}) {
            Saved_session& session = image.sessions[client->session().caller().domid];
            client->session().save(session);
            session.position.response_producer = static_cast<std::uint32_t>(client->bytes_taken());
        }
        return image;
    }

    // In place of everything; only for a new one.
    [[nodiscard]] bool restore(const Store_image& image)
    {
        bool good = store.restore(image).has_value();
        for (Client* client : {&dom1, &dom2}) {
            const Saved_session& session = image.sessions.at(client->session().caller().domid);
            good                         = good && client->session().restore(session).has_value();
            client->set_bytes_taken(session.position.response_producer);
        }
        return good;
    }
};

} // namespace vmm::store::test
