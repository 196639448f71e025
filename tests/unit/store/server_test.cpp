// SPDX-License-Identifier: Apache-2.0
// The whole server on a temporary socket, driven by Debian's own xenstore clients.
#include "toolstack/store/store_server.hpp"

#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <sys/wait.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <ostream>
#include <thread>

using namespace vmm;

namespace
{

class Temporary_directory
{
  public:
    Temporary_directory() { REQUIRE(mkdtemp(path_.data()) != nullptr); }
    ~Temporary_directory() { std::filesystem::remove_all(path_.data()); }
    std::string operator/(const std::string& name) const { return std::string(path_.data()) + "/" + name; }

  private:
    std::array<char, 32> path_ = {"/tmp/store-test-XXXXXX"};
};

struct Run {
    std::string output;
    int status;
    friend bool operator==(const Run&, const Run&) = default;
    friend std::ostream& operator<<(std::ostream& out, const Run& run)
    {
        return out << "status " << run.status << ": " << run.output;
    }
};

// The server on this thread's loop, commands on another so that both make progress.
class Served
{
  public:
    Served()
    {
        auto made = Store_server::create(*loop_, {dir_ / "sub/socket", {}});
        REQUIRE(made);
        server_ = std::move(*made);
        setenv("XENSTORED_PATH", (dir_ / "sub/socket").c_str(), 1);
    }
    ~Served() { server_.reset(); }

    Store_server& store() { return *server_; }
    Event_loop& loop() { return *loop_; }
    std::string socket_path() const { return dir_ / "sub/socket"; }

    Run run(const std::string& command)
    {
        Run result{{}, -1};
        std::atomic<bool> finished = false;
        std::thread runner([&] {
            FILE* pipe = popen(("timeout 20 " + command + " 2>&1").c_str(), "r");
            std::array<char, 4096> buffer{};
            std::size_t count = 0;
            while ((count = fread(buffer.data(), 1, buffer.size(), pipe)) > 0) {
                result.output.append(buffer.data(), count);
            }
            result.status = WEXITSTATUS(pclose(pipe));
            finished      = true;
        });
        turn_until([&] { return finished.load(); });
        runner.join();
        return result;
    }

    template <class Condition>
    void turn_until(Condition&& condition)
    {
        while (!condition()) {
            REQUIRE(loop_->run_once(std::chrono::milliseconds(5)));
        }
    }

  private:
    Temporary_directory dir_;
    std::unique_ptr<Event_loop> loop_ = std::move(*Event_loop::create());
    std::unique_ptr<Store_server> server_;
};

} // namespace

TEST_CASE("Debian's clients read, write, list and remove")
{
    Served served;
    CHECK(served.run("xenstore-write /a/b hello /a/c 'two words'") == Run{"", 0});
    CHECK(served.run("xenstore-read /a/b /a/c") == Run{"hello\ntwo words\n", 0});
    CHECK(served.run("xenstore-list /a") == Run{"b\nc\n", 0});
    CHECK(served.run("xenstore-ls /a") == Run{"b = \"hello\"\nc = \"two words\"\n", 0});
    CHECK(served.run("xenstore-exists /a/b").status == 0);
    CHECK(served.run("xenstore-exists /a/x").status == 1);
    CHECK(served.run("xenstore-rm /a/b") == Run{"", 0});
    CHECK(served.run("xenstore-list /a") == Run{"c\n", 0});
    CHECK(served.run("xenstore-read /a/b").status == 1);
    CHECK(served.run("xenstore-rm -t /a/c").status == 0);
    CHECK_FALSE(served.store().exists("/a"));
    CHECK(served.run("xenstore write relative 1").status == 0);
    CHECK(served.store().read("/local/domain/0/relative") == "1");
}

TEST_CASE("Debian's clients change permissions")
{
    Served served;
    REQUIRE(served.store().write("/p", "x"));
    CHECK(served.run("xenstore-chmod /p n0 r5 b7") == Run{"", 0});
    const Run listed = served.run("xenstore-ls -f -p / | tr -s ' '");
    INFO(listed);
    CHECK(listed.output.find("/p = \"x\" (n0,r5,b7)\n") != std::string::npos);
    CHECK(listed.output.find("/tool/xenstored = \"\" (n0)\n") != std::string::npos);
    const auto permissions = served.store().permissions("/p");
    REQUIRE(permissions);
    CHECK(permissions->size() == 3);
}

TEST_CASE("xenstore-ls shows a directory longer than one message")
{
    Served served;
    std::string expected;
    REQUIRE(served.store().update([&](Store_batch& batch) -> Result<void> {
        for (int i = 10000; i < 12000; ++i) {
            TRY(batch.write("/long/entry-" + std::to_string(i), "v"));
            expected += "entry-" + std::to_string(i) + " = \"v\"\n";
        }
        return {};
    }));
    CHECK(served.run("xenstore-ls /long") == Run{expected, 0});
    CHECK(served.run("xenstore-list /long | wc -l") == Run{"2000\n", 0});
}

TEST_CASE("xenstore-watch sees changes made by others")
{
    Served served;
    Run result;
    std::atomic<bool> finished = false;
    std::thread watcher([&] {
        FILE* pipe = popen("timeout 20 xenstore-watch -n 3 /w", "r");
        std::array<char, 256> line{};
        while (fgets(line.data(), line.size(), pipe) != nullptr) {
            result.output += line.data();
        }
        result.status = WEXITSTATUS(pclose(pipe));
        finished      = true;
    });
    int ticks = 0;
    served.turn_until([&] {
        // The client tells nobody when its watch stands: change things until it has seen enough.
        REQUIRE(served.store().write("/w/x", std::to_string(ticks++)));
        REQUIRE(served.store().write("/elsewhere", "no"));
        return finished.load();
    });
    watcher.join();
    CHECK(result == Run{"/w\n/w/x\n/w/x\n", 0});
}
