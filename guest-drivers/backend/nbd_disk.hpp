// SPDX-License-Identifier: Apache-2.0
#pragma once
// A disk served by an NBD server, over libnbd: how qcow2 and other formats are reached (qemu-nbd on a Unix
// socket). It registers itself with the loop, which must outlive it. When the connection is lost nothing that
// is under way is told to have ended: the owner hears of the loss and can start again from the beginning.

#include "guest-drivers/backend/disk.hpp"
#include "guest-drivers/backend/image.hpp"

extern "C" {
#include <libnbd.h>
}

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace vmm::block
{

class Nbd_disk final : public Disk
{
  public:
    using Lost = std::function<void(std::string why)>;

    // nbd://..., nbd+unix:///name?socket=... as nbd_connect_uri(3) knows them.
    [[nodiscard]] static bool is_uri(std::string_view text);
    [[nodiscard]] static Result<std::unique_ptr<Disk>>
    connect(const std::string& uri, const Image_options& options, Event_loop& loop, Lost lost);
    Nbd_disk(const Nbd_disk&)            = delete;
    Nbd_disk& operator=(const Nbd_disk&) = delete;
    ~Nbd_disk() override;

    [[nodiscard]] const Disk_shape& shape() const override { return shape_; }
    [[nodiscard]] bool immediate() const override { return false; }
    void start(Disk_io& io) override;
    void submit() override;
    void measure() override {} // the protocol tells a size only once

  private:
    struct Close {
        void operator()(nbd_handle* handle) const { nbd_close(handle); }
    };

    Nbd_disk(Event_loop& loop, Lost lost) : loop_(loop), lost_(std::move(lost)) {}
    Result<void> open(const std::string& uri, const Image_options& options);
    void ready(std::uint32_t events);
    void follow_direction();
    [[nodiscard]] bool check_connection();
    void tell_ended();

    Event_loop& loop_;
    Lost lost_;
    Disk_shape shape_;
    std::vector<std::pair<Disk_io*, int>>
        ended_; // with errors; outlives the handle, whose end ends operations
    std::unique_ptr<nbd_handle, Close> handle_;
    int fd_               = -1;
    std::uint32_t events_ = 0;
    bool can_flush_       = false;
};

} // namespace vmm::block
