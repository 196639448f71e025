// SPDX-License-Identifier: Apache-2.0
//
// The few functions of a C library that the decoders call, and the surroundings they were compiled for:
// a stack-protector canary at %fs:0x28 and a usable FPU. Machine only; hosted tests have a C library.
#include "dom0/decompress.hpp"

#if !__STDC_HOSTED__

#include "arch/x86/cpu/msr.hpp"
#include "base/panic.hpp"
#include "base/string.hpp"
#include "mm/heap.hpp"

#include <lzma.h>

namespace vmm
{
namespace
{

constexpr u32 kMsrFsBase = 0xc0000100;

// What the thread pointer of the libraries points at; the canary is at 0x28. [System V ABI, TLS]
constinit std::array<u64, 8> thread_block = {0, 0, 0, 0, 0, 0x5bd1e995a7c6f300, 0, 0};

} // namespace

Library_scope::Library_scope() : saved_fs_base_(read_msr(kMsrFsBase))
{
    write_msr(kMsrFsBase, reinterpret_cast<u64>(thread_block.data()));
    asm volatile("fninit");
}

Library_scope::~Library_scope() { write_msr(kMsrFsBase, saved_fs_base_); }

} // namespace vmm

extern "C" {

void* malloc(std::size_t bytes) { return vmm::heap::allocate(bytes); }
void free(void* object) { vmm::heap::release(object); }

void* calloc(std::size_t count, std::size_t size)
{
    std::size_t bytes = 0;
    return __builtin_mul_overflow(count, size, &bytes) ? nullptr : vmm::heap::allocate_zeroed(bytes);
}

void* memchr(const void* in, int c, std::size_t n)
{
    const auto* at = static_cast<const unsigned char*>(in);
    for (std::size_t i = 0; i < n; ++i) {
        if (at[i] == static_cast<unsigned char>(c))
            return const_cast<unsigned char*>(at + i);
    }
    return nullptr;
}

[[noreturn]] void __stack_chk_fail() { PANIC("a decoder overran its stack frame"); }

// Instead of liblzma's own, which picks its implementation in a constructor that nobody would run. XZ files
// of kernels carry CRC32; others are rare and this is fast enough. [ECMA-182, reflected]
std::uint64_t lzma_crc64(const std::uint8_t* data, std::size_t n, std::uint64_t crc)
{
    crc = ~crc;
    for (std::size_t i = 0; i < n; ++i) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; ++bit)
            crc = (crc >> 1) ^ (0xc96c5795d7870f42 & (0 - (crc & 1)));
    }
    return ~crc;
}

} // extern "C"

#endif
