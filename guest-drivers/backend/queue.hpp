// SPDX-License-Identifier: Apache-2.0
#pragma once
// One ring of one block frontend, served: each request is copied out once, judged, done on the disk and
// answered. It trusts nothing the frontend wrote and knows neither events nor the store. Data passes through
// dom0's own memory, or goes straight to and from the frontend's pages where the disk is immediate and the
// pages are kept. Answers are in the order of requests, and those taken are in the log, so that a successor
// finds all that a killed backend had not answered. [xen/include/public/io/blkif.h]

#include "guest-drivers/backend/buffer_pool.hpp"
#include "guest-drivers/backend/complaints.hpp"
#include "guest-drivers/backend/disk.hpp"
#include "guest-drivers/backend/grants.hpp"
#include "guest-drivers/backend/kept_grants.hpp"
#include "guest-drivers/backend/request_log.hpp"
#include "guest-drivers/protocol/back_ring.hpp"
#include "guest-drivers/protocol/block.hpp"

#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace vmm::block
{

// Of one request: what the largest buffer holds, at a page for a segment.
inline constexpr unsigned kMostSegments = Buffer_pool::kLargest / 4096;
static_assert(kMostSegments <= protocol::kMostIndirectSegments);

class Queue final : public Disk_client
{
  public:
    struct Services {
        Grants& grants;
        Kept_grants* kept; // nullptr: the frontend does not keep its grants
        Disk& disk;
        Buffer_pool& buffers;
        Complaints& complaints;
    };

    // The log is this queue's own.
    Queue(std::span<std::byte> ring, protocol::Block_abi abi, std::span<Request_log::Entry> log,
          Services services);
    Queue(const Queue&)            = delete;
    Queue& operator=(const Queue&) = delete;
    ~Queue();

    // Takes all requests there are and starts them; the owner then has the disk submit().
    void serve();
    // Answers what has ended. True when the frontend is to be notified.
    [[nodiscard]] bool settle();
    // From now on every request is refused: what is under way still ends and is answered, so that a frontend
    // that goes waits for nothing. The queue must live on until nothing is under_way().
    void close() { closed_ = true; }

    // The frontend broke the protocol of the ring: there is no telling what it wants.
    [[nodiscard]] bool broken() const { return broken_; }
    [[nodiscard]] unsigned under_way() const { return under_way_; }
    // Requests taken since the last call.
    [[nodiscard]] std::uint32_t newly_taken() { return taken_ - std::exchange(counted_, taken_); }
    // A request waits for memory that others will give back: serve() again then.
    [[nodiscard]] bool starved() const { return starved_ != nullptr; }

  private:
    enum class Stage : std::uint8_t { only, flush_before, data_between, flush_after };
    struct Pending : Disk_io {
        protocol::Block_request request;
        std::vector<blkif_request_segment> segments;
        std::span<std::byte> buffer; // empty: the data is in the frontend's pages
        Stage stage         = Stage::only;
        bool copy_failed    = false;
        bool finished       = false;
        std::int16_t status = BLKIF_RSP_OKAY;
    };
    using Pieces = std::vector<Grant_copy>;

    void ended(Disk_io& io) override;

    [[nodiscard]] std::span<const std::byte> take_slot();
    void take();
    [[nodiscard]] std::optional<std::int16_t> refuse(Pending& pending);
    [[nodiscard]] bool load_segments(Pending& pending);
    [[nodiscard]] bool load_indirect(Pending& pending);
    void begin(Pending& pending);
    [[nodiscard]] bool use_pages(Pending& pending);
    [[nodiscard]] bool use_buffer(Pending& pending);
    void bring_data(Pending& pending);
    void start_copied();
    void start(Pending& pending);
    void at_disk(Pending& pending, Disk_io::Kind kind);
    void move_data(Pending& pending, Grant_copy::Direction direction, Pieces& pieces);
    void copy(Pieces& pieces);
    void finish(Pending& pending, std::int16_t status);
    void free_buffer(Pending& pending);
    void complain(const Pending& pending);

    [[nodiscard]] Pending& pending_at(std::uint32_t number) { return pending_[number % pending_.size()]; }

    protocol::Back_ring ring_;
    protocol::Block_abi abi_;
    std::span<Request_log::Entry> log_;
    Services services_;
    std::vector<Pending> pending_; // by the number of the request
    std::uint32_t taken_    = 0;
    std::uint32_t answered_ = 0;
    std::uint32_t counted_  = 0; // of those taken
    unsigned under_way_     = 0;
    bool broken_            = false;
    bool closed_            = false;
    Pending* starved_       = nullptr; // the last one taken, waiting for a buffer
    std::vector<Pending*> bringing_;   // their data comes with pieces_in_
    std::vector<Pending*> taking_;     // their data goes with pieces_out_
    Pieces pieces_in_;
    Pieces pieces_out_;
};

} // namespace vmm::block
