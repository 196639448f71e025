// SPDX-License-Identifier: Apache-2.0
// Where configuration text comes from and how a place in it is told to a person: "demo.cfg:3:7" in a file,
// "memory=lots, column 8" in an argument of the command line. Lines and columns count from 1, columns in
// characters.
#pragma once

#include <memory>
#include <string>

namespace vmm::config
{

struct Position {
    unsigned line   = 1;
    unsigned column = 1;

    friend bool operator==(const Position&, const Position&) = default;
};

struct Source {
    enum class Kind { file, argument };

    Kind kind = Kind::file;
    std::string name; // the path as the user gave it, or the argument itself

    [[nodiscard]] std::string place(Position at) const
    {
        const auto column = std::to_string(at.column);
        return kind == Kind::argument ? name + ", column " + column
                                      : name + ":" + std::to_string(at.line) + ":" + column;
    }
};

using Source_ptr = std::shared_ptr<const Source>; // shared by every value read from it

// An error or a warning about configuration text, one line.
struct Diagnostic {
    std::string place;
    std::string message;

    [[nodiscard]] std::string to_string() const { return place + ": " + message; }
    friend bool operator==(const Diagnostic&, const Diagnostic&) = default;
};

} // namespace vmm::config
