// SPDX-License-Identifier: Apache-2.0
#pragma once
// An empty qcow2 image that takes the place of another file, with an image behind it that is only read from
// then on: how a state of a disk is frozen, and how a disk goes back to it. The new file is made beside its
// place, whole and on stable storage; then two steps of the file system let the old one keep another name and
// put the new one in its place. Whenever that is cut off there is a whole image in the place. Works on
// whatever thread calls it; nobody may write the place's file between commit() and when it is opened anew.

#include "toolstack/base/error.hpp"
#include "toolstack/config/disk.hpp"

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

namespace vmm::disk
{

class Layer_exchange
{
  public:
    struct Plan {
        std::string vdev;   // for messages
        std::string image;  // the place
        std::string behind; // what the new image is over; it may get this name by commit() only
        std::string aside;  // the name that the file in the place keeps; empty: there must be none
    };

    // What is in the place is frozen. `when` is in the names that are chosen here.
    [[nodiscard]] static Result<Layer_exchange> freeze(const std::string& qemu_img, const config::Disk& disk,
                                                       std::time_t when);
    // The place goes back to what was frozen as `base`, which is looked at.
    [[nodiscard]] static Result<Layer_exchange> go_back(const std::string& qemu_img, const std::string& vdev,
                                                        const std::string& image, const std::string& base,
                                                        std::time_t when);
    // A second image over what `frozen` is to freeze, in a place where nothing is.
    [[nodiscard]] static Result<Layer_exchange>
    branch(const std::string& qemu_img, const Layer_exchange& frozen, const std::string& image);

    Layer_exchange(Layer_exchange&& other) noexcept;
    Layer_exchange& operator=(Layer_exchange&&)      = delete;
    Layer_exchange(const Layer_exchange&)            = delete;
    Layer_exchange& operator=(const Layer_exchange&) = delete;
    ~Layer_exchange(); // what is not in its place is removed

    [[nodiscard]] const Plan& plan() const { return plan_; }

    [[nodiscard]] Result<void> commit();
    // Both names and what is behind are on stable storage.
    [[nodiscard]] Result<void> make_durable() const;
    // For who was killed between commit() and undo(): what was at `image` and is `aside` is there again.
    // False: it had not come to that.
    [[nodiscard]] static Result<bool> put_back(const std::string& image, const std::string& aside);

    // Of what was committed: what was in the place is there again; the new image and what was written to it
    // are gone.
    [[nodiscard]] Result<void> undo();

  private:
    Layer_exchange(Plan plan, std::string fresh) : plan_(std::move(plan)), fresh_(std::move(fresh)) {}
    [[nodiscard]] static Result<Layer_exchange> prepare(const std::string& qemu_img, const Plan& plan,
                                                        const std::string& like);

    Plan plan_;
    std::string fresh_; // empty: it is in its place, or given up
    bool committed_ = false;
};

// Whether the disk is one that freeze() is for, as far as its config tells; the error is a whole sentence.
[[nodiscard]] Result<void> check_can_freeze(const config::Disk& disk);

// Where a second image beside that one belongs: "/srv/web.qcow2" and "test" are "/srv/web-test.qcow2".
[[nodiscard]] std::string branch_name(const std::string& image, const std::string& name);

} // namespace vmm::disk
