// SPDX-License-Identifier: Apache-2.0
// The store on file: what is noted is what is there, and a file that was cut or damaged anywhere gives a
// state the store once was in.
#include "toolstack/store/journal.hpp"

#include "random_requests.hpp"
#include "store_fixture.hpp"

#include <catch2/catch.hpp>

#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

using namespace vmm;
using namespace vmm::store;
using namespace vmm::store::test;
using State = Journal::Found::State;

namespace
{

struct File {
    std::string path = "/tmp/store-journal-" + std::to_string(getpid());
    ~File()
    {
        std::filesystem::remove(path);
        std::filesystem::remove(path + ".bad");
    }
    [[nodiscard]] std::string text() const
    {
        std::ostringstream text;
        text << std::ifstream(path, std::ios::binary).rdbuf();
        return text.str();
    }
    void set(const std::string& text) const { std::ofstream(path, std::ios::binary) << text; }
};

Store_image small_image()
{
    Store_image image;
    image.generation        = 9;
    image.nodes["/"]        = {"", {{kDom0, Access::none}}};
    image.nodes["/a"]       = {"x", {{Domid(3), Access::both}, {kDom0, Access::read}}};
    Saved_session& session  = image.sessions[Domid(3)];
    session.watches         = {{{"/a", "t"}, {0, 4, false}}, {{"@releaseDomain", "u"}, {2, {}, true}}};
    session.transactions    = {5};
    session.target          = Domid(7);
    session.output          = {{std::string(20, 'o'), false}, {std::string(20, 'e'), true}};
    session.sent            = 6;
    session.position        = {0xfffffff0, 2};
    session.partial_request = "half";
    image.special_permissions["@releaseDomain"] = {{kDom0, Access::read}};
    return image;
}

std::string node_record(const std::string& path)
{
    Change_record record;
    record.node(path, "value", {{kDom0, Access::none}});
    return record.take();
}

} // namespace

TEST_CASE("an image becomes a record and the record the image")
{
    const Store_image image = small_image();
    Store_image again;
    REQUIRE(again.apply(image.to_record()));
    CHECK(again == image);
}

TEST_CASE("a record cut anywhere is refused")
{
    const std::string record = small_image().to_record();
    Store_image whole;
    REQUIRE(whole.apply(record));
    for (std::size_t length = 1; length < record.size(); ++length) {
        Store_image image; // a cut between two changes is a shorter record
        CHECK((!image.apply(record.substr(0, length)) || image != whole));
    }
}

TEST_CASE("what cannot be in a store is refused")
{
    const auto refused = [](auto note) {
        Change_record record;
        note(record);
        return !Store_image().apply(record.take());
    };
    CHECK(refused([](Change_record& r) { r.node("no/slash", "", {{kDom0, Access::none}}); }));
    CHECK(refused([](Change_record& r) { r.node("/a//b", "", {{kDom0, Access::none}}); }));
    CHECK(refused([](Change_record& r) { r.node("/a", "", {}); }));
    CHECK(refused([](Change_record& r) { r.removed("/absent"); }));
    CHECK(refused([](Change_record& r) { r.reset(Domid(1)); }));
    CHECK(refused([](Change_record& r) {
        r.session(Domid(1), {});
        r.watch(Domid(1), "/bad/", "t", {});
    }));
    CHECK(refused([](Change_record& r) { // more sent than there was
        r.session(Domid(1), {});
        r.output(Domid(1), "four", true);
        r.position(Domid(1), {0, 5}, "");
    }));
    CHECK(!Store_image().apply(std::string("\xff")));
}

