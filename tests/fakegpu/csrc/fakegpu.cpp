// The device made known to torch, and its knobs to Python. One translation unit: torch's headers take most of the build.
#include <malloc.h>

#include "autocast.h"
#include "guard.h"
#include "hooks.h"
#include "kernels.h"

namespace fakegpu {
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard)
struct Register {
  Register() {
    c10::SetAllocator(kDev, &Memory::get());
    at::setHostAllocator(kDev, &Pinned::get());
    at::RegisterPrivateUse1HooksInterface(new Hooks());
  }
} register_all;

py::dict counters() {
  py::dict d;
  d["n_operators"] = device().n_operators.load();
  d["n_waits"] = device().n_waits.load();
  d["busy_s"] = device().busy_ns.load() / 1e9;
  d["n_freed_sources"] = device().n_freed_sources.load();
  d["n_unrecorded"] = device().n_unrecorded.load();
  return d;
}
} // namespace fakegpu

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  using namespace fakegpu;
  m.def("is_discrete", is_discrete);
  m.def("set_operators", [](std::vector<std::string> names) { operators_of_mps() = {names.begin(), names.end()}; });
  m.def("set_recommended", [](size_t n) { Memory::get().recommended = n; });
  m.def("recommended", [] { return Memory::get().recommended; });
  m.def("set_fraction", [](double f) { Memory::get().fraction = f; });
  m.def("set_operator_time", [](double s) { device().least_ns = static_cast<int64_t>(s * 1e9); });
  m.def("synchronize", [] { wait_for_all(); });
  m.def("drain", [] { wait_for_all(false); });
  m.def("empty_cache", [] { Memory::get().emptyCache({0, 0}); });
  m.def("allocated", [] { return Memory::get().getDeviceStats(0).allocated_bytes[kAgg].current; });
  m.def("reserved", [] { return Memory::get().getDeviceStats(0).reserved_bytes[kAgg].current; });
  m.def("allow_double", [](bool b) { return std::exchange(allows_double(), b); });
  m.def("default_generator", [] { return default_generator(); });
  m.def("is_pending", is_pending);
  m.def("counters", counters);
  // What is freed stays with the process: else every result of an operator costs page faults.
  m.def("keep_memory", [] { mallopt(M_MMAP_THRESHOLD, 1 << 30); mallopt(M_TRIM_THRESHOLD, INT_MAX); });
}
