// Kernels that the fallback cannot stand in for: making tensors, views, and what ATen would choose otherwise.
#pragma once
#include <ATen/native/transformers/attention.h>
#include <torch/library.h>

#include "copies.h"
#include "launch.h"

namespace fakegpu {
inline at::Tensor empty_memory_format(at::IntArrayRef size, std::optional<at::ScalarType> type, std::optional<at::Layout>,
    std::optional<at::Device>, std::optional<bool> pin, std::optional<at::MemoryFormat> format) {
  refuse_double(c10::dtype_or_default(type));
  TORCH_CHECK(!c10::pinned_memory_or_default(pin), "Only dense CPU tensors can be pinned");
  return at::detail::empty_generic(size, &Memory::get(), c10::DispatchKeySet(c10::DispatchKey::PrivateUse1), c10::dtype_or_default(type), format);
}
inline at::Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef stride, std::optional<at::ScalarType> type, std::optional<at::Layout>,
    std::optional<at::Device>, std::optional<bool> pin) {
  refuse_double(c10::dtype_or_default(type));
  TORCH_CHECK(!c10::pinned_memory_or_default(pin), "Only dense CPU tensors can be pinned");
  return device_empty(size, stride, c10::dtype_or_default(type));
}
inline void record_stream(at::Tensor& t, c10::Stream s) {
  if (!is_discrete()) refuse_or_fall_back("aten::record_stream");
  Memory::get().recordStream(t.storage().data_ptr(), s);
}
inline int64_t sdp_choice(const at::Tensor&, const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, double, bool,
    std::optional<double>, bool) {
  return 0;  // SDPBackend::math
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&launch>()); }
TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", empty_memory_format);
  m.impl("empty_strided", empty_strided);
  m.impl("_copy_from", copy_from);
  m.impl("_copy_from_and_resize", copy_from_and_resize);
  m.impl("as_strided", at::native::as_strided_tensorimpl);
  m.impl("view", at::native::view);
  m.impl("_reshape_alias", at::native::_reshape_alias);
  m.impl("unfold", at::native::unfold);
  m.impl("resize_", resize_device);
  m.impl("set_.source_Storage", static_cast<at::Tensor& (*)(at::Tensor&, at::Storage)>(at::native::set_));
  m.impl("set_.source_Storage_storage_offset", at::native::set_storage_cpu_);
  m.impl("set_.source_Tensor", at::native::set_tensor_);
  m.impl("set_", at::native::set_cpu_);
  m.impl("record_stream", record_stream);
  m.impl("_fused_sdp_choice", sdp_choice);
  // Composite in ATen, which would choose convolution_overrideable; one kernel on MPS.
  m.impl("convolution", torch::CppFunction::makeFromBoxedFunction<&launch>());
  m.impl("convolution_backward", torch::CppFunction::makeFromBoxedFunction<&launch>());
}
// Else the conjugation fallback resolves the bit through copy_, which comes back here without end.
TORCH_LIBRARY_IMPL(aten, Conjugate, m) { m.impl("_copy_from", torch::CppFunction::makeFallthrough()); }
TORCH_LIBRARY_IMPL(aten, Negative, m) { m.impl("_copy_from", torch::CppFunction::makeFallthrough()); }
} // namespace fakegpu
