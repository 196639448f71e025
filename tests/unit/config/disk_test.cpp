// SPDX-License-Identifier: Apache-2.0
// The text of a disk in every spelling that xl-disk-configuration(5) allows, and what is wrong with wrong
// ones.
#include "toolstack/config/disk.hpp"
#include "toolstack/config/virtual_disk_number.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>

using namespace vmm::config;

namespace
{

std::string shown_disk(std::string_view text)
{
    const auto disk = parse_disk(text);
    if (!disk)
        return std::to_string(disk.error().at) + " " + disk.error().message;
    CHECK(parse_disk(write_disk(*disk)) == *disk);
    CHECK(disk_from_json(to_json(*disk)) == *disk);
    return write_disk(*disk);
}

std::string number_of(std::string_view name)
{
    const auto number = virtual_disk_number(name);
    return number ? std::to_string(*number) : number.error();
}

} // namespace

TEST_CASE("One disk, however it is spelt")
{
    const std::string wanted = "vdev=hda, format=raw, access=rw, target=/dev/vg/guest-volume";
    for (const auto* text :
         {"/dev/vg/guest-volume,,hda", "/dev/vg/guest-volume,raw,hda,rw", "/dev/vg/guest-volume, raw, hda, w",
          "vg/guest-volume,raw,hda", "format=raw, vdev=hda, access=rw, target=/dev/vg/guest-volume",
          "vdev=hda,target=/dev/vg/guest-volume", "raw:/dev/vg/guest-volume,hda,w",
          "file:/dev/vg/guest-volume,hda,w", "tap:aio:/dev/vg/guest-volume,hda:disk,w",
          "/dev/vg/guest-volume,vdev=hda,format=raw", "/dev/vg/guest-volume,raw,hda,rw,",
          "format=raw,backend=0,specification=xen,vdev=hda,devtype=disk,discard,target=/dev/vg/"
          "guest-volume"}) {
        INFO(text);
        CHECK(shown_disk(text) == wanted);
    }
}

TEST_CASE("One CD-ROM, however it is spelt")
{
    const std::string wanted = "vdev=hdc, format=raw, access=ro, devtype=cdrom, target=/root/image.iso";
    for (const auto* text : {"/root/image.iso,,hdc,cdrom", "/root/image.iso,,hdc,,cdrom",
                             "/root/image.iso,raw,hdc,devtype=cdrom",
                             "format=raw, vdev=hdc, access=ro, devtype=cdrom, target=/root/image.iso",
                             "raw:/root/image.iso,hdc:cdrom,ro"}) {
        INFO(text);
        CHECK(shown_disk(text) == wanted);
    }
    CHECK(shown_disk(",empty,hdc,cdrom") == "vdev=hdc, format=raw, access=ro, devtype=cdrom, target=");
}

TEST_CASE("What a disk can be besides")
{
    CHECK(shown_disk("phy:/dev/sdb,xvdb,r") == "vdev=xvdb, format=raw, access=ro, target=/dev/sdb");
    CHECK(shown_disk("qcow2:/a.img,xvda,w!") == "vdev=xvda, format=qcow2, access=w!, target=/a.img");
    CHECK(shown_disk("/a.vmdk,vmdk,xvda,no-discard,direct-io-safe") ==
          "vdev=xvda, format=vmdk, access=rw, no-discard, direct-io-safe, target=/a.vmdk");
    CHECK(shown_disk("/a,vpc,sda1,backendtype=qdisk") ==
          "vdev=sda1, format=vhd, access=rw, backendtype=qdisk, target=/a");
    CHECK(shown_disk("vdev=xvda,target=nbd://store/x,y=1") ==
          "vdev=xvda, format=raw, access=rw, target=nbd://store/x,y=1");
    CHECK(shown_disk("nbd+unix:///x?socket=/run/n,raw,xvda") ==
          "vdev=xvda, format=raw, access=rw, target=nbd+unix:///x?socket=/run/n");
    // A path may have commas and equals signs, if it comes last and by name.
    CHECK(shown_disk("vdev=xvda, target=/a,b=c.img") ==
          "vdev=xvda, format=raw, access=rw, target=/a,b=c.img");
    CHECK(shown_disk("/a=b.img,,xvda") == "vdev=xvda, format=raw, access=rw, target=/a=b.img");
}

