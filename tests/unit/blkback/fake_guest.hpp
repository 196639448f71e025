// SPDX-License-Identifier: Apache-2.0
#pragma once
// A guest as its backend meets it: pages, some of them granted, and a grant table that maps and copies them.
// The pages are one file in memory, so that every mapping is a real one: using a page after it was given
// back, or beside it, is a fault the sanitizers and the processor notice.

#include "guest-drivers/backend/grants.hpp"
#include "toolstack/base/unique_fd.hpp"
#include "toolstack/xen/types.hpp"

#include <functional>
#include <map>
#include <vector>

namespace vmm::block::test
{

class Fake_guest final : public Grants
{
  public:
    enum class Grant { none, read_only, read_write };

    explicit Fake_guest(std::size_t pages);
    Fake_guest(const Fake_guest&)            = delete;
    Fake_guest& operator=(const Fake_guest&) = delete;
    ~Fake_guest() override;

    // The guest's own view.
    [[nodiscard]] std::byte* page(std::size_t number) { return memory_ + number * kPageSize; }
    void grant(grant_ref_t ref, std::size_t page, Grant how = Grant::read_write)
    {
        grants_[ref] = {page, how};
    }
    void revoke(grant_ref_t ref) { grants_.erase(ref); }

    [[nodiscard]] Mapped_pages map(std::span<const grant_ref_t> refs) override;
    void copy(std::span<Grant_copy> pieces) override;

    std::function<void()> on_call; // in the middle of every call: what a guest does at that moment
    unsigned mapped   = 0;         // pages mapped now
    unsigned map_ops  = 0;
    unsigned copy_ops = 0; // calls

  private:
    struct Entry {
        std::size_t page = 0;
        Grant how        = Grant::none;
    };
    [[nodiscard]] bool copy_one(const Grant_copy& piece);

    Unique_fd file_;
    std::size_t pages_;
    std::byte* memory_;
    std::map<grant_ref_t, Entry> grants_;
};

} // namespace vmm::block::test
