// SPDX-License-Identifier: Apache-2.0
#pragma once
// The source's half of a migration, in the steps in which vmmd takes them, each on a thread that may wait:
//
//   introduce()     who is coming; the target prepares everything, or says why not
//   copy_running()  memory, in rounds, while the domain runs
//   copy_rest()     the domain has suspended: what is left; the target says "complete, paused"
//   hand_over()     the domain is the target's from the moment the word is out; the target says "runs"
//
// Until hand_over() the source may call everything off, and the target, which hears no such word, forgets
// what it has. After it the source must not run the domain again unless the target says that it will not:
// what the connection's end tells then is in Handed_over.

#include "toolstack/migrate/answers.hpp"
#include "toolstack/migrate/descriptor_stream.hpp"
#include "toolstack/migrate/memory_sender.hpp"
#include "toolstack/save/saved_domain.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

namespace vmm::migrate
{

struct Plan {
    save::Compression compression = save::Compression::none;
    std::chrono::milliseconds max_downtime{60};
    std::uint64_t bandwidth = 0; // bytes in a second; 0: no limit
    // Without a byte going or coming, after which the target is given up: it says every second that it is
    // there.
    std::chrono::milliseconds silence{15'000};
};

enum class Phase : std::uint8_t { preparing, copying, suspending, handing_over };

struct State {
    Phase phase         = Phase::preparing;
    unsigned round      = 0;
    std::uint64_t left  = 0; // frames of this round
    std::uint64_t of    = 0; // frames it began with
    std::uint64_t bytes = 0; // sent so far
};

enum class Handed_over : std::uint8_t {
    runs,    // there
    refused, // it could not start it, and has given it up: it is the source's again
    unknown, // the connection ended between the word and the answer
};

class Sender
{
  public:
    // `peer` is what the target is called in messages.
    Sender(std::unique_ptr<Descriptor_stream> stream, std::string peer, const Plan& plan)
        : stream_(std::move(stream)), peer_(std::move(peer)), plan_(plan)
    {
        stream_->listen_while_writing();
    }

    [[nodiscard]] Result<void> introduce(const save::Saved_domain& domain);
    [[nodiscard]] Result<void> copy_running(Build_control& control, Domid id, const Guest_layout& layout);
    [[nodiscard]] Result<void> copy_rest(Build_control& control, Domid id, std::uint64_t memory_kib);
    [[nodiscard]] Handed_over hand_over(std::string& why);

    void cancel() { stream_->cancel(); }
    void note(Phase phase) { phase_ = phase; }
    [[nodiscard]] State state() const;
    [[nodiscard]] const std::string& peer() const { return peer_; }

  private:
    Result<void> converge(Build_control& control);
    [[nodiscard]] bool is_little(std::uint64_t frames) const;
    [[nodiscard]] Memory_sender::Progress begin_round(std::uint64_t frames);
    Result<Answer> next_answer();
    Result<void> expect(std::string_view word);
    Error explained(Error error);

    std::unique_ptr<Descriptor_stream> stream_;
    std::string peer_;
    Plan plan_;
    std::optional<save::Image_writer> out_;
    std::optional<save::Image_reader> in_;
    std::optional<Memory_sender> memory_;
    std::uint64_t frames_sent_ = 0; // in the time below
    std::chrono::steady_clock::duration sending_{};
    std::atomic<Phase> phase_        = Phase::preparing;
    std::atomic<unsigned> round_     = 0;
    std::atomic<std::uint64_t> left_ = 0;
    std::atomic<std::uint64_t> of_   = 0;
};

} // namespace vmm::migrate
