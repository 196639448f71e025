// SPDX-License-Identifier: Apache-2.0
#pragma once
// A disk in memory, at once or later: later, operations end when the test says so and in the order it says.

#include "guest-drivers/backend/disk.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

namespace vmm::block::test
{

class Fake_disk final : public Disk
{
  public:
    explicit Fake_disk(std::uint64_t sectors, bool immediate) : bytes(sectors * 512), immediate_(immediate)
    {
        shape_.sectors = sectors;
        shape_.discard = true;
    }

    [[nodiscard]] const Disk_shape& shape() const override { return shape_; }
    [[nodiscard]] Disk_shape& shape() { return shape_; }
    [[nodiscard]] bool immediate() const override { return immediate_; }
    void start(Disk_io& io) override
    {
        if (immediate_) {
            end(io);
        } else {
            started.push_back(&io);
        }
    }
    void submit() override {}
    void measure() override { shape_.sectors = grows_to != 0 ? grows_to : shape_.sectors; }

    // Ends the operation that is at this place among those under way, as a real disk's memory would be used
    // only now.
    void end_one(std::size_t which)
    {
        Disk_io& io = *started.at(which);
        started.erase(started.begin() + static_cast<std::ptrdiff_t>(which));
        end(io);
    }
    void end_all()
    {
        while (!started.empty()) {
            end_one(0);
        }
        batch_ended();
    }

    std::vector<std::byte> bytes;
    std::vector<Disk_io*> started;
    std::string history; // a letter for each operation that ended: r w f d
    std::uint64_t grows_to = 0;
    int fail_with          = 0;
    bool asked_too_far     = false; // which nobody may

  private:
    void end(Disk_io& io)
    {
        history += "rwfd"[static_cast<std::size_t>(io.kind)];
        io.error = fail_with != 0 ? fail_with : perform(io);
        io.client->ended(io);
    }
    int perform(Disk_io& io)
    {
        std::uint64_t length = io.kind == Disk_io::Kind::discard ? io.length : 0;
        for (const iovec& piece : io.memory) {
            length += piece.iov_len;
        }
        if (io.kind == Disk_io::Kind::flush) {
            return 0;
        }
        if (io.offset > bytes.size() || length > bytes.size() - io.offset) {
            asked_too_far = true;
            return EFBIG;
        }
        std::byte* at = bytes.data() + io.offset;
        if (io.kind == Disk_io::Kind::discard) {
            std::fill_n(at, length, std::byte{0});
            return 0;
        }
        for (const iovec& piece : io.memory) {
            std::memcpy(io.kind == Disk_io::Kind::read ? piece.iov_base : at,
                        io.kind == Disk_io::Kind::read ? at : piece.iov_base, piece.iov_len);
            at += piece.iov_len;
        }
        return 0;
    }

    Disk_shape shape_;
    bool immediate_;
};

} // namespace vmm::block::test
