// SPDX-License-Identifier: Apache-2.0
#pragma once
// The inside of Store_server: which clients there are and when each is served. Private to this room.

#include "toolstack/store/change_record.hpp"
#include "toolstack/store/connection.hpp"
#include "toolstack/store/journal.hpp"
#include "toolstack/store/listening_socket.hpp"
#include "toolstack/store/ring_transport.hpp"
#include "toolstack/store/socket_transport.hpp"
#include "toolstack/store/store_server.hpp"

#include <map>
#include <set>

namespace vmm
{

class Store_server::Impl final : public store::Domain_control
{
  public:
    Impl(Event_loop& loop, Options options);
    ~Impl() override;
    [[nodiscard]] Result<void> open_journal();
    [[nodiscard]] Result<void> listen();

    [[nodiscard]] store::Store& store() { return store_; }
    void set_hooks(Hooks hooks) { hooks_ = std::move(hooks); }
    // Puts all that was done into the journal. Called whenever somebody is about to see it.
    void keep();

    [[nodiscard]] Result<void> connect(Domid domid, std::unique_ptr<store::Ring_channel> channel);
    void disconnect(Domid domid);
    void serve_ring(Domid domid);

    [[nodiscard]] Result<Watch_handle> watch(std::string path, Watch_callback callback,
                                             std::optional<unsigned> depth);
    void unwatch(Watch_handle handle);
    [[nodiscard]] bool is_watched(std::string_view path, Domid by) const;
    void when_unwatched(std::string path, Domid by, std::function<void()> call);

    [[nodiscard]] Result<void> introduce(Domid domid, std::uint64_t gfn, std::uint32_t port) override;
    void release(Domid domid) override;
    void resume(Domid domid) override;
    [[nodiscard]] bool is_introduced(Domid domid) const override { return rings_.contains(domid); }
    [[nodiscard]] std::vector<Domid> introduced() const;
    void set_target(Domid domid, Domid target) override;
    void schedule(); // a turn for all who wait and for the journal

  private:
    struct Ring_link {
        Ring_link(Impl& server, std::unique_ptr<store::Ring_channel> channel, store::Session& session);
        store::Ring_transport transport;
        store::Connection connection;
    };
    struct Ring_client {
        Ring_client(Impl& server, Domid domid);
        store::Session session;
        std::unique_ptr<Ring_link> link; // none: left by a former server, its channel not yet here
        store::Saved_session left{};     // then: its place on the ring and the request it had begun to read
        store::Ring_position kept{};     // as the journal has it
        bool failed   = false;           // not served until the guest asks to reconnect
        bool reported = false;           // in the log: once is enough, as the guest can fail again and again
    };
    struct Socket_client {
        Socket_client(Impl& server, Unique_fd socket);
        store::Socket_transport transport;
        store::Session session;
        store::Connection connection;
    };
    // A watch of the daemon itself: its events wait here for the next turn, each path once.
    struct Local_watch final : store::Watcher {
        explicit Local_watch(Impl& owner) : server(owner) {}
        [[nodiscard]] const store::Caller& caller() const override { return dom0; }
        void deliver(store::Watch& watch, std::string_view path) override;
        Impl& server;
        store::Caller dom0{};
        store::Watch watch{};
        Watch_callback callback;
        std::vector<std::string> waiting;
    };

    void accept_clients();
    void pause_accepting();
    void serve_socket(int fd);
    void reconnect(Domid domid, Ring_client& ring);
    void resume_ring(Domid domid, Ring_client& ring);
    void keep_ring(Domid domid);
    void fail_ring(Domid domid, Ring_client& ring, store::Ring_transport::Failure failure);
    void run_waiting();
    void call_local_watches();
    void call_unwatched();

    [[nodiscard]] Result<void> restore(const store::Store_image& image);
    void note_whole(Domid domid, Ring_client& ring, const store::Ring_position& position);
    [[nodiscard]] static store::Saved_session saved(const Ring_client& ring);
    [[nodiscard]] store::Store_image image() const;
    void rewrite_journal();

    Event_loop& loop_;
    Options options_;
    Hooks hooks_;
    store::Change_record record_;
    std::optional<store::Journal> journal_;
    std::optional<Event_loop::Timer_id> journal_retry_; // set: the journal lacks something
    store::Store store_;
    std::optional<store::Listening_socket> listening_;
    std::map<int, std::unique_ptr<Socket_client>> sockets_;
    std::map<Domid, std::unique_ptr<Ring_client>> rings_;
    std::map<Watch_handle, std::shared_ptr<Local_watch>> local_watches_;
    std::uint64_t next_watch_ = 1;

    struct Until_unwatched {
        std::string path;
        Domid by;
        std::function<void()> call;
    };
    std::vector<Until_unwatched> until_unwatched_;

    // Who has something to do on the next turn of the loop.
    std::set<int> waiting_sockets_;
    std::set<Domid> waiting_rings_;
    bool scheduled_ = false;
    std::optional<Event_loop::Timer_id> accept_timer_;
    std::shared_ptr<Impl*> self_; // what deferred work holds weakly, as the loop outlives this
};

} // namespace vmm
