// SPDX-License-Identifier: Apache-2.0
// The operations about domains in files, and about copies of domains.
#include "toolstack/config/domain_config_json.hpp"
#include "toolstack/vmmd/answers.hpp"
#include "toolstack/vmmd/operations.hpp"

#include <utility>

namespace vmm
{

using control::Code;
using control::Failure;

namespace
{

std::expected<std::string, Failure> path_argument(const control::Json& args)
{
    auto path = text_argument(args, "path");
    if (path && !path->starts_with('/')) {
        return failed(Code::bad_request, "\"path\" is absolute");
    }
    return path;
}

} // namespace

Operations::Cancel Operations::save(const Json& args, Client client)
{
    using After = Supervisor::After_save;
    using save::Compression;
    const auto found       = guest_target(args);
    const auto path        = path_argument(args);
    const auto compression = word_argument<Compression>(
        args, "compress", {{"zstd", Compression::zstd}, {"none", Compression::none}});
    const auto after = word_argument<After>(
        args, "after", {{"destroy", After::destroy}, {"run", After::run}, {"pause", After::pause}});
    if (const Failure* const wrong = first_refusal(found, path, compression, after)) {
        client.answer(std::unexpected(*wrong));
        return {};
    }
    const auto begun = supervisor_.save(
        {found->id, *path, *compression, *after, [client, target = *found, path = *path](Result<void> saved) {
             if (saved) {
                 client.answer(Json{{"domid", raw(target.id)}, {"path", path}});
                 return;
             }
             client.answer(failed(Error{saved.error().code,
                                        "\"" + target.name + "\" was not saved: " + saved.error().message}));
         }});
    if (!begun) {
        client.answer(failed(begun.error()));
        return {};
    }
    return [this, id = found->id] { supervisor_.cancel_save(id); };
}

Operations::Cancel Operations::fork(const Json& args, Client client)
{
    const auto found      = guest_target(args);
    const auto paused     = flag_argument(args, "paused");
    const auto overcommit = flag_argument(args, "overcommit");
    if (const Failure* const wrong = first_refusal(found, paused, overcommit)) {
        client.answer(std::unexpected(*wrong));
        return {};
    }
    const auto given = args.find("config");
    auto config      = given == args.end() ? std::unexpected(config::Problem{"config", "is missing"})
                                           : config::from_json(*given);
    if (!config) {
        client.answer(failed(Code::bad_config, config.error().to_string()));
        return {};
    }
    Supervisor::Creation creation;
    creation.config       = *std::move(config);
    creation.paused       = *paused;
    creation.overcommit   = *overcommit;
    creation.still_wanted = client.is_there;
    creation.done         = [this, client, parent = found->name](Result<Domid> made) {
        answer_made(client, made ? std::move(made)
                                         : fail(made.error().code,
                                                "\"" + parent + "\" was not forked: " + made.error().message));
    };
    const auto id = supervisor_.fork(found->id, std::move(creation));
    if (!id) {
        client.answer(failed(id.error()));
        return {};
    }
    return [this, id = *id] { supervisor_.cancel(id); };
}

Operations::Cancel Operations::restore(const Json& args, Client client)
{
    const auto path   = path_argument(args);
    const auto paused = flag_argument(args, "paused");
    if (const Failure* const wrong = first_refusal(path, paused)) {
        client.answer(std::unexpected(*wrong));
        return {};
    }
    Supervisor::Creation creation;
    creation.image  = *path;
    creation.paused = *paused;
    return begin(std::move(creation), client);
}

Answer Operations::progress(const Json& args)
{
    const auto path = path_argument(args);
    if (!path) {
        return std::unexpected(path.error());
    }
    const auto state = supervisor_.image_state(*path);
    if (!state) {
        return failed(Code::no_domain, "nobody saves to or restores from " + *path);
    }
    return Json{{"pages", state->pages}, {"done", state->done}};
}

} // namespace vmm
