// SPDX-License-Identifier: Apache-2.0
#include "toolstack/control/line_splitter.hpp"

#include <catch2/catch.hpp>
#include <vector>

using vmm::control::Line_splitter;

TEST_CASE("Lines come out whole wherever the stream is cut")
{
    const std::string stream = "one\n\nthree\nrest";
    for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
        Line_splitter splitter{100};
        std::vector<std::string> lines;
        for (const auto& piece : {stream.substr(0, cut), stream.substr(cut)}) {
            splitter.feed(piece);
            for (auto line = splitter.next(); *line; line = splitter.next())
                lines.push_back(**line);
        }
        CHECK(lines == std::vector<std::string>{"one", "", "three"});
        CHECK(splitter.has_partial_line());
    }
}

TEST_CASE("A line at the limit passes, a longer one is an error, finished or not")
{
    Line_splitter splitter{4};
    splitter.feed("1234\n");
    CHECK(splitter.next().value() == "1234");
    CHECK_FALSE(splitter.has_partial_line());
    splitter.feed("1234");
    CHECK(splitter.next().value() == std::nullopt);
    splitter.feed("5");
    CHECK_FALSE(splitter.next());

    Line_splitter other{4};
    other.feed("12345\n");
    CHECK_FALSE(other.next());
}
