// SPDX-License-Identifier: Apache-2.0
#pragma once
// The changes of the store since the last time they were kept, in order, as bytes for the journal. The store
// and the domains' sessions note here what they do; Store_image::apply() is the reader. It decides nothing
// and keeps nothing.

#include "toolstack/store/packed.hpp"
#include "toolstack/store/store_image.hpp"

namespace vmm::store
{

enum class Change_tag : std::uint8_t {
    generation = 1,
    node,
    removed,
    special_permissions,
    session,
    session_gone,
    target,
    failed,
    watch,
    unwatch,
    transaction,
    transaction_gone,
    reset,
    output,
    position,
};

class Change_record
{
  public:
    void generation(std::uint64_t number);
    // Missing parents come with it, empty and with the same permissions.
    void node(std::string_view path, std::string_view value, const Permissions& permissions);
    void removed(std::string_view path); // with all below
    void special_permissions(std::string_view name, const Permissions& permissions);

    void session(Domid domid, const Ring_position& position); // a new one, whatever there was before
    void session_gone(Domid domid);
    void target(Domid domid, std::optional<Domid> target);
    void failed(Domid domid);
    void watch(Domid domid, std::string_view path, std::string_view token, const Saved_watch& watch);
    void unwatch(Domid domid, std::string_view path, std::string_view token);
    void transaction(Domid domid, std::uint32_t id);
    void transaction_gone(Domid domid, std::uint32_t id);
    void reset(Domid domid); // no watch, no transaction any more
    void output(Domid domid, std::string_view bytes, bool is_event);
    // What of the output lies before the position has been sent.
    void position(Domid domid, const Ring_position& position, std::string_view partial_request);
    void whole_session(Domid domid, const Saved_session& session);

    [[nodiscard]] bool is_empty() const { return packer_.bytes().empty(); }
    [[nodiscard]] std::string take() { return packer_.take(); }
    void clear() { static_cast<void>(take()); }

  private:
    void begin(Change_tag tag, Domid domid);
    void put(const Permissions& permissions);
    void put(const Ring_position& position);

    Packer packer_;
};

} // namespace vmm::store
