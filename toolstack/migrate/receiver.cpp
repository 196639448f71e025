// SPDX-License-Identifier: Apache-2.0
#include "toolstack/migrate/receiver.hpp"

#include "toolstack/migrate/answers.hpp"
#include "toolstack/migrate/memory_receiver.hpp"
#include "toolstack/save/domain_image.hpp"

namespace vmm::migrate
{

namespace
{

constexpr auto kBetweenBeats = std::chrono::seconds(1);
// Shorter than the source's kLastSilence: who asks a person there finds the domain here or not, for good.
constexpr auto kForTheWord   = std::chrono::seconds(60);
// For what is said where nobody may be kept waiting.
constexpr auto kInPassing    = std::chrono::seconds(2);

} // namespace

using save::Record;
using save::Record_type;

Result<void> Receiver::answer(std::string_view word)
{
    const auto quiet = pulse_->hold();
    return put_answer(*out_, {std::string(word), {}});
}

Result<save::Saved_domain> Receiver::introduction()
{
    out_.emplace(TRY(save::Image_writer::over(*stream_, peer_, save::Compression::none)));
    TRY(out_->flush());
    in_.emplace(TRY(save::Image_reader::over(*stream_, peer_)));
    const Record record = TRY(in_->next());
    if (record.type != Record_type::description) {
        return fail(Errc::protocol, peer_ + " does not begin with a description of the domain");
    }
    // Once for all that follows: a thread that could not be had later might be missed when the source has
    // given its word already.
    pulse_ = TRY(Pulse::start(kBetweenBeats, [this] {
        return put_answer(*out_, {std::string(kWorking), {}})
            .has_value(); // or the answer fails, and says why
    }));
    return save::decode(record.payload);
}

Result<Built_domain> Receiver::receive(Build_control& control, Domid id, const save::Saved_domain& domain)
{
    TRY(answer(kPrepared));
    Memory_receiver memory(control, id, save::layout_of(domain), *in_);
    for (;;) {
        const Record record = TRY(in_->next());
        switch (record.type) {
        case Record_type::memory:
        case Record_type::absent:
        case Record_type::frames:
        case Record_type::zero_frames: TRY(memory.take(record)); break;
        case Record_type::answer:
            TRY(memory.flush());
            TRY(answer(kSoFar));
            break;
        case Record_type::processors: {
            const std::vector<std::byte> processors(record.payload.begin(), record.payload.end());
            TRY(memory.flush());
            if (TRY(in_->next()).type != Record_type::end) {
                return in_->corrupted("it goes on where it should end");
            }
            return save::complete_domain(control, id, domain, processors);
        }
        default: return in_->corrupted("a record is where it does not belong");
        }
    }
}

Result<void> Receiver::wait_for_word()
{
    TRY(answer(kComplete));
    stream_->set_patience(kForTheWord);
    if (TRY(in_->next()).type != Record_type::commit) {
        return in_->corrupted("a record is where it does not belong");
    }
    return {};
}

Result<void> Receiver::say_runs()
{
    stream_->set_patience(kInPassing);
    return answer(kRuns);
}

void Receiver::refuse(const Error& why)
{
    stream_->set_patience(kInPassing);
    pulse_.reset();
    if (out_) {
        static_cast<void>(put_answer(*out_, {{}, why.message})); // it hangs up otherwise, which says enough
    }
}

} // namespace vmm::migrate
