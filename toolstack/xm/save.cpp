// SPDX-License-Identifier: Apache-2.0
// save, checkpoint, restore: a domain to a file and back, with a bar of progress on a terminal.
#include "toolstack/xm/bar.hpp"
#include "toolstack/xm/command.hpp"

#include <boost/program_options/value_semantic.hpp>

#include <filesystem>

namespace vmm::xm
{

namespace
{

using control::Client;

constexpr auto kBetweenLooks = std::chrono::milliseconds(250);

Outcome<std::string> absolute(const std::string& path)
{
    if (path.empty())
        return usage_error("the name of the file is empty");
    std::error_code error;
    const auto found = std::filesystem::absolute(path, error);
    if (error)
        return failed("cannot tell the current directory, from which " + path +
                      " counts: " + error.message());
    return found.lexically_normal().string();
}

// Performs the operation and shows how far the file at `path` is meanwhile.
Outcome<Json> call_with_bar(Invocation& invocation, std::string_view op, const Json& args,
                            const std::string& path)
{
    Bar bar(invocation.io().err);
    if (!bar.shown())
        return invocation.call(op, args);
    auto* const vmmd   = TRY(invocation.vmmd());
    const auto request = vmmd->start(op, args);
    if (!request)
        return std::unexpected(to_failure(request.error()));
    for (;;) {
        auto answer = vmmd->finish(*request, Client::Clock::now() + kBetweenLooks);
        if (answer)
            return *answer;
        if (answer.error().kind != control::Call_failure::Kind::timed_out)
            return std::unexpected(to_failure(answer.error()));
        if (const auto state = vmmd->call(control::op::progress, {{"path", path}}))
            bar.show(TRY(number_field(*state, "done")), TRY(number_field(*state, "pages")));
    }
}

// `after`: what becomes of the domain if nothing else was said.
Outcome<> write_file(Invocation& invocation, const char* after, bool disks)
{
    const auto compression = invocation.option<std::string>("compress").value_or("zstd");
    if (compression != "zstd" && compression != "none")
        return usage_error("--compress is zstd or none, not \"" + compression + "\"");
    const auto path = TRY(absolute(invocation.word(1)));
    const Json args{{"domain", invocation.word(0)},
                    {"path", path},
                    {"compress", compression},
                    {"after", invocation.has("paused") ? "pause" : after},
                    {"disks", disks}};
    const auto answer = TRY(call_with_bar(invocation, control::op::save, args, path));
    if (invocation.print_json(answer) || !disks)
        return {};
    for (const Json& disk : TRY(list_field(answer, "disks")))
        invocation.out() << "disk " << TRY(text_field(disk, "vdev")) << " is frozen as "
                         << TRY(text_field(disk, "base")) << '\n';
    return {};
}

} // namespace

void save_options(Options& options)
{
    auto* const compression = boost::program_options::value<std::string>()->value_name("zstd|none");
    options.add_options()("checkpoint,c", "let it run on afterwards")(
        "snapshot", "freeze its disks as well, and let it run on: as xm checkpoint")(
        "paused,p", "keep it, paused, afterwards")("compress", compression,
                                                   "how the file is compressed (zstd)");
}

void checkpoint_options(Options& options)
{
    auto* const compression = boost::program_options::value<std::string>()->value_name("zstd|none");
    options.add_options()("paused,p", "keep it paused afterwards")("compress", compression,
                                                                   "how the file is compressed (zstd)");
}

Outcome<> save(Invocation& invocation)
{
    if (invocation.has("checkpoint") && invocation.has("paused"))
        return usage_error("--checkpoint lets the domain run on, --paused does not: give one of them");
    if (invocation.has("snapshot"))
        return checkpoint(invocation);
    return write_file(invocation, invocation.has("checkpoint") ? "run" : "destroy", false);
}

Outcome<> checkpoint(Invocation& invocation) { return write_file(invocation, "run", true); }

void restore_options(Options& options) { options.add_options()("paused,p", "leave it paused"); }

Outcome<> restore(Invocation& invocation)
{
    const auto path   = TRY(absolute(invocation.word(0)));
    const auto answer = TRY(call_with_bar(invocation, control::op::restore,
                                          {{"path", path}, {"paused", invocation.has("paused")}}, path));
    const auto id     = std::to_string(TRY(number_field(answer, "domid")));
    if (invocation.print_json(answer))
        return {};
    invocation.out() << TRY(text_field(answer, "name")) << " has been restored with id " << id << '\n';
    for (const Json& disk : TRY(list_field(answer, "set_aside")))
        invocation.out() << "disk " << TRY(text_field(disk, "vdev")) << ": what was at "
                         << TRY(text_field(disk, "target")) << " is " << TRY(text_field(disk, "now"))
                         << " now\n";
    return {};
}

} // namespace vmm::xm
