// SPDX-License-Identifier: Apache-2.0
#include "toolstack/build/domain_builder.hpp"

#include "fake_hypervisor.hpp"
#include "made_up_images.hpp"

#include <catch2/catch.hpp>

#include <cstring>
#include <filesystem>
#include <fstream>

#include <xen/grant_table.h>
#include <xen/hvm/params.h>
#include <xen/hvm/save.h>

using namespace vmm;
using namespace vmm::test;

namespace
{

constexpr std::uint64_t kMiB = 1U << 20;

class Files
{
  public:
    Files()
    {
        char name[] = "/tmp/vmm-build-test-XXXXXX";
        directory_  = mkdtemp(name);
    }
    ~Files() { std::filesystem::remove_all(directory_); }
    Files(const Files&)            = delete;
    Files& operator=(const Files&) = delete;

    std::string put(const std::string& name, const Bytes& bytes) const
    {
        const std::string path = directory_ + "/" + name;
        std::ofstream(path, std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
        return path;
    }
    std::string path(const std::string& name) const { return directory_ + "/" + name; }

  private:
    std::string directory_;
};

struct Bench {
    Files files;
    Fake_hypervisor hypervisor;
    Domain_builder builder{hypervisor, hypervisor};
    Bytes kernel =
        make_elf({{{16 * kMiB, pattern(3 * kMiB + 77), 4 * kMiB}, {20 * kMiB, pattern(5000, 2), 2 * kMiB}},
                  16 * kMiB + 0x80});
    Bytes initrd = pattern(2 * kMiB + 3, 9);

