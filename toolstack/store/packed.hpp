// SPDX-License-Identifier: Apache-2.0
#pragma once
// Numbers and texts as a row of bytes and back: little-endian like the host, a text after its length. For
// what this process writes for its successor on the same machine; it carries no names and no types. Reading
// checks every length: past the first mistake everything reads as zero and is_good() tells.

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace vmm::store
{

class Packer
{
  public:
    template <class Number>
    void put(Number number)
    {
        static_assert(std::is_arithmetic_v<Number> || std::is_enum_v<Number>);
        bytes_.append(reinterpret_cast<const char*>(&number), sizeof number);
    }
    void put_text(std::string_view text)
    {
        put(static_cast<std::uint32_t>(text.size()));
        bytes_.append(text);
    }

    [[nodiscard]] const std::string& bytes() const { return bytes_; }
    [[nodiscard]] std::string take() { return std::exchange(bytes_, {}); }

  private:
    std::string bytes_;
};

class Unpacker
{
  public:
    explicit Unpacker(std::string_view bytes) : rest_(bytes) {}

    template <class Number>
    [[nodiscard]] Number get()
    {
        static_assert(std::is_arithmetic_v<Number> || std::is_enum_v<Number>);
        Number number{};
        const std::string_view bytes = cut(sizeof number);
        if (good_) {
            std::memcpy(&number, bytes.data(), sizeof number);
        }
        return number;
    }
    [[nodiscard]] std::string_view get_text() { return cut(get<std::uint32_t>()); }

    [[nodiscard]] bool is_good() const { return good_; }
    [[nodiscard]] bool is_at_end() const { return rest_.empty() || !good_; }

  private:
    std::string_view cut(std::size_t count)
    {
        good_                       = good_ && count <= rest_.size();
        const std::string_view part = rest_.substr(0, good_ ? count : 0);
        rest_.remove_prefix(part.size());
        return part;
    }

    std::string_view rest_;
    bool good_ = true;
};

} // namespace vmm::store
