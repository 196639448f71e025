// SPDX-License-Identifier: Apache-2.0
#pragma once
// A database with some clients, spoken to in the protocol's own messages but without any transport: what a
// request answers and which events are queued can be looked at directly.

#include "toolstack/store/requests.hpp"

#include <xen/io/xs_wire.h>

#include <functional>
#include <map>
#include <ostream>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace vmm::store::test
{

// Remembers what requests about domains asked for.
struct Fake_domains final : Domain_control {
    std::set<Domid> known;
    std::vector<std::string> calls;
    Result<void> introduce(Domid domid, std::uint64_t gfn, std::uint32_t port) override;
    void release(Domid domid) override;
    void resume(Domid domid) override;
    bool is_introduced(Domid domid) const override { return known.contains(domid); }
    void set_target(Domid domid, Domid target) override;
};

struct Event {
    std::string path;
    std::string token;
    friend bool operator==(const Event&, const Event&) = default;
    friend std::ostream& operator<<(std::ostream& out, const Event& event)
    {
        return out << event.path << " (" << event.token << ")";
    }
};

// One client. Each call sends one message and returns the payload of the answer (lists with spaces, no
// NUL at the end), or the name of the error.
class Client
{
  public:
    Client(Store& store, Fake_domains& domains, unsigned domid, Change_record* record = nullptr)
        : store_(store), domains_(domains), session_(
                                                store, Domid(domid), [] {}, record)
    {
    }

    std::string send(std::uint32_t type, std::string payload, std::uint32_t transaction = 0);
    std::string read(std::string path, std::uint32_t transaction = 0)
    {
        return send(XS_READ, z(path), transaction);
    }
    std::string write(std::string path, std::string value, std::uint32_t transaction = 0);
    std::string mkdir(std::string path, std::uint32_t transaction = 0)
    {
        return ok(send(XS_MKDIR, z(path), transaction));
    }
    std::string rm(std::string path, std::uint32_t transaction = 0)
    {
        return ok(send(XS_RM, z(path), transaction));
    }
    std::string get_perms(std::string path, std::uint32_t transaction = 0);
    std::string set_perms(std::string path, std::string perms, std::uint32_t transaction = 0); // "b1 r2"
    std::string directory(std::string path, std::uint32_t transaction = 0);                    // "a b c"
    std::string watch(std::string path, std::string token) { return ok(send(XS_WATCH, z(path) + z(token))); }
    std::string watch(std::string path, std::string token, std::string depth);
    std::string unwatch(std::string path, std::string token)
    {
        return ok(send(XS_UNWATCH, z(path) + z(token)));
    }
    std::uint32_t start();
    std::string end(std::uint32_t transaction, bool commit = true);

    std::vector<Event> events(); // those queued since the last call
    Session& session() { return session_; }
    [[nodiscard]] std::size_t bytes_taken() const { return bytes_taken_; } // of all it was ever sent
    void set_bytes_taken(std::size_t count) { bytes_taken_ = count; }

    static std::string z(std::string text) { return text + '\0'; }
    static std::string ok(std::string answer) { return answer == z("OK") ? "OK" : answer; }

  private:
    std::vector<Message> take_output();

    Store& store_;
    Fake_domains& domains_;
    Session session_;
    std::size_t bytes_taken_ = 0;
    std::vector<Event> events_;
};

struct World {
    explicit World(Quotas quotas = {}) : store(quotas) {}
    Store store;
    Fake_domains domains;
    Client dom0{store, domains, 0};
    Client dom1{store, domains, 1};
    Client dom2{store, domains, 2};
};

} // namespace vmm::store::test
