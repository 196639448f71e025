// SPDX-License-Identifier: Apache-2.0
#include "toolstack/migrate/sender.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace vmm::migrate
{

namespace
{

using Clock = std::chrono::steady_clock;

constexpr unsigned kMostRounds = 30;
constexpr unsigned kMostInVain = 3; // rounds in a row after which hardly less is left than after the best one
// In place of Plan::silence once the target has the word: whoever gives up then leaves it to a person.
constexpr auto kLastSilence    = std::chrono::seconds(120);
// What the target needs beside the memory: processors, devices, its own hypervisor.
constexpr auto kConstantPart   = std::chrono::milliseconds(10);

} // namespace

State Sender::state() const { return {phase_, round_, left_, of_, stream_->written()}; }

// What it says beside that it works on it.
Result<Answer> Sender::next_answer()
{
    for (;;) {
        Answer answer = TRY(read_answer(*in_));
        if (answer.word != kWorking) {
            return answer;
        }
    }
}

// What the peer said before it hung up is worth more than that it did.
Error Sender::explained(Error error)
{
    if (error.code != Errc::broken_pipe && error.code != Errc(ECONNRESET)) {
        return error;
    }
    stream_->set_patience(std::chrono::seconds(2));
    if (!in_) {
        if (auto in = save::Image_reader::over(*stream_, peer_)) {
            in_.emplace(*std::move(in));
        }
    }
    const auto answer = in_ ? next_answer() : Result<Answer>(std::unexpected(error));
    if (answer && !answer->error.empty()) {
        return {Errc::unsupported, peer_ + ": " + answer->error};
    }
    return error;
}

Result<void> Sender::expect(std::string_view word)
{
    const auto answer = next_answer();
    if (!answer) {
        return std::unexpected(answer.error());
    }
    if (!answer->error.empty()) {
        return fail(Errc::unsupported, peer_ + ": " + answer->error);
    }
    if (answer->word != word) {
        return fail(Errc::protocol, peer_ + " says \"" + answer->word + "\" where it should say \"" +
                                        std::string(word) + "\"");
    }
    return {};
}

Result<void> Sender::introduce(const save::Saved_domain& domain)
{
    const auto say = [&]() -> Result<void> {
        out_.emplace(TRY(save::Image_writer::over(*stream_, peer_, plan_.compression)));
        TRY(out_->put(save::Record_type::description, save::encode(domain)));
        TRY(out_->flush());
        in_.emplace(TRY(save::Image_reader::over(*stream_, peer_)));
        return {};
    };
    if (auto said = say(); !said) {
        return std::unexpected(explained(std::move(said.error())));
    }
    stream_->set_patience(plan_.silence);
    return expect(kPrepared);
}

Memory_sender::Progress Sender::begin_round(std::uint64_t frames)
{
    ++round_;
    of_   = frames;
    left_ = frames;
    return [this](std::uint64_t left) {
        left_ = left;
        return true; // the stream itself is what is cancelled
    };
}

bool Sender::is_little(std::uint64_t frames) const
{
    const auto each = frames_sent_ == 0 ? 0 : sending_.count() / static_cast<std::int64_t>(frames_sent_);
    return kConstantPart + Clock::duration(each * static_cast<std::int64_t>(frames)) <= plan_.max_downtime;
}

Result<void> Sender::copy_running(Build_control& control, Domid id, const Guest_layout& layout)
{
    phase_ = Phase::copying;
    memory_.emplace(id, layout);
    stream_->limit(plan_.bandwidth);
    static_cast<void>(control.log_writes(id, false)); // what a vmmd left that was killed
    TRY(control.log_writes(id, true));
    if (auto done = converge(control); !done) {
        return std::unexpected(explained(std::move(done.error())));
    }
    return {};
}

Result<void> Sender::converge(Build_control& control)
{
    auto since         = Clock::now();
    std::uint64_t best = memory_->frames();
    unsigned in_vain   = 0;
    TRY(memory_->send_all(control, *out_, begin_round(memory_->frames())));
    for (;;) {
        // What lies in buffers on the way has not arrived: without this, rounds would look faster than they
        // are.
        TRY(put_answer(*out_, {std::string(kSoFar), {}}));
        TRY(expect(kSoFar));
        sending_     = Clock::now() - since;
        frames_sent_ = of_;
        TRY(memory_->take_log(control));
        in_vain = memory_->waiting() < best - best / 10 ? 0 : in_vain + 1;
        best    = std::min(best, memory_->waiting());
        if (is_little(memory_->waiting()) || in_vain == kMostInVain || round_ >= kMostRounds) {
            return {};
        }
        since = Clock::now();
        TRY(memory_->send_waiting(control, *out_, begin_round(memory_->waiting())));
    }
}

Result<void> Sender::copy_rest(Build_control& control, Domid id, std::uint64_t memory_kib)
{
    stream_->limit(0); // the domain stands still
    const auto send = [&]() -> Result<void> {
        TRY(memory_->take_log(control));
        TRY(memory_->send_waiting(control, *out_, begin_round(memory_->waiting())));
        if (memory_->present() < memory_kib * 1024 / kPageSize) {
            return fail(Errc::unsupported, "it has memory at addresses it was not made with");
        }
        TRY(out_->put(save::Record_type::processors, TRY(control.context(id))));
        TRY(out_->put_end());
        return out_->flush();
    };
    if (auto sent = send(); !sent) {
        return std::unexpected(explained(std::move(sent.error())));
    }
    return expect(kComplete);
}

Handed_over Sender::hand_over(std::string& why)
{
    phase_    = Phase::handing_over;
    // Part of the word may be out when this fails: the target has it all, or does not, and nobody here knows.
    auto said = out_->put(save::Record_type::commit, {});
    said      = said ? out_->flush() : std::move(said);
    if (!said) {
        why = said.error().message;
        return Handed_over::unknown;
    }
    stream_->set_patience(kLastSilence);
    const auto answer = next_answer();
    if (!answer) {
        why = answer.error().message;
        return Handed_over::unknown;
    }
    why = answer->error;
    return answer->word == kRuns   ? Handed_over::runs
           : answer->error.empty() ? Handed_over::unknown
                                   : Handed_over::refused;
}

} // namespace vmm::migrate
