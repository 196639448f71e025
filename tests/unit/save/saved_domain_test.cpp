// SPDX-License-Identifier: Apache-2.0
// The description of a saved domain: as JSON and back, and what of a processor is missed.
#include "save_fixture.hpp"

#include "toolstack/save/saved_domain.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <xen/arch-x86/cpufeatureset.h>

using namespace vmm;
using namespace vmm::save;
using namespace vmm::save::test;
using Json = nlohmann::ordered_json;

namespace
{

Saved_domain example()
{
    Saved_domain domain;
    domain.config.name       = "web";
    domain.config.kernel     = "/boot/vmlinuz";
    domain.config.memory_mib = domain.config.maxmem_mib = 512;
    domain.config.vcpus = domain.config.maxvcpus = 2;
    domain.uuid           = *config::Uuid::parse("01234567-89ab-cdef-0123-456789abcdef");
    domain.static_max_kib = 512 << 10;
    domain.target_kib     = 256 << 10;
    domain.overhead_kib   = 20;
    domain.store_port     = Evtchn_port{1};
    domain.console_port   = Evtchn_port{2};
    domain.memory_kib     = 65536;
    domain.saved_at       = 1800000000;
    domain.hypervisor     = "4.17.plinth";
    domain.cpu_policy     = {{0, 0xffffffff, 0xd, 0x68747541, 0x444d4163, 0x69746e65}, {7, 0, 0, 0x20, 0, 0}};
    return domain;
}

std::string problem(const Json& json)
{
    const auto decoded = decode(bytes_of(json.dump()));
    return decoded ? "none" : decoded.error().message;
}

const std::string kWrong = "the description of the saved domain is wrong: ";

} // namespace

TEST_CASE("A description comes back as it was")
{
    const Saved_domain domain = example();
    const auto decoded        = decode(encode(domain));
    REQUIRE(decoded);
    CHECK(*decoded == domain);
}

TEST_CASE("The states of disks come back too, and make sense")
{
    Saved_domain domain = example();
    domain.disks        = {{"xvda", "/srv/a.qcow2.frozen"}, {"xvdb", "/srv/b.qcow2.frozen"}};
    const auto decoded  = decode(encode(domain));
    REQUIRE(decoded);
    CHECK(*decoded == domain);
    Json json = Json::parse(text_of(encode(domain)));
    for (const char* const wrong : {"7", "[7]", R"([{"vdev": "xvda"}])", R"([{"vdev": 7, "base": "/a"}])",
                                    R"([{"vdev": "xvda", "base": "a"}])"}) {
        INFO(wrong);
        json["disks"] = Json::parse(wrong);
        CHECK(problem(json).starts_with(kWrong));
    }
}

TEST_CASE("A generation comes back too, and makes sense")
{
    Saved_domain domain = example();
    domain.generation   = config::Generation_id{7, 0xffff'ffff'ffff'ffff};
    const auto decoded  = decode(encode(domain));
    REQUIRE(decoded);
    CHECK(*decoded == domain);
    Json json = Json::parse(text_of(encode(domain)));
    for (const char* const wrong : {"7", "null", R"("7")", R"("7:8:9")"}) {
        INFO(wrong);
        json["generation_id"] = Json::parse(wrong);
        CHECK_THAT(problem(json), Catch::StartsWith(kWrong + "'generation_id'"));
    }
}

TEST_CASE("Each field must be there and of its kind")
{
    const Json whole = Json::parse(text_of(encode(example())));
    CHECK(problem(whole) == "none");
    CHECK(whole.size() == 11);
    for (const auto& [field, value] : whole.items()) {
        Json without = whole;
        without.erase(field);
        CHECK(problem(without) == kWrong + "it has no field '" + field + "'");
        for (const Json& other : {Json(nullptr), Json(-1), Json(1.5), Json(Json::object())}) {
            Json wrong   = whole;
            wrong[field] = other;
            INFO(field << " = " << other);
            CHECK_THAT(problem(wrong), Catch::StartsWith(kWrong));
        }
    }
}

TEST_CASE("Values that cannot be are refused")
{
    const Json whole      = Json::parse(text_of(encode(example())));
    const auto with_field = [&](const char* field, const Json& value) {
        Json json   = whole;
        json[field] = value;
        return problem(json);
    };
    CHECK(with_field("target_kib", (512 << 10) + 1) ==
          kWrong + "'target_kib' is not a whole number from 1 to 524288");
    CHECK(with_field("store_port", 0) == kWrong + "'store_port' is not a whole number from 1 to 131071");
    CHECK(with_field("memory_kib", 0).starts_with(kWrong + "'memory_kib' is not a whole number from 1 to "));
    CHECK_THAT(with_field("uuid", "x"), Catch::StartsWith(kWrong + "'uuid': "));
    CHECK_THAT(with_field("config", Json::object()), Catch::StartsWith(kWrong + "its configuration: "));
    for (const auto& leaf :
         {Json::array({0, 0, 0, 0, 0, 1ULL << 32}), Json::array({0, 0, 0, 0, 0}), Json(1)}) {
        CHECK(with_field("cpu_policy", Json::array({leaf})) ==
              kWrong + "'cpu_policy' has an entry that is not six 32-bit numbers");
    }
    CHECK(with_field("cpu_policy", 1) == kWrong + "'cpu_policy' is not a list of at most 512 leaves");
    CHECK(with_field("of_a_later_version", "x") == "none");
}

TEST_CASE("What is no JSON object is refused, however deep it is")
{
    for (const std::string& text :
         {std::string(), std::string("{"), std::string("[]"), std::string("{}x"), std::string("\xff\xfe"),
          std::string(1 << 16, '['), std::string(1 << 16, '[') + std::string(1 << 16, ']')}) {
        const auto decoded = decode(bytes_of(text));
        REQUIRE_FALSE(decoded);
        CHECK(decoded.error().message == kWrong + "it is not a JSON object");
    }
}
