// SPDX-License-Identifier: Apache-2.0
// One disk of a domain: what of dom0 it shows to the guest, as what, and what the guest may do with it. The
// text form is an entry of `disk = [ ... ]` as xl-disk-configuration(5) has it, in the positional and in the
// key=value spelling. Whether the target exists is found out by who opens it.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <nlohmann/json_fwd.hpp>

namespace vmm::config
{

enum class Disk_format { raw, qcow, qcow2, qed, vhd, vhdx, vmdk, vdi, luks };

// Shared: writable although others may write it too, which only cluster file systems and careful people
// survive.
enum class Disk_access { read_only, read_write, shared };

// Who serves it in dom0: the kernel from a block device, or vmm-blkback, if need be over QEMU's block layer.
enum class Disk_backend { automatic, phy, qdisk };

[[nodiscard]] std::string_view to_string(Disk_format format);
[[nodiscard]] std::string_view to_string(Disk_access access);
[[nodiscard]] std::string_view to_string(Disk_backend backend);
[[nodiscard]] std::optional<Disk_format> parse_disk_format(std::string_view text);
[[nodiscard]] std::optional<Disk_access> parse_disk_access(std::string_view text);
[[nodiscard]] std::optional<Disk_backend> parse_disk_backend(std::string_view text);

struct Disk {
    std::string target;     // absolute path in dom0, or nbd://... ; empty for a CD-ROM drive without a disc
    std::string vdev;       // as the user wrote it: "xvda"
    std::string key_file{}; // absolute path in dom0: the passphrase of an encrypted image, as it is
    Disk_format format   = Disk_format::raw;
    Disk_access access   = Disk_access::read_write;
    Disk_backend backend = Disk_backend::automatic;
    bool cdrom           = false;
    bool discard         = true; // what the guest discards is punched out of the target
    bool direct_io_safe  = false;

    [[nodiscard]] bool is_remote() const; // an NBD export on the network
    [[nodiscard]] bool is_empty() const { return target.empty(); }
    [[nodiscard]] std::uint32_t number() const; // only of a disk that passed check_disk

    friend bool operator==(const Disk&, const Disk&) = default;
};

// How the parts fit together; the error is a clause that begins with the part's name.
[[nodiscard]] std::expected<void, std::string> check_disk(const Disk& disk);

// What is wrong with the text of a disk, and at which character of it (from 0).
struct Disk_error {
    std::size_t at = 0;
    std::string message;
};

[[nodiscard]] std::expected<Disk, Disk_error> parse_disk(std::string_view text);
// In the key=value spelling, the target last; reading it back gives the same disk.
[[nodiscard]] std::string write_disk(const Disk& disk);

[[nodiscard]] nlohmann::ordered_json to_json(const Disk& disk);
[[nodiscard]] std::expected<Disk, std::string> disk_from_json(const nlohmann::ordered_json& json);

} // namespace vmm::config
