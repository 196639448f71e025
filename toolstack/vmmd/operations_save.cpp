// SPDX-License-Identifier: Apache-2.0
// The operations about domains in files, and about copies of domains.
#include "toolstack/config/domain_config_json.hpp"
#include "toolstack/vmmd/answers.hpp"
#include "toolstack/vmmd/operations.hpp"

#include <algorithm>
#include <utility>

namespace vmm
{

using control::Code;
using control::Failure;
using control::Json;

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

Json disks_answer(const Supervisor::Frozen_disks& disks)
{
    Json list = Json::array();
    for (const save::Frozen_disk& disk : disks) {
        list.push_back({{"vdev", disk.vdev}, {"base", disk.base}});
    }
    return list;
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
    const auto disks = flag_argument(args, "disks");
    if (const Failure* const wrong = first_refusal(found, path, compression, after, disks)) {
        client.answer(std::unexpected(*wrong));
        return {};
    }
    const auto begun = supervisor_.save(
        {found->id, *path, *compression, *after, *disks,
         [client, target = *found, path = *path](const Result<Supervisor::Frozen_disks>& saved) {
             if (saved) {
                 client.answer(
                     Json{{"domid", raw(target.id)}, {"path", path}, {"disks", disks_answer(*saved)}});
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
    creation.done         = [this, client, parent = found->name,
                     asked = creation.config.disks](const Result<Domid>& made) {
        if (!made) {
            client.answer(failed(
                        Error{made.error().code, "\"" + parent + "\" was not forked: " + made.error().message}));
            return;
        }
        Json disks = Json::array();
        for (const config::Disk& disk : supervisor_.domains().find(*made)->config.disks) {
            if (std::ranges::find(asked, disk) == asked.end()) { // it has got a place of its own
                disks.push_back({{"vdev", disk.vdev}, {"target", disk.target}});
            }
        }
        answer_made(client, made, {{"disks", disks}});
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
    creation.image     = *path;
    creation.paused    = *paused;
    creation.set_aside = std::make_shared<std::vector<Supervisor::Disk_aside>>();
    const auto moved   = [set_aside = creation.set_aside] {
        Json disks = Json::array();
        for (const Supervisor::Disk_aside& disk : *set_aside) {
            disks.push_back({{"vdev", disk.vdev}, {"target", disk.image}, {"now", disk.now}});
        }
        return Json{{"set_aside", disks}};
    };
    return begin(std::move(creation), client, moved);
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
