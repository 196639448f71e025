// SPDX-License-Identifier: Apache-2.0
// The operations that move domains between hosts. The connection to the other host comes with the request, as
// descriptors: who asks has made it, by ssh or otherwise.
#include "toolstack/vmmd/answers.hpp"
#include "toolstack/vmmd/operations.hpp"

#include <array>
#include <utility>

namespace vmm
{

using control::Code;
using control::Failure;

namespace
{

// Longer than the other side may take to prepare, or a guest to suspend.
constexpr auto kPatience = std::chrono::minutes(3);

std::expected<std::uint64_t, Failure> number_or(const control::Json& args, std::string_view name,
                                                std::uint64_t otherwise)
{
    return args.contains(name) ? number_argument(args, name) : otherwise;
}

// One descriptor for both ways, or one to read from and one to write to.
Result<std::unique_ptr<migrate::Descriptor_stream>> stream_of(std::vector<Unique_fd> descriptors)
{
    if (descriptors.size() != 2) {
        return fail(Errc::invalid,
                    "the request needs two descriptors: what to read from and what to write to");
    }
    return migrate::Descriptor_stream::create(std::move(descriptors[0]), std::move(descriptors[1]),
                                              kPatience);
}

} // namespace

Operations::Cancel Operations::migrate(const Json& args, Client client)
{
    using save::Compression;
    const auto found       = guest_target(args);
    const auto peer        = text_argument(args, "peer");
    const auto downtime    = number_or(args, "max_downtime_ms", 60);
    const auto bandwidth   = number_or(args, "bandwidth", 0);
    const auto compression = word_argument<Compression>(
        args, "compress", {{"none", Compression::none}, {"zstd", Compression::zstd}});
    if (const Failure* const wrong = first_refusal(found, peer, downtime, bandwidth, compression)) {
        client.answer(std::unexpected(*wrong));
        return {};
    }
    auto stream = stream_of(client.take_descriptors());
    if (!stream) {
        client.answer(failed(stream.error()));
        return {};
    }
    Supervisor::Moving moving;
    moving.id                = found->id;
    moving.stream            = *std::move(stream);
    moving.peer              = *peer;
    moving.plan.compression  = *compression;
    moving.plan.max_downtime = std::chrono::milliseconds(*downtime);
    moving.plan.bandwidth    = *bandwidth;
    moving.done              = [client, name = found->name](Result<Supervisor::Moved> moved) {
        if (!moved) {
            client.answer(failed(
                             Error{moved.error().code, "\"" + name + "\" was not moved: " + moved.error().message}));
            return;
        }
        client.answer(Json{{"name", name},
                           {"downtime_ms", moved->downtime.count()},
                           {"bytes", moved->bytes},
                           {"rounds", moved->rounds}});
    };
    if (const auto begun = supervisor_.migrate(std::move(moving)); !begun) {
        client.answer(failed(begun.error()));
        return {};
    }
    return [this, id = found->id] { supervisor_.cancel_save(id); };
}

Operations::Cancel Operations::receive(const Json& args, Client client)
{
    const auto paused = flag_argument(args, "paused");
    if (!paused) {
        client.answer(std::unexpected(paused.error()));
        return {};
    }
    auto stream = stream_of(client.take_descriptors());
    if (!stream) {
        client.answer(failed(stream.error()));
        return {};
    }
    Supervisor::Creation creation;
    creation.paused = *paused;
    creation.done   = [this, client](const Result<Domid>& made) { answer_made(client, made); };
    const auto id   = supervisor_.receive(std::move(creation), *std::move(stream));
    if (!id) {
        client.answer(failed(id.error()));
        return {};
    }
    return [this, id = *id] { supervisor_.cancel(id); };
}

Answer Operations::migration(const Json& args)
{
    const auto found = guest_target(args);
    if (!found) {
        return std::unexpected(found.error());
    }
    const auto state = supervisor_.migration_state(found->id);
    if (!state) {
        return failed(Code::bad_state, "\"" + found->name + "\" is not being moved");
    }
    static constexpr std::array kPhases{"preparing", "copying", "suspending", "handing over"};
    return Json{{"phase", kPhases.at(static_cast<std::size_t>(state->phase))},
                {"round", state->round},
                {"left", state->left},
                {"of", state->of},
                {"bytes", state->bytes}};
}

Answer Operations::take_back(const Json& args)
{
    const auto found = guest_target(args);
    if (!found) {
        return std::unexpected(found.error());
    }
    if (const auto done = supervisor_.take_back(found->id); !done) {
        return failed(Error{done.error().code, "\"" + found->name + "\": " + done.error().message});
    }
    return Json{{"domid", raw(found->id)}, {"name", found->name}};
}

} // namespace vmm
