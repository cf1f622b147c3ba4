// What an Apple GPU does not have, refused in MPS's words. A discrete device has everything that the CPU has.
#pragma once
#include <unordered_set>

#include "streams.h"

namespace fakegpu {
inline std::unordered_set<std::string>& operators_of_mps() {
  static auto* names = new std::unordered_set<std::string>();
  return *names;
}
inline bool lacks(const std::string& name) { return !is_discrete() && !operators_of_mps().count(name); }

// ATen/mps/MPSFallback.mm: refused, or with a warning where the variable allows it
inline void refuse_or_fall_back(const std::string& name) {
  static const char* allowed = std::getenv("PYTORCH_ENABLE_MPS_FALLBACK");
  TORCH_CHECK_NOT_IMPLEMENTED(allowed && std::atoi(allowed), "The operator '", name, "' is not currently implemented for the MPS device. "
      "If you want this op to be considered for addition please comment on https://github.com/pytorch/pytorch/issues/141287 and mention "
      "use-case, that resulted in missing op as well as commit hash (fakegpu). As a temporary fix, you can set the environment variable "
      "`PYTORCH_ENABLE_MPS_FALLBACK=1` to use the CPU as a fallback for this op. WARNING: this will be slower than running natively on MPS.");
  TORCH_WARN_ONCE("The operator '", name, "' is not currently supported on the MPS backend and will fall back to run on the CPU. "
      "This may have performance implications.");
}

// GradScaler.unscale_ takes a reciprocal in float64 on every device but one that is called mps.
inline bool& allows_double() {
  thread_local bool allowed = false;
  return allowed;
}
inline void refuse_double(c10::ScalarType type) {
  TORCH_CHECK_TYPE(is_discrete() || allows_double() || (type != at::kDouble && type != at::kComplexDouble),
      "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64. Please use float32 instead.");
}
} // namespace fakegpu
