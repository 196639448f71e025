// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/image_job.hpp"

#include <utility>

namespace vmm
{

Result<std::shared_ptr<Image_job>> Image_job::start(Event_loop& loop, const Open_control& open_control,
                                                    Work work, Done done)
{
    std::shared_ptr<Image_job> job(new Image_job);
    auto control = TRY(open_control());
    job->worker_ = TRY(Worker::create(loop));
    auto result  = std::make_shared<Result<void>>();
    job->worker_->submit(
        [job = job.get(), control, work = std::move(work), result] {
            *result = work(*control, [job](std::uint64_t pages_done, std::uint64_t pages) {
                job->pages_ = pages;
                job->done_  = pages_done;
                return !job->cancelled_;
            });
        },
        [job, &loop, result, done = std::move(done)] {
            // The thread is joined on a later turn: this runs inside its worker.
            loop.defer([job] { job->worker_.reset(); });
            done(std::move(*result));
        });
    return job;
}

void Image_job::abandon()
{
    cancelled_ = true;
    worker_.reset();
}

} // namespace vmm
