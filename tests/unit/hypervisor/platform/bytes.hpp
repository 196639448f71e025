// SPDX-License-Identifier: Apache-2.0
//
// Physical memory for the parsers: what a test puts there, and holes everywhere else.
#pragma once

#include "platform/physical_reader.hpp"

#include <cstring>
#include <map>
#include <string_view>
#include <vector>

namespace vmm::test
{

// A sequence of bytes, written value by value.
class Bytes
{
  public:
    template <class T>
    Bytes& add(T value)
    {
        const auto* p = reinterpret_cast<const u8*>(&value);
        data_.insert(data_.end(), p, p + sizeof value);
        return *this;
    }
    Bytes& text(std::string_view t)
    {
        data_.insert(data_.end(), t.begin(), t.end());
        return *this;
    }
    Bytes& zeros(std::size_t n)
    {
        data_.resize(data_.size() + n);
        return *this;
    }
    Bytes& append(const Bytes& other)
    {
        data_.insert(data_.end(), other.data_.begin(), other.data_.end());
        return *this;
    }
    Bytes& pad_to(std::size_t alignment)
    {
        while (data_.size() % alignment != 0)
            data_.push_back(0);
        return *this;
    }
    template <class T>
    Bytes& put(std::size_t offset, T value)
    {
        std::memcpy(data_.data() + offset, &value, sizeof value);
        return *this;
    }
    [[nodiscard]] std::size_t size() const { return data_.size(); }
    [[nodiscard]] const std::vector<u8>& data() const { return data_; }
    [[nodiscard]] std::vector<u8>& data() { return data_; }

  private:
    std::vector<u8> data_;
};

class Memory final : public Physical_reader
{
  public:
    void put(u64 at, const Bytes& bytes) { pieces_[at] = bytes.data(); }
    // Only what lies inside one piece can be read.
    bool read(Hpa from, std::span<u8> to) const override
    {
        auto next = pieces_.upper_bound(from.value());
        if (next == pieces_.begin())
            return false;
        const auto& [start, data] = *std::prev(next);
        const u64 offset          = from.value() - start;
        if (offset > data.size() || to.size() > data.size() - offset)
            return false;
        std::memcpy(to.data(), data.data() + offset, to.size());
        return true;
    }

  private:
    std::map<u64, std::vector<u8>> pieces_;
};

} // namespace vmm::test
