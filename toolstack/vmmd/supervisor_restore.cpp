// SPDX-License-Identifier: Apache-2.0
// The part of Supervisor that brings saved domains back: a creation whose config, memory and processors come
// from a file. From its devices on it is as any other.
#include "toolstack/base/log.hpp"
#include "toolstack/vmmd/supervisor.hpp"

#include <utility>

namespace vmm
{

namespace
{

// The file stands behind the description then.
Result<save::Saved_domain> read_description(save::Image_reader& image)
{
    const save::Record record = TRY(image.next());
    const bool has_disks      = record.type == save::Record_type::point;
    if (!has_disks && record.type != save::Record_type::description) {
        return fail(Errc::protocol, "the file does not begin with a description of the domain");
    }
    auto saved = TRY(save::decode(record.payload));
    if (saved.disks.empty() == has_disks) {
        return fail(Errc::protocol, "the file does not tell the states of the domain's disks, or should not");
    }
    return saved;
}

} // namespace

void Supervisor::read_image(const Construction_ptr& construction)
{
    const auto work = [construction]() -> Result<save::Saved_domain> {
        construction->image =
            std::make_shared<save::Image_reader>(TRY(save::Image_reader::open(construction->creation.image)));
        return read_description(*construction->image);
    };
    parts_.worker.submit([construction, work] { construction->saved = work(); },
                         [this, construction] { restore(construction); });
}

void Supervisor::restore(const Construction_ptr& construction)
{
    if (construction->cancelled) {
        return; // finish() has been called
    }
    if (auto begun = begin_restore(construction); !begun) {
        abandon(construction, std::move(begun.error()));
    }
}

Result<void> Supervisor::begin_restore(const Construction_ptr& construction)
{
    const save::Saved_domain saved = TRY(std::move(*construction->saved));
    TRY(begin_place(construction, saved));
    TRY(check_places(saved));
    const Domid id  = construction->domain->id;
    const auto fill = [id, saved, construction, image = construction->image, qemu_img = parts_.qemu_img](
                          Build_control& control, const Progress& progress) -> Result<Built_domain> {
        construction->layers = TRY(layers_of(saved, qemu_img));
        return save::restore_domain(control, id, saved, *image, progress);
    };
    construction->filling = TRY(start_filling(fill, [this, construction, saved](Result<Built_domain> rings) {
        const Result<void> free = check_places(saved);
        filled(construction, !rings || free ? std::move(rings) : std::unexpected(free.error()));
    }));
    return {};
}

// A domain of ours that is to become this one, with room for it.
Result<void> Supervisor::begin_place(const Construction_ptr& construction, const save::Saved_domain& saved)
{
    if (const auto good = cpu::can_go_on(saved.cpu_policy, TRY(parts_.control.offered_cpu_policy())); !good) {
        return fail(good.error().code, "\"" + saved.config.name +
                                           "\" cannot run on here: it has lived with " +
                                           good.error().message);
    }
    TRY(check_free(saved.config, saved.uuid, construction.get()));
    construction->creation.config = saved.config;
    construction->uuid            = saved.uuid;
    unfinished_.insert(construction->uuid.to_string());
    save_state();
    construction->domain = TRY(parts_.maker.begin(
        saved.config, saved.uuid, {saved.static_max_kib, saved.target_kib, saved.overhead_kib}));
    TRY(parts_.control.set_cpu_policy(construction->domain->id, saved.cpu_policy));
    const std::uint64_t pages = construction->creation.overcommit ? 0 : saved.memory_kib * 1024 / kPageSize;
    return parts_.builder.reserve(construction->domain->id, pages,
                                  table_memory_kib(saved.static_max_kib, saved.config.maxvcpus));
}

} // namespace vmm
