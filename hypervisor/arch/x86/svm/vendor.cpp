// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/vendor.hpp"

#include "arch/x86/svm/svm_host.hpp"
#include "arch/x86/svm/svm_vcpu.hpp"

namespace vmm
{

Expected<void> enable_virtualisation() { return svm::enable_on_this_cpu(); }
Expected<Unique<Vcpu_backend>> create_backend(Vcpu& vcpu) { return svm::Svm_vcpu::create(vcpu); }

} // namespace vmm
