// SPDX-License-Identifier: Apache-2.0
// From the words of the command line to a command's function and back to an exit code. Boost.Program_options
// reports mistakes by throwing; they are caught here and nowhere else.
#include "toolstack/xm/command.hpp"

#include "toolstack/config/nearest.hpp"

#include <boost/program_options/parsers.hpp>
#include <boost/program_options/positional_options.hpp>

namespace vmm::xm
{

namespace
{

namespace po = boost::program_options;

struct Parsed_line {
    po::variables_map options;
    std::vector<std::string> words;
};

std::string see_help(const Command& command)
{
    return "; 'xm help " + std::string{command.name} + "' shows how";
}

Outcome<Parsed_line> parse(const Command& command, std::span<const std::string> arguments)
{
    static constexpr const char* kWords = "words"; // Boost gives words a hidden option of their own
    // Guessing would make a script's "--pa" change its meaning when an option is added.
    static constexpr int kStyle =
        po::command_line_style::unix_style & ~static_cast<int>(po::command_line_style::allow_guessing);
    try {
        Options all = options_of(command);
        all.add_options()(kWords, po::value<std::vector<std::string>>());
        po::positional_options_description positions;
        positions.add(kWords, -1);

        Parsed_line line;
        po::store(po::command_line_parser(std::vector<std::string>(arguments.begin(), arguments.end()))
                      .options(all)
                      .positional(positions)
                      .style(kStyle)
                      .run(),
                  line.options);
        po::notify(line.options);
        if (line.options.count(kWords) > 0)
            line.words = line.options[kWords].as<std::vector<std::string>>();
        return line;
    } catch (const po::error& error) {
        return usage_error(error.what() + see_help(command));
    }
}

Outcome<> check_words(const Command& command, std::size_t count)
{
    if (count < command.words.least)
        return usage_error("expected " + std::string{command.synopsis} + see_help(command));
    if (count > command.words.most)
        return usage_error("too many words" + see_help(command));
    return {};
}

std::unexpected<Failure> unknown_command(const std::string& name)
{
    std::vector<std::string_view> names;
    for (const auto& command : commands())
        names.push_back(command.name);
    const auto close = config::nearest(name, names);
    return usage_error(
        "unknown command \"" + name +
        "\": " + (close ? "did you mean \"" + std::string{*close} + "\"?" : "'xm help' lists them all"));
}

Outcome<> run_command(const Command& command, std::span<const std::string> arguments, Io& io, bool& json)
{
    auto line = TRY(parse(command, arguments));
    json      = line.options.count("json") > 0;
    if (line.options.count("help") > 0) {
        print_help(command, io.out);
        return {};
    }
    TRY(check_words(command, line.words.size()));
    Invocation invocation{io, std::move(line.options), std::move(line.words)};
    return command.run(invocation);
}

int report(const Failure& failure, std::string_view command, bool json, std::ostream& err)
{
    if (json) {
        const Json object{{"error", {{"code", failure.code}, {"message", failure.message}}}};
        err << object.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
    } else {
        err << "xm" << (command.empty() ? "" : " ") << command << ": " << one_line(failure.message) << '\n';
    }
    err.flush();
    return static_cast<int>(failure.exit);
}

Outcome<> flush(std::ostream& out)
{
    out.flush();
    if (!out)
        return failed("the output could not be written");
    return {};
}

} // namespace

Options options_of(const Command& command)
{
    Options options{"Options"};
    if (command.add_options != nullptr)
        command.add_options(options);
    options.add_options()("json", "print JSON, also for errors")("help,h", "show this text");
    return options;
}

int run(std::span<const std::string> arguments, Io& io)
{
    std::string name = arguments.empty() ? "help" : arguments.front();
    if (name == "--help" || name == "-h")
        name = "help";
    const Command* const command = find_command(name);
    bool json                    = false;
    if (command == nullptr)
        return report(unknown_command(name).error(), "", json, io.err);

    auto outcome = run_command(*command, arguments.empty() ? arguments : arguments.subspan(1), io, json);
    if (outcome)
        outcome = flush(io.out);
    if (!outcome)
        return report(outcome.error(), command->name, json, io.err);
    return static_cast<int>(arguments.empty() ? Exit::usage : Exit::ok);
}

} // namespace vmm::xm