TEST_CASE("replaying what a store noted gives the store, whatever its clients did")
{
    for (unsigned seed = 1; seed <= 300; ++seed) {
        Random random(seed);
        Noted_world world;
        Store_image image = world.image();
        for (int step = 0; step < 60; ++step) {
            world.step(random);
            world.note_positions();
            REQUIRE(image.apply(world.record.take()));
        }
        INFO("seed " << seed);
        image.generation = world.image().generation; // which only ever is noted with all of a turn
        REQUIRE(image == world.image());

        Noted_world successor;
        REQUIRE(successor.restore(image));
        Store_image restored = successor.image();
        CHECK(restored.generation > image.generation);
        restored.generation = image.generation;
        CHECK(restored == image);
        for (unsigned domid = 0; domid < 5; ++domid) {
            CHECK(successor.store.nodes_owned_by(Domid(domid)) == world.store.nodes_owned_by(Domid(domid)));
        }
    }
}

TEST_CASE("quotas count on after a restart, and forgetting a domain gives them back")
{
    Quotas quotas;
    quotas.nodes   = 4;
    quotas.watches = 2;
    Noted_world before(quotas);
    before.dom0.set_perms("/", "b0");
    CHECK(before.dom1.write("/a/b", "x") == "OK");
    CHECK(before.dom1.watch("/a", "1") == "OK");
    Noted_world after(quotas);
    REQUIRE(after.restore(before.image()));
    CHECK(after.store.nodes_owned_by(Domid(1)) == 2);
    CHECK(after.dom1.write("/a/c", "x") == "OK");
    CHECK(after.dom1.write("/a/d", "x") == "OK");
    CHECK(after.dom1.write("/a/e", "x") == "ENOSPC");
    CHECK(after.dom1.watch("/a", "1") == "EEXIST");
    CHECK(after.dom1.watch("/a", "2") == "OK");
    CHECK(after.dom1.watch("/a", "3") == "E2BIG");
    after.store.forget_domain(Domid(1));
    CHECK(after.store.nodes_owned_by(Domid(1)) == 0);
}

TEST_CASE("a transaction that was open goes on and ends with a conflict")
{
    Noted_world before;
    before.dom0.set_perms("/", "b0");
    const auto id = before.dom1.start();
    CHECK(before.dom1.write("/a", "x", id) == "OK");
    Noted_world after;
    REQUIRE(after.restore(before.image()));
    CHECK(after.dom1.write("/b", "x", id) == "OK");
    CHECK(after.dom1.read("/b", id) == "x");
    CHECK(after.dom1.end(id) == "EAGAIN");
    CHECK(after.dom1.read("/b") == "ENOENT");
    const auto next = after.dom1.start();
    CHECK(next != id);
    CHECK(after.dom1.write("/b", "y", next) == "OK");
    CHECK(after.dom1.end(next) == "OK");
}

TEST_CASE("a restored watch fires with its token, depth and relative name")
{
    Noted_world before;
    before.dom0.set_perms("/", "b0");
    CHECK(before.dom1.mkdir("/local/domain/1/x") == "OK");
    CHECK(before.dom1.watch("x", "token") == "OK");
    CHECK(before.dom1.watch("/local/domain/1", "flat", "1") == "OK");
    before.dom1.events();
    Noted_world after;
    REQUIRE(after.restore(before.image()));
    CHECK(after.dom0.write("/local/domain/1/x/y", "1") == "OK");
    CHECK(after.dom1.events() == std::vector<Event>{{"x/y", "token"}});
    CHECK(after.dom0.write("/local/domain/1/x", "1") == "OK");
    CHECK(after.dom1.events().size() == 2);
}

TEST_CASE("a journal of records is read back; one of another boot or another format is not")
{
    const File file;
    Journal journal(file.path, "boot-1");
    CHECK(journal.read()->state == State::none);
    REQUIRE(journal.replace(small_image()));
    REQUIRE(journal.append(node_record("/b/c")));
    REQUIRE(journal.append(node_record("/d")));
    const auto found = Journal(file.path, "boot-1").read();
    REQUIRE(found);
    CHECK(found->state == State::whole);
    CHECK(found->image.nodes.size() == small_image().nodes.size() + 3);
    CHECK(found->image.sessions == small_image().sessions);
    CHECK(Journal(file.path, "boot-2").read()->state == State::none);
    file.set("something else\n");
    CHECK(journal.read()->state == State::damaged);
}

