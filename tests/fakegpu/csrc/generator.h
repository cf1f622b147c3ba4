// Random numbers: those of a CPU generator that the worker draws from.
#pragma once
#include <ATen/CPUGeneratorImpl.h>

#include "streams.h"

namespace fakegpu {
struct Generator final : c10::GeneratorImpl {
  at::Generator twin = at::detail::createCPUGenerator();

  Generator() : GeneratorImpl(device0, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1)) {}
  static c10::DeviceType device_type() { return kDev; }
  void set_current_seed(uint64_t s) override { wait_for_all(); twin.set_current_seed(s); }
  uint64_t current_seed() const override { return twin.current_seed(); }
  uint64_t seed() override { wait_for_all(); return twin.seed(); }
  void set_offset(uint64_t) override { TORCH_CHECK(false, "fakegpu's generator has no offset"); }
  uint64_t get_offset() const override { TORCH_CHECK(false, "fakegpu's generator has no offset"); }
  void set_state(const c10::TensorImpl& s) override { wait_for_all(); twin.unsafeGetGeneratorImpl()->set_state(s); }
  c10::intrusive_ptr<c10::TensorImpl> get_state() const override {
    wait_for_all();
    return twin.unsafeGetGeneratorImpl()->get_state();
  }
  Generator* clone_impl() const override {
    auto* g = new Generator();
    g->twin = twin.clone();
    return g;
  }
};
inline const at::Generator& default_generator() {
  static auto* g = new at::Generator(at::make_generator<Generator>());
  return *g;
}
} // namespace fakegpu
