// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a restarted vmmd must know about devices: which there are, what they were asked to be, and what their
// class noted. One JSON file, replaced as a whole (write, rename). A file that cannot be understood is set
// aside.

#include "toolstack/base/error.hpp"
#include "toolstack/device/address.hpp"
#include "toolstack/device/device_class.hpp"

#include <string>
#include <vector>

namespace vmm::device
{

struct Record {
    Address address;
    Json spec;
    Json note;            // null: the class noted nothing
    bool plugged = false; // it was complete
};

class Record_file
{
  public:
    explicit Record_file(std::string path) : path_(std::move(path)) {}

    // An absent file is an empty list.
    [[nodiscard]] Result<std::vector<Record>> load() const;
    [[nodiscard]] Result<void> save(const std::vector<Record>& records) const;
    void set_aside() const;
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_;
};

} // namespace vmm::device
