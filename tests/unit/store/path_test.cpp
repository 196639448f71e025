// SPDX-License-Identifier: Apache-2.0
#include "toolstack/store/path.hpp"

#include <catch2/catch.hpp>

using namespace vmm;
using namespace vmm::store;

namespace
{

Path path(std::string_view text) { return *Path::parse(text, "/base"); }

} // namespace

TEST_CASE("absolute and relative paths")
{
    CHECK(path("/").text() == "/");
    CHECK(path("/a/b").text() == "/a/b");
    CHECK(path("x/y").text() == "/base/x/y");
    CHECK(path("/A-z_0@9").text() == "/A-z_0@9");
}

TEST_CASE("invalid paths are refused")
{
    for (const std::string_view bad :
         {"", "//", "/a/", "a/", "/a//b", "/a b", "/a.b", "@a", "/a\n", "/\xc3\xa4", "/a+b"}) {
        const auto parsed = Path::parse(bad, "/base");
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error().code == Errc::invalid);
    }
    CHECK_FALSE(Path::parse(std::string_view("/a\0b", 4), "/"));
}

TEST_CASE("the length limit does not count a domain's own prefix")
{
    const std::string longest = "/" + std::string(2047, 'x');
    CHECK(Path::parse(longest, "/"));
    CHECK_FALSE(Path::parse(longest + "x", "/"));
    const std::string below_domain = "/local/domain/12345/" + std::string(2048, 'x');
    CHECK(Path::parse(below_domain, "/"));
    CHECK_FALSE(Path::parse(below_domain + "x", "/"));
    CHECK_FALSE(Path::parse("/local/domain/123456/" + std::string(2048, 'x'), "/"));
    CHECK_FALSE(Path::parse("/local/domain//" + std::string(2048, 'x'), "/"));
}

TEST_CASE("parts, parent, leaf, child")
{
    const Path root = Path::root();
    const Path deep = path("/a/bc/d");
    CHECK(root.parts().empty());
    CHECK(root.leaf().empty());
    CHECK(deep.parts() == std::vector<std::string_view>{"a", "bc", "d"});
    CHECK(deep.leaf() == "d");
    CHECK(path("/a/b").parent() == path("/a"));
    CHECK(path("/a").parent() == Path::root());
    CHECK(Path::root().parent() == Path::root());
    CHECK(Path::root().child("a").child("b") == path("/a/b"));
    CHECK(path("/a/b/c").first_parts(0) == Path::root());
    CHECK(path("/a/b/c").first_parts(2) == path("/a/b"));
    CHECK(path("/a/b/c").first_parts(3) == path("/a/b/c"));
    CHECK(path("/a/b/c").first_parts(9) == path("/a/b/c"));
}