TEST_CASE("What is wrong with a disk, and where")
{
    const std::pair<const char*, const char*> cases[] = {
        {"", "0 vdev: is missing: say what the guest sees it as, like \"xvda\""},
        {"/a", "0 vdev: is missing: say what the guest sees it as, like \"xvda\""},
        {"vdev=xvda", "0 target: is missing: name a file or block device of Domain-0"},
        {"/a,,xvdA", "0 vdev: \"xvdA\" is not the name of a virtual disk: give a name like \"xvda\", "
                     "\"sda1\", \"hda\" or "
                     "\"d0p0\""},
        {"/a, raw, xvda, x",
         "15 access: \"x\" is not an access mode: give \"ro\", \"rw\", or \"w!\" for a disk that others "
         "write too"},
        {"/a,,xvda,w,more",
         "11 \"more\": nothing more is expected here; the order is target, format, vdev, access"},
        {"/a,,xvda,acess=r", "9 unknown parameter \"acess\": did you mean \"access\"?"},
        {"/a,,xvda,color=red", "9 unknown parameter \"color\": xm.cfg(5) lists those there are"},
        {"/a,raw,xvda,format=raw", "12 format: is given twice"},
        {"/a,,xvda,devtype=tape", "9 devtype: \"tape\" is not a type of disk: give \"disk\" or \"cdrom\""},
        {"/a,,xvda,backendtype=tap",
         "9 backendtype: \"tap\" is not supported: leave it out, or give \"phy\" or \"qdisk\""},
        {"/a,,xvda,backend=storage",
         "9 backend: driver domains are not supported yet: disks come from Domain-0"},
        {"/a,,xvda,script=x",
         "9 script: block scripts are not supported: make the device in Domain-0 and give its path"},
        {"drbd:r0,xvda,w",
         "0 target: \"drbd\": block scripts are not supported: make the device in Domain-0 and give its "
         "path"},
        {"/a,,hdc,rw,cdrom", "0 access: a CD-ROM is read-only: give \"ro\" or leave it out"},
        {"/a,luks,xvda", "0 key-file: is missing: name the file with the passphrase of the luks image"},
        {"/a,raw,xvda,w,key-file=/k", "0 key-file: is for images of format \"luks\" or \"qcow2\""},
        {"/a,luks,xvda,w,key-file=k", "0 key-file: \"k\" is not an absolute path without commas"},
        {"/a,qcow2,xvda,backendtype=phy", "0 backendtype: \"phy\" serves raw images and block devices only"},
        {"target=nbd://h/x", "0 vdev: is missing: say what the guest sees it as, like \"xvda\""},
        {"format=qcow2,vdev=xvda,target=nbd://h/x",
         "0 format: an NBD export is \"raw\": whoever serves it knows the format"},
    };
    for (const auto& [text, message] : cases)
        CHECK(shown_disk(text) == message);
}

TEST_CASE("Names of virtual disks and their numbers")
{
    const std::pair<const char*, const char*> cases[] = {
        {"xvda", "51712"},     {"xvda1", "51713"},      {"xvdb", "51728"},      {"xvdp15", "51967"},
        {"xvdq", "268439552"}, {"xvda16", "268435472"}, {"xvdaa", "268442112"}, {"d0p0", "51712"},
        {"d1", "51728"},       {"d16p3", "268439555"},  {"sda", "2048"},        {"sdb1", "2065"},
        {"sdp15", "2303"},     {"hda", "768"},          {"hdb1", "833"},        {"hdc", "5632"},
        {"hdd63", "5759"},     {"51712", "51712"},      {"0xca00", "51712"},
    };
    for (const auto& [name, number] : cases) {
        INFO(name);
        CHECK(number_of(name) == number);
    }
    for (const auto* name : {"", "xvd", "xvda0", "xvda01", "xvd1", "sd", "hda-1", "da", "d", "d0p", "dp0",
                             "d01", "vda", "1x", "0x20000000", "99999999999999999999", "xvdaaaaaaaaaaaaaa"}) {
        INFO(name);
        CHECK(number_of(name).find("is not the name of a virtual disk") != std::string::npos);
    }
    CHECK(number_of("hde") == "\"hde\" is out of range: hd names have 4 disks and partitions up to 63");
    CHECK(number_of("sdq") == "\"sdq\" is out of range: sd names have 16 disks and partitions up to 15");
    CHECK(number_of("sda16") == "\"sda16\" is out of range: sd names have 16 disks and partitions up to 15");
    CHECK(number_of("xvda256") ==
          "\"xvda256\" is out of range: xvd names have 1048576 disks and partitions up to 255");
    CHECK(number_of("d1048576p0") ==
          "\"d1048576p0\" is out of range: xvd names have 1048576 disks and partitions up to 255");
}

TEST_CASE("A disk as JSON is read strictly")
{
    const auto problem = [](const char* text) {
        const auto disk = disk_from_json(nlohmann::ordered_json::parse(text));
        return disk ? "none" : disk.error();
    };
    CHECK(problem(R"({"vdev":"xvda","target":"/a"})") == "none");
    CHECK(problem(R"(["xvda"])") == "expected a JSON object");
    CHECK(problem(R"({"vdev":"xvda","target":3})") == "target: expected a string");
    CHECK(problem(R"({"vdev":"xvda","target":"/a","cdrom":1})") == "cdrom: expected true or false");
    CHECK(problem(R"({"vdev":"xvda","target":"/a","format":"ext4"})") ==
          "format: has a value that is not known");
    CHECK(problem(R"({"vdev":"xvda","target":"/a","size":1})") == "size: is not a field of a disk");
    CHECK(problem(R"({"vdev":"xvda","target":"a"})") == "target: \"a\" is not an absolute path");
}
