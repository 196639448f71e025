// SPDX-License-Identifier: Apache-2.0
// Random clients against the database, the same sequence for the same seed. Three things must hold whatever
// they send:
//  - nothing is read or written out of bounds (the sanitizers watch), and every request has exactly one
//  answer;
//  - the count of nodes each domain owns, which the quota rests on, is what counting the tree gives;
//  - a transaction that commits had the effect and gave the answers it would have, run alone at that moment.
// Usage: store_wire_fuzz [first seed] [how many seeds]
#include "store_fixture.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>

using namespace vmm;
using namespace vmm::store;
using namespace vmm::store::test;

namespace
{

constexpr int kSteps = 60;

void require(bool holds, unsigned seed, const char* what)
{
    if (!holds) {
        std::fprintf(stderr, "seed %u: %s\n", seed, what);
        std::exit(1);
    }
}

struct Random {
    explicit Random(unsigned seed) : engine(seed) {}
    unsigned below(unsigned n) { return static_cast<unsigned>(engine()) % n; }
    std::mt19937 engine;
};

std::string random_path(Random& random)
{
    static const std::array<std::string, 5> names = {"a", "b", "a-", "c", "local"};
    std::string path;
    for (unsigned parts = 1 + random.below(4); parts > 0; --parts) {
        path += "/" + names[random.below(names.size())];
    }
    return random.below(20) == 0 ? path.substr(1) : path;
}

std::string random_permissions(Random& random)
{
    std::string permissions;
    for (unsigned count = 1 + random.below(3); count > 0; --count) {
        permissions += "nrwb"[random.below(4)] + std::to_string(random.below(4)) + '\0';
    }
    return permissions;
}

struct Request {
    std::uint32_t type;
    std::string payload;
};

// A well-formed request about nodes.
Request random_request(Random& random)
{
    const std::string path = random_path(random) + '\0';
    switch (random.below(8)) {
    case 0: return {XS_RM, path};
    case 1: return {XS_MKDIR, path};
    case 2: return {XS_DIRECTORY, path};
    case 3: return {XS_GET_PERMS, path};
    case 4: return {XS_SET_PERMS, path + random_permissions(random)};
    case 5:
    case 6: return {XS_WRITE, path + std::string(random.below(30), 'v')};
    default: return {XS_READ, path};
    }
}

// Any request at all, often damaged, but for those that change who is introduced.
Request wild_request(Random& random)
{
    Request request = random_request(random);
    switch (random.below(6)) {
    case 0: request.type = random.below(26); break;
    case 1:
        request = {XS_WATCH, random_path(random) + '\0' +
                                 std::string(1, static_cast<char>('a' + random.below(3))) + '\0'};
        break;
    case 2:
        request = {XS_DIRECTORY_PART, random_path(random) + '\0' + std::to_string(random.below(9)) + '\0'};
        break;
    default: break;
    }
    for (unsigned damage = random.below(3); damage > 0 && !request.payload.empty(); --damage) {
        request.payload[random.below(static_cast<unsigned>(request.payload.size()))] =
            static_cast<char>(random.engine());
    }
    if (random.below(30) == 0) {
        request.payload.resize(random.below(kPayloadMax + 1));
    }
    return request;
}

void dump(Client& client, std::uint32_t transaction, const std::string& path, std::string& out,
          std::map<unsigned, std::size_t>* owners)
{
    const std::string permissions = client.get_perms(path, transaction);
    out += path + " " + permissions + " " + client.read(path, transaction) + "\n";
    if (owners != nullptr) {
        ++(*owners)[static_cast<unsigned>(std::atoi(permissions.c_str() + 1))];
    }
    const std::string names = client.send(XS_DIRECTORY, Client::z(path), transaction);
    for (const std::string_view name : split_strings(names)) {
        dump(client, transaction, (path == "/" ? "" : path) + "/" + std::string(name), out, owners);
    }
}

void check_accounts(World& world, unsigned seed)
{
    std::string text;
    std::map<unsigned, std::size_t> owners;
    dump(world.dom0, 0, "/", text, &owners);
    for (unsigned domid = 0; domid < 5; ++domid) {
        require(world.store.nodes_owned_by(Domid(domid)) == owners[domid], seed,
                "the count of owned nodes is wrong");
    }
}

struct Exchange {
    Request request;
    std::string answer;
};

struct Open_transaction {
    std::uint32_t id = 0;
    std::vector<Exchange> log;
};

// Ends a transaction of dom0, and if it commits, compares with the same requests made alone just before.
void end_and_compare(World& world, Open_transaction& open, unsigned seed)
{
    const std::uint32_t alone = world.dom0.start();
    bool same                 = true;
    for (const Exchange& e : open.log) {
        same = world.dom0.send(e.request.type, e.request.payload, alone) == e.answer && same;
    }
    std::string expected;
    dump(world.dom0, alone, "/", expected, nullptr);
    world.dom0.end(alone, false);

    const std::string answer = world.dom0.end(open.id);
    require(answer == "OK" || answer == "EAGAIN", seed, "a commit answered neither OK nor EAGAIN");
    if (answer == "OK") {
        std::string now;
        dump(world.dom0, 0, "/", now, nullptr);
        require(same, seed, "a committed transaction had seen something else");
        require(now == expected, seed, "a commit had another effect than its requests alone");
    }
    open = {};
}

void run(unsigned seed)
{
    Random random(seed);
    Quotas quotas;
    quotas.nodes          = 20;
    quotas.snapshot_bytes = 20000;
    World world(quotas);
    world.dom0.set_perms("/", "b0");
    std::array<Open_transaction, 3> open;
    std::vector<std::uint32_t> guest_transactions;
    for (int step = 0; step < kSteps; ++step) {
        Client& guest          = random.below(2) == 0 ? world.dom1 : world.dom2;
        const Request request  = random_request(random);
        Open_transaction& mine = open[random.below(open.size())];
        switch (random.below(8)) {
        case 0: world.dom0.send(request.type, request.payload); break;
        case 1: guest.send(request.type, request.payload); break;
        case 2:
        case 3: {
            const Request wild              = wild_request(random);
            const std::uint32_t transaction = random.below(3) == 0 ? random.below(4) : 0;
            guest.send(wild.type, wild.payload, transaction);
            break;
        }
        case 4:
            if (mine.id == 0) {
                mine.id = world.dom0.start();
            } else {
                end_and_compare(world, mine, seed);
            }
            break;
        case 5: guest.send(XS_TRANSACTION_START, Client::z("")); break;
        default:
            if (mine.id != 0) {
                mine.log.push_back({request, world.dom0.send(request.type, request.payload, mine.id)});
            }
            break;
        }
        if (random.below(200) == 0) {
            world.store.forget_domain(Domid(1 + random.below(3)));
        }
    }
    for (Open_transaction& left : open) {
        if (left.id != 0) {
            end_and_compare(world, left, seed);
        }
    }
    check_accounts(world, seed);
}

} // namespace

int main(int argc, char** argv)
{
    const unsigned first = argc > 1 ? static_cast<unsigned>(std::strtoul(argv[1], nullptr, 10)) : 1;
    const unsigned count = argc > 2 ? static_cast<unsigned>(std::strtoul(argv[2], nullptr, 10)) : 1500;
    for (unsigned seed = first; seed != first + count; ++seed) {
        run(seed);
    }
    std::printf("%u seeds\n", count);
    return 0;
}
