// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/console/console_ring.hpp"

#include <algorithm>
#include <atomic>

namespace vmm
{

namespace
{

constexpr std::uint32_t kOutSize = sizeof(xencons_interface::out);
constexpr std::uint32_t kInSize  = sizeof(xencons_interface::in);

std::uint32_t load(std::uint32_t& index) { return std::atomic_ref(index).load(std::memory_order_acquire); }
void store(std::uint32_t& index, std::uint32_t value)
{
    std::atomic_ref(index).store(value, std::memory_order_release);
}

} // namespace

std::size_t Console_ring::take_output(std::string& text, std::size_t limit)
{
    std::uint32_t consumed       = load(page_->out_cons);
    const std::uint32_t produced = load(page_->out_prod);
    const std::uint32_t waiting  = produced - consumed;
    if (waiting > kOutSize) {
        store(page_->out_cons, produced); // not possible for an honest guest: drop it all
        return 0;
    }
    const std::uint32_t take =
        std::min(waiting, static_cast<std::uint32_t>(std::min<std::size_t>(limit, kOutSize)));
    for (std::uint32_t left = take; left != 0;) {
        const std::uint32_t at  = consumed & (kOutSize - 1);
        const std::uint32_t run = std::min(left, kOutSize - at);
        text.append(page_->out + at, run);
        consumed += run;
        left -= run;
    }
    store(page_->out_cons, consumed);
    return take;
}

std::size_t Console_ring::input_space() const
{
    const std::uint32_t waiting = load(page_->in_prod) - load(page_->in_cons);
    return waiting > kInSize ? 0 : kInSize - waiting;
}

std::size_t Console_ring::give_input(std::string_view text)
{
    const std::uint32_t produced = load(page_->in_prod);
    const std::size_t give       = std::min(text.size(), input_space());
    for (std::size_t i = 0; i < give; ++i) {
        page_->in[(produced + i) & (kInSize - 1)] = text[i];
    }
    store(page_->in_prod, produced + static_cast<std::uint32_t>(give));
    return give;
}

} // namespace vmm