    Build_request request(std::uint64_t memory_mib)
    {
        Build_request wanted;
        wanted.kernel       = files.put("vmlinuz", make_bzimage(Compression::zstd, kernel));
        wanted.ramdisk      = files.put("initrd", initrd);
        wanted.command_line = "console=hvc0";
        wanted.memory_kib   = memory_mib * 1024;
        wanted.vcpus        = 2;
        return wanted;
    }
    Result<Built_domain> build(Domid id, const Prepared_domain& prepared, const Progress& progress = {})
    {
        TRY(builder.reserve(id, prepared.layout.pages(), prepared.table_kib));
        return fill_domain(hypervisor, id, prepared, progress);
    }
    Domid empty_domain() { return *hypervisor.create({{}, 2, 0}); }
};

template <class T>
T get(const Fake_domain& domain, std::uint64_t address)
{
    T value;
    std::memcpy(&value, domain.memory + address, sizeof value);
    return value;
}

} // namespace

TEST_CASE("a whole domain is built")
{
    Bench bench;
    const auto prepared = bench.builder.prepare(bench.request(64));
    REQUIRE(prepared);
    const Domid id   = bench.empty_domain();
    const auto built = bench.build(id, *prepared);
    INFO((built ? "" : built.error().message));
    REQUIRE(built);
    const Fake_domain& domain = bench.hypervisor.domain(id);

    CHECK(domain.populated_2m.size() == 32);
    CHECK(domain.populated_4k.size() == 3); // two rings, ACPI
    CHECK(domain.claimed == 0);             // the promise is given back
    CHECK(*domain.views == 0);
    CHECK(domain.memory_map.size() == 3);

    CHECK(domain.read(16 * kMiB, 3 * kMiB + 77) == pattern(3 * kMiB + 77));
    CHECK(domain.read(20 * kMiB, 5000) == pattern(5000, 2));
    const auto info = get<hvm_start_info>(domain, prepared->layout.start_info);
    CHECK(info.magic == XEN_HVM_START_MAGIC_VALUE);
    const auto module = get<hvm_modlist_entry>(domain, info.modlist_paddr);
    CHECK(domain.read(module.paddr, module.size) == bench.initrd);
    CHECK(std::memcmp(domain.memory + info.rsdp_paddr, "RSD PTR ", 8) == 0);

    CHECK(domain.params.at(HVM_PARAM_STORE_PFN) == raw(built->store_page));
    CHECK(domain.params.at(HVM_PARAM_CONSOLE_PFN) == raw(built->console_page));
    CHECK(domain.params.at(HVM_PARAM_STORE_EVTCHN) == raw(built->store_port));
    CHECK(domain.params.at(HVM_PARAM_CONSOLE_EVTCHN) == raw(built->console_port));
    CHECK(built->store_port != built->console_port);
    grant_entry_v1_t grants[2];
    std::memcpy(grants, domain.grant_table.data(), sizeof grants);
    CHECK(grants[0].flags == GTF_permit_access);
    CHECK(grants[0].frame == raw(built->console_page));
    CHECK(grants[1].frame == raw(built->store_page));
    CHECK(grants[1].domid == 0);

    hvm_hw_cpu cpu;
    std::memcpy(&cpu, domain.context.data() + 2 * sizeof(hvm_save_descriptor) + sizeof(hvm_save_header),
                sizeof cpu);
    CHECK(cpu.rip == 16 * kMiB + 0x80);
    CHECK(cpu.rbx == prepared->layout.start_info);
    bench.hypervisor.destroy(id).value();
}

TEST_CASE("odd sizes, scarce large pages and memory above 4 GiB are populated completely")
{
    Bench bench;
    bench.hypervisor.free_pages = 6ULL * 1024 * 256;
    Build_request request       = bench.request(25);
    SECTION("a size that is no multiple of 2 MiB") { request.memory_kib = 25 * 1024 + 4; }
    SECTION("large pages run out") { bench.hypervisor.large_extents = 5; }
    SECTION("beyond the hole") { request.memory_kib = 4500ULL * 1024; }
    const auto prepared = bench.builder.prepare(request);
    REQUIRE(prepared);
    const Domid id = bench.empty_domain();
    REQUIRE(bench.build(id, *prepared));
    const Fake_domain& domain = bench.hypervisor.domain(id);
    CHECK(domain.pages() == request.memory_kib / 4 + 3);
    CHECK(domain.has(prepared->layout.low_ram / kPageSize - 1));
    if (prepared->layout.high_ram != 0) {
        CHECK(domain.has((kHighRamStart + prepared->layout.high_ram) / kPageSize - 1));
        CHECK_FALSE(domain.has(kLowRamEnd / kPageSize));
    }
}

TEST_CASE("too little memory is known before any page is taken, with both figures")
{
    Bench bench;
    bench.hypervisor.free_pages = 30 * 256;
    const auto prepared         = bench.builder.prepare(bench.request(64));
    REQUIRE(prepared);
    const Domid id   = bench.empty_domain();
    const auto built = bench.build(id, *prepared);
    REQUIRE_FALSE(built);
    CHECK(built.error().code == Errc::out_of_memory);
    CHECK(built.error().message.find("needs 67 MiB") !=
          std::string::npos); // RAM, rings, ACPI and page tables
    CHECK(built.error().message.find("30 MiB are free") != std::string::npos);
    CHECK(bench.hypervisor.domain(id).pages() == 0);
}

TEST_CASE("whatever the hypervisor refuses ends the build with an error and no view left")
{
    for (const char* operation :
         {"claim", "set_table_memory", "populate", "set_memory_map", "map", "map_grant_table", "set_param",
          "alloc_unbound", "context", "set_context"}) {
        Bench bench;
        const auto prepared = bench.builder.prepare(bench.request(32));
        REQUIRE(prepared);
        const Domid id = bench.empty_domain();
        bench.hypervisor.order_failure(operation, Errc::io);
        const auto built = bench.build(id, *prepared);
        INFO(operation);
        REQUIRE_FALSE(built);
        CHECK(built.error().code == Errc::io);
        CHECK(*bench.hypervisor.domain(id).views == 0);
    }
}

TEST_CASE("zeros are not copied, but come out as zeros whatever fresh memory holds")
{
    Bench bench;
    const bool debugging          = GENERATE(false, true);
    bench.hypervisor.fresh_memory = debugging ? std::byte{0xc2} : std::byte{0};
    Bytes holey                   = pattern(3 * kMiB);
    std::fill_n(holey.begin() + 5000, kMiB, std::byte{0});
    bench.kernel =
        make_elf({{{16 * kMiB + 0x123, holey, 5 * kMiB}, {24 * kMiB, Bytes(kMiB), 0}}, 16 * kMiB + 0x200});
    const auto prepared = bench.builder.prepare(bench.request(64));
    REQUIRE(prepared);
    const Domid id = bench.empty_domain();
    REQUIRE(bench.build(id, *prepared));
    const Fake_domain& domain = bench.hypervisor.domain(id);
    Bytes expected            = holey;
    expected.resize(5 * kMiB); // what the file does not hold is zero
    CHECK(domain.read(16 * kMiB + 0x123, 5 * kMiB) == expected);
    CHECK(domain.read(24 * kMiB, kMiB) == Bytes(kMiB));
    CHECK(domain.read(raw(kConsolePage) * kPageSize, kPageSize) == Bytes(kPageSize));
    CHECK(domain.read(raw(kStorePage) * kPageSize, kPageSize) == Bytes(kPageSize));
    if (!debugging) {
        CHECK(bench.hypervisor.pages_mapped < (4 + 1) * 256); // 2 MiB of kernel, 2 MiB of initrd, a few pages
    }
}

TEST_CASE("files that cannot be used are named")
{
    Bench bench;
    Build_request request = bench.request(64);
    std::string wanted;
    SECTION("no such kernel")
    {
        request.kernel = wanted = bench.files.path("missing");
        const auto prepared     = bench.builder.prepare(request);
        REQUIRE_FALSE(prepared);
        CHECK(prepared.error().code == Errc::not_found);
    }
    SECTION("not a kernel")
    {
        request.kernel = wanted = bench.files.put("text", pattern(100));
        const auto prepared     = bench.builder.prepare(request);
        REQUIRE_FALSE(prepared);
        CHECK(prepared.error().code == kBadKernel);
    }
    SECTION("no such initrd") { request.ramdisk = wanted = bench.files.path("missing"); }
    SECTION("a directory") { request.ramdisk = wanted = "/tmp"; }
    SECTION("empty") { request.ramdisk = wanted = bench.files.put("empty", {}); }
    const auto prepared = bench.builder.prepare(request);
    REQUIRE_FALSE(prepared);
    CHECK(prepared.error().message.find(wanted) != std::string::npos);
}

TEST_CASE("the kernel cache serves a file again until it changes, and keeps two at most")
{
    Files files;
    Kernel_cache cache;
    const auto write = [&](const char* name, std::size_t size) {
        return files.put(name, make_simple_elf(kMiB, size));
    };
    const std::string a = write("a", 1000);
    const auto first    = cache.get(a);
    REQUIRE(first);
    CHECK(cache.get(a)->get() == first->get());
    CHECK(cache.hits() == 1);
    static_cast<void>(write("a", 2000));
    const auto changed = cache.get(a);
    REQUIRE(changed);
    CHECK((*changed)->elf.segments[0].file_size == 2000);
    CHECK(cache.hits() == 1);
    for (const char* name : {"b", "c", "d"}) {
        REQUIRE(cache.get(write(name, 500)));
        CHECK(cache.size() <= 2);
    }
    CHECK((*first)->elf.segments[0].file_size == 1000); // still whole for whoever holds it
}
