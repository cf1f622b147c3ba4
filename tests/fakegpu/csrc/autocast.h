// Autocast: for each operator what this very torch registers for MPS, which it does on every platform.
#pragma once
#include <ATen/autocast_mode.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

namespace fakegpu {
using namespace at::autocast;

struct OnlyWhatMpsHas {
  torch::Library& library;
  template <class Name, class F>
  void impl(Name n, F f) {
    const std::string full = static_cast<const char*>(n);
    const auto dot = full.find('.');
    const auto op = c10::Dispatcher::singleton().findSchema({full.substr(0, dot), dot == std::string::npos ? "" : full.substr(dot + 1)});
    if (op && op->hasKernelForDispatchKey(c10::DispatchKey::AutocastMPS)) library.impl(full.c_str(), f);
  }
};

TORCH_LIBRARY_IMPL(_, AutocastPrivateUse1, m) { m.fallback(torch::CppFunction::makeFallthrough()); }
TORCH_LIBRARY_IMPL(aten, AutocastPrivateUse1, library) {
  OnlyWhatMpsHas m{library};
#define LOW(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, lower_precision_fp)
#define F32(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, fp32)
#define F32_OPT(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, fp32_set_opt_dtype)
#define PROMOTE(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, promote)
  AT_FORALL_LOWER_PRECISION_FP(LOW)
  AT_FORALL_FP32(F32)
  AT_FORALL_FP32_SET_OPT_DTYPE(F32_OPT)
  AT_FORALL_PROMOTE(PROMOTE)
  KERNEL_PRIVATEUSEONE(batch_norm, fp32)  // of MPS alone
}
} // namespace fakegpu
