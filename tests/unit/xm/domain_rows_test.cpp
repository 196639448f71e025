// SPDX-License-Identifier: Apache-2.0
#include "toolstack/control/domain_rows.hpp"

#include <catch2/catch.hpp>

using namespace vmm::control;

TEST_CASE("State letters stand in their own places")
{
    Domain_state state;
    CHECK(state.letters() == "------");
    state.running = state.dying = true;
    CHECK(state.letters() == "r----d");
    CHECK(Domain_state::parse("r----d") == state);
    CHECK(Domain_state::parse("rbpscd")->crashed);
    CHECK_FALSE(Domain_state::parse("br----"));
    CHECK_FALSE(Domain_state::parse("r---"));
    CHECK_FALSE(Domain_state::parse(""));
}

TEST_CASE("Rows survive the way through JSON")
{
    Domain_row domain{3, "a", "u", *Domain_state::parse("---s--"), 1024, 512, 2048, 2, 5000000000, "crash"};
    CHECK(domain_row_from_json(to_json(domain)).value() == domain);
    domain.shutdown_reason.reset();
    CHECK(to_json(domain)["shutdown_reason"].is_null());
    CHECK(domain_row_from_json(to_json(domain)).value() == domain);

    Vcpu_row vcpu{3, "a", 1, 7, *Domain_state::parse("-b----"), 42, "0-3", "all"};
    CHECK(vcpu_row_from_json(to_json(vcpu)).value() == vcpu);
    vcpu.cpu.reset();
    CHECK(vcpu_row_from_json(to_json(vcpu)).value() == vcpu);

    const Sched_row share{3, "a", 65535, 150};
    CHECK(sched_row_from_json(to_json(share)).value() == share);
    CHECK_FALSE(sched_row_from_json(to_json(domain)));
}

TEST_CASE("A row with a field missing or wrong names the field")
{
    const Json good = to_json(Domain_row{});
    for (const auto* key : {"domid", "name", "uuid", "state", "memory_kib", "shared_kib", "max_memory_kib",
                            "vcpus", "cpu_time_ns"}) {
        INFO(key);
        const auto message = std::string{"vmmd sent a row whose \""} + key + "\" is missing or wrong";
        Json missing       = good;
        missing.erase(key);
        CHECK(domain_row_from_json(missing).error().message == message);
        Json wrong = good;
        wrong[key] = -1;
        CHECK(domain_row_from_json(wrong).error().message == message);
    }
    Json too_big     = good;
    too_big["domid"] = std::uint64_t{1} << 32;
    CHECK_FALSE(domain_row_from_json(too_big));
    CHECK_FALSE(domain_row_from_json("not an object"));
    CHECK_FALSE(vcpu_row_from_json(Json::object()));
}
