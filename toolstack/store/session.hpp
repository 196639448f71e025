// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the store remembers of one client: who it is, its watches, its open transactions and what waits to be
// sent to it. It has no transport. Destroying it ends all of that.

#include "toolstack/store/outbox.hpp"
#include "toolstack/store/store.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace vmm::store
{

class Session final : public Watcher
{
  public:
    // `on_output` is called whenever something is queued; it must not send at once. Notes its changes in
    // `record`, if there is one: that is for the sessions of domains, which outlive the process.
    Session(Store& store, Domid domid, std::function<void()> on_output, Change_record* record = nullptr);
    ~Session() override;

    [[nodiscard]] const Caller& caller() const override { return caller_; }
    void deliver(Watch& watch, std::string_view path) override;

    void set_target(std::optional<Domid> target);
    [[nodiscard]] Result<Path> resolve(std::string_view text) const { return Path::parse(text, base_); }

    // exists: same path and token already; too_big: quota. The first event is not sent here.
    [[nodiscard]] Result<Watch*> add_watch(std::string_view text, std::string_view token,
                                           std::optional<unsigned> depth);
    [[nodiscard]] Result<void> remove_watch(std::string_view text, std::string_view token);

    [[nodiscard]] Result<std::uint32_t> start_transaction();
    [[nodiscard]] Result<Transaction*> find_transaction(std::uint32_t id) const; // not_found
    [[nodiscard]] Result<void> end_transaction(std::uint32_t id,
                                               bool commit); // it is gone whatever the result

    void reset(); // drops watches and transactions

    // Takes up what a former process had saved, into a fresh session. Its transactions go on with the nodes
    // as they are now and end with a conflict, as the protocol allows at any time. Nothing is noted.
    [[nodiscard]] Result<void> restore(const Saved_session& saved);
    void save(Saved_session& saved) const; // all but the place on the ring

    void reply(const Message& message);
    [[nodiscard]] Outbox& outbox() { return outbox_; }
    void consumed(std::size_t count); // that many bytes of the outbox's front have been sent

  private:
    using Watch_key = std::pair<std::string, std::string>; // absolute path, token

    [[nodiscard]] Result<std::string> watch_path(std::string_view text) const;
    void drop_all();
    void note(const Watch& watch);
    void note_output();

    Store& store_;
    Caller caller_;
    std::string base_;
    std::function<void()> on_output_;
    Change_record* record_;
    Outbox outbox_;
    std::map<Watch_key, Watch> watches_;
    bool owes_events_ = false;
    std::map<std::uint32_t, std::shared_ptr<Transaction>> transactions_;
    std::uint32_t next_transaction_ = 1;
};

} // namespace vmm::store
