// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the daemon must know again after it was restarted: the complete domains, and the UUIDs of those under
// construction, which a successor destroys. One JSON file in /run, replaced as a whole (write, rename), so a
// reader sees the old or the new state. A file that cannot be understood is set aside, not overwritten.

#include "toolstack/base/error.hpp"
#include "toolstack/vmmd/domain_table.hpp"

#include <memory>
#include <set>
#include <string>
#include <vector>

namespace vmm
{

struct Saved_state {
    std::vector<std::unique_ptr<Domain>> domains; // without consoles
    std::set<std::string> unfinished;             // UUIDs
};

class State_file
{
  public:
    explicit State_file(std::string path) : path_(std::move(path)) {}

    // An absent file is an empty state.
    [[nodiscard]] Result<Saved_state> load() const;
    [[nodiscard]] Result<void> save(const Domain_table& domains,
                                    const std::set<std::string>& unfinished) const;
    void set_aside() const;
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_;
};

} // namespace vmm
