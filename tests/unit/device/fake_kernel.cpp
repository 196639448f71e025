// SPDX-License-Identifier: Apache-2.0
#include "fake_kernel.hpp"

#include <vector>

namespace vmm::test
{

Fake_kernel::Fake_kernel(Store_server& store) : store_(store)
{
    const auto look = [this](const std::string&) {
        for (const std::string& type :
             store_.list("/local/domain/0/backend").value_or(std::vector<std::string>{})) {
            const std::string of_type = "/local/domain/0/backend/" + type;
            for (const std::string& domain : store_.list(of_type).value_or(std::vector<std::string>{})) {
                const std::string of_domain = of_type + "/" + domain;
                for (const std::string& number :
                     store_.list(of_domain).value_or(std::vector<std::string>{})) {
                    backend_changed(of_domain + "/" + number);
                }
            }
        }
        std::erase_if(backends, [&](const std::string& path) { return !store_.exists(path); });
    };
    backend_watch_  = store_.watch("/local/domain/0/backend", look).value();
    frontend_watch_ = store_.watch("/local/domain", look).value();
}

Fake_kernel::~Fake_kernel()
{
    store_.unwatch(backend_watch_);
    store_.unwatch(frontend_watch_);
}

void Fake_kernel::write(const std::string& path, const std::string& value)
{
    if (store_.read(path).value_or("") != value) {
        store_.write(path, value).value();
    }
}

void Fake_kernel::close(const std::string& backend)
{
    if (!never_closes) {
        write(backend + "/state", "6");
        backends.erase(backend);
    }
}

void Fake_kernel::backend_changed(const std::string& path)
{
    const std::string state       = store_.read(path + "/state").value_or("");
    const std::string frontend    = store_.read(path + "/frontend").value_or("");
    const std::string guest_state = store_.read(frontend + "/state").value_or("");
    const std::string error_at_dom0 =
        "/local/domain/0/error" + path.substr(std::string("/local/domain/0").size());
    if (state == "1" && has_module) {
        backends.insert(path);
        if (fails) {
            store_.write(error_at_dom0 + "/error", "22 creating vbd structure").value();
        }
        write(path + "/state", fails ? "5" : "2");
    } else if (guest_state == "6" && backends.contains(path)) {
        close(path);
    } else if (guest_state == "3" && state == "2") {
        write(path + "/state", "4");
        write(frontend + "/state", "4");
    } else if (state == "5" && guest_state == "4" && guest_lets_go) {
        write(frontend + "/state", "6");
    }
}

void Fake_kernel::guest_connects(const device::Address& address)
{
    write(address.frontend_path() + "/state", "3");
}

void Fake_kernel::guest_releases(const device::Address& address)
{
    write(address.frontend_path() + "/state", "6");
}

} // namespace vmm::test
