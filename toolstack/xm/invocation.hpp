// SPDX-License-Identifier: Apache-2.0
// One command being run: its options and words, where its output goes, and the connection to vmmd, made when
// first needed so that `help` and `create -n` work without one. Commands reach the world through this alone,
// which is how the tests run them.
#pragma once

#include "toolstack/xm/exit_code.hpp"

#include <boost/program_options/variables_map.hpp>

#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace vmm::xm
{

using control::Json;

struct Io {
    std::ostream& out;
    std::ostream& err;
    int in_fd  = 0; // the console reads and writes raw bytes
    int out_fd = 1;
};

class Invocation
{
  public:
    Invocation(Io& io, boost::program_options::variables_map options, std::vector<std::string> words)
        : io_(io), options_(std::move(options)), words_(std::move(words))
    {
    }

    [[nodiscard]] Io& io() const { return io_; }
    [[nodiscard]] std::ostream& out() const { return io_.out; }
    [[nodiscard]] const std::vector<std::string>& words() const { return words_; }
    [[nodiscard]] const std::string& word(std::size_t i) const { return words_.at(i); }
    [[nodiscard]] bool has(const char* option) const { return options_.count(option) > 0; }
    [[nodiscard]] bool json() const { return has("json"); }

    template <class T>
    [[nodiscard]] std::optional<T> option(const char* name) const
    {
        return has(name) ? std::optional<T>{options_[name].template as<T>()} : std::nullopt;
    }

    [[nodiscard]] Outcome<control::Client*> vmmd();
    [[nodiscard]] Outcome<Json> call(std::string_view op, Json args = Json::object());

    // With --json, prints the result; says whether it did, so that a command goes on to its own form if not.
    bool print_json(const Json& result) const;
    void warn(const std::string& message) const; // to stderr, one line

  private:
    Io& io_;
    boost::program_options::variables_map options_;
    std::vector<std::string> words_;
    std::optional<control::Client> vmmd_;
};

// A field of an answer; an answer without it is vmmd's fault and an error, not a crash.
[[nodiscard]] Outcome<std::uint64_t> number_field(const Json& answer, const char* field);
[[nodiscard]] Outcome<std::string> text_field(const Json& answer, const char* field);
[[nodiscard]] Outcome<Json> list_field(const Json& answer, const char* field);

// One line for a terminal: control characters in what a guest or a peer chose become '?'.
[[nodiscard]] std::string one_line(std::string_view text);

} // namespace vmm::xm
