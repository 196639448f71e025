// SPDX-License-Identifier: Apache-2.0
#pragma once
// A call of the hypervisor that takes as long as a test wants, on whatever thread it is made.

#include "fake_hypervisor.hpp"

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

namespace vmm::test
{

class Held_call
{
  public:
    Held_call(Fake_hypervisor& hypervisor, std::string operation) : hypervisor_(hypervisor)
    {
        hypervisor_.before = [this, operation = std::move(operation)](const std::string& called) {
            held_ = held_ || called == operation;
            while (called == operation && !let_go_) {
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            }
        };
    }
    Held_call(const Held_call&)            = delete;
    Held_call& operator=(const Held_call&) = delete;
    ~Held_call() { let_go(); }

    [[nodiscard]] bool is_held() const { return held_; }
    void let_go() { let_go_ = true; }

  private:
    Fake_hypervisor& hypervisor_;
    std::atomic<bool> held_   = false;
    std::atomic<bool> let_go_ = false;
};

} // namespace vmm::test