TEST_CASE("a journal cut short gives the records before the cut")
{
    const File file;
    Journal journal(file.path, "b");
    REQUIRE(journal.replace({}));
    const std::size_t first = file.text().size();
    REQUIRE(journal.append(node_record("/one")));
    const std::size_t second = file.text().size();
    REQUIRE(journal.append(node_record("/two")));
    const std::string whole = file.text();
    for (std::size_t length = first; length < whole.size(); ++length) {
        file.set(whole.substr(0, length));
        const auto found = journal.read();
        REQUIRE(found);
        CHECK(found->state == (length == first || length == second ? State::whole : State::cut_short));
        CHECK(found->image.nodes.contains("/one") == (length >= second));
        CHECK_FALSE(found->image.nodes.contains("/two"));
    }
}

TEST_CASE("a flipped byte is noticed, and what came before it is used")
{
    const File file;
    Journal journal(file.path, "b");
    REQUIRE(journal.replace({}));
    REQUIRE(journal.append(node_record("/one")));
    const std::size_t good = file.text().size();
    REQUIRE(journal.append(node_record("/two")));
    std::string damaged   = file.text();
    damaged[good + 8 + 3] = static_cast<char>(damaged[good + 8 + 3] ^ 1);
    file.set(damaged);
    const auto found = journal.read();
    REQUIRE(found);
    CHECK(found->state == State::damaged);
    CHECK(found->problem.find("checksum") != std::string::npos);
    CHECK(found->image.nodes.contains("/one"));
    CHECK_FALSE(found->image.nodes.contains("/two"));
}

TEST_CASE("a record that its checksum vouches for and that makes no sense is not taken in part")
{
    const File file;
    Journal journal(file.path, "b");
    REQUIRE(journal.replace({}));
    REQUIRE(journal.append(node_record("/one")));
    REQUIRE(journal.append(node_record("/two") + "\xff"));
    const auto found = journal.read();
    REQUIRE(found);
    CHECK(found->state == State::damaged);
    CHECK(found->image.nodes.contains("/one"));
    CHECK_FALSE(found->image.nodes.contains("/two"));
}

TEST_CASE("a full disk leaves the file as it was")
{
    const File file;
    Journal journal(file.path, "b");
    REQUIRE(journal.replace(small_image()));
    const std::string before = file.text();

    std::signal(SIGXFSZ,
                SIG_IGN); // a limit on file sizes fails in the middle of a write, as a full disk does
    rlimit old{};
    getrlimit(RLIMIT_FSIZE, &old);
    rlimit small   = old;
    small.rlim_cur = before.size() + 20;
    setrlimit(RLIMIT_FSIZE, &small);
    Store_image large   = small_image();
    large.nodes["/b"]   = {std::string(1000, 'x'), {{kDom0, Access::none}}};
    const auto appended = journal.append(node_record("/b"));
    const auto replaced = journal.replace(large);
    setrlimit(RLIMIT_FSIZE, &old);

    CHECK_FALSE(appended);
    CHECK_FALSE(replaced);
    CHECK(file.text() == before);
    CHECK_FALSE(std::filesystem::exists(file.path + ".new"));
    REQUIRE(journal.append(node_record("/b")));
    CHECK(journal.read()->state == State::whole);
    CHECK(journal.read()->image.nodes.contains("/b"));
}

TEST_CASE("a journal says when it is much longer than what it stands for")
{
    const File file;
    Journal journal(file.path, "b");
    REQUIRE(journal.replace({}));
    int records = 0;
    for (; !journal.is_long(); ++records) {
        REQUIRE(records < 20000);
        REQUIRE(journal.append(node_record("/b")));
    }
    CHECK(records > 1000);
    REQUIRE(journal.replace(journal.read()->image));
    CHECK_FALSE(journal.is_long());
    CHECK(file.text().size() < 200);
}
