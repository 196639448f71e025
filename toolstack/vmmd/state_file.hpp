// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the daemon must know again after it was restarted: the complete domains, the UUIDs of those under
// construction, which a successor destroys, the restarts it owes, and the store rings of other tools'
// domains. One JSON file in /run, replaced as a whole (write, rename), so a reader sees the old or the new
// state. An entry that cannot be understood is kept; a file that is not even JSON is set aside, not
// overwritten.

#include "toolstack/base/error.hpp"
#include "toolstack/vmmd/domain_table.hpp"

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace vmm
{

// A domain that another tool made and introduced to the store.
struct Saved_foreign {
    Domid id{};
    config::Uuid uuid; // as the hypervisor has it: the number alone may come to mean another domain
    Gfn store_page{};
    Evtchn_port store_port{};
};

// A domain that has ended and is to be made again.
struct Saved_restart {
    config::Domain_config config;
    config::Uuid uuid;
    std::optional<config::Generation_id> generation;
    Domid predecessor{};
    std::string reason;
    unsigned quick_ends = 0;
};

// What this vmmd does not understand, perhaps written by a newer one: it is kept as it is.
struct Unread {
    std::string list; // "domains", "restarts", "foreign"
    std::string json;
    std::string uuid; // of what it is about; may be empty
    std::string why;
};

// An image in the place of another one, for a domain that is not complete yet.
struct Placed_image {
    std::string image;
    std::string aside; // what was there
};

struct Unsettled {
    std::set<std::string> unfinished; // UUIDs
    std::vector<Saved_restart> restarts;
    std::vector<Saved_foreign> foreign;
    std::vector<Unread> unread;
    std::vector<Placed_image> placed;
};

struct Saved_state {
    std::vector<std::unique_ptr<Domain>> domains; // without consoles
    Unsettled rest;
};

class State_file
{
  public:
    explicit State_file(std::string path) : path_(std::move(path)) {}

    // An absent file is an empty state.
    [[nodiscard]] Result<Saved_state> load() const;
    [[nodiscard]] Result<void> save(const Domain_table& domains, const Unsettled& rest) const;
    void set_aside() const;
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_;
};

} // namespace vmm
